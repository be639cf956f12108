"""Many candidates of one dataset, one after the other, each worse by exactly the margin: is any of them promoted?

At half of the traffic and with a wide margin, so that a candidate of some thousand units has its chance to look good.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.rollout import ours
from logos_shift_openai.core.spending import part_of

if TYPE_CHECKING:
    from random import Random

    from benchmarks.rollout.ours import End
    from logos_shift_openai.core.policy import Policy

CANDIDATES, UNITS, SHARE = 20, 1_500, 5_000


def run(dice: Random, policy: Policy, base: float) -> End:
    """Run one sequence; it ends at the first candidate that is promoted, and is open where none is.

    Args:
        dice: Where the units come from.
        policy: Its margin, alpha and whether the candidates share it.
        base: The baseline's success.
    """
    pair = [(base, base - policy.margin)]
    for number in range(1, CANDIDATES + 1):
        alpha = policy.alpha_promote * (part_of(number, 0) if policy.spend else 1)
        one = replace(policy, alpha_promote=alpha)
        end = ours.run(dice, one, lambda _unit: pair, UNITS, share=SHARE, rollback=False)
        if end.how == "promoted":
            break
    return end
