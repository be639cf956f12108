"""The metrics that a rollout knows, and how a measured value becomes a score in [0, 1] where higher is better.

A metric is *dense* when every call has it without anybody's help; *volunteered* ones (feedback) can be biased by the
candidate itself. A metric with a cap is a quantity (milliseconds, dollars): what lies above the cap counts as the cap.
"""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple

from .evidence import ScoreError, on_grid

Direction = Literal["higher", "lower"]


class Metric(NamedTuple):
    """What is known of a metric.

    Args:
        words: What it is called in a sentence.
        direction: Which way is better.
        dense: Whether every call has it.
        capped: Whether it is a quantity that needs a cap; else it is in [0, 1].
        limited: Whether it is the rate of a quantity above its cap.
        quantile: Which quantile of the baseline's earlier calls serves as the cap.
    """

    words: str
    direction: Direction = "higher"
    dense: bool = True
    capped: bool = False
    limited: bool = False
    quantile: float = 0.999

    @property
    def has_cap(self) -> bool:
        """Whether it is nothing without a cap."""
        return self.capped or self.limited


METRICS: Final[dict[str, Metric]] = {
    "success": Metric("success by feedback", dense=False),
    "errors": Metric("the error rate", "lower"),
    "fallbacks": Metric("the fallback rate", "lower"),
    "valid": Metric("the validity of the asked-for JSON or schema"),
    "judge": Metric("the judge's score on a random sample"),
    "regenerated": Metric("the rate of answers asked for again within 60 s", "lower"),
    "refusals": Metric("the refusal rate", "lower"),
    "cut": Metric("the rate of answers cut by length", "lower"),
    "slow": Metric("the rate of calls slower than the baseline's p95", "lower", limited=True, quantile=0.95),
    "latency": Metric("the latency", "lower", capped=True),
    "first_token": Metric("the time to the first token", "lower", capped=True),
    "cost": Metric("the cost of a call", "lower", capped=True),
}

# What else can prove that answers are right or made at all; latency and cost cannot.
QUALITY: Final = ("valid", "errors", "regenerated", "judge")
"""The dense metrics of which at least one must stand beside volunteered feedback before a promotion."""


class UnknownMetricError(ScoreError):
    """A metric that no rollout knows."""


def metric_of(name: str) -> Metric:
    """Look a metric up.

    Raises:
        UnknownMetricError: with the names that are known.
    """
    try:
        return METRICS[name]
    except KeyError:
        raise UnknownMetricError(f"{name!r} is no metric; known are {', '.join(METRICS)}") from None


def score_of(name: str, value: float, direction: Direction | None = None, cap: float | None = None) -> int:
    """Make a score on the grid of a measured value.

    Args:
        name: The metric.
        value: A rate or score in [0, 1]; for a quantity, its amount from 0 on in its own unit (ms, dollars).
        direction: Which way is better; None takes the metric's own.
        cap: Where a quantity is cut, in its unit; for a rate of what lies above it, the limit.

    Raises:
        UnknownMetricError: for a metric that is not known.
        ScoreError: for NaN, for a value outside its range, for a quantity without a cap.
    """
    metric = metric_of(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise ScoreError(f"{name}: {value!r} is not a number")
    if metric.has_cap:
        if cap is None or not cap > 0:
            raise ScoreError(f"{name}: a cap is needed; a quantile of the baseline serves")
        if value < 0:
            raise ScoreError(f"{name}: {value!r} is below 0")
        value = float(value > cap) if metric.limited else min(value, cap) / cap
    try:
        return on_grid(1 - value if (direction or metric.direction) == "lower" else value)
    except ScoreError:
        raise ScoreError(f"{name}: {value!r} is not in 0..1") from None
