"""The rollout: a table of what happens in each phase, and `decide`, which looks once and says what to do and why.

The events of a phase are asked in the order in which they stand; the first that holds has its way, and silence holds.
Harm comes first, since going back is safe; then proof, so that a runner that slept through the deadline does not
throw a proof away; then the deadline; then the alarm about the split, which stops every further step. Shares only grow,
but for a rollback. A clock that jumps back stands still until it has caught up: time is the latest that was ever seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from .agreement import log_apart
from .config import SHARE_MAX
from .findings import Look, look_at
from .metrics import METRICS
from .rollout_state import ENDED, Phase, State, Step, centre_of
from .rollout_words import AGREEMENT, Scene, agreement_counts, why_ended, why_hold, why_move
from .spending import part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .evidence import Evidence
    from .policy import Policy

Action = Literal["hold", "ramp", "promote", "roll_back"]
Event = Literal["apart", "harm", "proven", "late", "alarm", "safe", "compared", "over"]


class Move(NamedTuple):
    """What an event leads to; "same" keeps the phase."""

    action: Action
    phase: Phase | Literal["same"]


TABLE: Final[dict[Phase, dict[Event, Move]]] = {
    "shadow": {
        "apart": Move("roll_back", "rolled_back"),
        "late": Move("roll_back", "rolled_back"),
        "compared": Move("ramp", "ramping"),
    },
    "ramping": {
        "harm": Move("roll_back", "rolled_back"),
        "proven": Move("promote", "held_back"),
        "late": Move("roll_back", "rolled_back"),
        "alarm": Move("hold", "same"),
        "safe": Move("ramp", "same"),
    },
    "held_back": {
        "harm": Move("roll_back", "rolled_back"),
        "alarm": Move("hold", "same"),
        "over": Move("ramp", "done"),
    },
    "paused": {},
    "done": {},
    "rolled_back": {},
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What one look led to.

    Args:
        action: What to do.
        event: What led to it: an event of the table, "by hand", or None where nothing happened.
        why: The reason, in words for somebody who owns the product and not the statistics.
        state: Where the rollout stands after it; the share for the config is `state.share`.
        at: When, in Unix seconds, never earlier than the look before.
        look: What the evidence said; None where it was not asked.
    """

    action: Action
    event: str | None
    why: str
    state: State
    at: float
    look: Look | None = None


def begin(policy: Policy, now: float, means: Mapping[str, float] | None = None) -> State:
    """Give the first state of a rollout.

    Args:
        policy: Its policy.
        now: Unix seconds.
        means: The baseline's mean scores as far as they are known from earlier calls; they only save units.
    """
    centres = {one.metric: centre_of((means or {}).get(one.metric)) for one in policy.guarded}
    shadow = policy.shadow_pairs > 0
    step = Step(0 if shadow else policy.ladder[0], now, centres)
    return State("shadow" if shadow else "ramping", (step,), started=now, seen=now)


def decide(policy: Policy, state: State, evidence: Evidence, now: float) -> Decision:
    """Look at the evidence and decide.

    Args:
        policy: The rollout's policy.
        state: Where it stands.
        evidence: The counts of the state's run.
        now: Unix seconds; a time before the last look counts as the last look's.
    """
    state = replace(state, seen=max(now, state.seen))
    if state.phase == "paused" or state.phase in ENDED:
        return Decision("hold", None, why_ended(state), state, state.seen)
    goal = SHARE_MAX if state.phase == "held_back" else policy.next_share(state.share)
    look = look_at(policy, evidence, goal, part_of(state.number, state.proven) if policy.spend else 1.0)
    if look.crooked and state.phase != "shadow" and state.alarm is None:
        state = replace(state, alarm=look.crooked[0])
    scene = Scene(policy, state, evidence, look, goal)
    for event, move in TABLE[state.phase].items():
        if _EVENTS[event](scene):
            return Decision(move.action, event, why_move(scene, event), _moved(scene, event, move), state.seen, look)
    return Decision("hold", None, why_hold(scene), state, state.seen, look)


def _next_is_safe(scene: Scene) -> bool:
    waited = scene.state.waited >= scene.policy.least_seconds(scene.state.share)
    return waited and scene.state.alarm is None and not scene.look.behind


def _apart(scene: Scene) -> bool:
    """Tell whether the outputs are proven to agree less than the policy wants, at this look or an earlier one."""
    least = scene.policy.least_agreement
    return least > 0 and log_apart(agreement_counts(scene.evidence), least) >= -math.log(scene.policy.alpha)


_EVENTS: Final[dict[Event, Callable[[Scene], bool]]] = {
    "apart": _apart,
    "harm": lambda scene: scene.look.harmful,
    "proven": lambda scene: scene.goal == SHARE_MAX and scene.look.missing is None and _next_is_safe(scene),
    "late": lambda scene: scene.state.seen - scene.state.started >= scene.policy.deadline_seconds,
    "alarm": lambda scene: scene.state.alarm is not None,
    "safe": lambda scene: scene.goal < SHARE_MAX and _next_is_safe(scene),
    "compared": lambda scene: scene.evidence.units(AGREEMENT, "candidate") >= scene.policy.shadow_pairs,
    "over": lambda scene: scene.state.waited >= scene.policy.hold_back_seconds,
}


def _moved(scene: Scene, event: Event, move: Move) -> State:
    """Give the state after an event."""
    policy, state = scene.policy, scene.state
    if move.action == "hold":
        return state
    if move.action == "roll_back":
        return stopped(state)
    centres = centres_so_far(policy, state, scene.evidence)
    if event == "proven":
        return promoted(policy, state, centres)
    if event == "over":
        return replace(state, phase="done").at(SHARE_MAX, centres)
    return replace(state, phase="ramping").at(scene.goal, centres)


def stopped(state: State) -> State:
    """Give the state after a rollback."""
    return replace(state, phase="rolled_back", paused_from=None).at(0, {})


def promoted(policy: Policy, state: State, centres: Mapping[str, int]) -> State:
    """Give the state after promotion: a new run, since the question is new and drift since then is to be seen."""
    if policy.hold_back == 0:
        return replace(state, phase="done", paused_from=None).at(SHARE_MAX, centres)
    share = max(state.share, SHARE_MAX - policy.hold_back)
    after = replace(state, phase="held_back", run=state.run + 1, alarm=None, paused_from=None)
    return after.at(share, centres)


def centres_so_far(policy: Policy, state: State, evidence: Evidence) -> dict[str, int]:
    """Give the baseline's means so far, for the step that begins; a metric without scores keeps its centre."""
    means = {one.metric: evidence.mean(one.metric, "baseline") for one in policy.guarded}
    return {name: state.step.centre(name) if mean is None else centre_of(mean) for name, mean in means.items()}


def decision_json(decision: Decision) -> dict[str, Any]:
    """Give a decision with the figures behind it for keeping and showing; wealths are natural logarithms."""
    look = decision.look
    figures = None
    if look is not None:
        figures = {
            "harm": look.harm if look.harm > float("-inf") else None,
            "crooked": list(look.crooked),
            "metrics": [
                {
                    "metric": one.metric,
                    "called": METRICS[one.metric].words,
                    "baseline": one.baseline,
                    "candidate": one.candidate,
                    "units": one.units,
                    "harm": one.harm,
                    "split": one.split,
                    "safe": one.safe if one.safe < float("inf") else None,
                }
                for one in look.guarded
            ],
        }
    return {
        "action": decision.action,
        "event": decision.event,
        "why": decision.why,
        "at": decision.at,
        "share": decision.state.share,
        "state": decision.state.to_json(),
        "look": figures,
    }
