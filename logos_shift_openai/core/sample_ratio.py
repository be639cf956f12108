"""The check that the split is what was asked for: did variants arrive, or answer, in the ratio of the draw?

A wealth against "each unit is the candidate's with its chance p": a mean of likelihood ratios in which the odds of the
candidate are multiplied by one of a few fixed factors. Looked at any time; it reaches 1,000 with a chance of at most
0.001 when the split is right. Source:
Lindon, Malek, *Anytime-valid inference for multinomial count data*, NeurIPS 2022.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from .config import SHARE_MAX
from .wealth import log_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .evidence import Cell

ALARM_ALPHA: Final = 0.001
FACTORS: Final = (0.5, 0.8, 0.95, 1.05, 1.25, 2.0)
"""What the odds of the candidate are multiplied by in each alternative."""


def log_ratio_wealth(counts: Mapping[Cell, int]) -> float:
    """Give the logarithm of the wealth against "the variants came in the ratio of their draws".

    Args:
        counts: Cells of one metric; their scores and centres do not matter.
    """
    parts: list[list[float]] = [[] for _ in FACTORS]
    for cell, count in counts.items():
        if cell.after < cell.share < SHARE_MAX:
            chance = float(cell.draw.chance)
            for part, factor in zip(parts, FACTORS, strict=True):
                gain = -math.log1p(chance * (factor - 1))
                part.append(count * (gain + math.log(factor) if cell.variant == "candidate" else gain))
    return log_mean([math.fsum(part) for part in parts])
