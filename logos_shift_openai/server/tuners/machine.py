"""The states of a tuning job, and the one step from each to the next.

Theory of operation. `starting` is written before the first request goes out. Whoever finds a job in `starting` cannot
know how far the one before him came, so he looks at the provider first and starts only what is not there; a provider
that cannot tell makes it `unsure`, and nobody starts a second one. From `running` on the handle is kept, and all is
looking. A failure of the way is tried again, ever more rarely; a no is the end. What goes on past its deadline becomes
`overdue`, a model that nobody serves `unserved`: both rest until somebody looks again. One process at a time works on
a job, under a lease of its own; whoever is killed loses it within two minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.server.holding import BusyError, held

from .bills import bill_of
from .edition import Edition, EditionError, edition_of
from .jobs import OPEN, STUCK, TuningJob, find_job, save
from .problems import without_keys
from .protocol import AwayError, NotServedError, RefusedError, Task, TunerError, UnsureError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from logos_shift_openai.server.store.database import Store

    from .protocol import Settings, Tuner

    TunerFor = Callable[[str, str | None], Tuner]

_LOOK_MS: Final = 10_000
_WAIT_MS: Final = 20_000
_FIRST_BACKOFF_MS: Final = 5_000
_LAST_BACKOFF_MS: Final = 300_000
_MOST_ATTEMPTS: Final = 8  # of starting: then it is said plainly that nothing was started
_SERVE_MS: Final = 1_800_000  # a model is often not there at once


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the steps need.

    Args:
        store: Where jobs are kept.
        home: Where editions lie.
        tuner_for: Makes a tuner of its name and a provider.
        holder: Names this process among all that may work.
        now: Milliseconds since 1970.
    """

    store: Store
    home: Path
    tuner_for: TunerFor
    holder: str
    now: Callable[[], int]


def check(shop: Workshop, tuner: str, edition: str, settings: Settings) -> list[str]:
    """Tell what keeps a job from being started, before it is written down: a line each."""
    try:
        return shop.tuner_for(tuner, settings.provider).check(edition_of(shop.store, shop.home, edition), settings)
    except EditionError as error:
        return [str(error)]
    except TunerError as error:
        return [f"{error.message}. {error.next_step}".removesuffix(". ")]


def advance(shop: Workshop, job_id: str, *, look_again: bool = False) -> TuningJob:
    """Take a job one step on, if there is one to take.

    Args:
        shop: What it needs.
        job_id: Which.
        look_again: Also at one that rests (`STUCK`).

    Raises:
        BusyError: another process is at it.
        NoJobError: there is none.
    """
    with held(shop.store, f"tuning-{job_id}", shop.holder, shop.now):
        with shop.store.reading() as connection:
            job = find_job(connection, job_id)
        if job.state in STUCK and (look_again or job.cancel):
            job = _keep(shop, job, state=_back(job), attempts=0) if not job.cancel else job
        if job.state in OPEN or (job.cancel and job.state in STUCK):
            return _step(shop, job)
        return job


def wake(shop: Workshop, job_id: str) -> TuningJob:
    """Have a job that rests (`STUCK`) looked at again by whoever works on jobs; any other stays as it is.

    Args:
        shop: What it needs.
        job_id: Which.

    Raises:
        BusyError: another process is at it.
        NoJobError: there is none.
    """
    with held(shop.store, f"tuning-{job_id}", shop.holder, shop.now):
        job = _current(shop, job_id)
        if job.state not in STUCK or job.cancel:
            return job
        return _keep(shop, job, state=_back(job), attempts=0, due=shop.now())


def _back(job: TuningJob) -> Any:
    if job.state == "unserved":
        return "deploying"
    return "running" if job.handle is not None else "starting"


def _step(shop: Workshop, job: TuningJob) -> TuningJob:
    try:
        tuner = _tuner(shop, job)
        edition = edition_of(shop.store, shop.home, job.edition)
        if job.cancel:
            return _cancel(shop, job, tuner, edition)
        if job.state in {"new", "starting"}:
            return _start(shop, job, tuner, edition)
        return _serve(shop, job, tuner) if job.state == "deploying" else _look(shop, job, tuner)
    except TunerError as error:
        return _mended(shop, job, error)
    except EditionError as error:
        state = "failed" if job.handle is None else job.state
        return _keep(shop, job, state=state, said=str(error), due=_later(shop))


def _mended(shop: Workshop, job: TuningJob, error: TunerError) -> TuningJob:
    """Write down what comes of an error, by its kind and by where the job stands."""
    if isinstance(error, NotServedError):
        return _not_served(shop, job, error)
    if isinstance(error, AwayError):
        return _away(shop, job, error)
    if job.state == "running":  # it goes on there, and only our way to it is closed
        return _away(shop, job, AwayError(error.message, error.next_step))
    ends = {"new": "failed", "starting": "failed", "deploying": "unserved"}
    state = "unsure" if isinstance(error, UnsureError) else ends.get(job.state, job.state)
    return _keep(shop, job, state=state, said=error.message, next_step=error.next_step)


def _tuner(shop: Workshop, job: TuningJob) -> Tuner:
    """Make the tuner; a process without the key leaves the job to one that has it."""
    try:
        return shop.tuner_for(job.tuner, job.settings.provider)
    except RefusedError as error:
        raise AwayError(error.message, error.next_step, waiting=True) from None


