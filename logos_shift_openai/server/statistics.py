"""Count calls per variant: a plain, honest table of what was recorded.

A call counts for the variant it was assigned to, also when the baseline had to answer for it. Latency and
first token are of calls that ended without an error. Success is the mean of the scores that count (see
`server.feedback`), with a Wilson interval that takes the calls for independent of each other.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, case, func, literal_column, select

from .feedback import effective_scores
from .store.schema import calls, feedback, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

_Z95: Final = 1.959963984540054  # the normal quantile of 97.5 %
_GROUP: Final = ("dataset", "experiment", "functions", "variant")
_Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Success:
    """The mean score of some calls.

    Args:
        scored: How many of them have a score.
        low: Lower end of the 95 % interval; null as long as nothing is scored.
    """

    scored: int = 0
    mean: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds, by nearest rank; None where there is no call to take them from."""

    median: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """Sums of what the usage of the answers says, and over how many calls."""

    calls: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class VariantStatistics:
    """One row of the table.

    Args:
        experiment: None for calls outside every experiment.
        functions: Whether these are decorated functions instead of calls of models.
        variant: The assigned one.
        incomplete: Streams that were not read to their end.
        fallbacks: Assigned to the candidate, answered by the baseline.
    """

    dataset: str
    experiment: str | None
    functions: bool
    variant: str | None
    calls: int
    errors: int
    incomplete: int
    fallbacks: int
    success: Success
    latency_ms: Times
    first_token_ms: Times
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Totals:
    """Everything in the store. `refused` counts lines that were no records, by the part at fault."""

    calls: int
    feedback: int
    first_at: int | None
    last_at: int | None
    refused: Mapping[str, int]


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """Give the 95 % interval of a share of successes.

    Args:
        successes: Their sum; scores between 0 and 1 in it make the interval wider than need be.
        trials: How many there were, at least 1.

    Returns:
        Its two ends, in [0, 1]. Source: Wilson, JASA 22 (1927), 209-212.
    """
    mean = successes / trials
    spread = _Z95 * _Z95 / trials
    middle = mean + spread / 2
    half = _Z95 * math.sqrt(mean * (1 - mean) / trials + spread / (4 * trials))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def totals(connection: Connection) -> Totals:
    """Count everything."""
    count, first, last = connection.execute(
        select(func.count(), func.min(calls.c.at), func.max(calls.c.at)).select_from(calls)
    ).one()
    lines = connection.execute(select(refused.c.reason, refused.c.lines).order_by(refused.c.reason))
    said = connection.scalar(select(func.count()).select_from(feedback)) or 0
    return Totals(count, said, first, last, {row.reason: row.lines for row in lines})


def variant_statistics(
    connection: Connection,
    dataset: str | None = None,
    experiment: str | None = None,
    since: int | None = None,
) -> list[VariantStatistics]:
    """Count per dataset, experiment and variant.

    Args:
        connection: A reader's connection.
        dataset: Only calls of this one.
        experiment: Only calls of this one.
        since: Calls started at or after, milliseconds since 1970.
    """
    wanted = [
        column == value
        for column, value in ((calls.c.dataset, dataset), (calls.c.experiment, experiment))
        if value is not None
    ]
    if since is not None:
        wanted.append(calls.c.at >= since)
    successes = _successes(connection, wanted)
    latency = _times(connection, calls.c.duration_ms, wanted)
    first_token = _times(connection, calls.c.first_token_ms, wanted)
    return [
        VariantStatistics(
            **dict(zip(_GROUP, key, strict=True)),
            calls=row["calls"],
            errors=row["errors"],
            incomplete=row["incomplete"],
            fallbacks=row["fallbacks"],
            success=successes.get(key, Success()),
            latency_ms=latency.get(key, Times()),
            first_token_ms=first_token.get(key, Times()),
            tokens=Tokens(
                row["with_usage"], *(int(row[name]) for name in ("tokens_in", "tokens_out", "tokens_cached"))
            ),
        )
        for key, row in _counts(connection, wanted)
    ]


def as_json(one: VariantStatistics | Totals) -> dict[str, Any]:
    """Give values as plain objects."""
    return asdict(one)


def _group() -> list[ColumnElement[Any]]:
    # Spelt out: a parameter would be another one in SELECT than in GROUP BY, which PostgreSQL refuses.
    functions = (calls.c.endpoint == literal_column("'function'")).label("functions")
    return [calls.c.dataset, calls.c.experiment, functions, calls.c.assigned.label("variant")]


def _key(row: RowMapping) -> _Key:
    return (row["dataset"], row["experiment"], bool(row["functions"]), row["variant"])


def _counts(connection: Connection, wanted: list[ColumnElement[bool]]) -> list[tuple[_Key, RowMapping]]:
    fallback = (calls.c.assigned == "candidate") & (calls.c.served == "baseline")
    group = _group()
    query = (
        select(
            *group,
            func.count().label("calls"),
            _how_many(calls.c.error_type.is_not(None)).label("errors"),
            _how_many(~calls.c.complete & calls.c.error_type.is_(None)).label("incomplete"),
            _how_many(fallback).label("fallbacks"),
            _how_many(calls.c.tokens_in.is_not(None)).label("with_usage"),
            *(
                func.coalesce(func.sum(calls.c[name]), 0).label(name)
                for name in ("tokens_in", "tokens_out", "tokens_cached")
            ),
        )
        .where(*wanted)
        .group_by(*group)
    )
    rows = [(_key(row), row) for row in connection.execute(query).mappings()]
    return sorted(rows, key=lambda pair: [(part is None, str(part or "")) for part in pair[0]])


def _how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _successes(connection: Connection, wanted: list[ColumnElement[bool]]) -> dict[_Key, Success]:
    effective = effective_scores()
    group = _group()
    query = (
        select(*group, func.count().label("scored"), func.sum(effective.c.score).label("sum"))
        .join_from(calls, effective, effective.c.id == calls.c.id)
        .where(*wanted)
        .group_by(*group)
    )
    return {
        _key(row): Success(row["scored"], row["sum"] / row["scored"], *wilson(row["sum"], row["scored"]))
        for row in connection.execute(query).mappings()
    }


def _times(connection: Connection, column: ColumnElement[Any], wanted: list[ColumnElement[bool]]) -> dict[_Key, Times]:
    group = _group()
    rank = func.row_number().over(partition_by=group, order_by=column).label("rank")
    size = func.count().over(partition_by=group).label("size")
    ranked = (
        select(*group, column.label("ms"), rank, size)
        .where(column.is_not(None), calls.c.error_type.is_(None), *wanted)
        .subquery("ranked")
    )
    names = [ranked.c[name] for name in _GROUP]
    picks = [
        func.max(case((ranked.c.rank == (ranked.c.size * part + 99) // 100, ranked.c.ms))).label(name)
        for name, part in (("median", 50), ("p95", 95))
    ]
    rows = connection.execute(select(*names, *picks).group_by(*names)).mappings()
    return {_key(row): Times(row["median"], row["p95"]) for row in rows}
