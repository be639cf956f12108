"""The why of a decision in words: for somebody who owns the product and need not know statistics."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from .agreement import standing
from .config import SHARE_MAX
from .metrics import METRICS
from .sample_ratio import ALARM_ALPHA

if TYPE_CHECKING:
    from collections.abc import Callable

    from .evidence import Evidence
    from .findings import Finding, Look
    from .policy import Policy
    from .rollout_state import State

AGREEMENT: Final = "agreement"
"""The name under which compared pairs of the shadow are counted, as the candidate's scores: 1 for the same answer."""

_ENDED: Final = {
    "paused": "paused by hand",
    "done": "all calls are the candidate's",
    "rolled_back": "all calls are the baseline's",
}


class Scene(NamedTuple):
    """What a decision is made of.

    Args:
        goal: The next share, in basis points; 10,000 is promotion.
    """

    policy: Policy
    state: State
    evidence: Evidence
    look: Look
    goal: int


def percent(share: int) -> str:
    """Write basis points as a percentage."""
    return f"{share / 100:g} %"


def why_move(scene: Scene, event: str) -> str:
    """Say why an event led to its move."""
    return _MOVES[event](scene)


def why_ended(state: State) -> str:
    """Say why nothing is decided any more, or for now."""
    return _ENDED[state.phase]


def why_hold(scene: Scene) -> str:
    """Say why nothing happens."""
    policy, state, look = scene.policy, scene.state, scene.look
    here, goal = percent(state.share), "a promotion" if scene.goal == SHARE_MAX else percent(scene.goal)
    if state.phase == "shadow":
        done = scene.evidence.units(AGREEMENT, "candidate")
        return f"in the shadow: {done} of {policy.shadow_pairs} calls are compared"
    if state.phase == "held_back":
        old, left = percent(SHARE_MAX - state.share), _time(policy.hold_back_seconds - state.waited)
        return f"promoted; {old} stay on the old model for another {left}, to see whether it was better after all"
    if look.behind:
        waits = "; ".join(_waiting(one, look.needed) for one in look.behind)
        return f"held at {here}: not yet proven safe for {goal}: {waits}{_spent(scene)}"
    if scene.goal == SHARE_MAX and look.missing is not None:
        return f"held at {here}: {look.missing}"
    wait = _time(policy.least_seconds(state.share) - state.waited)
    return f"held at {here}: proven safe for {goal}, but every step takes its time: {wait} more"


def _spent(scene: Scene) -> str:
    if not scene.policy.spend or scene.goal != SHARE_MAX:
        return ""
    state, times = scene.state, "time" if scene.state.proven == 1 else "times"
    return (
        f" (rollout {state.number} of its dataset, promoted by proof {state.proven} {times} before; "
        f"all of them share one chance of {scene.policy.alpha_promote:g})"
    )


def _harm(scene: Scene) -> str:
    chance = f"by luck alone this has a chance of at most {scene.policy.alpha:.3g}"
    return (
        f"rolled back from {percent(scene.state.share)}: {_standing(scene.look.culprit)}; the harm is proven ({chance})"
    )


def _proven(scene: Scene) -> str:
    shown = "; ".join(_standing(one) for one in scene.look.guarded)
    return f"promoted: it is proven that no metric is worse by its margin ({shown})"


def _late(scene: Scene) -> str:
    return f"back to the baseline: {_time(scene.policy.deadline_seconds)} have passed without a proof that it is safe"


def _alarm(scene: Scene) -> str:
    return (
        f"held at {percent(scene.state.share)}: the variants do not come in the ratio they were drawn in, seen in "
        f"{_called(scene.state.alarm)} (by luck alone a chance of at most {ALARM_ALPHA}), so no comparison can be "
        "trusted; find out why, then resume"
    )


def _safe(scene: Scene) -> str:
    shown = "; ".join(_standing(one) for one in scene.look.guarded)
    steps = f"from {percent(scene.state.share)} to {percent(scene.goal)}"
    return f"{steps}: it is proven that the whole stays within the margin there ({shown})"


def agreement_counts(evidence: Evidence) -> dict[int, int]:
    """Count the compared pairs by their score, in steps of the grid."""
    counts: Counter[int] = Counter()
    for cell, count in evidence.of(AGREEMENT).items():
        counts[cell.score] += count
    return dict(counts)


def _compared(scene: Scene) -> str:
    found = standing(agreement_counts(scene.evidence), scene.policy.alpha)
    told = "" if found.mean is None else f", the outputs agree in {found.mean:.1%} of them"
    return f"from the shadow to {percent(scene.goal)}: {found.pairs} calls are compared{told}"


def _apart(scene: Scene) -> str:
    found = standing(agreement_counts(scene.evidence), scene.policy.alpha)
    least, alpha = f"{scene.policy.least_agreement:.1%}", f"{scene.policy.alpha:.3g}"
    return (
        f"rolled back in the shadow: the outputs agree in {found.mean or 0:.1%} of {found.pairs} compared calls, "
        f"proven to be below the {least} that are wanted (by luck alone this has a chance of at most {alpha})"
    )


def _over(scene: Scene) -> str:
    return f"to 100 %: in {_time(scene.policy.hold_back_seconds)} the old model has not proven to be better"


_MOVES: Final[dict[str, Callable[[Scene], str]]] = {
    "apart": _apart,
    "harm": _harm,
    "proven": _proven,
    "late": _late,
    "alarm": _alarm,
    "safe": _safe,
    "compared": _compared,
    "over": _over,
}


def _called(metric: str | None) -> str:
    return METRICS[metric].words if metric in METRICS else "the drawn units"


def _standing(one: Finding) -> str:
    # Scores are all "higher is better"; an error rate is told as the rate of errors all the same.
    if one.baseline is None or one.candidate is None:
        return f"{one.words}: {one.units} scores, none to compare yet"
    known = METRICS.get(one.metric)
    if known is not None and known.capped:
        return f"{one.words}: {1 - one.candidate:.1%} of the cap against {1 - one.baseline:.1%}, {one.units} scores"
    turned = known is not None and known.direction == "lower"
    ours, theirs = (1 - one.candidate, 1 - one.baseline) if turned else (one.candidate, one.baseline)
    return f"{one.words}: {ours:.1%} against the baseline's {theirs:.1%}, {one.candidates} of {one.units} scores"


def _waiting(one: Finding, needed: float) -> str:
    if not one.units:
        return f"nothing is measured yet of {one.words}"
    return f"{_standing(one)}, proof at {math.exp(min(one.safe, needed)):.1f} of {math.exp(needed):.0f}"


def _time(seconds: float) -> str:
    for unit, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{max(seconds, 0):.0f} seconds"
