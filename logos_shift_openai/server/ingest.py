"""Take records in: lines of wire format 1 become rows, each once, and the evidence grows by what is new.

Every line is answered: new, seen (its id is there already; the first one stays), or refused with a reason, among them
what comes from before the days that its dataset is kept for: it was counted once and would be counted again.
A line is kept whole or not at all, and no line, whatever it holds, stops the others. What is counted is worked out
from the rows that the insert returned, in the same transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from logos_shift_openai.core.records import RecordError

from .drawn import Drawn
from .keeping import Keeping
from .shadows import keep_shadows
from .store.columns import pack_id, unpack_id
from .store.database import StoreConflictError, store_of
from .store.evidence import Deltas, calls_locked, rescore
from .store.hot_insert import insert_new
from .store.lines import read
from .store.rows import FeedbackRow, Head
from .store.schema import call_bodies, calls, feedback, refused
from .store.shadow_rows import ShadowRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .store.database import Store

_REASON_LENGTH: Final = 64
_TRIES: Final = 3
_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_row: Final = msgspec.structs.astuple


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is no record.

    Args:
        line: Which one it was, counted from 1.
        id: The id in it, where one can be read.
        why: The part at fault, and what is wrong with it.
    """

    line: int
    id: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of some lines: counts of records, and the lines refused."""

    new: int = 0
    seen: int = 0
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to be kept, each id once.

    Args:
        calls: Heads with their packed bodies, not compressed; None for a call whose bodies were not sent.
    """

    calls: dict[str, tuple[Head, bytes | None]]
    said: dict[str, FeedbackRow]
    shadows: dict[str, ShadowRow] = field(default_factory=dict)


def ingest(store: Store, lines: Sequence[bytes], now: int) -> Receipt:
    """Take lines in, in one transaction.

    Args:
        store: Where they go.
        lines: One record each, with or without their newline; empty lines are passed over.
        now: Milliseconds since 1970.

    Raises:
        StoreError: the store cannot be written; nothing of it was.
    """
    for _ in range(_TRIES):
        try:
            with store.writing() as connection:
                return ingest_within(connection, lines, now)
        except StoreConflictError:
            continue
    with store.writing() as connection:
        return ingest_within(connection, lines, now)


def ingest_within(connection: Connection, lines: Sequence[bytes], now: int) -> Receipt:
    """Take lines in, within the caller's transaction.

    Args:
        connection: A writer's connection.
        lines: As for `ingest`.
        now: Milliseconds since 1970.
    """
    received = _received(connection, now)
    kept = Keeping.read(connection)
    batch = Batch({}, {})
    refusals: list[Refusal] = []
    records = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = read(line, received)
            kept.check(record[0] if isinstance(record, tuple) else record, now)
        except RecordError as error:
            refusals.append(Refusal(number, _id_in(line), str(error)))
        except Exception as error:  # noqa: BLE001 - a line that a reader stumbles over must not stop the others
            refusals.append(Refusal(number, _id_in(line), f"unreadable: {type(error).__name__}: {error}"))
        else:
            records += 1
            if isinstance(record, FeedbackRow):
                batch.said.setdefault(record.id, record)
            elif isinstance(record, ShadowRow):
                batch.shadows.setdefault(record.id, record)
            else:
                batch.calls.setdefault(record[0].id, record)
    new = keep(connection, batch, received)
    _count_refused(connection, refusals, received)
    return Receipt(new=new, seen=records - new, refused=tuple(refusals))


def keep(connection: Connection, batch: Batch, now: int) -> int:
    """Insert what is new of a batch, and count it.

    Args:
        connection: A writer's connection.
        batch: What to keep.
        now: Milliseconds since 1970.

    Returns:
        How many records were new.
    """
    codec = store_of(connection).codec
    codec.refresh(connection)
    drawn = Drawn.read(connection)
    for head, _pack in batch.calls.values():
        drawn.note(head, head.rest)
        head.rest = codec.pack_rest(head.dataset, head.rest)
    new = insert_new(connection, calls, [_row(head) for head, _pack in batch.calls.values()])
    heads = [batch.calls[call_id][0] for call_id in sorted(new)]
    _keep_bodies(connection, [(head, batch.calls[head.id][1]) for head in heads], now)
    new_said = insert_new(connection, feedback, [_row(one) for one in batch.said.values()])
    count_new(connection, heads, [batch.said[one] for one in new_said], drawn)
    return len(new) + len(new_said) + (keep_shadows(connection, batch.shadows.values()) if batch.shadows else 0)


