"""What one looks at first: how much is recorded, how good it is, what it costs, how it all does, what waits for people.

All of it is read from the evidence and from indexes, so it costs the same however many calls there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import Connection, func, select

from .autopilot.keeping import list_autopilots
from .clients import Clients, read_clients
from .config_place import config_of
from .embedded import positions
from .keys import list_keys
from .prices import read_prices
from .rollout_reading import list_rollouts
from .spending import Spending, rates, spending
from .spool_folders import waiting
from .statistics import Success, success_of
from .store.evidence import DAY_MS, HOUR_MS, sums_by_hour, sums_by_key
from .store.schema import calls, deliveries, refused, tuning_jobs
from .store.sums import Sums
from .tuners.jobs import STUCK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from logos_shift_openai.core.config import Experiment

    from .rollout_reading import Rollout
    from .store.evidence import Key

SERIES_HOURS: Final = 48
_LATELY_DAYS: Final = 7
_FULL: Final = 10_000  # basis points
_PROCESSES: Final = 50


@dataclass(frozen=True, slots=True)
class Point:
    """The calls of one hour. `start` is milliseconds since 1970; `candidate` counts those assigned to one."""

    start: int
    calls: int
    errors: int
    candidate: int


@dataclass(frozen=True, slots=True)
class DatasetLine:
    """A dataset: its calls, errors and success."""

    dataset: str
    calls: int
    errors: int
    success: Success


@dataclass(frozen=True, slots=True)
class ExperimentLine:
    """An experiment as it stands. `share` is in basis points; `phase` is its rollout's, None where it has none."""

    key: str
    dataset: str
    model: str
    state: str
    share: int
    phase: str | None


