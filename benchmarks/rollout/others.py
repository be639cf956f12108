"""Three other rules over the same kind of stream: repeated z-tests, an asymptotic confidence sequence, a timed ramp.

The confidence sequence is the one that GrowthBook's statistics use (`gbstats`, sequential tests): Waudby-Smith, Arbour,
Sinha, Kennedy, Ramdas, *Time-uniform central limit theory and asymptotic confidence sequences*, with the half width

    sqrt(N v) sqrt(2 (N r^2 + 1) / (N^2 r^2) log(sqrt(N r^2 + 1) / alpha)),   r^2 = (-2 log a + log(1 - 2 log a)) / N*

for v the variance of the difference of means, N units and N* = 5,000. Like it, both rules need a variance in each arm.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmarks.rollout.ours import End

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

ALPHA = 0.05
_Z = 1.959964
_STAR = 5_000
_R2 = (-2 * math.log(ALPHA) + math.log(-2 * math.log(ALPHA) + 1)) / _STAR


def half_z(_units: int, variance: float) -> float:
    """Half the width of a plain 95 % interval."""
    return _Z * math.sqrt(variance)


def half_sequence(units: int, variance: float) -> float:
    """Half the width of the asymptotic 95 % confidence sequence."""
    spread = units * _R2 + 1
    return math.sqrt(units * variance * 2 * spread / (units**2 * _R2) * math.log(math.sqrt(spread) / ALPHA))


def run(
    dice: Random,
    half: Callable[[int, float], float],
    rates: Callable[[int], list[tuple[float, float]]],
    limit: int,
    schedule: dict[int, int],
    *,
    margin: float | None = None,
    rollback: bool = True,
) -> End:
    """Run one rollout under a rule that looks at an interval after every unit.

    Args:
        dice: Where the units come from.
        half: Half the width of the interval around the difference of means, pooled over shares as such rules do.
        rates: The truth, one pair (baseline, candidate) a metric; each metric is tested by itself, uncorrected.
        limit: Units after which it is left open.
        schedule: Shares by the unit they begin at.
        margin: Promote when the interval of every metric lies above minus this; None never promotes.
        rollback: Roll back when the interval of any metric lies below 0.
    """
    draw, share = dice.random, schedule[0] / 10_000
    here, counts = schedule[0], [0, 0]
    good = [[0, 0] for _ in rates(0)]
    for unit in range(1, limit + 1):
        if unit in schedule:
            here, share = schedule[unit], schedule[unit] / 10_000
        mine = draw() < share
        counts[mine] += 1
        for index, pair in enumerate(rates(unit)):
            good[index][mine] += draw() < pair[mine]
        if min(counts) < 2:
            continue
        verdicts = [_verdict(one, counts, half, margin) for one in good]
        if rollback and "worse" in verdicts:
            return End("rolled back", unit, counts[1], here)
        if all(verdict == "fine" for verdict in verdicts):
            return End("promoted", unit, counts[1], here)
    return End("open", limit, counts[1], here)


def _verdict(
    good: Sequence[int], counts: Sequence[int], half: Callable[[int, float], float], margin: float | None
) -> str:
    variance = 0.0
    for right, units in zip(good, counts, strict=True):
        if right in (0, units):
            return "no variance"
        variance += right * (units - right) / units / (units - 1) / units
    apart = good[1] / counts[1] - good[0] / counts[0]
    if margin is None and apart >= 0:
        return "open"
    width = half(sum(counts), variance)
    if apart + width < 0:
        return "worse"
    return "fine" if margin is not None and apart - width > -margin else "open"


def timed(dice: Random, rates: tuple[float, float], total: int, ladder: Sequence[int]) -> End:
    """Run a timed ramp: every step lasts equally long, and ends it only if a z-test at its end shows harm."""
    counts, good = [0, 0], [0, 0]
    each = total // len(ladder)
    for step, share in enumerate(ladder, 1):
        for _ in range(each):
            mine = dice.random() < share / 10_000
            counts[mine] += 1
            good[mine] += dice.random() < rates[mine]
        if min(counts) >= 2 and _verdict(good, counts, half_z, None) == "worse":
            return End("rolled back", step * each, counts[1], share)
    return End("promoted", total, counts[1], ladder[-1])
