"""Count what ingest has said to a rollout: events become units and counts, a part in a transaction.

Theory of operation. The row of counts is locked first, so of two that count at once one waits and then finds nothing.
Within its transaction the events are taken out, the units they are about read, and what each unit counted for is
replaced by what it counts for now. A call that is a unit of its own needs no row: it counts at once, and a change
of its score says which one it takes the place of. Units whose hour is over are found by an index.

A new generation is counted from the records, in one state of the store: the events that are there in it are dropped
with it, since their records are in it too, and those that commit later are left for the next turn.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from sqlalchemy import bindparam, select

from logos_shift_openai.core.booking import (
    Booking,
    DrawnCall,
    SeenUnit,
    Tally,
    due,
    milliseconds,
    since_of,
    take,
    tallied,
    tallied_call,
    was_drawn,
)
from logos_shift_openai.core.evidence import GRID
from logos_shift_openai.core.findings import UNITS

from .measures import kept_as_counts, scored_calls
from .store import rollout_counts as kept
from .store.database import store_of
from .store.rollout_counts import Counted, UnitRow, generation_of, unit_digest
from .store.rows import Rest
from .store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from logos_shift_openai.core.policy import Policy
    from logos_shift_openai.core.rollout_state import State

    from .store.database import Store
    from .store.rollout_counts import Event

_TURNS: Final = 50
_EVENTS: Final = 32
_DUE: Final = 2_000
_DROPPED: Final = 2_000
_PART: Final = 500
_rest: Final = msgspec.json.Decoder(Rest).decode


class Compared(NamedTuple):
    """Counts as they are kept, and as the records give them.

    Args:
        agrees: Whether they are the same; None while records are waiting to be counted.
        scores: Units and scores counted.
        anew: The same of the records.
    """

    agrees: bool | None
    scores: int
    anew: int


def count(store: Store, experiment: str, policy: Policy, state: State, now: int) -> None:
    """Count all that has come in for a rollout.

    Args:
        store: Where it is kept.
        experiment: Its key.
        policy: What is measured.
        state: Where it stands.
        now: Milliseconds since 1970.

    Raises:
        StoreConflictError: another process counts; what it does not count is there at the next turn.
    """
    if not kept_as_counts(policy):
        return
    generation = generation_of(policy, state)
    with store.reading() as connection:
        more = kept.has_work(connection, experiment, generation, now)
    for _ in range(_TURNS if more else 0):
        with store.writing() as connection:
            head = kept.counted(connection, experiment, lock=True)
            same = head is not None and head.generation == generation
            more = head is not None and same and _count_part(connection, experiment, since_of(state), head, now)
        if not same:
            with store.writing(snapshot=True) as connection:
                _count_anew(connection, experiment, policy, state, now)
        if not more:
            break


def forget(store: Store, experiment: str) -> None:
    """Drop what is not needed of a rollout that has ended: all but its counts."""
    with store.reading() as connection:
        if not kept.has_work(connection, experiment, None, 0):
            return
    with store.writing() as connection:
        kept.drop_events(connection, experiment)
        kept.drop_units(connection, experiment, None, _DROPPED)


def compare(store: Store, experiment: str, policy: Policy, state: State) -> Compared:
    """Count a rollout's calls anew, and hold the counts that are kept against them; nothing is changed."""
    with store.reading() as connection:
        head = kept.counted(connection, experiment) if kept_as_counts(policy) else None
        there = head is not None and head.generation == generation_of(policy, state)
        waits = not there or kept.waiting(connection, experiment) > 0
        booking = Booking(state)
        for call in scored_calls(connection, experiment, policy, booking.since / 1000):
            booking.add(call)
    tally, anew = Tally(), Tally()
    if head is not None:
        tally, anew = head.tally, booking.tally(head.until)
    elif not kept_as_counts(policy):
        anew = booking.tally(milliseconds(state.seen))
    totals = [sum(sum(counts.values()) for counts in one.groups.values()) for one in (tally, anew)]
    if not kept_as_counts(policy):  # each look reads the calls, so there is nothing else to hold them against
        return Compared(True, totals[1], totals[1])
    return Compared(None if waits else tally.evidence(state) == anew.evidence(state), *totals)


def _count_anew(connection: Connection, experiment: str, policy: Policy, state: State, now: int) -> None:
    generation, booking = generation_of(policy, state), Booking(state)
    kept.keep_counted(connection, experiment, Counted(generation, now, booking.tally(now)))  # first: it locks
    kept.drop_events(connection, experiment)
    kept.drop_generation(connection, experiment, generation)
    for call in scored_calls(connection, experiment, policy, booking.since / 1000):
        booking.add(call)
    kept.keep_counted(connection, experiment, Counted(generation, now, booking.tally(now)))
    rows = [(unit_digest(*unit), UnitRow(seen, now), due(seen, now)) for unit, seen in booking.units.items()]
    kept.keep_units(connection, experiment, generation, rows)


