"""The processes that record for this store: the last report of each, and what they all counted, by day.

A report says what its process counted since it began; what is new since its last one is added to the day on which it
came. So a report that comes twice counts once, and of a process that is killed the last one stands. A process that is
not heard of for seven days is forgotten; the sums of the days stay. No more than `PROCESSES_MAX` are remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from logos_shift_openai.core.losses import kept, lost

from .client_report import Said
from .store.schema import client_counts, client_processes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .client_report import ClientReport

DAY_MS: Final = 86_400_000
LIVE_MS: Final = 180_000
"""A process that sends reports and has sent none for this long is gone, or cannot reach us."""
FORGOTTEN_DAYS: Final = 7
PROCESSES_MAX: Final = 5_000
_SHOWN: Final = 200
_LONG_POLL_SECONDS: Final = 25.0
_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

Via = Literal["server", "home"]
State = Literal["live", "stale", "quiet", "ended"]


@dataclass(frozen=True, slots=True)
class Process:
    """A process as it last told of itself. Times are milliseconds since 1970, ages are seconds as it told them.

    Args:
        process: Its id, of 32 hexadecimal digits.
        key_id: The key it used; None without keys, and where its report lay in the home folder.
        state: "live", or "ended" in good order; "stale" where no report came for three minutes, and "quiet" where it
            writes its reports into the home folder, which it does only when there is something new.
        kept: Records that its spool took.
        lost: Records that it lost, by reason.
        warnings: What is wrong with it, in words.
    """

    process: str
    key_id: str | None
    state: State
    first_seen: int
    last_seen: int
    version: str
    sdk: str
    kept: int
    lost: dict[str, int]
    counts: dict[str, int]
    config_version: int | None
    config_age: float | None
    spool_bytes: int
    spool_segments: int
    spool_oldest: float | None
    breakers: dict[str, str]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Sums:
    """What all processes counted in some days: records that spools took, those lost by reason, and all counts."""

    kept: int
    lost: dict[str, int]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Clients:
    """What is known of the processes: the latest of them, how many there are, and sums of today, a week and ever."""

    processes: list[Process]
    known: int
    today: Sums
    week: Sums
    ever: Sums


def take_report(
    connection: Connection, report: ClientReport, now: int, via: Via, key_id: str | None
) -> dict[str, int] | None:
    """Keep a report, within the caller's transaction; one that came before changes nothing.

    Args:
        connection: A writer's connection.
        report: The report.
        now: When it came, milliseconds since 1970.
        via: How it came.
        key_id: The key it came with.

    Returns:
        What was counted since the process's last report; None where this one is no later.
    """
    table = client_processes.c
    before = select(table.sequence, table.counts).where(table.process == report.process).with_for_update()
    last = connection.execute(before).first()
    if last is not None and last.sequence >= report.sequence:
        return None
    known = report.known
    values = {
        "via": via,
        "key_id": key_id,
        "last_seen": now,
        "sequence": report.sequence,
        "ended": report.ended,
        "said": msgspec.json.encode(Said.of(report)).decode(),
        "counts": msgspec.json.encode(known).decode(),
    }
    if last is None:
        _make_room(connection, now)
        connection.execute(insert(client_processes).values(process=report.process, first_seen=now, **values))
    else:
        connection.execute(update(client_processes).where(table.process == report.process).values(**values))
    earlier: dict[str, int] = {} if last is None else msgspec.json.decode(last.counts)
    fresh = {name: count - earlier.get(name, 0) for name, count in known.items() if count > earlier.get(name, 0)}
    for name, count in sorted(fresh.items()):  # in one order, so that two writers do not wait for each other
        put = _INSERTS[connection.dialect.name](client_counts).values(day=now // DAY_MS, reason=name, records=count)
        more = {"records": client_counts.c.records + count}
        connection.execute(put.on_conflict_do_update(index_elements=["day", "reason"], set_=more))
    return fresh


def read_clients(connection: Connection, now: int, *, shown: int = _SHOWN) -> Clients:
    """Read all that is known.

    Args:
        connection: A reader's connection.
        now: Milliseconds since 1970.
        shown: How many processes are listed, those heard of last first.
    """
    table = client_processes.c
    lately = table.last_seen > now - FORGOTTEN_DAYS * DAY_MS
    query = select(client_processes).where(lately).order_by(table.last_seen.desc(), table.process).limit(shown)
    processes = [_process(row, now) for row in connection.execute(query)]
    known = connection.scalar(select(func.count()).select_from(client_processes).where(lately)) or 0
    day = now // DAY_MS
    return Clients(
        processes, known, _sums(connection, day), _sums(connection, day - FORGOTTEN_DAYS + 1), _sums(connection, 0)
    )


def last_sequences(connection: Connection) -> dict[str, int]:
    """Tell the number of the last report of each process that told of itself in a home folder."""
    query = select(client_processes.c.process, client_processes.c.sequence).where(client_processes.c.via == "home")
    return {row.process: row.sequence for row in connection.execute(query)}


def _make_room(connection: Connection, now: int) -> None:
    """Forget the processes that are past their time; of too many, those heard of longest ago."""
    table = client_processes.c
    connection.execute(delete(client_processes).where(table.last_seen <= now - FORGOTTEN_DAYS * DAY_MS))
    over = (connection.scalar(select(func.count()).select_from(client_processes)) or 0) - PROCESSES_MAX + 1
    if over > 0:
        oldest = select(table.process).order_by(table.last_seen, table.process).limit(over)
        connection.execute(delete(client_processes).where(table.process.in_(oldest)))


def _sums(connection: Connection, since: int) -> Sums:
    table = client_counts.c
    query = select(table.reason, func.sum(table.records).label("records")).where(table.day >= since)
    found = {row.reason: int(row.records) for row in connection.execute(query.group_by(table.reason))}
    counts = dict(sorted(found.items()))
    return Sums(kept(counts), lost(counts), counts)


def _process(row: Any, now: int) -> Process:
    said = msgspec.json.decode(row.said, type=Said)
    counts: dict[str, int] = msgspec.json.decode(row.counts)
    silent = now - row.last_seen > LIVE_MS
    state: State = "ended" if row.ended else "live" if not silent else "quiet" if row.via == "home" else "stale"
    return Process(
        process=row.process,
        key_id=row.key_id,
        state=state,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        version=said.version,
        sdk=said.sdk,
        kept=kept(counts),
        lost=lost(counts),
        counts=counts,
        config_version=said.config.version,
        config_age=said.config.age,
        spool_bytes=said.spool.bytes,
        spool_segments=said.spool.segments,
        spool_oldest=said.spool.oldest,
        breakers=dict(said.breakers),
        warnings=_warnings(said, counts, state),
    )


def _warnings(said: Said, counts: Mapping[str, int], state: State) -> list[str]:
    found = []
    dropped = lost(counts)
    if dropped:
        parts = ", ".join(f"{reason} {count:,}" for reason, count in dropped.items())
        found.append(f"{sum(dropped.values()):,} records lost ({parts})")
    config = said.config
    # A question that is held back confirms nothing for so long, whatever the period.
    late = 3 * max(config.poll or 0.0, _LONG_POLL_SECONDS)
    age = said.uptime if config.age is None else config.age
    if config.version is not None and age > late:
        found.append(f"its config was not confirmed for {age:,.0f} s")
    if state == "stale":
        found.append("no report for more than three minutes, and no end: killed, or it cannot reach the server")
    return found
