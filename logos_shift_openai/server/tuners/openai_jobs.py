"""The tuner `openai`: files and `fine_tuning.jobs` through the official SDK, at any address that speaks them.

The files carry the task's key in their names and the job carries it in its metadata; a job is ours if its metadata or
its training file is. So after a crash it is found by looking, and nothing is uploaded or created twice. Creating is
never repeated by the SDK: a create whose answer was lost is looked for first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import openai

from .bills import whole_in
from .edition import Edition, problems_of
from .openai_errors import gone, said_by, translated
from .protocol import Candidate, Handle, NotServedError, Progress, Settings, Task, UnsureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from openai.types.fine_tuning import FineTuningJob

KEY: Final = "logos_shift_key"
EDITION: Final = "logos_shift_edition"
_LOOKED_AT: Final = 1_000  # jobs, newest first
_FINAL: Final = frozenset({"succeeded", "failed", "cancelled"})
_CURVES: Final = ("step", "total_steps", "train_loss", "valid_loss", "full_valid_loss", "train_mean_token_accuracy",
                  "valid_mean_token_accuracy", "full_valid_mean_token_accuracy")  # fmt: skip


class OpenAITuner:
    """See the module.

    Args:
        client: The SDK's plain client, for the address and with the key.
        provider: Name of the address, None for the caller's own.
        deploy: Makes a tuned model answer where that takes a step of its own (Azure): takes the model's name and
            gives the deployment's. It may be called again.
    """

    def __init__(
        self, client: openai.OpenAI, provider: str | None = None, deploy: Callable[[str], str] | None = None
    ) -> None:
        self._client = client.with_options(max_retries=0)  # trying again is the machine's, after a look
        self._provider = provider
        self._deploy = deploy

    def check(self, edition: Edition, settings: Settings) -> list[str]:
        """Look at the edition; the address is asked at the start."""
        return problems_of(edition, settings.method)

    def find(self, task: Task) -> Handle | None:
        """Look among the jobs for ours."""
        with translated("looking for the job"):
            files = frozenset(self._files(task).values())
            try:
                for job in self._jobs():
                    if (job.metadata or {}).get(KEY) == task.key or job.training_file in files:
                        return {"job": job.id}
            except openai.APIStatusError as error:
                if not gone(error):
                    raise
                raise UnsureError(
                    "this provider does not list its jobs, so nobody can tell whether ours was started",
                    f"look at the provider for a job with the file {_name(task, 'train')}; cancel this one if there "
                    "is none, and start it again",
                ) from None
        return None

    def start(self, task: Task) -> Handle:
        """Upload what is not there yet, and create the job."""
        with translated("uploading the edition"):
            there = self._files(task)
            train = there.get("train") or self._upload(task, "train", task.edition.train)
            heldout = there.get("heldout")
            if heldout is None and task.edition.heldout.stat().st_size:
                heldout = self._upload(task, "heldout", task.edition.heldout)
        with translated("creating the job"):
            return {"job": self._create(body_of(task, train, heldout)).id}

    def status(self, handle: Handle) -> Progress:
        """Read the job and its newest events."""
        with translated("reading the job"):
            job = self._client.fine_tuning.jobs.retrieve(handle["job"])
            points = self._points(job.id)
        fraction = None
        if points and points[-1].get("total_steps"):
            fraction = min(1.0, points[-1]["step"] / points[-1]["total_steps"])
        said = job.error.message if job.error is not None and job.error.message else str(job.status)
        tokens = whole_in({"trained_tokens": job.trained_tokens}, "trained_tokens")
        if job.status == "succeeded":
            if not job.fine_tuned_model:
                said = "the job succeeded without naming a model"
                return Progress("failed", said, points=points, trained_tokens=tokens)
            return Progress("succeeded", said, 1.0, points, job.fine_tuned_model, tokens)
        phase: Any = job.status if job.status in _FINAL else "running"
        return Progress(phase, said, fraction, points, trained_tokens=tokens)

    def cancel(self, handle: Handle) -> None:
        """Cancel the job, if it goes on."""
        with translated("cancelling the job"):
            try:
                self._client.fine_tuning.jobs.cancel(handle["job"])
            except (openai.BadRequestError, openai.NotFoundError, openai.ConflictError):
                return  # it has ended already

    def serve(self, handle: Handle) -> Candidate:
        """Deploy the model where that is a step, and ask it something."""
        model = str(handle["model"])
        if self._deploy is not None:
            model = self._deploy(model)
        with translated("asking the model"):
            ask_once(self._client, model)
        return Candidate(model, self._provider)

    def _files(self, task: Task) -> dict[str, str]:
        """Find the ids of our files that are there, whole, by their part of the edition."""
        sizes = {"train": task.edition.train.stat().st_size, "heldout": task.edition.heldout.stat().st_size}
        names = {_name(task, part): part for part in sizes}
        found: dict[str, str] = {}
        try:
            for file in self._client.files.list(purpose="fine-tune"):
                part = names.get(file.filename)
                if part is not None and file.bytes == sizes[part]:
                    found.setdefault(part, file.id)
                if len(found) == len(names):
                    break
        except openai.APIStatusError as error:
            if not gone(error):
                raise
        return found

    def _upload(self, task: Task, part: str, path: Path) -> str:
        with path.open("rb") as file:
            return self._client.files.create(file=(_name(task, part), file), purpose="fine-tune").id

    def _create(self, body: Mapping[str, Any]) -> FineTuningJob:
        create: Any = self._client.fine_tuning.jobs.create
        try:
            return create(**body)  # type: ignore[no-any-return]  # of the SDK's own type
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            plainer = _plainer(body, said_by(error))
            if plainer is None:
                raise
        return create(**plainer)  # type: ignore[no-any-return]

    def _jobs(self) -> Iterator[FineTuningJob]:
        for number, job in enumerate(self._client.fine_tuning.jobs.list(limit=100)):
            if number >= _LOOKED_AT:
                return
            yield job

    def _points(self, job_id: str) -> tuple[Mapping[str, float], ...]:
        """Read the newest points of the loss curves; a provider without events has none."""
        try:
            events = self._client.fine_tuning.jobs.list_events(job_id, limit=100).data
        except openai.APIStatusError:
            return ()
        found = []
        for event in reversed(events):
            data = event.data if isinstance(event.data, dict) else {}
            point = {name: float(data[name]) for name in _CURVES if isinstance(data.get(name), (int, float))}
            if "step" in point:
                found.append(point)
        return tuple(sorted(found, key=lambda point: point["step"]))


def body_of(task: Task, train: str, heldout: str | None) -> dict[str, Any]:
    """Make the body of a create request. Source: OpenAI's OpenAPI document, `CreateFineTuningJobRequest`."""
    settings = task.settings
    asked = {
        "n_epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "learning_rate_multiplier": settings.learning_rate,
    }
    hyper = {name: value for name, value in asked.items() if value is not None}
    body: dict[str, Any] = {
        "model": settings.model,
        "training_file": train,
        "method": {"type": settings.method, settings.method: {"hyperparameters": hyper} if hyper else {}},
        "suffix": (settings.suffix or "logos")[:64],
        "metadata": {KEY: task.key, EDITION: task.edition.id[:512]},
    }
    if heldout is not None:
        body["validation_file"] = heldout
    if settings.seed is not None:
        body["seed"] = settings.seed
    return body


