"""Count calls per variant: a plain, honest table of what was recorded.

A call counts for the variant it was assigned to, also when the baseline had to answer for it. Latency and
first token are of calls that ended without an error. Success is the mean of the scores that count (see
`server.feedback`), with a Wilson interval that takes the calls for independent of each other. All of it is read
from the evidence, not from the calls, so that it costs the same however many there are.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, func, select

from .store.evidence import sums_by_key
from .store.schema import calls, feedback, refused
from .store.sums import UNIT, Histogram, Sums, quantile

if TYPE_CHECKING:
    from collections.abc import Mapping

_Z95: Final = 1.959963984540054  # the normal quantile of 97.5 %


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
    """Milliseconds, by nearest rank and within 0.5 %; None where there is no call to take them from."""

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
    """Everything that came in, also what retention has removed since.

    Args:
        first_at: Start of the first call that is there, and of the last one, milliseconds since 1970.
        refused: Lines that were no records, by the part at fault.
    """

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
    count = sum(sums.calls for sums in sums_by_key(connection).values())
    first = connection.scalar(select(func.min(calls.c.at)))
    last = connection.scalar(select(func.max(calls.c.at)))
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
    found = [
        VariantStatistics(
            dataset=key.dataset,
            experiment=key.experiment or None,
            functions=key.functions,
            variant=key.variant or None,
            calls=sums.calls,
            errors=sums.errors,
            incomplete=sums.incomplete,
            fallbacks=sums.fallbacks,
            success=success_of(sums),
            latency_ms=_times(sums.latency),
            first_token_ms=_times(sums.first_token),
            tokens=Tokens(sums.with_usage, sums.tokens_in, sums.tokens_out, sums.tokens_cached),
        )
        for key, sums in sums_by_key(connection, dataset, experiment, since).items()
        if sums.calls
    ]
    return sorted(found, key=_order)


def as_json(one: VariantStatistics | Totals) -> dict[str, Any]:
    """Give values as plain objects."""
    return asdict(one)


def _order(one: VariantStatistics) -> list[tuple[bool, str]]:
    parts = (one.dataset, one.experiment, one.functions, one.variant)
    return [(part is None, str(part or "")) for part in parts]


def success_of(sums: Sums) -> Success:
    """Give the mean score of some calls with its interval."""
    if sums.scored <= 0:
        return Success()
    total = sums.score / UNIT
    return Success(sums.scored, total / sums.scored, *wilson(total, sums.scored))


def _times(histogram: Histogram) -> Times:
    return Times(quantile(histogram, 50), quantile(histogram, 95))
