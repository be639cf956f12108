"""The tuner `fireworks`: Fireworks' REST API.

Source: docs.fireworks.ai, "Fine-tuning via API" (data sets), and its API reference, "Create", "Get Supervised
Fine-tuning Job" and "Create DPO Job". Data sets, jobs and models carry ids that we choose, made of the task's key: what
is there already says so, and nothing can be begun twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .bills import money_in
from .edition import Edition, examples, problems_of
from .protocol import AwayError, Candidate, Handle, Progress, Settings, Task
from .rest import ExistsError, NotThereError, Rest
from .together import ask_once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .protocol import Phase

_ENDED: Final[Mapping[str, Phase]] = {
    "JOB_STATE_COMPLETED": "succeeded",
    "JOB_STATE_EARLY_STOPPED": "succeeded",
    "JOB_STATE_FAILED": "failed",
    "JOB_STATE_EXPIRED": "failed",
    "JOB_STATE_CANCELLED": "cancelled",
}


class FireworksTuner:
    """See the module.

    Args:
        rest: `https://api.fireworks.ai` and the key.
        account: Id of the account.
        provider: Name of Fireworks' endpoint in the client's environment.
        deploy: Makes a tuned model answer: at Fireworks that takes a deployment of its own.
    """

    def __init__(
        self,
        rest: Rest,
        account: str,
        provider: str | None = "fireworks",
        deploy: Callable[[str], str] | None = None,
    ) -> None:
        self._rest = rest
        self._account = f"accounts/{account}"
        self._provider = provider
        self._deploy = deploy

    def check(self, edition: Edition, settings: Settings) -> list[str]:
        """Look at the edition."""
        return problems_of(edition, settings.method)

    def find(self, task: Task) -> Handle | None:
        """Ask for the job by its id."""
        handle = self._handle(task)
        try:
            self._rest.ask("GET", f"/v1/{handle['job']}", "looking for the job")
        except NotThereError:
            return None
        return handle

    def start(self, task: Task) -> Handle:
        """Make and fill the data sets; create the job once they are ready."""
        train = self._dataset(task, "train", task.edition.train)
        heldout = None
        if task.edition.heldout.stat().st_size and task.settings.method != "dpo":
            heldout = self._dataset(task, "heldout", task.edition.heldout)
        handle = self._handle(task)
        kind, _, job_id = handle["job"].rpartition("/")
        query = {("dpoJobId" if task.settings.method == "dpo" else "supervisedFineTuningJobId"): job_id}
        body = body_of(task, self._account, train, heldout)
        try:
            self._rest.ask("POST", f"/v1/{kind}", "creating the job", body=body, query=query)
        except ExistsError:
            return handle  # of an earlier try, whose answer was lost
        return handle

    def status(self, handle: Handle) -> Progress:
        """Read the job."""
        job = self._rest.ask("GET", f"/v1/{handle['job']}", "reading the job")
        said = str(job.get("state", ""))
        phase = _ENDED.get(said, "running")
        progress, status = job.get("jobProgress"), job.get("status")
        percent = progress.get("percent") if isinstance(progress, dict) else None
        if phase == "failed" and isinstance(status, dict) and status.get("message"):
            said = str(status["message"])
        model = _model_of(job) or handle["output"]
        fraction = min(1.0, percent / 100) if isinstance(percent, (int, float)) else None
        found = model if phase == "succeeded" else None
        return Progress(phase, said, fraction, model=found, cost=money_in(job, "estimatedCost"))

    def cancel(self, handle: Handle) -> None:
        """Cancel the job, if it goes on."""
        if self.status(handle).phase == "running":
            self._rest.ask("POST", f"/v1/{handle['job']}:cancel", "cancelling the job", body={})

    def serve(self, handle: Handle) -> Candidate:
        """Ask the model something, after its deployment where that is a step."""
        model = str(handle["model"])
        if self._deploy is not None:
            model = self._deploy(model)
        ask_once(self._rest, "/inference/v1/chat/completions", model, "make a deployment of the model at Fireworks")
        return Candidate(model, self._provider)

    def _handle(self, task: Task) -> Handle:
        kind = "dpoJobs" if task.settings.method == "dpo" else "supervisedFineTuningJobs"
        return {
            "job": f"{self._account}/{kind}/logos-{task.key}",
            "output": f"{self._account}/models/logos-{task.key}",
        }

    def _dataset(self, task: Task, part: str, path: Path) -> str:
        """Make a data set and fill it; gives its full name once it is ready."""
        own = f"logos-{task.key}-{part}"
        name = f"{self._account}/datasets/{own}"
        state = self._state(name)
        if state is None:
            count = sum(1 for _ in examples(path))
            body = {"datasetId": own, "dataset": {"userUploaded": {}, "exampleCount": str(count)}}
            try:
                self._rest.ask("POST", f"/v1/{self._account}/datasets", "making the data set", body=body)
            except ExistsError:
                state = self._state(name)
        if state != "READY":
            self._rest.upload(f"/v1/{name}:upload", "uploading the edition", path, f"{own}.jsonl")
            state = self._state(name)
        if state != "READY":
            raise AwayError("Fireworks still looks through the uploaded data set", waiting=True)
        return name

    def _state(self, name: str) -> str | None:
        try:
            return str(self._rest.ask("GET", f"/v1/{name}", "looking for the data set").get("state"))
        except NotThereError:
            return None


def body_of(task: Task, account: str, train: str, heldout: str | None) -> dict[str, Any]:
    """Make the body of a create request."""
    settings = task.settings
    training: dict[str, Any] = {"baseModel": settings.model, "outputModel": f"{account}/models/logos-{task.key}"}
    given = {"epochs": settings.epochs, "learningRate": settings.learning_rate}
    training |= {name: value for name, value in given.items() if value is not None}
    body: dict[str, Any] = {"dataset": train, "displayName": (settings.suffix or "logos")[:63]}
    if settings.method == "dpo":
        return body | {"trainingConfig": training}
    if heldout is not None:
        body["evaluationDataset"] = heldout
    return body | training


def _model_of(job: Mapping[str, Any]) -> str | None:
    training = job.get("trainingConfig")
    found = job.get("outputModel") or (training.get("outputModel") if isinstance(training, dict) else None)
    return found if isinstance(found, str) and found else None
