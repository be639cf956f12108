"""The tables that rollouts are counted in: events that ingest appends, units as they are seen, and one row of counts.

An event is one row a batch and experiment, appended in the records' own transaction. Whoever counts takes events out
in the transaction that writes what came of them, so each is counted once, whatever dies in between, and however late a
transaction with events commits. What is counted has a *generation*: the run of the rollout and what its policy
measures. Where that changes, all is counted anew from the records, and the units of the old one are dropped in parts.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from logos_shift_openai.core.booking import SeenUnit, Tally, since_of

from .schema import rollout_counts, rollout_events, rollout_units

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from logos_shift_openai.core.policy import Policy
    from logos_shift_openai.core.rollout_state import State

_PART: Final = 500
_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.decode
_decode_unit: Final = msgspec.msgpack.Decoder(SeenUnit).decode


class EventCall(NamedTuple):
    """A call that came in and was drawn.

    Args:
        id: Its id; empty where the call itself is the unit, and needs none.
        at: When it began, milliseconds since 1970.
        unit: The digest of its unit; empty where the call itself is the unit.
        share: The candidate's share that it was drawn at, in basis points.
        candidate: Whether it was drawn for the candidate.
        scores: By metric, in steps of the grid.
    """

    id: str
    at: int
    unit: bytes
    share: int
    candidate: bool
    scores: dict[str, int]


class EventChange(NamedTuple):
    """A score of a call that came in before: it became known, or another one.

    Args:
        id: The call's.
        metric: Which score.
        before: The one that was counted, in steps of the grid; None for none.
        after: The one that counts.
    """

    id: str
    metric: str
    before: int | None
    after: int | None


class Event(NamedTuple):
    """What a batch said to the rollout of one experiment; the changes came after the calls, which are read as lists."""

    calls: list[EventCall]
    changes: list[EventChange]


class Counted(NamedTuple):
    """What is counted of a rollout.

    Args:
        generation: What it was counted for.
        until: The time as of which, milliseconds since 1970.
        tally: The counts.
    """

    generation: str
    until: int
    tally: Tally


class UnitRow(NamedTuple):
    """A unit as it is kept, and the time as of which the counts have it."""

    unit: SeenUnit
    counted: int


def generation_of(policy: Policy, state: State) -> str:
    """Name what is counted for a rollout: its run, since when, and what is measured how."""
    measured = [(one.metric, one.direction, one.cap) for one in policy.guarded]
    return f"{state.run}-{since_of(state)}-{blake2b(_encode(measured), digest_size=8).hexdigest()}"


def unit_digest(kind: str, name: str) -> bytes:
    """Give what stands for a unit: users are counted, and need not be named for it."""
    return blake2b(f"{kind}\0{name}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def append_event(connection: Connection, experiment: str, event: Event) -> None:
    """Append what a batch said."""
    connection.execute(insert(rollout_events).values(experiment=experiment, data=_encode(event)))


def take_events(connection: Connection, experiment: str, limit: int) -> list[Event]:
    """Take the oldest events out, in their order."""
    oldest = (
        select(rollout_events.c.id)
        .where(rollout_events.c.experiment == experiment)
        .order_by(rollout_events.c.id)
        .limit(limit)
    )
    gone = delete(rollout_events).where(rollout_events.c.id.in_(oldest))
    taken = connection.execute(gone.returning(rollout_events.c.id, rollout_events.c.data)).all()
    found = (_decode(row.data) for row in sorted(taken, key=lambda row: int(row.id)))
    return [Event(calls, [EventChange(*change) for change in changes]) for calls, changes in found]


def drop_events(connection: Connection, experiment: str) -> None:
    """Drop all events: what they say is counted from the records, or by nobody any more."""
    connection.execute(delete(rollout_events).where(rollout_events.c.experiment == experiment))


def waiting(connection: Connection, experiment: str) -> int:
    """Count the events that wait, each of a batch."""
    query = select(func.count()).where(rollout_events.c.experiment == experiment)
    return connection.scalar(query) or 0


def counted(connection: Connection, experiment: str, *, lock: bool = False) -> Counted | None:
    """Read what is counted; with `lock`, for whoever goes on counting, one at a time."""
    query = select(rollout_counts).where(rollout_counts.c.experiment == experiment)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        return None
    return Counted(row["generation"], row["until"], Tally.from_rows(_decode(row["counts"])))


def keep_counted(connection: Connection, experiment: str, what: Counted) -> None:
    """Put counts in the place of the last ones."""
    values = {"generation": what.generation, "until": what.until, "counts": _encode(what.tally.rows())}
    fresh = _INSERTS[connection.dialect.name](rollout_counts).values(experiment=experiment, **values)
    connection.execute(fresh.on_conflict_do_update(index_elements=[rollout_counts.c.experiment], set_=values))


def has_work(connection: Connection, experiment: str, generation: str | None, now: int) -> bool:
    """Tell whether there is something to count or to drop; no generation is of a rollout that has ended."""
    if connection.scalar(select(rollout_events.c.id).where(rollout_events.c.experiment == experiment).limit(1)):
        return True
    if _other_generation(connection, experiment, generation) is not None:
        return True
    if generation is None:
        return False
    head = select(rollout_counts.c.generation).where(rollout_counts.c.experiment == experiment)
    units = rollout_units.c
    over = select(units.counted).where(units.experiment == experiment, units.due <= now).limit(1)
    return connection.scalar(head) != generation or connection.scalar(over) is not None


def due_units(connection: Connection, experiment: str, generation: str, now: int, limit: int) -> list[bytes]:
    """Find units that count for more by time alone."""
    units = rollout_units.c
    query = (
        select(units.unit)
        .where(units.experiment == experiment, units.generation == generation, units.due <= now)
        .order_by(units.due)
        .limit(limit)
    )
    return list(connection.scalars(query))


def read_units(
    connection: Connection, experiment: str, generation: str, units: Collection[bytes]
) -> dict[bytes, UnitRow]:
    """Read units, those that are there, with a statement written bare: there are many of them each second."""
    found: dict[bytes, UnitRow] = {}
    query = "SELECT unit, data, counted FROM rollout_units WHERE experiment = {0} AND generation = {0} AND unit "
    ordered = sorted(units)
    for start in range(0, len(ordered), _PART):
        part = ordered[start : start + _PART]
        if connection.dialect.name == "postgresql":
            rows = connection.exec_driver_sql(query.format("%s") + "= ANY(%s)", (experiment, generation, part))
        else:
            marks = ", ".join("?" * len(part))
            rows = connection.exec_driver_sql(query.format("?") + f"IN ({marks})", (experiment, generation, *part))
        found.update((bytes(unit), UnitRow(_decode_unit(data), counted)) for unit, data, counted in rows)
    return found


def keep_units(
    connection: Connection,
    experiment: str,
    generation: str,
    found: Sequence[tuple[bytes, UnitRow, int | None]],
) -> None:
    """Put units in the place of their last ones: each with the time that it is counted as of, and when it is due."""
    into = "INSERT INTO rollout_units (experiment, generation, unit, data, counted, due) "
    ending = " ON CONFLICT (experiment, generation, unit) DO UPDATE SET data = excluded.data, "
    ending += "counted = excluded.counted, due = excluded.due"
    for start in range(0, len(found), _PART):
        part = found[start : start + _PART]
        rows = [(unit, _encode(row.unit), row.counted, due) for unit, row, due in part]
        if connection.dialect.name == "postgresql":
            columns = [list(column) for column in zip(*rows, strict=True)]
            values = "SELECT %s, %s, * FROM unnest(%s::bytea[], %s::bytea[], %s::bigint[], %s::bigint[])"
            connection.exec_driver_sql(into + values + ending, (experiment, generation, *columns))
        else:
            several = [(experiment, generation, *row) for row in rows]
            connection.exec_driver_sql(into + "VALUES (?, ?, ?, ?, ?, ?)" + ending, several)


def drop_units(connection: Connection, experiment: str, generation: str | None, limit: int) -> None:
    """Drop some units of another generation than this one; None is no generation."""
    units, other = rollout_units.c, _other_generation(connection, experiment, generation)
    if other is not None:
        gone = (units.experiment == experiment) & (units.generation == other)
        some = select(units.unit).where(gone).limit(limit)
        connection.execute(delete(rollout_units).where(gone, units.unit.in_(some)))


def drop_generation(connection: Connection, experiment: str, generation: str) -> None:
    """Drop all units of a generation, which is about to be counted anew."""
    units = rollout_units.c
    connection.execute(delete(rollout_units).where(units.experiment == experiment, units.generation == generation))


def _other_generation(connection: Connection, experiment: str, generation: str | None) -> str | None:
    """Find a generation that there are units of beside one, at either end of the key."""
    named = rollout_units.c.generation
    for order in (named, named.desc()):
        query = select(named).where(rollout_units.c.experiment == experiment).order_by(order).limit(1)
        found: str | None = connection.scalar(query)
        if found != generation:
            return found
    return None
