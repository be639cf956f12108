"""The tuner `together`: Together's REST API.

Source: its OpenAPI document, github.com/togethercomputer/openapi, `openapi.yaml` of 28 April 2026: `/files/upload`,
`/files`, `/fine-tunes`, `/fine-tunes/{id}`, its `/cancel`, `/metrics`. A job is ours if its suffix holds the key or its
training file is ours, whose name holds it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from .bills import nanodollars_in, whole_in
from .edition import Edition, problems_of
from .protocol import AwayError, Candidate, Handle, NotServedError, Progress, RefusedError, Settings, Task
from .rest import NotThereError, Rest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .protocol import Phase

_ENDED: Final[Mapping[str, Phase]] = {
    "completed": "succeeded",
    "error": "failed",
    "user_error": "failed",
    "cancelled": "cancelled",
}
_CURVES: Final[Mapping[str, str]] = {
    "train/global_step": "step",
    "train/loss": "train_loss",
    "eval/loss": "valid_loss",
}


class TogetherTuner:
    """See the module.

    Args:
        rest: Together's address with `/v1`, and the key.
        provider: Name of Together's endpoint in the client's environment.
        deploy: Makes a tuned model answer, where the account needs an endpoint of its own for that.
    """

    def __init__(
        self, rest: Rest, provider: str | None = "together", deploy: Callable[[str], str] | None = None
    ) -> None:
        self._rest = rest
        self._provider = provider
        self._deploy = deploy

    def check(self, edition: Edition, settings: Settings) -> list[str]:
        """Look at the edition."""
        return problems_of(edition, settings.method)

    def find(self, task: Task) -> Handle | None:
        """Look among the jobs for ours."""
        train = self._files(task).get(_name(task, "train"), {}).get("id")
        for job in self._list("/fine-tunes", "looking for the job"):
            suffix = job.get("suffix")
            if (isinstance(suffix, str) and task.key in suffix) or (train and job.get("training_file") == train):
                return {"job": str(job["id"])}
        return None

    def start(self, task: Task) -> Handle:
        """Upload what is not there yet; create the job once the files have been looked through."""
        there = self._files(task)
        train = self._file(task, "train", task.edition.train, there)
        heldout = None
        if task.edition.heldout.stat().st_size:
            heldout = self._file(task, "heldout", task.edition.heldout, there)
        for file in (train, heldout):
            if file is not None and file.get("Processed") is False:
                raise AwayError("Together still looks through the uploaded file", waiting=True)
        body = body_of(task, str(train["id"]), None if heldout is None else str(heldout["id"]))
        return {"job": str(self._rest.ask("POST", "/fine-tunes", "creating the job", body=body)["id"])}

    def status(self, handle: Handle) -> Progress:
        """Read the job and its metrics."""
        path = f"/fine-tunes/{handle['job']}"
        job = self._rest.ask("GET", path, "reading the job")
        said = str(job.get("status", ""))
        phase = _ENDED.get(said, "running")
        model = job.get("model_output_name")
        points = self._points(path)
        bill = Progress("running", trained_tokens=whole_in(job, "token_count"), cost=nanodollars_in(job, "total_price"))
        if phase == "succeeded" and not isinstance(model, str):
            return replace(bill, phase="failed", said="the job completed without naming a model", points=points)
        if phase == "failed":
            said = _last_message(job) or said
        fraction = None
        epochs, done = job.get("n_epochs"), job.get("epochs_completed")
        if isinstance(epochs, int) and isinstance(done, int) and epochs > 0:
            fraction = min(1.0, done / epochs)
        found = model if phase == "succeeded" else None
        return replace(bill, phase=phase, said=said, fraction=1.0 if found else fraction, points=points, model=found)

    def cancel(self, handle: Handle) -> None:
        """Cancel the job, if it goes on."""
        if self.status(handle).phase == "running":
            self._rest.ask("POST", f"/fine-tunes/{handle['job']}/cancel", "cancelling the job")

    def serve(self, handle: Handle) -> Candidate:
        """Ask the model something, after its deployment where that is a step."""
        model = str(handle["model"])
        if self._deploy is not None:
            model = self._deploy(model)
        ask_once(self._rest, "/chat/completions", model, "make an endpoint for the model at Together")
        return Candidate(model, self._provider)

    def _file(self, task: Task, part: str, path: Path, there: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        name = _name(task, part)
        found = there.get(name)
        if found is not None and found.get("bytes") == path.stat().st_size:
            return found
        fields = {"purpose": "fine-tune", "file_name": name, "file_type": "jsonl"}
        return self._rest.upload("/files/upload", "uploading the edition", path, name, fields)

    def _files(self, task: Task) -> dict[str, dict[str, Any]]:
        names = {_name(task, "train"), _name(task, "heldout")}
        listed = self._list("/files", "looking for the files")
        return {file["filename"]: file for file in listed if file.get("filename") in names}

    def _list(self, path: str, doing: str) -> list[dict[str, Any]]:
        data = self._rest.ask("GET", path, doing).get("data")
        return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []

    def _points(self, path: str) -> tuple[Mapping[str, float], ...]:
        try:
            found = self._rest.ask("GET", f"{path}/metrics", "reading the metrics").get("metrics")
        except (AwayError, RefusedError):
            return ()  # a job that has just begun has none
        points = []
        for one in found if isinstance(found, list) else ():
            point = {new: float(one[old]) for old, new in _CURVES.items() if isinstance(one.get(old), (int, float))}
            if "step" in point:
                points.append(point)
        return tuple(points)


def body_of(task: Task, train: str, heldout: str | None) -> dict[str, Any]:
    """Make the body of a create request."""
    settings = task.settings
    body: dict[str, Any] = {
        "model": settings.model,
        "training_file": train,
        "suffix": f"{(settings.suffix or 'logos')[:39]}-{task.key}",
        "training_method": {"method": "dpo"}
        if settings.method == "dpo"
        else {"method": "sft", "train_on_inputs": False},
        "training_type": {"type": "Lora", "lora_r": 16, "lora_alpha": 32},
    }
    if heldout is not None:
        body |= {"validation_file": heldout, "n_evals": 1}
    given = {
        "n_epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "random_seed": settings.seed,
    }
    return body | {name: value for name, value in given.items() if value is not None}


def ask_once(rest: Rest, path: str, model: str, next_step: str) -> None:
    """Ask a model one word.

    Raises:
        NotServedError: it is not there.
    """
    body = {"model": model, "messages": [{"role": "user", "content": "ping"}], "max_tokens": 16}
    try:
        rest.ask("POST", path, f"asking {model}", body=body)
    except NotThereError as error:
        raise NotServedError(f"nobody serves {model}: {error.message}", _again(next_step)) from None
    except RefusedError as error:
        if "model" in error.message.lower():  # some say 400 for a model without an endpoint
            raise NotServedError(f"nobody serves {model}: {error.message}", _again(next_step)) from None
        raise


def _again(next_step: str) -> str:
    return f"{next_step} (LOGOS_SHIFT_TUNER_DEPLOY may do it), then look again with `logos-shift tune status`"


def _name(task: Task, part: str) -> str:
    return f"logos-{task.key}-{part}.jsonl"


def _last_message(job: Mapping[str, Any]) -> str:
    events = job.get("events")
    last = events[-1] if isinstance(events, list) and events else None
    return str(last.get("message", "")) if isinstance(last, dict) else ""