def count_new(connection: Connection, heads: list[Head], said: list[FeedbackRow], drawn: Drawn | None = None) -> None:
    """Add to the evidence what was just inserted, within the transaction that did it.

    Args:
        connection: A writer's connection.
        heads: Calls that are new, each with its `rest` packed.
        said: Feedback that is new.
        drawn: What the calls say to open rollouts; None where nobody noted it.
    """
    if drawn is None:
        drawn, codec = Drawn.read(connection), store_of(connection).codec
        for head in heads:
            drawn.note(head, codec.unpack_rest(connection, head.rest))
    deltas = Deltas()
    deltas.add_calls(heads)
    scored = {one.call_id for one in said if one.value is not None or one.label is not None}
    _score(connection, deltas, heads, scored)
    deltas.write(connection)
    drawn.write(connection, [head.id for head in heads], deltas.changed)


def _keep_bodies(connection: Connection, found: list[tuple[Head, bytes | None]], now: int) -> None:
    store = store_of(connection)
    packed = [(head.id, head.dataset, store.codec.pack(head.dataset, pack)) for head, pack in found if pack is not None]
    insert_new(connection, call_bodies, store.bodies.keep(packed, now, now))


def _score(connection: Connection, deltas: Deltas, heads: list[Head], named: set[str]) -> None:
    """Score calls that are new, and those there before that something new was said of."""
    names = sorted({name for head in heads for name in (head.id, head.provider_id) if name})
    waiting = set(_names_with_feedback(connection, names)) | named
    seeds: dict[str, dict[str, Any]] = {
        head.id: {
            "id": head.id, "provider_id": head.provider_id, "parent": head.parent, "at": head.at,
            "dataset": head.dataset, "experiment": head.experiment, "assigned": head.assigned,
            "endpoint": head.endpoint, "score": None,
        }
        for head in heads
        if head.parent is not None or head.id in waiting or head.provider_id in waiting
    }  # fmt: skip
    before = set(named) - set(seeds)
    for column in (calls.c.id, calls.c.provider_id):
        for row in calls_locked(connection, column, list(before)):
            seeds.setdefault(row["id"], row)
    if seeds:
        rescore(connection, deltas, seeds.values())


def _names_with_feedback(connection: Connection, names: list[str]) -> list[str]:
    """Find the names that scored feedback waits under, with one statement written bare: it runs for every batch."""
    if not names:
        return []
    cursor: Any = connection.connection.cursor()
    scored = '(feedback."value" IS NOT NULL OR feedback.label IS NOT NULL)'
    found: list[str] = []
    try:
        if connection.dialect.name == "postgresql":
            packed = [pack_id(name) for name in names]
            cursor.execute(f"SELECT call_id FROM feedback WHERE call_id = ANY(%s) AND {scored}", (packed,))  # noqa: S608 - no values in it
            return [unpack_id(name) for (name,) in cursor.fetchall()]
        cursor.execute(
            "SELECT call_id FROM json_each(?) AS one CROSS JOIN feedback "  # noqa: S608 - no values in it
            f"WHERE feedback.call_id = one.value AND {scored}",
            (json.dumps(names),),
        )
        found = [name for (name,) in cursor.fetchall()]
    finally:
        cursor.close()
    return found


def _received(connection: Connection, now: int) -> int:
    """Give the time of arrival; with a single writer it never goes back, so that a reader can follow it."""
    if connection.dialect.name != "sqlite":
        return now
    return max(now, connection.scalar(select(func.max(calls.c.received))) or 0)


def _id_in(line: bytes) -> str | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    name = found.get("id") if isinstance(found, dict) else None
    return name if isinstance(name, str) else None


def _count_refused(connection: Connection, refusals: list[Refusal], now: int) -> None:
    """Count refused lines by the part at fault, which stands before the first colon of a reason."""
    counts: dict[str, int] = {}
    for refusal in refusals:
        part = refusal.why.partition(":")[0][:_REASON_LENGTH].encode("utf-8", "replace").decode().replace("\0", "?")
        counts[part] = counts.get(part, 0) + 1
    for part, count in sorted(counts.items()):
        statement = _INSERTS[connection.dialect.name](refused).values(reason=part, lines=count, last_at=now)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[refused.c.reason],
                set_={"lines": refused.c.lines + count, "last_at": now},
            )
        )
