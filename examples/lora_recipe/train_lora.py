"""Train a LoRA on an edition with TRL and PEFT, and load it into a running vLLM: a script for `--tuner command`.

Needs a GPU and `pip install "trl>=0.24" "peft>=0.17" datasets`. vLLM runs as a server of its own with
`--enable-lora --max-lora-rank 16` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and sees the same disk. README.md tells
the whole way. Progress goes out as lines of JSON, the model's name as the last one.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

RANK = 16


def main() -> None:
    """Train, save, load, and say the name."""
    from datasets import load_dataset  # noqa: PLC0415
    from peft import LoraConfig  # noqa: PLC0415
    from transformers import TrainerCallback  # noqa: PLC0415
    from trl import SFTConfig, SFTTrainer  # noqa: PLC0415

    class Progress(TrainerCallback):
        """One line a logging step."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:  # noqa: ARG002
            logs = logs or {}
            point = {"step": state.global_step, "total_steps": state.max_steps}
            for name, known in (("loss", "train_loss"), ("eval_loss", "valid_loss")):
                if name in logs:
                    point[known] = logs[name]
            print(json.dumps(point), flush=True)

    output = Path(os.environ["LOGOS_SHIFT_EDITION_OUTPUT"])
    files = {"train": os.environ["LOGOS_SHIFT_EDITION_TRAIN"]}
    if os.path.getsize(os.environ["LOGOS_SHIFT_EDITION_HELDOUT"]):  # noqa: PTH202
        files["heldout"] = os.environ["LOGOS_SHIFT_EDITION_HELDOUT"]
    data = load_dataset("json", data_files=files).map(split, remove_columns="messages")
    trainer = SFTTrainer(
        model=os.environ["LOGOS_SHIFT_TUNING_MODEL"],
        args=SFTConfig(
            output_dir=str(output),
            num_train_epochs=float(os.environ.get("LOGOS_SHIFT_TUNING_EPOCHS", "3")),
            learning_rate=float(os.environ.get("LOGOS_SHIFT_TUNING_LEARNING_RATE", "2e-4")),
            per_device_train_batch_size=int(os.environ.get("LOGOS_SHIFT_TUNING_BATCH_SIZE", "8")),
            seed=int(os.environ.get("LOGOS_SHIFT_TUNING_SEED", "42")),
            max_length=4096,
            bf16=True,
            logging_steps=10,
            eval_strategy="epoch" if "heldout" in data else "no",
            save_strategy="epoch",
            save_total_limit=1,
            report_to="none",
        ),
        train_dataset=data["train"],
        eval_dataset=data.get("heldout"),
        peft_config=LoraConfig(
            r=RANK, lora_alpha=2 * RANK, lora_dropout=0.05, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        callbacks=[Progress()],
    )
    last = any(output.glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=last or None)
    adapter = output / "adapter"
    trainer.save_model(str(adapter))  # the adapter alone: adapter_config.json and its weights
    name = f"{os.environ.get('LOGOS_SHIFT_TUNING_SUFFIX', 'logos')}-{os.environ['LOGOS_SHIFT_TUNING_KEY'][:12]}"
    load(name, adapter)
    print(json.dumps({"model": name, "provider": os.environ.get("LOGOS_SHIFT_TUNING_PROVIDER", "vllm")}))


def split(row: dict[str, Any]) -> dict[str, Any]:
    """Make a prompt and a completion of a chat: the loss is then of the answer alone."""
    return {"prompt": row["messages"][:-1], "completion": row["messages"][-1:]}


def load(name: str, adapter: Path) -> None:
    """Load the adapter into vLLM under a name; one that is loaded already is let be."""
    url = os.environ["VLLM_URL"].rstrip("/")  # as in http://127.0.0.1:8000
    body = json.dumps({"lora_name": name, "lora_path": str(adapter.resolve())}).encode()
    request = urllib.request.Request(f"{url}/v1/load_lora_adapter", body, {"Content-Type": "application/json"})  # noqa: S310
    if os.environ.get("VLLM_API_KEY"):
        request.add_header("Authorization", f"Bearer {os.environ['VLLM_API_KEY']}")
    try:
        urllib.request.urlopen(request, timeout=300).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")
        if "already" not in said:
            sys.exit(f"vLLM did not load the adapter: HTTP {error.code} {said[:200]}")


if __name__ == "__main__":
    main()
