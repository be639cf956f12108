"""Evidence: the sums of calls by dataset, experiment, variant and time, kept in the records' own transaction.

Theory of operation. A batch appends one row of deltas per key and hour, worked out from the rows that its insert
returned; so a batch that comes again adds nothing, and writers never meet in a row. One process folds the deltas
into sums of everything, of days and of hours. What is asked for is the sums plus the deltas that are not folded
yet, read from one snapshot.

The score of a call that the sums have in them stands in its row. When feedback comes, or a call that feedback
waited for, or a parent, the score that counts now is looked up, and the difference goes into the deltas of the
hour in which the call began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, bindparam, delete, insert, select, update

from logos_shift_openai.server.feedback import scores

from .columns import End, end_of
from .schema import calls, evidence, evidence_deltas
from .sums import Sums, bucket_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .rows import Head, Row

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
ALL, DAY, HOUR = 0, 1, 2
_PART: Final = 500
_KEY: Final = ("dataset", "experiment", "variant", "functions")
_SCORED: Final = ("id", "provider_id", "parent", "at", "dataset", "experiment", "assigned", "endpoint", "score")


class Key(NamedTuple):
    """Whose sums: texts are "" where a call has none."""

    dataset: str
    experiment: str
    variant: str
    functions: bool

    @classmethod
    def of(cls, call: RowMapping | Row) -> Key:
        """Give the key of a call's row."""
        functions = call["endpoint"] == "function"
        return cls(call["dataset"], call["experiment"] or "", call["assigned"] or "", functions)


class Changed(NamedTuple):
    """A call of an experiment whose score by feedback is another one than before; None for none."""

    id: str
    experiment: str
    before: float | None
    after: float | None


