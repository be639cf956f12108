"""Tuning jobs as the store keeps them: the intent first, then every change, one writer at a time.

A job's key is made of what is asked, and of its round: who asks for the same again while it is open or has succeeded
gets the same job, so nothing is trained or charged twice. A change is written only if the job is still as it was read.
No key of a provider and no address is kept.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import and_, insert, or_, select, update

from logos_shift_openai.server.store.schema import tuning_jobs

from .protocol import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, RowMapping

    from logos_shift_openai.server.store.database import Store

    from .protocol import Handle

State = Literal[
    "new", "starting", "running", "deploying", "succeeded", "failed", "cancelled", "unsure", "overdue", "unserved"
]
OPEN: Final = ("new", "starting", "running", "deploying")
STUCK: Final = ("unsure", "overdue", "unserved")
"""At rest, until somebody asks for another look."""
_KEPT_POINTS: Final = 400


@dataclass(frozen=True, slots=True)
class TuningJob:
    """A job.

    Args:
        key: Names it to its provider.
        state: `new` and `starting` before its provider has it, `running`, `deploying` with a model that does not
            answer yet; then it is at its end or needs somebody.
        cancel: Whether its end was asked for and is not done yet.
        attempts: Failures in a row.
        candidate: What came of it, as an experiment's `candidate`.
        said: What happened last.
        next_step: What to do about it; empty where nothing is.
        points: Of the loss curves, by step.
        due: When to look next, milliseconds since 1970; as all times here.
        deadline: When it should have ended.
        trained_tokens: On how many it was trained; None where its provider has not told.
        cost: Dollars that it cost by what its provider told; None where nobody can say.
    """

    id: str
    key: str
    tuner: str
    edition: str
    settings: Settings
    state: State
    turn: int
    cancel: bool
    attempts: int
    handle: Handle | None
    candidate: Mapping[str, Any] | None
    said: str
    next_step: str
    fraction: float | None
    points: tuple[Mapping[str, float], ...]
    created: int
    updated: int
    due: int
    deadline: int
    trained_tokens: int | None = None
    cost: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Write it for people and programs; the handle stays inside."""
        return {
            "id": self.id,
            "tuner": self.tuner,
            "edition": self.edition,
            "settings": asdict(self.settings),
            "state": self.state,
            "cancel_asked": self.cancel,
            "fraction": self.fraction,
            "said": self.said,
            "next_step": self.next_step,
            "candidate": None if self.candidate is None else dict(self.candidate),
            "points": [dict(one) for one in self.points],
            "trained_tokens": self.trained_tokens,
            "cost": self.cost,
            "created": self.created,
            "updated": self.updated,
            "deadline": self.deadline,
        }

    def with_points(self, points: tuple[Mapping[str, float], ...]) -> tuple[Mapping[str, float], ...]:
        """Join newly read points to those that are kept: every second one goes where they become too many."""
        by_step = {one["step"]: one for one in (*self.points, *points) if "step" in one}
        joined = [by_step[step] for step in sorted(by_step)]
        while len(joined) > _KEPT_POINTS:
            joined = [*joined[:-1:2], joined[-1]]
        return tuple(joined)


class NoJobError(Exception):
    """There is no such tuning job."""


def open_job(
    store: Store, tuner: str, edition: str, settings: Settings, now: int, deadline: int, *, again: bool = False
) -> tuple[TuningJob, bool]:
    """Write down that a job is wanted.

    Args:
        store: Where.
        tuner: Name of the tuner.
        edition: Id of the edition.
        settings: What to train.
        now: Milliseconds since 1970.
        deadline: When it should have ended.
        again: Begin another one even where the same has succeeded; never where it is open.

    Returns:
        The job, and whether it is new.
    """
    asked = json.dumps([tuner, edition, asdict(settings)], sort_keys=True)
    with store.writing() as connection:
        same = [one for one in _all(connection, edition) if (one.tuner, one.settings) == (tuner, settings)]
        there = [one for one in same if one.state in OPEN or one.state in STUCK]
        if not again:
            there += [one for one in same if one.state == "succeeded"]
        if there:
            return there[0], False
        key = hashlib.sha256(f"{asked}\n{len(same)}".encode()).hexdigest()[:24]
        job = TuningJob(
            f"tune-{key[:12]}", key, tuner, edition, settings, "new", 0, False, 0, None, None,
            "asked for", "", None, (), now, now, now, deadline,
        )  # fmt: skip
        connection.execute(insert(tuning_jobs).values(**_row(job)))
    return job, True


