"""What of a policy may be changed while its rollout is under way: its pace, and nothing that a proof is about.

Rule: the proofs hold at whatever time one looks, so clocks may be set anew at any time. Margins, chances, metrics,
caps, the unit, the ladder and the shadow are the question itself; with another question the evidence begins anew.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final

from .policy import Policy
from .rollout import Decision
from .rollout_by_hand import RolloutError
from .rollout_state import ENDED
from .strict import shown

if TYPE_CHECKING:
    from .rollout_state import State

PACE: Final = (
    "step_seconds", "last_step_seconds", "deadline_seconds", "shadow_per_minute", "hold_back", "hold_back_seconds",
)  # fmt: skip
_TICK: Final = 0.001  # by so much a state moves on at least, so that whoever looks at the same time notices


class FixedError(RolloutError):
    """A part of a policy that cannot be changed now.

    Args:
        where: The part.
        why: Why not.
    """

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where


def repaced(before: Policy, after: Policy, state: State, now: float) -> Decision | None:
    """Decide about another policy for a rollout; None where it says the same.

    Args:
        before: The policy as it is.
        after: As it is asked for.
        state: Where the rollout stands.
        now: Unix seconds.

    Raises:
        FixedError: a part differs that cannot be changed.
        RolloutError: the rollout has ended.
    """
    changed = [one.name for one in fields(Policy) if getattr(before, one.name) != getattr(after, one.name)]
    if not changed:
        return None
    if state.phase in ENDED:
        raise RolloutError(f"the rollout is {state.phase.replace('_', ' ')}; a new one begins with a policy of its own")
    for name in changed:
        if name not in PACE:
            raise FixedError(name, "what is proven so far is about it; end the rollout and begin another one with it")
    if "hold_back" in changed and "held_back" in {state.phase, state.paused_from}:
        raise FixedError("hold_back", "the candidate has its calls already; roll back, or wait for the end")
    said = ", ".join(f"{name} {shown(getattr(before, name))} → {shown(getattr(after, name))}" for name in changed)
    state = replace(state, seen=max(now, state.seen + _TICK))
    return Decision("hold", "pace", f"the policy was changed by hand: {said}", state, state.seen)