class Deltas:
    """What a batch adds, by key and hour; and the calls of experiments whose scores it changed, in that order."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Key, int], Sums] = {}
        self.changed: list[Changed] = []

    def of(self, key: Key, at: int) -> Sums:
        """Give the sums of the hour in which a call began."""
        return self._sums.setdefault((key, at - at % HOUR_MS), Sums())

    def add_calls(self, heads: Iterable[Head]) -> None:
        """Count calls that are new."""
        known: dict[tuple[str, str | None, str | None, bool, int], Sums] = {}
        for head in heads:
            of = (head.dataset, head.experiment, head.assigned, head.endpoint == "function", head.at // HOUR_MS)
            sums = known.get(of)
            if sums is None:
                sums = known[of] = self.of(Key(of[0], of[1] or "", of[2] or "", of[3]), head.at)
            count(sums, head)

    def write(self, connection: Connection) -> None:
        """Append them to the store."""
        rows = [
            {**key._asdict(), "start": start, "sums": sums.pack()} for (key, start), sums in self._sums.items() if sums
        ]
        if rows:
            connection.execute(insert(evidence_deltas), rows)

    def items(self) -> Iterable[tuple[tuple[Key, int], Sums]]:
        """Give them all."""
        return self._sums.items()


def count(sums: Sums, call: Head | _Counted) -> None:
    """Count one call, without its score."""
    sums.calls += 1
    if call.error_type is not None:
        sums.errors += 1
    else:
        sums.incomplete += not call.complete
        bucket = bucket_of(call.duration_ms)
        sums.latency[bucket] = sums.latency.get(bucket, 0) + 1
        if call.first_token_ms is not None:
            bucket = bucket_of(call.first_token_ms)
            sums.first_token[bucket] = sums.first_token.get(bucket, 0) + 1
    if call.assigned == "candidate" and call.served == "baseline":
        sums.fallbacks += 1
    if call.tokens_in is not None:
        sums.with_usage += 1
        sums.tokens_in += call.tokens_in
    sums.tokens_out += call.tokens_out or 0
    sums.tokens_cached += call.tokens_cached or 0


def rescore(connection: Connection, deltas: Deltas, seeds: Iterable[Row]) -> int:
    """Look up the scores of calls, and of those below them as far as something changes.

    Args:
        connection: A writer's connection; the rows of the seeds are locked in it where the engine locks rows.
        deltas: Where the differences go.
        seeds: Rows of calls with the columns of `scored_columns`.

    Returns:
        How many scores have changed.
    """
    level = {row["id"]: row for row in seeds}
    visited: set[str] = set()
    changes: list[dict[str, Any]] = []
    while level:
        visited.update(level)
        found = scores(connection, level.values())
        changed = []
        for call_id, row in level.items():
            after = found[call_id].value if call_id in found else None
            if after != row["score"]:
                deltas.of(Key.of(row), row["at"]).move_score(row["score"], after)
                if row["experiment"] is not None and row["assigned"] is not None:
                    deltas.changed.append(Changed(call_id, row["experiment"], row["score"], after))
                changed.append(call_id)
                changes.append({"of": call_id, "now": after})
        below = calls_locked(connection, calls.c.parent, changed)
        level = {row["id"]: row for row in below if row["id"] not in visited}
    if changes:
        changes.sort(key=lambda change: str(change["of"]))
        connection.execute(update(calls).where(calls.c.id == bindparam("of")).values(score=bindparam("now")), changes)
    return len(changes)


def calls_locked(connection: Connection, column: ColumnElement[Any], names: Sequence[str]) -> list[Row]:
    """Read the rows of calls by one of their names, for `rescore`, and lock them."""
    query = (
        select(*(calls.c[name] for name in _SCORED))
        .where(column.in_(bindparam("names", expanding=True)))
        .order_by(calls.c.id)
        .with_for_update()
    )
    if column is calls.c.provider_id:  # which is found by its ends
        query = query.where(end_of(column).in_(bindparam("ends", expanding=True, type_=End())))
    return list(_in_parts(connection, query, names))


def sums_by_key(
    connection: Connection, dataset: str | None = None, experiment: str | None = None, since: int | None = None
) -> dict[Key, Sums]:
    """Read the sums, folded or not.

    Args:
        connection: A reader's connection.
        dataset: Only of this one.
        experiment: Only of this one.
        since: Calls begun at or after, milliseconds since 1970. The part of an hour is counted from the calls
            themselves.
    """
    wanted = {"dataset": dataset, "experiment": experiment}
    total: dict[Key, Sums] = {}
    for row in _sums_rows(connection, wanted, since):
        key = Key(row["dataset"], row["experiment"], row["variant"], bool(row["functions"]))
        total.setdefault(key, Sums()).add(Sums.unpack(row["sums"]))
    if since is not None and since % HOUR_MS:
        end = since - since % HOUR_MS + HOUR_MS
        for (key, _hour), sums in recount(connection, wanted, (since, end)).items():
            total.setdefault(key, Sums()).add(sums)
    return {key: sums for key, sums in total.items() if sums}


def sums_by_hour(connection: Connection, since: int) -> dict[int, dict[Key, Sums]]:
    """Read the sums of each hour, folded or not.

    Args:
        connection: A reader's connection.
        since: The first hour's start, milliseconds since 1970.
    """
    hours: dict[int, dict[Key, Sums]] = {}
    folded = select(evidence).where(evidence.c.level == HOUR, evidence.c.start >= since)
    fresh = select(evidence_deltas).where(evidence_deltas.c.start >= since)
    for query in (folded, fresh):
        for row in connection.execute(query).mappings():
            key = Key(row["dataset"], row["experiment"], row["variant"], bool(row["functions"]))
            hours.setdefault(row["start"], {}).setdefault(key, Sums()).add(Sums.unpack(row["sums"]))
    return hours


def _sums_rows(connection: Connection, wanted: dict[str, str | None], since: int | None) -> Iterator[RowMapping]:
    def only(table: Any) -> list[ColumnElement[bool]]:
        return [table.c[name] == value for name, value in wanted.items() if value is not None]

    folded = select(evidence).where(*only(evidence))
    fresh = select(evidence_deltas).where(*only(evidence_deltas))
    if since is None:
        folded = folded.where(evidence.c.level == ALL)
    else:
        hour, day = -(-since // HOUR_MS) * HOUR_MS, -(-since // DAY_MS) * DAY_MS
        hours = (evidence.c.level == HOUR) & (evidence.c.start >= hour) & (evidence.c.start < day)
        folded = folded.where(hours | ((evidence.c.level == DAY) & (evidence.c.start >= day)))
        fresh = fresh.where(evidence_deltas.c.start >= hour)
    yield from connection.execute(folded).mappings()
    yield from connection.execute(fresh).mappings()


@dataclass(frozen=True, slots=True)
class _Counted:
    """The columns of a row of calls under the names of a `Head`, as `count` reads them."""

    complete: bool
    duration_ms: float
    first_token_ms: float | None
    error_type: str | None
    assigned: str | None
    served: str | None
    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int | None


def recount(
    connection: Connection, wanted: dict[str, str | None] | None = None, span: tuple[int, int] | None = None
) -> dict[tuple[Key, int], Sums]:
    """Count calls anew from their rows, with the scores that stand in them.

    Args:
        connection: A reader's connection.
        wanted: Columns of calls and the values they must have; None is no condition.
        span: Calls begun from the first time on and before the second.

    Returns:
        The sums by key and hour.
    """
    names = tuple(_Counted.__slots__)
    query = select(calls.c.at, calls.c.dataset, calls.c.experiment, calls.c.endpoint, calls.c.score).add_columns(
        *(calls.c[name] for name in names)
    )
    query = query.where(*(calls.c[name] == value for name, value in (wanted or {}).items() if value is not None))
    if span is not None:
        query = query.where(calls.c.at >= span[0], calls.c.at < span[1])
    deltas = Deltas()
    for row in connection.execute(query.execution_options(yield_per=1_000)).mappings():
        sums = deltas.of(Key.of(row), row["at"])
        count(sums, _Counted(*(row[name] for name in names)))
        sums.move_score(None, row["score"])
    return dict(deltas.items())


def fold_deltas(connection: Connection, limit: int = 2_000) -> int:
    """Fold deltas into sums, each once.

    Args:
        connection: A writer's connection.
        limit: At most so many.

    Returns:
        How many were folded.
    """
    if connection.dialect.name == "postgresql":  # of this transaction alone, and in no reader's way
        connection.exec_driver_sql("LOCK TABLE evidence IN SHARE ROW EXCLUSIVE MODE")
    oldest = select(evidence_deltas.c.id).order_by(evidence_deltas.c.id).limit(limit)
    taken = connection.execute(
        delete(evidence_deltas).where(evidence_deltas.c.id.in_(oldest)).returning(*evidence_deltas.c)
    ).mappings()
    fresh: dict[tuple[int, Key, int], Sums] = {}
    folded = 0
    for row in taken:
        folded += 1
        key = Key(row["dataset"], row["experiment"], row["variant"], bool(row["functions"]))
        sums = Sums.unpack(row["sums"])
        start = row["start"]
        for level, of in ((ALL, 0), (DAY, start - start % DAY_MS), (HOUR, start)):
            fresh.setdefault((level, key, of), Sums()).add(sums)
    for (level, key, start), sums in sorted(fresh.items(), key=lambda pair: pair[0]):
        _put(connection, {"level": level, **key._asdict(), "start": start}, sums)
    return folded


def _put(connection: Connection, of: dict[str, Any], sums: Sums) -> None:
    here = [evidence.c[name] == value for name, value in of.items()]
    before = connection.scalar(select(evidence.c.sums).where(*here))
    if before is None:
        connection.execute(insert(evidence).values(**of, sums=sums.pack()))
        return
    sums.add(Sums.unpack(before))
    connection.execute(update(evidence).where(*here).values(sums=sums.pack()))


def _in_parts(connection: Connection, query: Select[Any], names: Sequence[str]) -> Iterator[Row]:
    ordered = sorted(names)
    for start in range(0, len(ordered), _PART):
        part = ordered[start : start + _PART]
        for row in connection.execute(query, {"names": part, "ends": part}).mappings():
            yield dict(row)