@dataclass(frozen=True, slots=True)
class Waits:
    """Something that waits for a person: what it is about, in words, and the name of what is meant."""

    kind: Literal["rollout", "refused", "tuning", "notifications", "autopilot"]
    words: str
    experiment: str | None = None
    job: str | None = None
    dataset: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A key that clients use: when it was last seen, and which config it had when it asked this process for one.

    Args:
        config: The version it had; None where it did not ask this process.
        asked: When it asked, milliseconds since 1970.
    """

    key_id: str
    label: str
    last_used: int | None
    config: int | None
    asked: int | None


@dataclass(frozen=True, slots=True)
class Spool:
    """What waits on this machine for the store, or for a server."""

    destination: str
    records: int
    size: int


@dataclass(frozen=True, slots=True)
class Overview:
    """See the module. Times are milliseconds since 1970.

    Args:
        calls: All that came in; `lately` those of the last 24 hours.
        series: By hour, of the last `SERIES_HOURS`, those without calls left out.
        processes: Those that record, as they say themselves, and what all of them lost.
        refused: Lines that were no records, by the part at fault.
        spool: Of the store's own machine; empty where the store is a server's.
    """

    now: int
    calls: int
    lately: int
    errors_lately: int
    last_at: int | None
    feedback: Success
    spending: Spending
    series: list[Point]
    datasets: list[DatasetLine]
    experiments: list[ExperimentLine]
    waits: list[Waits]
    clients: list[Client]
    processes: Clients
    config_version: int
    refused: dict[str, int]
    spool: list[Spool] = field(default_factory=list)


def overview(connection: Connection, now: int, followers: Mapping[str, tuple[int, int]], home: Path | None) -> Overview:
    """Look at everything.

    Args:
        connection: A reader's connection.
        now: Milliseconds since 1970; the hour that runs counts.
        followers: The config that each key asked this process with last, and when.
        home: The home folder whose config counts, where no server owns the store.
    """
    config = config_of(connection, home)
    everything = sums_by_key(connection)
    hour = now - now % HOUR_MS
    day = _total(sums_by_key(connection, since=hour - 23 * HOUR_MS).values())
    begun = connection.scalar(select(func.min(calls.c.at)))
    since = hour - _LATELY_DAYS * DAY_MS
    days = min(_LATELY_DAYS, max((now - (begun or now)) / DAY_MS, 1 / 24))
    shares = {one.key: one.share / _FULL if one.state == "running" else 0.0 for one in config.experiments}
    lately = sums_by_key(connection, since=since)
    counted = connection.execute(select(refused.c.reason, refused.c.lines).order_by(refused.c.reason))
    said = {row.reason: row.lines for row in counted}
    rollouts = {one.experiment: one for one in list_rollouts(connection)}
    found = () if home is None else waiting(home, positions(connection))
    spool = [Spool(one.destination, one.records, one.size) for one in found]
    return Overview(
        now=now,
        calls=sum(one.calls for one in everything.values()),
        lately=day.calls,
        errors_lately=day.errors,
        last_at=connection.scalar(select(func.max(calls.c.at))),
        feedback=success_of(_total(everything.values())),
        spending=spending(everything, lately, days, shares, rates(connection, read_prices(connection))),
        series=_series(connection, hour - (SERIES_HOURS - 1) * HOUR_MS),
        datasets=_datasets(everything),
        experiments=[_line(one, rollouts.get(one.key)) for one in config.experiments],
        waits=[
            *_of_rollouts(rollouts.values(), now - _LATELY_DAYS * DAY_MS),
            *_of_tuning(connection),
            *_of_autopilots(connection),
            *_of_notifications(connection, now - _LATELY_DAYS * DAY_MS),
            *_of_refusals(said),
        ],
        clients=_clients(connection, followers),
        processes=read_clients(connection, now, shown=_PROCESSES),
        config_version=config.version,
        refused=said,
        spool=spool,
    )


def _total(parts: Iterable[Sums]) -> Sums:
    total = Sums()
    for one in parts:
        total.add(one)
    return total


def _series(connection: Connection, since: int) -> list[Point]:
    points = []
    for start, by_key in sorted(sums_by_hour(connection, since).items()):
        candidate = sum(sums.calls for key, sums in by_key.items() if key.variant == "candidate")
        whole = _total(by_key.values())
        points.append(Point(start, whole.calls, whole.errors, candidate))
    return points


def _datasets(everything: Mapping[Key, Sums]) -> list[DatasetLine]:
    found: dict[str, Sums] = {}
    for key, sums in everything.items():
        found.setdefault(key.dataset, Sums()).add(sums)
    lines = [DatasetLine(name, sums.calls, sums.errors, success_of(sums)) for name, sums in found.items()]
    return sorted(lines, key=lambda one: (-one.calls, one.dataset))


def _line(one: Experiment, rollout: Rollout | None) -> ExperimentLine:
    phase = None if rollout is None else rollout.state.phase
    return ExperimentLine(one.key, one.dataset, one.candidate.model, one.state, one.share, phase)


def _of_rollouts(rollouts: Iterable[Rollout], since: int) -> Iterator[Waits]:
    for one in rollouts:
        state = one.state
        if state.alarm is not None:
            yield Waits("rollout", f"{one.experiment}: the split cannot be trusted ({state.alarm})", one.experiment)
        elif state.phase in _AT_REST and (state.phase == "paused" or one.updated >= since):
            yield Waits("rollout", f"{one.experiment}: {_AT_REST[state.phase]}", one.experiment)


_AT_REST: Final = {
    "paused": "the rollout is paused until somebody resumes it",
    "rolled_back": "the rollout was rolled back; look at why",
}


def _of_tuning(connection: Connection) -> Iterator[Waits]:
    column = tuning_jobs.c
    query = select(column.id, column.state, column.said, column.next_step).where(column.state.in_(STUCK))
    for job in connection.execute(query.order_by(column.created)):
        yield Waits("tuning", f"tuning job {job.id} is {job.state}: {job.next_step or job.said}", job=job.id)


def _of_autopilots(connection: Connection) -> Iterator[Waits]:
    for one in list_autopilots(connection):
        if one.state.asked is not None:
            yield Waits("autopilot", f"the autopilot of {one.dataset}: {one.said}", dataset=one.dataset)


def _of_notifications(connection: Connection, since: int) -> Iterator[Waits]:
    lost = connection.scalar(
        select(func.count()).select_from(deliveries).where(deliveries.c.state == "given_up", deliveries.c.due >= since)
    )
    if lost:
        yield Waits("notifications", f"{lost:,} {'notification was' if lost == 1 else 'notifications were'} given up")


def _of_refusals(said: Mapping[str, int]) -> Iterator[Waits]:
    lines = sum(said.values())
    if lines:
        parts = ", ".join(f"{reason} {count:,}" for reason, count in said.items())
        yield Waits(
            "refused", f"{lines:,} {'line was' if lines == 1 else 'lines were'} refused as no records ({parts})"
        )


def _clients(connection: Connection, followers: Mapping[str, tuple[int, int]]) -> list[Client]:
    found = []
    for key in list_keys(connection):
        if key.revoked is None and key.scope == "ingest":
            version, asked = followers.get(key.id, (None, None))
            found.append(Client(key.id, key.label, key.last_used, version, asked))
    return found