def _start(shop: Workshop, job: TuningJob, tuner: Tuner, edition: Edition) -> TuningJob:
    task = Task(job.key, edition, job.settings)
    handle = None
    if job.state == "starting":
        handle = tuner.find(task)
    else:
        job = _keep(shop, job, state="starting", said="being sent")
    if handle is None:
        handle = _started(shop, job, tuner, task)
        if handle is None:
            return _current(shop, job.id)
    return _keep(
        shop, job, state="running", handle=handle, attempts=0, said="the provider has it", next_step="",
        due=shop.now(),
    )  # fmt: skip


def _started(shop: Workshop, job: TuningJob, tuner: Tuner, task: Task) -> Any:
    """Start it; a failure is written down here, by the job as it stands now, and gives None."""
    try:
        return tuner.start(task)
    except TunerError as error:
        _mended(shop, job, error)
    return None


def _look(shop: Workshop, job: TuningJob, tuner: Tuner) -> TuningJob:
    assert job.handle is not None
    found = tuner.status(job.handle)
    points = job.with_points(found.points)
    values: dict[str, Any] = {"said": found.said, "points": points, "attempts": 0}
    if found.fraction is not None:
        values["fraction"] = found.fraction
    with shop.store.reading() as connection:
        values |= bill_of(connection, job.settings.model, found)
    if found.phase == "succeeded":
        handle = {**job.handle, "model": found.model, "since": shop.now()}
        job = _keep(shop, job, state="deploying", handle=handle, due=shop.now(), **values | {"fraction": 1.0})
        return _step(shop, job)
    if found.phase == "failed":
        step = "mend what it says, and start it again; this try is over"
        return _keep(shop, job, state="failed", next_step=step, **values)
    if found.phase == "cancelled":
        return _keep(shop, job, state="cancelled", next_step="", **values)
    if shop.now() >= job.deadline:
        return _overdue(shop, job, values)
    return _keep(shop, job, next_step="", due=shop.now() + _LOOK_MS, **values)


def _serve(shop: Workshop, job: TuningJob, tuner: Tuner) -> TuningJob:
    assert job.handle is not None
    candidate = tuner.serve(job.handle)
    said = f"{candidate.model} answers"
    return _keep(
        shop, job, state="succeeded", candidate=candidate.to_json(), said=said, next_step="", attempts=0, fraction=1.0
    )


def _not_served(shop: Workshop, job: TuningJob, error: NotServedError) -> TuningJob:
    state = "deploying" if shop.now() < _since(job) + _SERVE_MS else "unserved"
    return _keep(shop, job, state=state, said=error.message, next_step=error.next_step, due=shop.now() + _WAIT_MS)


def _since(job: TuningJob) -> int:
    """When its model was made."""
    return int((job.handle or {}).get("since", job.created))


def _cancel(shop: Workshop, job: TuningJob, tuner: Tuner, edition: Edition) -> TuningJob:
    handle = job.handle
    if handle is None and job.state != "new":
        try:
            handle = tuner.find(Task(job.key, edition, job.settings))
        except UnsureError:
            handle = None  # whoever cancels it was told to look
    if handle is not None:
        tuner.cancel(handle)
    return _keep(shop, job, state="cancelled", handle=handle, said="cancelled", next_step="")


def _away(shop: Workshop, job: TuningJob, error: AwayError) -> TuningJob:
    if job.state in {"new", "starting", "running"} and shop.now() >= job.deadline:
        return _overdue(shop, job, {"said": error.message})
    if job.state == "deploying" and shop.now() >= _since(job) + _SERVE_MS:
        return _keep(shop, job, state="unserved", said=error.message, next_step=error.next_step)
    if error.waiting:
        return _keep(shop, job, said=error.message, next_step=error.next_step, due=shop.now() + _WAIT_MS)
    attempts = job.attempts + 1
    if job.state == "starting" and attempts >= _MOST_ATTEMPTS:
        step = "look at the provider whether it has the job, then `logos-shift tune status` looks again"
        return _keep(shop, job, state="unsure", said=error.message, next_step=step)
    wait = min(_LAST_BACKOFF_MS, _FIRST_BACKOFF_MS * 2 ** min(attempts - 1, 10))
    if error.seconds is not None:
        wait = max(wait, min(_LAST_BACKOFF_MS, int(error.seconds * 1000)))
    step = error.next_step or "nothing: it is tried again"
    return _keep(shop, job, attempts=attempts, said=error.message, next_step=step, due=shop.now() + wait)


def _overdue(shop: Workshop, job: TuningJob, values: dict[str, Any]) -> TuningJob:
    step = (
        f"it has not ended in time; `logos-shift tune status {job.id}` looks again, "
        f"`logos-shift tune cancel {job.id}` ends it"
    )
    return _keep(shop, job, state="overdue", next_step=step, **values)


def _later(shop: Workshop) -> int:
    return shop.now() + _LAST_BACKOFF_MS


def _keep(shop: Workshop, job: TuningJob, **values: Any) -> TuningJob:
    for name in ("said", "next_step"):
        if name in values:
            values[name] = without_keys(values[name])  # the last place before the store, whoever said it
    after = replace(job, **{"updated": shop.now(), **values})
    with shop.store.writing() as connection:
        saved = save(connection, job, after)
    if saved is None:
        raise BusyError(f"another process has changed {job.id}")
    return saved


def _current(shop: Workshop, job_id: str) -> TuningJob:
    with shop.store.reading() as connection:
        return find_job(connection, job_id)
