"""Fine-tuning through the official SDK: states, figures, failures, and a model that has really learnt."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import openai
import pytest

from logos_shift_openai.lab import Lab, data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from openai.types.fine_tuning import FineTuningJob

    Make = Callable[[int], bytes]
    Upload = Callable[[bytes], str]
    Wait = Callable[..., FineTuningJob]

SLOW = {"on": "tuning", "between": 600.0, "count": 1}  # a job that stands still until it is cancelled


def accuracy(client: openai.OpenAI, model: str, system: dict[str, str]) -> float:
    rows = data.rows("test")
    right = 0
    for text, intent in rows:
        messages: Any = [system, {"role": "user", "content": text}]
        answer = client.chat.completions.create(model=model, messages=messages, temperature=0)
        right += answer.choices[0].message.content == intent
    return right / len(rows)


def test_five_hundred_examples_make_a_good_model(
    client: openai.OpenAI, make_file: Make, upload: Upload, wait_for: Wait, system: dict[str, str]
) -> None:
    """From an upload to held-out answers: at least .93 right, far more than before tuning."""
    before = accuracy(client, "tiny-base", system)
    created = client.fine_tuning.jobs.create(
        model="tiny-base", training_file=upload(make_file(500)), suffix="My Demo", seed=1
    )
    assert created.id.startswith("ftjob-")
    job = wait_for(created.id)
    assert (job.status, job.error, job.seed) == ("succeeded", None, 1)
    assert job.fine_tuned_model is not None
    assert job.fine_tuned_model.startswith("ft:tiny-base:lab:my-demo:")
    assert len(job.fine_tuned_model.rpartition(":")[2]) == 8
    after = accuracy(client, job.fine_tuned_model, system)
    print(f"tiny-base held-out accuracy: {before:.3f} untuned, {after:.3f} tuned")
    assert after >= 0.93
    assert after > before + 0.2
    assert job.finished_at is not None
    assert job.trained_tokens is not None
    assert job.trained_tokens > 500 * 6
    assert client.models.retrieve(job.fine_tuned_model).owned_by == "lab-tuned"


def test_figures_are_in_events_checkpoints_and_the_result_file(
    client: openai.OpenAI, make_file: Make, upload: Upload, wait_for: Wait, system: dict[str, str]
) -> None:
    """Training loss a step, held-out loss and accuracy an epoch, in all three places."""
    hyper = {"n_epochs": 4, "batch_size": 10, "learning_rate_multiplier": 0.5}
    job = client.fine_tuning.jobs.create(
        model="tiny-base",
        training_file=upload(make_file(100)),
        method={"type": "supervised", "supervised": {"hyperparameters": hyper}},  # type: ignore[arg-type]
    )
    job = wait_for(job.id)
    assert job.hyperparameters.model_dump() == hyper
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=7))  # pages of seven
    assert len({event.id for event in events}) == len(events) > 30
    messages = [event.message for event in reversed(events)]
    order = ["Created", "Validating", "Files validated", "Fine-tuning job started", "Step 1/36"]
    assert [m for m, wanted in zip(messages, order, strict=False) if m.startswith(wanted)] == messages[:5]
    assert messages[-1] == "The job has successfully completed"
    assert any("Validation accuracy" in m and "on 10 held-out examples" in m for m in messages)
    assert sum(event.type == "metrics" for event in events) == 36
    checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert [c.step_number for c in checkpoints] == [36, 27, 18]
    assert checkpoints[0].fine_tuned_model_checkpoint == job.fine_tuned_model
    assert checkpoints[0].metrics.full_valid_loss is not None
    name = checkpoints[2].fine_tuned_model_checkpoint
    assert name.endswith(":ckpt-step-18")
    assert accuracy(client, name, system) > 0.3
    lines = client.files.content(job.result_files[0]).text.splitlines()
    assert lines[0] == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert len(lines) == 37
    assert all(field for field in lines[36].split(","))


def test_tuned_probabilities_are_the_models_own(
    client: openai.OpenAI, make_file: Make, upload: Upload, wait_for: Wait, system: dict[str, str]
) -> None:
    """Right answers carry more probability than wrong ones, and a sure model is right more often."""
    job = client.fine_tuning.jobs.create(model="tiny-base", training_file=upload(make_file(120)), seed=2)
    model = wait_for(job.id).fine_tuned_model or ""
    judged = []
    for text, intent in data.rows("test"):
        messages: Any = [system, {"role": "user", "content": text}]
        choice = client.chat.completions.create(model=model, messages=messages, logprobs=True).choices[0]
        assert choice.logprobs is not None
        sure = math.exp(sum(token.logprob for token in choice.logprobs.content or []))
        judged.append((sure, choice.message.content == intent))
    judged.sort()
    half = len(judged) // 2
    assert sum(right for _, right in judged[:half]) < sum(right for _, right in judged[-half:])


def test_a_validation_file_is_measured_and_nothing_is_held_out(
    client: openai.OpenAI, make_file: Make, upload: Upload, wait_for: Wait
) -> None:
    """With a file of its own for measuring, its rows are counted in the events."""
    lines = make_file(160).splitlines()
    job = client.fine_tuning.jobs.create(
        model="tiny-base",
        training_file=upload(b"\n".join(lines[:120])),
        validation_file=upload(b"\n".join(lines[120:])),
    )
    assert wait_for(job.id).status == "succeeded"
    events = list(client.fine_tuning.jobs.list_events(job.id))
    assert any(f"on {40} held-out examples" in event.message for event in events)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b'{"messages": 1}\n' * 12, "invalid_training_file", "Line 1: 'messages' is not a non-empty list"),
        (b"\xff\n" * 12, "invalid_training_file", "Line 1: not valid UTF-8"),
        (None, "invalid_n_examples", "Training file has 9 example(s), but must have at least 10 examples"),
    ],
)
def test_a_bad_file_fails_the_job_with_its_line(
    client: openai.OpenAI,
    make_file: Make,
    upload: Upload,
    wait_for: Wait,
    content: bytes | None,
    code: str,
    message: str,
) -> None:
    """The job ends as failed with OpenAI's error: code, message, param; and the last event says it too."""
    job = client.fine_tuning.jobs.create(model="tiny-base", training_file=upload(content or make_file(9)))
    job = wait_for(job.id)
    assert job.status == "failed"
    assert job.fine_tuned_model is None
    assert job.finished_at is not None
    assert job.error is not None
    assert (job.error.code, job.error.param) == (code, "training_file")
    assert message in job.error.message
    last = client.fine_tuning.jobs.list_events(job.id, limit=1).data[0]
    assert last.level == "error"
    assert message in last.message


