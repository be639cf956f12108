"""Our rule over a stream of simulated units, looked at after every one of them.

The wealths are those of `core.wealth`, added up unit by unit; the counts are kept beside, so that a goal of the ramp
takes up what earlier steps have seen. Waiting times are left out: a run is as fast as its proofs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from logos_shift_openai.core.config import SHARE_MAX
from logos_shift_openai.core.evidence import GRID, Cell, Draw, Evidence
from logos_shift_openai.core.rollout_state import CENTRE_UNKNOWN, centre_of
from logos_shift_openai.core.wealth import log_mixed, log_sum, log_wealth, steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from logos_shift_openai.core.policy import Policy
    from logos_shift_openai.core.wealth import Claim

VARIANTS = ("baseline", "candidate")


class End(NamedTuple):
    """How a run ended: "rolled back", "promoted" or "open", after how many units (of the candidate), where."""

    how: str
    units: int
    candidates: int
    share: int


class _Stake:
    """The wealth against one claim, in logarithms, one part for each bet; begun from counts, grown unit by unit."""

    def __init__(self, claim: Claim, evidence: Evidence, metric: str) -> None:
        self.claim = claim
        self.parts = [
            log_wealth(claim._replace(effects=(effect,), weights=(1.0,)), evidence.of(metric))
            for effect in claim.effects
        ]
        self.first = [math.log(weight) for weight in claim.weights]

    def table(self, share: int, centre: int) -> list[list[tuple[float, ...]]]:
        return [[steps(self.claim, Draw(share), centre, variant, score) for score in (0, GRID)] for variant in VARIANTS]

    def log(self) -> float:
        return log_sum([first + part for first, part in zip(self.first, self.parts, strict=True)])


def run(
    dice: Random,
    policy: Policy,
    rates: Callable[[int], list[tuple[float, float]]],
    limit: int,
    *,
    share: int | None = None,
    schedule: dict[int, int] | None = None,
    rollback: bool = True,
) -> End:
    """Run one rollout.

    Args:
        dice: Where the units come from.
        policy: Its margins, ladder and guarded metrics.
        rates: The truth, one pair (baseline, candidate) a metric.
        limit: Units after which it is left open.
        share: A fixed share instead of the ladder; then promotion is asked for at this share.
        schedule: Shares by the unit they begin at, instead of proofs; then nothing is ever promoted.
        rollback: False leaves the harm unasked, to see false promotions alone.
    """
    names = [one.metric for one in policy.guarded]
    evidence, centres = Evidence(), [CENTRE_UNKNOWN] * len(names)
    here = share or (schedule[0] if schedule else policy.ladder[0])
    goal = SHARE_MAX if share else policy.next_share(here)
    harms = [_Stake(policy.harm(one), evidence, one.metric) for one in policy.guarded]
    proofs = [_Stake(policy.too_risky(one, goal), evidence, one.metric) for one in policy.guarded]
    stakes = (harms if rollback else []) + ([] if schedule else proofs)
    tables, held = _tables(stakes, here, centres), _held(len(names))
    edge, candidates, draw = math.log(1 / policy.alpha), 0, dice.random
    for unit in range(1, limit + 1):
        mine = draw() < here / SHARE_MAX
        candidates += mine
        for index, pair in enumerate(rates(unit)):
            score = draw() < pair[mine]
            held[index][mine][score] += 1
            for parts, table in tables[index]:
                for place, step in enumerate(table[mine][score]):
                    parts[place] += step
        # A mixture is never above its largest part, so most units need no more than this.
        if rollback and max(max(one.parts) for one in harms) >= edge and _together(policy, harms) >= edge:
            return End("rolled back", unit, candidates, here)
        moved = schedule.get(unit, here) if schedule else here
        while not schedule and _passed(proofs, math.log(1 / policy.alpha_promote) if goal == SHARE_MAX else edge):
            if goal == SHARE_MAX:
                return End("promoted", unit, candidates, here)
            moved = goal
            _book(evidence, held, names, here, centres)
            goal = policy.next_share(moved)
            proofs = [_Stake(policy.too_risky(one, goal), evidence, one.metric) for one in policy.guarded]
        if moved != here:
            _book(evidence, held, names, here, centres)
            here, centres = moved, [centre_of(evidence.mean(name, "baseline")) for name in names]
            tables = _tables((harms if rollback else []) + ([] if schedule else proofs), here, centres)
    return End("open", limit, candidates, here)


def _passed(proofs: list[_Stake], edge: float) -> bool:
    return all(max(one.parts) >= edge and one.log() >= edge for one in proofs)


def _together(policy: Policy, harms: list[_Stake]) -> float:
    return log_mixed([one.log() for one in harms], policy.stakes)


def _tables(stakes: list[_Stake], share: int, centres: list[int]) -> list[list[tuple[list[float], list]]]:
    """Give, by metric, the parts to add to and what a unit of each variant and score adds."""
    metrics = len(centres)
    return [
        [(stake.parts, stake.table(share, centres[index])) for stake in stakes[index::metrics]]
        for index in range(metrics)
    ]


def _held(metrics: int) -> list[list[list[int]]]:
    return [[[0, 0], [0, 0]] for _ in range(metrics)]


def _book(evidence: Evidence, held: list[list[list[int]]], names: list[str], share: int, centres: list[int]) -> None:
    """Move what was counted since the step began into the evidence."""
    for index, name in enumerate(names):
        for mine, variant in enumerate(VARIANTS):
            for score in (0, 1):
                count, held[index][mine][score] = held[index][mine][score], 0
                if count:
                    evidence.add(Cell(name, share, 0, centres[index], variant, score * GRID), count)
