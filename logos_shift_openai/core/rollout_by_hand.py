"""What a person may do to a rollout: pause, resume, promote, roll back. Each is a decision like the engine's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .config import SHARE_MAX
from .rollout import Action, Decision, centres_so_far, promoted, stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from .evidence import Evidence
    from .policy import Policy
    from .rollout_state import Phase, State

BY_HAND: Final[dict[str, tuple[Phase, ...]]] = {
    "pause": ("shadow", "ramping", "held_back"),
    "resume": ("paused", "shadow", "ramping", "held_back"),
    "promote": ("shadow", "ramping", "paused", "held_back"),
    "roll_back": ("shadow", "ramping", "paused", "held_back", "done"),
}
"""The phases in which a person may do what."""


class RolloutError(ValueError):
    """A step asked for by hand that the rollout's phase does not have."""


def by_hand(what: str, policy: Policy, state: State, evidence: Evidence, now: float) -> Decision:
    """Do what a person asks for: "pause", "resume", "promote" or "roll_back".

    A pause keeps the share, so that nobody changes sides by it, and stops the clocks of the step and of the deadline.
    Resuming after an alarm begins a new run at the same share: what was counted under a broken split is left behind.

    Raises:
        RolloutError: where the phase does not have it.
    """
    state = replace(state, seen=max(now, state.seen))
    if what not in BY_HAND:
        raise RolloutError(f"{what!r} is not one of {', '.join(BY_HAND)}")
    if state.phase not in BY_HAND[what] or (what == "resume" and state.phase != "paused" and state.alarm is None):
        raise RolloutError(f"a rollout that is {state.phase.replace('_', ' ')} has nothing to {what.replace('_', ' ')}")
    action, after = _HANDS[what](policy, state, evidence)
    return Decision(action, "by hand", f"{what.replace('_', ' ')} by hand", after, state.seen)


def _pause(_policy: Policy, state: State, _evidence: Evidence) -> tuple[Action, State]:
    return "hold", replace(state, phase="paused", paused_from=state.phase).at(state.share, state.step.centres)


def _resume(policy: Policy, state: State, evidence: Evidence) -> tuple[Action, State]:
    if state.alarm is not None:
        state = replace(state, run=state.run + 1, alarm=None)
    if state.paused_from is None:
        return "hold", state.at(state.share, centres_so_far(policy, state, evidence))
    # The pause is a step of its own; the one before it goes on where it stood.
    away, before = state.seen - state.step.since, state.steps[-2]
    since = before.since + away
    back = replace(state, phase=state.paused_from, paused_from=None, started=state.started + away)
    return "hold", replace(back, steps=(*state.steps, replace(before, since=since, run=state.run)))


def _promote(policy: Policy, state: State, evidence: Evidence) -> tuple[Action, State]:
    if (state.paused_from or state.phase) == "held_back":
        ended = replace(state, phase="done", alarm=None, paused_from=None)
        return "promote", ended.at(SHARE_MAX, state.step.centres)
    return "promote", promoted(policy, state, centres_so_far(policy, state, evidence))


def _roll_back(_policy: Policy, state: State, _evidence: Evidence) -> tuple[Action, State]:
    return "roll_back", stopped(state)


_HANDS: Final[dict[str, Callable[[Policy, State, Evidence], tuple[Action, State]]]] = {
    "pause": _pause,
    "resume": _resume,
    "promote": _promote,
    "roll_back": _roll_back,
}