def test_a_bad_validation_file_is_told_apart(
    client: openai.OpenAI, make_file: Make, upload: Upload, wait_for: Wait
) -> None:
    """Code and param name the validation file."""
    job = client.fine_tuning.jobs.create(
        model="tiny-base", training_file=upload(make_file(20)), validation_file=upload(b"[]")
    )
    error = wait_for(job.id).error
    assert error is not None
    assert (error.code, error.param) == ("invalid_validation_file", "validation_file")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": "oracle-large"}, "model"),
        ({"training_file": "file-none"}, "training_file"),
        ({"validation_file": "file-none"}, "validation_file"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"n_epochs": "many"}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"dropout": 1}}, "hyperparameters.dropout"),
        ({"method": {"type": "dpo"}}, "method.type"),
        ({"suffix": "a:b"}, "suffix"),
        ({"seed": "a"}, "seed"),
        ({"extra_body": {"colour": 1}}, "colour"),
    ],
)
def test_an_impossible_job_is_refused_at_once(
    client: openai.OpenAI, make_file: Make, upload: Upload, change: dict[str, Any], param: str
) -> None:
    """400 names the field, and no job is made."""
    options: dict[str, Any] = {"model": "tiny-base", "training_file": upload(make_file(10)), **change}
    with pytest.raises(openai.BadRequestError) as caught:
        client.fine_tuning.jobs.create(**options)
    assert caught.value.param == param
    assert client.fine_tuning.jobs.list().data == []


def test_a_result_file_cannot_be_trained_on(
    client: openai.OpenAI, make_file: Make, upload: Upload, wait_for: Wait
) -> None:
    """Only files of the purpose fine-tune are taken."""
    done = wait_for(client.fine_tuning.jobs.create(model="tiny-base", training_file=upload(make_file(12))).id)
    with pytest.raises(openai.BadRequestError, match="Invalid file purpose"):
        client.fine_tuning.jobs.create(model="tiny-base", training_file=done.result_files[0])


def test_the_lab_answers_while_a_job_runs_and_the_next_waits(
    lab: Lab, client: openai.OpenAI, make_file: Make, upload: Upload, wait_for: Wait
) -> None:
    """One job trains, a second is queued, chats go on; cancelling the first lets the second finish."""
    lab.faults.add("slow", **SLOW)
    file = upload(make_file(30))
    first = client.fine_tuning.jobs.create(model="tiny-base", training_file=file)
    wait_for(first.id, "running")
    second = client.fine_tuning.jobs.create(model="tiny-base", training_file=file, metadata={"a": "b"})
    assert wait_for(second.id, "queued").metadata == {"a": "b"}
    for text, _ in data.rows("test")[:20]:
        client.chat.completions.create(model="oracle-large", messages=[{"role": "user", "content": text}])
    assert [job.id for job in client.fine_tuning.jobs.list(limit=1)] == [second.id, first.id]
    assert client.fine_tuning.jobs.retrieve(first.id).status == "running"
    assert client.fine_tuning.jobs.cancel(first.id).status == "cancelled"
    assert wait_for(second.id).status == "succeeded"
    cancelled = client.fine_tuning.jobs.retrieve(first.id)
    assert (cancelled.fine_tuned_model, cancelled.error) == (None, None)


