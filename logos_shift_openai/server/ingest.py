"""Take records in: lines of wire format 1 become rows, each once.

Every line is answered: new, seen (its id is there already; the first one stays), or refused with a reason.
A line is kept whole or not at all, and no line, whatever it holds, stops the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from logos_shift_openai.core.records import CallRecord, RecordError, read_line

from .store.rows import Row, call_rows, feedback_row
from .store.schema import call_bodies, calls, feedback, refused

if TYPE_CHECKING:
    from collections.abc import Iterable

_REASON_LENGTH: Final = 64
_DIALECTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is no record.

    Args:
        number: Which line it was, counted from 0.
        reason: The part at fault, and what is wrong with it.
    """

    number: int
    line: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of some lines: counts of records, and the lines refused."""

    new: int = 0
    seen: int = 0
    refused: tuple[Refusal, ...] = ()


def ingest(connection: Connection, lines: Iterable[bytes], now: int) -> Ingested:
    """Take lines in, within the caller's transaction.

    Args:
        connection: A writer's connection.
        lines: One record each, with or without their newline; empty lines are passed over.
        now: Milliseconds since 1970.
    """
    received = max(now, connection.scalar(select(func.max(calls.c.received))) or 0)
    heads: dict[str, Row] = {}
    bodies: dict[str, Row] = {}
    said: dict[str, Row] = {}
    refusals: list[Refusal] = []
    records = 0
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            record = read_line(line)
            if isinstance(record, CallRecord):
                head, body = call_rows(record, received)
                if heads.setdefault(head["id"], head) is head:
                    bodies[head["id"]] = body
            else:
                row = feedback_row(record)
                said.setdefault(row["id"], row)
            records += 1
        except RecordError as error:
            refusals.append(Refusal(number, line, str(error)))
        except Exception as error:  # noqa: BLE001 - a line that a reader stumbles over must not stop the others
            refusals.append(Refusal(number, line, f"unreadable: {type(error).__name__}: {error}"))
    new_calls = insert_new(connection, calls, list(heads.values()))
    insert_new(connection, call_bodies, [bodies[call_id] for call_id in new_calls])
    new = len(new_calls) + len(insert_new(connection, feedback, list(said.values())))
    _count_refused(connection, refusals, received)
    return Ingested(new=new, seen=records - new, refused=tuple(refusals))


def insert_new(connection: Connection, table: Table, rows: list[Row]) -> list[str]:
    """Insert the rows whose key is not there yet.

    Returns:
        The keys that are new.
    """
    if not rows:
        return []
    (key,) = table.primary_key.columns
    statement = _DIALECTS[connection.dialect.name](table).on_conflict_do_nothing().returning(key)
    return list(connection.scalars(statement, rows))


def _count_refused(connection: Connection, refusals: list[Refusal], now: int) -> None:
    """Count refused lines by the part at fault, which stands before the first colon of a reason."""
    counts: dict[str, int] = {}
    for refusal in refusals:
        part = refusal.reason.partition(":")[0][:_REASON_LENGTH]
        counts[part] = counts.get(part, 0) + 1
    for part, count in counts.items():
        statement = _DIALECTS[connection.dialect.name](refused).values(reason=part, lines=count, last_at=now)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[refused.c.reason],
                set_={"lines": refused.c.lines + count, "last_at": now},
            )
        )
