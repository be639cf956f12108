"""How much of the chance of a false promotion one of many candidates may spend.

Where a new candidate comes every night, a fixed chance for each adds up. With spending, the n-th rollout of a dataset
is promoted at alpha times 6 / (pi^2 n^2) times (1 + the promotions by proof before it). The first factors sum to 1 over
all n, so that of candidates that are all worse by the margin *any* is ever promoted with a chance of at most alpha;
with good ones between them, of all promotions at most the part alpha is false in expectation, whatever the dependence
between the rollouts. A promotion earns room for those after it.

Source: e-LOND of Xu, Ramdas, *Online multiple testing with e-values*, AISTATS 2024 (a wealth that is stopped is an
e-value); its form goes back to LOND, Javanmard, Montanari, *On online control of false discovery rate*, 2015, and the
sequence to alpha spending, Foster, Stine, *Alpha-investing*, JRSS-B 2008.
"""

from __future__ import annotations

import math


def part_of(number: int, proven: int) -> float:
    """Give the part of alpha that a rollout may spend on its promotion.

    Args:
        number: The how many-th of its dataset it is, from 1.
        proven: How many before it were promoted by proof, fewer than `number`.

    Raises:
        ValueError: there is no such rollout.
    """
    if not 0 <= proven < number:
        raise ValueError(f"rollout {number} does not follow {proven} that were promoted")
    return 6 / (math.pi * number) ** 2 * (1 + proven)