def find_job(connection: Connection, job_id: str) -> TuningJob:
    """Read a job.

    Raises:
        NoJobError: there is none.
    """
    row = connection.execute(select(tuning_jobs).where(tuning_jobs.c.id == job_id)).mappings().first()
    if row is None:
        raise NoJobError(f"there is no tuning job {job_id}")
    return _job(row)


def list_jobs(connection: Connection, limit: int | None = None) -> list[TuningJob]:
    """List the jobs, the latest first."""
    query = select(tuning_jobs).order_by(tuning_jobs.c.created.desc(), tuning_jobs.c.id).limit(limit)
    return [_job(row) for row in connection.execute(query).mappings()]


def due_jobs(connection: Connection, now: int) -> list[str]:
    """Name the jobs that are to be looked at now."""
    is_open = and_(tuning_jobs.c.state.in_(OPEN), tuning_jobs.c.due <= now)
    to_cancel = and_(tuning_jobs.c.cancel, tuning_jobs.c.state.in_((*OPEN, *STUCK)), tuning_jobs.c.due <= now)
    query = select(tuning_jobs.c.id).where(or_(is_open, to_cancel)).order_by(tuning_jobs.c.due)
    return [row.id for row in connection.execute(query)]


def ask_to_cancel(connection: Connection, job_id: str, now: int) -> TuningJob:
    """Write down that a job is to end; whoever works on it does it.

    Raises:
        NoJobError: there is none.
    """
    job = find_job(connection, job_id)
    if job.state in OPEN or job.state in STUCK:
        wanted = update(tuning_jobs).where(tuning_jobs.c.id == job_id)
        connection.execute(wanted.values(cancel=True, due=now, updated=now))
        job = find_job(connection, job_id)
    return job


def save(connection: Connection, before: TuningJob, after: TuningJob) -> TuningJob | None:
    """Write a change, if the job is still as it was read; None where another process has changed it.

    Whether a cancel was asked for meanwhile is kept: that is another's word.
    """
    after = replace(after, turn=before.turn + 1)
    values = {name: value for name, value in _row(after).items() if name not in {"id", "key", "cancel"}}
    if after.state in {"succeeded", "failed", "cancelled"}:
        values["cancel"] = False
    same = (tuning_jobs.c.id == before.id) & (tuning_jobs.c.turn == before.turn)
    return after if connection.execute(update(tuning_jobs).where(same).values(**values)).rowcount == 1 else None


def _all(connection: Connection, edition: str) -> list[TuningJob]:
    query = select(tuning_jobs).where(tuning_jobs.c.edition == edition).order_by(tuning_jobs.c.created.desc())
    return [_job(row) for row in connection.execute(query).mappings()]


def _row(job: TuningJob) -> dict[str, Any]:
    def text(value: object) -> str | None:
        return None if value is None else json.dumps(value)

    found = {name: getattr(job, name) for name in TuningJob.__slots__}
    return found | {
        "settings": json.dumps(asdict(job.settings)),
        "handle": text(job.handle),
        "candidate": text(None if job.candidate is None else dict(job.candidate)),
        "points": json.dumps([dict(one) for one in job.points]),
    }


def _job(row: RowMapping) -> TuningJob:
    found = dict(row)
    for name in ("handle", "candidate"):
        found[name] = None if found[name] is None else json.loads(found[name])
    found["settings"] = Settings(**json.loads(found["settings"]))
    found["points"] = tuple(json.loads(found["points"]))
    return TuningJob(**found)
