"""What of a policy may change while its rollout is under way."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from logos_shift_openai.core.evidence import Evidence
from logos_shift_openai.core.policy import Guarded, Policy
from logos_shift_openai.core.rollout import begin, decide, promoted, stopped
from logos_shift_openai.core.rollout_by_hand import RolloutError, by_hand
from logos_shift_openai.core.rollout_pace import PACE, FixedError, repaced

POLICY = Policy(shadow_pairs=5)
OTHERS = {
    "margin": 0.3, "rollback_margin": 0.01, "alpha": 0.2, "alpha_promote": 0.2, "spend": True, "ladder": (7, 10_000),
    "primary": Guarded("valid"), "guardrails": (), "unit": "call", "shadow_pairs": 0, "compare": "text",
    "least_agreement": 0.5, **dict.fromkeys(PACE, 77),
}  # fmt: skip


@pytest.mark.parametrize("name", [one.name for one in fields(Policy)])
def test_each_part_is_pace_or_is_fixed(name):
    """A part that is new to policies must be put on one side."""
    state, after = begin(POLICY, 10.0), replace(POLICY, **{name: OTHERS[name]})
    if name not in PACE:
        with pytest.raises(FixedError, match=name) as caught:
            repaced(POLICY, after, state, 11.0)
        assert caught.value.where == name
        return
    decision = repaced(POLICY, after, state, 11.0)
    assert (decision.action, decision.event) == ("hold", "pace")
    assert f"{name} " in decision.why
    assert replace(decision.state, seen=state.seen) == state


def test_the_state_moves_on_so_that_a_look_beside_it_notices():
    """Even within the same moment, and with a clock that went back."""
    state, after = begin(POLICY, 10.0), replace(POLICY, step_seconds=1)
    assert repaced(POLICY, after, state, 10.0).state.seen > 10.0
    assert repaced(POLICY, after, state, 3.0).state.seen > 10.0


def test_the_same_policy_is_no_change():
    """And the end takes none."""
    state = begin(POLICY, 10.0)
    assert repaced(POLICY, Policy(shadow_pairs=5), state, 11.0) is None
    with pytest.raises(RolloutError, match="rolled back"):
        repaced(POLICY, replace(POLICY, step_seconds=1), stopped(state), 11.0)


def test_what_is_held_back_is_fixed_by_the_promotion():
    """Also while that is paused; for how long is not."""
    state = promoted(POLICY, begin(POLICY, 10.0), {})
    paused = by_hand("pause", POLICY, state, Evidence(), 11.0).state
    for one in (state, paused):
        with pytest.raises(FixedError, match="hold_back"):
            repaced(POLICY, replace(POLICY, hold_back=7), one, 12.0)
        assert repaced(POLICY, replace(POLICY, hold_back_seconds=7), one, 12.0) is not None


def test_a_new_clock_counts_from_the_next_look():
    """A deadline that is moved up has passed at once."""
    policy = replace(POLICY, shadow_pairs=0)
    state = begin(policy, 0.0)
    assert decide(policy, state, Evidence(), 50.0).event is None
    after = replace(policy, deadline_seconds=40)
    moved = repaced(policy, after, state, 50.0).state
    assert decide(after, moved, Evidence(), 51.0).event == "late"
