"""The check that the split is what was asked for: did variants arrive, or answer, in the ratio of the draw?

A wealth against "each unit is the candidate's with its chance p": a mean of likelihood ratios in which the odds of the
candidate are multiplied by one of a few fixed factors. Looked at any time; it reaches 1,000 with a chance of at most
0.001 when the split is right. Source:
Lindon, Malek, *Anytime-valid inference for multinomial count data*, NeurIPS 2022.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from .evidence import Group
from .wealth import log_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .evidence import Cell, Draw
    from .records import Variant

ALARM_ALPHA: Final = 0.001
FACTORS: Final = (0.5, 0.8, 0.95, 1.05, 1.25, 2.0)
"""What the odds of the candidate are multiplied by in each alternative."""


def log_ratio_wealth(counts: Mapping[Cell, int]) -> float:
    """Give the logarithm of the wealth against "the variants came in the ratio of their draws".

    Args:
        counts: Cells of one metric; their scores and centres do not matter.
    """
    groups: dict[Group, dict[int, int]] = {}
    for cell, count in counts.items():
        groups.setdefault(Group(*cell[1:5]), {})[cell.score] = count
    return log_ratio_wealth_of(groups)


def log_ratio_wealth_of(groups: Mapping[Group, Mapping[int, int]]) -> float:
    """Give the same of counts by score, group by group, as `Evidence.groups` has them."""
    parts: list[list[float]] = [[] for _ in FACTORS]
    for group, counts in groups.items():
        if group.says:
            units = sum(counts.values())
            for part, gain in zip(parts, _gains(group.draw, group.variant), strict=True):
                part.append(units * gain)
    return log_mean([math.fsum(part) for part in parts])


@lru_cache(maxsize=1024)
def _gains(draw: Draw, variant: Variant) -> tuple[float, ...]:
    """Give what one unit of a variant adds to the logarithm, for each factor."""
    chance = float(draw.chance)
    gains = ((factor, -math.log1p(chance * (factor - 1))) for factor in FACTORS)
    return tuple(gain + math.log(factor) if variant == "candidate" else gain for factor, gain in gains)