def ask_once(client: openai.OpenAI, model: str) -> None:
    """Ask a model one word; any answer will do, as will a refusal of the question itself.

    Raises:
        NotServedError: it is not there.
    """
    try:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "ping"}], max_tokens=16)
    except (openai.NotFoundError, openai.PermissionDeniedError) as error:
        raise NotServedError(
            f"nobody serves {model}: {said_by(error)}",
            "deploy the model at its provider (LOGOS_SHIFT_TUNER_DEPLOY may do it), then look again with "
            "`logos-shift tune status`",
        ) from None
    except openai.BadRequestError as error:
        if error.code in {"model_not_found", "model_not_available", "DeploymentNotFound"}:
            raise NotServedError(
                f"nobody serves {model}: {said_by(error)}", "deploy the model, then look again"
            ) from None


def _name(task: Task, part: str) -> str:
    return f"logos-{task.key}-{part}.jsonl"


def _plainer(body: Mapping[str, Any], said: str) -> dict[str, Any] | None:
    """Leave out what an older server of this protocol says it does not know; None where it is something else."""
    if "metadata" in said and "metadata" in body:
        return {name: value for name, value in body.items() if name != "metadata"}
    method = body.get("method", {})
    if "'method'" in said and "supervised" in method:
        kept = {name: value for name, value in body.items() if name not in {"method", "metadata"}}
        return {**kept, "hyperparameters": method["supervised"].get("hyperparameters", {})}
    return None