def test_a_queued_job_can_be_cancelled_and_an_ended_one_cannot(
    lab: Lab, client: openai.OpenAI, make_file: Make, upload: Upload, wait_for: Wait
) -> None:
    """Cancelling works before a job's turn; afterwards it is refused, as is an unknown job."""
    lab.faults.add("slow", **SLOW)
    file = upload(make_file(12))
    first = client.fine_tuning.jobs.create(model="tiny-base", training_file=file)
    wait_for(first.id, "running")
    second = client.fine_tuning.jobs.create(model="tiny-base", training_file=file)
    wait_for(second.id, "queued")
    assert client.fine_tuning.jobs.cancel(second.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="already completed"):
        client.fine_tuning.jobs.cancel(second.id)
    with pytest.raises(openai.NotFoundError, match="Could not find fine tune"):
        client.fine_tuning.jobs.cancel("ftjob-none")


def test_chats_go_on_during_real_training(
    client: openai.OpenAI, make_file: Make, upload: Upload, wait_for: Wait
) -> None:
    """While the weights are being learnt in earnest, calls are answered between two looks at a running job."""
    options: dict[str, Any] = {"hyperparameters": {"n_epochs": 50}}
    job = client.fine_tuning.jobs.create(model="tiny-base", training_file=upload(make_file(1400)), **options)
    wait_for(job.id, "running")
    answered = 0
    for text, _ in data.rows("test")[:10]:
        client.chat.completions.create(model="tiny-base", messages=[{"role": "user", "content": text}])
        answered += client.fine_tuning.jobs.retrieve(job.id).status == "running"
    assert answered >= 5
    client.fine_tuning.jobs.cancel(job.id)


def test_a_tuned_model_can_be_deleted(client: openai.OpenAI, make_file: Make, upload: Upload, wait_for: Wait) -> None:
    """Afterwards it answers no more."""
    job = wait_for(client.fine_tuning.jobs.create(model="tiny-base", training_file=upload(make_file(12))).id)
    model = job.fine_tuned_model or ""
    assert client.models.delete(model).deleted
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "a"}])


def test_too_many_answers_fail_the_job(client: openai.OpenAI, upload: Upload, wait_for: Wait) -> None:
    """A file of free texts is beyond a classifier, and the error says so."""
    rows = [
        {"messages": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": f"a{i}"}]}
        for i in range(1200)
    ]
    content = "\n".join(map(json.dumps, rows)).encode()
    error = wait_for(client.fine_tuning.jobs.create(model="tiny-base", training_file=upload(content)).id).error
    assert error is not None
    assert "at most 1,000 distinct answers" in error.message


def test_a_restart_keeps_models_files_and_jobs(tmp_path: Path, make_file: Make, system: dict[str, str]) -> None:
    """A second lab on the same folder answers as the first did, and begins an interrupted job again."""
    ask: Any = [system, {"role": "user", "content": "I want to use the new card"}]

    def connect(lab: Lab) -> openai.OpenAI:
        return openai.OpenAI(base_url=lab.base_url, api_key="any", max_retries=0)

    def finished(client: openai.OpenAI, job_id: str) -> FineTuningJob:
        while (job := client.fine_tuning.jobs.retrieve(job_id)).finished_at is None:
            pass
        return job

    with Lab(latency=0, state_dir=tmp_path) as lab, connect(lab) as client:
        file = client.files.create(file=("a.jsonl", make_file(60)), purpose="fine-tune")
        done = finished(client, client.fine_tuning.jobs.create(model="tiny-base", training_file=file.id).id)
        model = done.fine_tuned_model or ""
        first = client.chat.completions.create(model=model, messages=ask, logprobs=True)
        lab.faults.add("slow", **SLOW)
        cut = client.fine_tuning.jobs.create(model="tiny-base", training_file=file.id)
        while client.fine_tuning.jobs.retrieve(cut.id).status != "running":
            pass
    with Lab(latency=0, state_dir=tmp_path) as lab, connect(lab) as client:
        again = client.chat.completions.create(model=model, messages=ask, logprobs=True)
        assert again.choices == first.choices
        assert client.fine_tuning.jobs.retrieve(done.id) == done
        assert client.files.content(file.id).read() == make_file(60)
        assert finished(client, cut.id).status == "succeeded"
        events = [event.message for event in client.fine_tuning.jobs.list_events(cut.id)]
        assert any("begins again" in message for message in events)
        client.files.delete(file.id)
        client.models.delete(model)
    with Lab(latency=0, state_dir=tmp_path) as lab, connect(lab) as client:
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve(model)
        assert file.id not in {f.id for f in client.files.list()}


def test_damaged_state_is_left_out_not_fatal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that cannot be read costs a warning with its name."""
    for folder in ("models", "files", "jobs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "broken.json").write_text("{")
    with (
        Lab(latency=0, state_dir=tmp_path) as lab,
        openai.OpenAI(base_url=lab.base_url, api_key="any") as client,
    ):
        assert len(client.models.list().data) == 2
    assert caplog.text.count("left out broken.json") == 3
