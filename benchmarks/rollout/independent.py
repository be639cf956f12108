"""The wealth computed a second time and otherwise: exactly, unit by unit, as a product of fractions.

It shares no line with `core.wealth`. The fraction to bet is found by golden section on the mean growth itself and not
by halving its slope, the product is one of `fractions.Fraction`, and only at the end is a logarithm taken. It is slow
on purpose and checks the vectors in `tests/contract/rollout.json`.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

_GRID = 600
_GOLDEN = (math.sqrt(5) - 1) / 2


def log_wealth(claim: dict[str, Any], rows: list[list[Any]]) -> float:
    """Give the logarithm of the wealth against a claim.

    Args:
        claim: Fields of `core.wealth.Claim` by name.
        rows: Fields of a cell and its count, as `Evidence.rows` gives them.
    """
    total = Fraction(0)
    for effect, weight in zip(claim["effects"], claim["weights"], strict=True):
        wealth = Fraction(weight)
        for _metric, share, after, centre, variant, score, count in rows:
            if share in (after, 10_000):
                continue
            chance = Fraction(share - after, 10_000 - after)
            bet = Fraction(_bet(claim, chance, centre, effect))
            gain = _gain(claim, chance, Fraction(centre, _GRID), variant, Fraction(score, _GRID))
            for _unit in range(count):
                wealth *= 1 + bet * gain
                wealth = wealth.limit_denominator(10**400)
        total += wealth
    # Fractions may be beyond what a float holds; their logarithm is not.
    return _log(total)


def _log(value: Fraction) -> float:
    shift = value.numerator.bit_length() - value.denominator.bit_length()
    return math.log(value / Fraction(2) ** shift) + shift * math.log(2)


def _gain(claim: dict[str, Any], chance: Fraction, centre: Fraction, variant: str, score: Fraction) -> Fraction:
    ratio, limit = Fraction(claim["ratio"]), Fraction(claim["threshold"])
    weighted = (score - ratio * centre) / chance if variant == "candidate" else ratio * (centre - score) / (1 - chance)
    return weighted - limit if claim["sign"] > 0 else limit - weighted


def _bet(claim: dict[str, Any], chance: Fraction, centre: int, effect: float) -> float:
    rate = min(max(centre / _GRID, 1 / 1200), 1 - 1 / 1200)
    beyond = claim["threshold"] + effect if claim["sign"] > 0 else claim["threshold"] - effect
    other = min(max(claim["ratio"] * rate + beyond, 1 / 1200), 1 - 1 / 1200)
    p, c = float(chance), Fraction(centre, _GRID)
    outcomes = []
    for variant, part, mean in (("candidate", p, other), ("baseline", 1 - p, rate)):
        outcomes.append((part * mean, float(_gain(claim, chance, c, variant, Fraction(1)))))
        outcomes.append((part * (1 - mean), float(_gain(claim, chance, c, variant, Fraction(0)))))
    low, high = 0.0, min(1.0, 0.9 / max(-gain for _, gain in outcomes))

    def growth(bet: float) -> float:
        return math.fsum(odds * math.log1p(bet * gain) for odds, gain in outcomes)

    for _ in range(80):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if growth(left) < growth(right):
            low = left
        else:
            high = right
    return (low + high) / 2
