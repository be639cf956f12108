"""The course of a rollout's proofs: a bounded series of points, one a look that was kept, for drawing.

Its rule: never more than `MOST` points. When they are full every second one goes, so that what is left spans the
whole rollout, evenly and with the latest look at its end; decisions themselves are kept elsewhere, all of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .rollout import Decision

MOST: Final = 200
_DIGITS: Final = 4

Point = dict[str, Any]
"""`at` (Unix seconds), the `share` (basis points) that was looked at, and natural logarithms of wealth: `harm`, `proof`
that the next share is safe by the metric that lags most, `needed` for that. None is for what cannot be told."""


def point_of(decision: Decision, share: int) -> Point | None:
    """Give the point of a decision, None where the evidence was not asked.

    Args:
        decision: As it was taken.
        share: The share before it, basis points.
    """
    look = decision.look
    if look is None:
        return None
    proof = min((one.safe for one in look.guarded), default=math.inf)
    return {
        "at": decision.at,
        "share": share,
        "harm": _finite(look.harm),
        "proof": _finite(proof),
        "needed": _finite(look.needed),
    }


def longer(trail: list[Point], point: Point | None) -> list[Point]:
    """Give a trail with one point more, thinned where it gets too long."""
    if point is None:
        return trail
    whole = [*trail, point]
    return whole if len(whole) <= MOST else whole[len(whole) % 2 ^ 1 :: 2]


def _finite(value: float) -> float | None:
    return round(value, _DIGITS) if math.isfinite(value) else None
