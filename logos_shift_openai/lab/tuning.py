"""Tuning jobs at work: from an uploaded file to a model that answers.

Owns all jobs, the threads they run in, and the order of their states (validating_files, queued, running, then
succeeded, failed or cancelled). One job trains at a time and gives way to other threads after every step, so
the server goes on answering. A job that a restart has interrupted begins again.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from itertools import chain
from typing import TYPE_CHECKING

from .answers import as_text
from .arguments import Arguments, learn_arguments
from .chat import count_tokens
from .chat_file import BadFileError, ChatExample, read_chat_file
from .errors import ApiError
from .files import RESULTS, FileStore
from .job import FINAL, Job
from .learnt import exact
from .making import model_of, training_of
from .odds import tokens
from .pointer import Pointer, learn
from .storage import file_name, read_json, write_json
from .tuning_run import Report, hold_out, lessons, metrics, model_name, settings_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .catalogue import Catalogue
    from .faults import Fault, Faults
    from .job import Status
    from .learnt import Learnt
    from .training import Settings, Step

_KEPT_CHECKPOINTS = 3
_MOST_EXACT = 200  # held-out answers that are written out and compared
_A_BREATH = 0.0001  # seconds between steps; 0 would let this thread take the interpreter right back
_log = logging.getLogger(__name__)


class Tuning:
    """All jobs.

    Args:
        files: Where training files come from and result files go.
        catalogue: Where finished models go.
        faults: Orders to fail.
        folder: Where jobs are kept; None keeps them in memory only.
    """

    def __init__(self, files: FileStore, catalogue: Catalogue, faults: Faults, folder: Path | None = None) -> None:
        self._files, self._catalogue, self._faults, self._folder = files, catalogue, faults, folder
        self._changed = threading.Condition()
        self._trainee: Job | None = None  # the job whose turn it is to train
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self._jobs: dict[str, Job] = {}
        self._load(folder)

    def start(self) -> None:
        """Begin again with the jobs that a restart has interrupted."""
        for job in self.all():
            if job.status not in FINAL:
                job.event("The lab was restarted, the job begins again", "warn")
                job.status = "validating_files"
                job.checkpoints.clear()
                self._run_in_background(job)

    def stop(self) -> None:
        """Stop training and wait for the threads; unfinished jobs keep their state."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def create(self, job: Job) -> Job:
        """Take in a job and start it.

        Raises:
            ApiError: 400, a file that does not exist.
        """
        for param in ("training_file", "validation_file"):
            file_id = getattr(job, param)
            if file_id is not None:
                self._check_file(param, file_id)
        job.event(f"Created fine-tuning job: {job.id}")
        with self._changed:
            self._jobs[job.id] = job
        self._keep(job)
        self._run_in_background(job)
        return job

    def all(self) -> list[Job]:
        """List the jobs, newest first."""
        with self._changed:
            return list(reversed(self._jobs.values()))

    def get(self, job_id: str) -> Job:
        """Find a job.

        Raises:
            ApiError: 404.
        """
        with self._changed:
            job = self._jobs.get(job_id)
        if job is None:
            message = f"Could not find fine tune: {job_id}"
            raise ApiError(404, message, param="fine_tuning_job_id", code="fine_tune_not_found")
        return job

    def cancel(self, job_id: str) -> Job:
        """Cancel a job.

        Raises:
            ApiError: 404, or 400 for a job that has ended.
        """
        job = self.get(job_id)
        if not self._end(job, "cancelled", "The job was cancelled"):
            raise ApiError(400, f"Job has already completed: {job_id} is {job.status}")
        return job

    def _run_in_background(self, job: Job) -> None:
        thread = threading.Thread(target=self._run, args=(job,), name=f"lab-{job.id}", daemon=True)
        with self._changed:
            self._threads = [t for t in self._threads if t.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _run(self, job: Job) -> None:
        try:
            job.event(f"Validating training file: {job.training_file}")
            train, held_out = self._read(job)
            if self._go_on(job, "queued", "Files validated, moving job to queued state"):
                self._await_turn(job)
                try:
                    self._train(job, train, held_out)
                finally:
                    self._give_up_turn(job)
        except _JobFailedError as failure:
            error: dict[str, object] = {
                "code": failure.code,
                "message": failure.message,
                "param": failure.param,
            }
            self._end(job, "failed", f"The job failed. {failure.message}", error)
        except Exception:  # noqa: BLE001 - whatever it was, the job must end
            _log.exception("tuning job %s", job.id)
            message = "The job failed due to an internal error."
            self._end(job, "failed", message, {"code": "server_error", "message": message, "param": None})

    def _read(self, job: Job) -> tuple[list[ChatExample], list[ChatExample]]:
        train = self._examples(job.training_file, "training", 10)
        if job.validation_file is not None:
            return train, self._examples(job.validation_file, "validation", 1)
        return hold_out(train, job.seed)

    def _examples(self, file_id: str, role: str, least: int) -> list[ChatExample]:
        param, code = f"{role}_file", f"invalid_{role}_file"
        try:
            return read_chat_file(self._files.content(file_id), least=least, role=role)
        except BadFileError as bad:
            message = str(bad) if bad.code else f"The job failed due to an invalid {role} file. {bad}"
            raise _JobFailedError(bad.code or code, message, param) from bad
        except ApiError as gone:
            raise _JobFailedError(code, f"The {role} file is gone: {file_id}", param) from gone

    def _await_turn(self, job: Job) -> None:
        def my_turn() -> bool:
            return self._trainee is None or self._stopping or job.status in FINAL

        with self._changed:
            self._changed.wait_for(my_turn)
            if self._trainee is None and not self._stopping and job.status not in FINAL:
                self._trainee = job

    def _give_up_turn(self, job: Job) -> None:
        with self._changed:
            if self._trainee is job:
                self._trainee = None
                self._changed.notify_all()

    def _train(self, job: Job, train: list[ChatExample], held_out: list[ChatExample]) -> None:
        if self._trainee is not job or not self._go_on(job, "running", "Fine-tuning job started"):
            return
        orders = _Orders(self._faults.take("tuning", job.model))
        orders.fail_after(0)
        settings = settings_for(job, len(train))
        job.hyperparameters = {
            "n_epochs": settings.epochs,
            "batch_size": settings.batch,
            "learning_rate_multiplier": settings.rate,
        }
        try:
            learnt = lessons(train, held_out)
            training = training_of(learnt, settings)
        except ValueError as error:
            raise _JobFailedError("invalid_training_file", f"The job failed: {error}.", "training_file") from error
        weights: dict[str, float] = {}
        by_schema: dict[str, float] = {}
        for _ in chain(
            learn(learnt.gaps, settings.seed, weights), learn_arguments(learnt.calls, settings.seed, by_schema)
        ):
            if self._ends_within(job, 0):
                return
            time.sleep(_A_BREATH)
        pointer, arguments = Pointer(weights), Arguments(by_schema)
        report = Report(job, training.total_steps)
        name = model_name(job)
        for step in training.run():
            if self._ends_within(job, orders.pace):
                return
            orders.fail_after(step.number)
            report.note(step)
            if step.model is not None:
                last = step.number == training.total_steps
                model = model_of(learnt, step.model, pointer, arguments)
                self._checkpoint(job, step, model, name if last else f"{name}:ckpt-step-{step.number}")
                if last and (learnt.gaps or learnt.calls or learnt.plan):
                    report.note_exact(exact(model, held_out[:_MOST_EXACT]))
            time.sleep(_A_BREATH)
        self._finish(job, report, name, train, settings)

    def _ends_within(self, job: Job, seconds: float) -> bool:
        """Wait, 0 for not at all; True as soon as the job or the lab is at its end."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stopping or job.status in FINAL, seconds)

    def _checkpoint(self, job: Job, step: Step, model: Learnt, name: str) -> None:
        """Keep the model as it stands; like OpenAI only those of the last three epochs."""
        epochs = int(job.hyperparameters["n_epochs"])
        if step.epoch <= epochs - _KEPT_CHECKPOINTS:
            return
        self._catalogue.add_tuned(name, model)
        job.event(f"Checkpoint created at step {step.number}")
        job.checkpoints.append(
            {
                "object": "fine_tuning.job.checkpoint",
                "id": f"ftckpt_{secrets.token_hex(12)}",
                "created_at": int(time.time()),
                "fine_tuned_model_checkpoint": name,
                "fine_tuning_job_id": job.id,
                "step_number": step.number,
                "metrics": metrics(step),
            }
        )

    def _finish(self, job: Job, report: Report, name: str, train: Sequence[ChatExample], settings: Settings) -> None:
        results = self._files.add("step_metrics.csv", RESULTS, report.csv())
        learned = sum(count_tokens(e.prompt) + len(tokens(as_text(e.answer))) for e in train)
        with self._changed:
            if job.status in FINAL:
                return
            job.result_files = [results.id]
            job.trained_tokens = learned * settings.epochs
            job.fine_tuned_model = name
            if report.valid:
                job.event(report.valid)
            job.event(f"New fine-tuned model created: {name}")
        self._end(job, "succeeded", "The job has successfully completed")

    def _go_on(self, job: Job, status: Status, message: str) -> bool:
        """Move a job to its next state, unless it has ended or the lab stops."""
        with self._changed:
            if self._stopping or job.status in FINAL:
                return False
            job.status = status
            job.event(message)
        self._keep(job)
        return True

    def _end(self, job: Job, status: Status, message: str, error: dict[str, object] | None = None) -> bool:
        """Move a job to its last state; False if it is in one already."""
        with self._changed:
            if job.status in FINAL:
                return False
            job.event(message, "error" if status == "failed" else "info")
            job.error, job.finished_at = error, int(time.time())
            job.status = next(final for final in FINAL if final == status)  # last, for readers without the lock
            self._changed.notify_all()
        self._keep(job)
        return True

    def _check_file(self, param: str, file_id: str) -> None:
        try:
            file = self._files.get(file_id)
        except ApiError:
            message = f"invalid {param}: {file_id}"
            raise ApiError(400, message, param=param, code="file_not_found") from None
        if file.purpose != "fine-tune":
            message = f"Invalid file purpose for {param}: expected 'fine-tune', got '{file.purpose}'."
            raise ApiError(400, message, param=param, code="invalid_file_purpose")

    def _keep(self, job: Job) -> None:
        if self._folder:
            with self._changed:
                write_json(self._folder / file_name(job.id), job.to_storage())

    def _load(self, folder: Path | None) -> None:
        found: list[Job] = []
        for path in folder.glob("*.json") if folder else ():
            try:
                found.append(Job(**read_json(path)))  # type: ignore[arg-type]
            except (OSError, ValueError, TypeError) as error:
                _log.warning("left out %s: %s", path.name, error)
        self._jobs.update({job.id: job for job in sorted(found, key=lambda job: job.created_at)})


class _Orders:
    """The faults a job was dealt: fail after some steps, or wait before each."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._failure = next((fault for fault in faults if fault.kind == "job_fails"), None)
        self.pace = sum(fault.between for fault in faults if fault.kind == "slow")

    def fail_after(self, steps: int) -> None:
        """Raise if the job is to fail after that many steps."""
        if self._failure is not None and steps >= self._failure.after:
            raise _JobFailedError(self._failure.code or "server_error", self._failure.message, None)


class _JobFailedError(Exception):
    def __init__(self, code: str, message: str, param: str | None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param
