"""Both variants beside each other on every guarded metric, in the metric's own unit, each with an interval.

The interval is of the variant's mean and holds at every look (`core.agreement.interval`), so a page may be looked at as
often as one likes. It is no part of any decision: those bet on the difference, weighted by the draws. Quantities have
hundreds of different scores; they are put on a coarser grid first, outwards, so that the interval only gets wider.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, get_args

from .agreement import interval
from .evidence import GRID
from .metrics import METRICS
from .records import Variant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .evidence import Evidence
    from .policy import Guarded, Policy

_FINE: Final = 40
_STEP: Final = 12  # of the grid: a fiftieth of the way from 0 to 1


def side_by_side(policy: Policy, evidence: Evidence, alpha: float = 0.05) -> list[dict[str, Any]]:
    """Give a row for each guarded metric, the primary first.

    Args:
        policy: Whose metrics.
        evidence: Counts of the run.
        alpha: The chance that an interval ever leaves its mean out.

    Returns:
        `metric`, what it is `called`, which `direction` is better, its `unit` ("rate", "ms", "usd"), `cap`, the
        `margin` or `ratio` that is borne, and each variant's `units`, `mean`, `low` and `high`, null without any.
    """
    return [
        {
            "metric": one.metric,
            "called": METRICS[one.metric].words,
            "direction": one.direction,
            "unit": _unit(one),
            "cap": one.cap,
            "margin": policy.margin if one.margin is None else one.margin,
            "ratio": one.ratio,
            **{variant: _side(one, evidence, variant, alpha) for variant in get_args(Variant)},
        }
        for one in policy.guarded
    ]


def _unit(one: Guarded) -> str:
    if not METRICS[one.metric].capped:
        return "rate"
    return "usd" if one.metric == "cost" else "ms"


def _side(one: Guarded, evidence: Evidence, variant: Variant, alpha: float) -> dict[str, Any]:
    counts: dict[int, int] = {}
    for group, scores in evidence.groups(one.metric).items():
        if group.variant == variant:
            for score, count in scores.items():
                counts[score] = counts.get(score, 0) + count
    mean = evidence.mean(one.metric, variant)
    units = evidence.units(one.metric, variant)
    if mean is None or min(counts.values()) < 0:  # taken back before it is counted again
        return {"units": units, "mean": None, "low": None, "high": None}
    low, high = _bounds(tuple(sorted(counts.items())), alpha)
    scale = one.cap if _unit(one) != "rate" and one.cap is not None else 1.0
    if one.direction == "lower":
        mean, low, high = 1 - mean, 1 - high, 1 - low
    return {"units": units, "mean": mean * scale, "low": low * scale, "high": high * scale}


@lru_cache(maxsize=256)
def _bounds(counts: tuple[tuple[int, int], ...], alpha: float) -> tuple[float, float]:
    if len(counts) <= _FINE:
        return interval(dict(counts), alpha)
    return interval(_coarse(dict(counts), 0), alpha)[0], interval(_coarse(dict(counts), _STEP - 1), alpha)[1]


def _coarse(counts: Mapping[int, int], up: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for score, count in counts.items():
        place = min((score + up) // _STEP * _STEP, GRID)
        found[place] = found.get(place, 0) + count
    return found