def _count_part(connection: Connection, experiment: str, since: int, head: Counted, now: int) -> bool:
    """Count some of what waits, and tell whether there may be more."""
    now, generation, tally = max(now, head.until), head.generation, head.tally
    events = kept.take_events(connection, experiment, _EVENTS)
    said = _said(events, since, tally)
    _add_changes(connection, events, since, tally, said)
    over = kept.due_units(connection, experiment, generation, now, _DUE)
    before = kept.read_units(connection, experiment, generation, {*said, *over})
    changed = []
    for unit in sorted({*said, *over}):
        row = before.get(unit, UnitRow({}, now))
        if _retake(row, said.get(unit, ()), tally, now):
            changed.append((unit, UnitRow(row.unit, now), due(row.unit, now)))
    kept.keep_units(connection, experiment, generation, changed)
    kept.drop_units(connection, experiment, generation, _DROPPED)
    kept.keep_counted(connection, experiment, Counted(generation, now, tally))
    return len(events) == _EVENTS or len(over) == _DUE


def _said(events: list[Event], since: int, tally: Tally) -> dict[bytes, list[DrawnCall]]:
    """Count the calls that are units of their own, and give those of other units."""
    said: dict[bytes, list[DrawnCall]] = {}
    alone: Counter[tuple[str, int, bool, int]] = Counter()
    for event in events:
        for call_id, at, unit, share, candidate, scores in event.calls:
            if at < since:
                continue
            if unit:
                drawn = DrawnCall(at, call_id, "candidate" if candidate else "baseline", share, scores)
                said.setdefault(unit, []).append(drawn)
                continue
            alone[UNITS, share, candidate, GRID] += 1
            for metric, score in scores.items():
                alone[metric, share, candidate, score] += 1
    for (metric, share, candidate, score), times in alone.items():
        tally.add([((metric, share, 0, "candidate" if candidate else "baseline"), score)], times)
    return said


def _add_changes(
    connection: Connection, events: list[Event], since: int, tally: Tally, said: dict[bytes, list[DrawnCall]]
) -> None:
    """Count scores that changed: of calls that are units of their own at once, others are added to what was said."""
    changes = [change for event in events for change in event.changes]
    late = _late(connection, {change.id for change in changes})
    for change in changes:
        unit, call = late.get(change.id, (b"", None))
        if call is None or call.at < since:
            continue
        if unit:
            said.setdefault(unit, []).append(call._replace(scores={change.metric: change.after}))
        else:
            tally.add(tallied_call(call.variant, call.share, {change.metric: change.before}), -1)
            tally.add(tallied_call(call.variant, call.share, {change.metric: change.after}))


def _retake(row: UnitRow, said: Iterable[DrawnCall], tally: Tally, now: int) -> bool:
    """Take calls into a unit and count the difference; tell whether it is to be kept anew."""
    unit: SeenUnit = row.unit
    counted, was = list(tallied(unit, row.counted)), dict(unit)
    for call in said:
        take(unit, call)
    counts = list(tallied(unit, now))
    if counts != counted:
        tally.add(counted, -1)
        tally.add(counts)
    return counts != counted or unit != was


def _late(connection: Connection, of: set[str]) -> dict[str, tuple[bytes, DrawnCall | None]]:
    """Find the calls whose scores changed: their units' digests, empty for a call that is its own, and their draws."""
    names = sorted(of)
    query = select(calls.c.id, calls.c.at, calls.c.assigned, calls.c.rest).where(
        calls.c.id.in_(bindparam("names", expanding=True))
    )
    codec = store_of(connection).codec
    found: dict[str, tuple[bytes, DrawnCall | None]] = {}
    for start in range(0, len(names), _PART):
        for row in connection.execute(query, {"names": names[start : start + _PART]}):
            rest = _rest(codec.unpack_rest(connection, row.rest))
            if rest.unit_kind is None or rest.unit_id is None or rest.share is None or rest.bucket is None:
                continue
            if row.assigned is not None and was_drawn(row.assigned, rest.share, rest.bucket):
                unit = b"" if rest.unit_kind == "call" else unit_digest(rest.unit_kind, rest.unit_id)
                found[row.id] = (unit, DrawnCall(row.at, row.id, row.assigned, rest.share, {}))
    return found
