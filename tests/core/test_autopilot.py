"""The autopilot's table: each phase, what it looks at, and in which words it says what it does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from logos_shift_openai.core.autopilot import COSTS, SERVES, Facts, State, approve, next_step, state_of
from logos_shift_openai.core.autopilot_policy import AutopilotPolicy, autopilot_from
from logos_shift_openai.core.strict import ConfigError

ON = AutopilotPolicy(("big",), "small", mode="on", tuner="command")
DAY = 86_400_000
GATE = {"least": 0.9, "by": "mean", "coverage": 0.5}
TABLE = [
    ("waiting", {}, {"good": 499}, "wait", "499 of 500 new good examples"),
    ("waiting", {}, {"good": 500}, "begin", "500 or more new good examples"),
    ("waiting", {}, {"good": 500, "under_way": "x"}, "wait", "the rollout of x is under way"),
    ("waiting", {"round": 1, "ended": 10 * DAY - 1}, {"good": 500}, "wait", "7 days are to lie between"),
    ("waiting", {"round": 1, "ended": 3 * DAY}, {"good": 500}, "begin", "500 or more"),
    ("waiting", {}, {"good": 500, "jobs": 4}, "wait", "4 tuning jobs of this month's 4 are used"),
    ("building", {}, {}, "build", "an edition is cut"),
    ("built", {}, {"rows": 199}, "end", "199 rows to train on, 200 are the least"),
    ("built", {}, {"rows": 200}, "tune", "200 rows, trained by command for an estimated $0.00"),
    ("tuning", {}, {"state": "running", "said": "step 3"}, "wait", "the tuning job is running: step 3"),
    ("tuning", {}, {"state": "succeeded", "said": "m answers"}, "follow", "the training has ended: m answers"),
    ("tuning", {}, {"state": "failed", "said": "no memory"}, "end", "the tuning job failed: no memory"),
    ("tuning", {}, {"state": "unsure", "said": "look"}, "wait", "the tuning job is unsure: look"),
    ("tuned", {}, {}, "evaluate", "asked what is held out"),
    ("evaluating", {}, {"state": "open", "said": "3 rows"}, "judge", "3 rows"),
    ("evaluating", {}, {"state": "passed", "said": "90 %"}, "follow", "90 %"),
    ("evaluating", {}, {"state": "failed", "said": "50 %"}, "end", "not rolled out: 50 %"),
    ("evaluated", {}, {"said": "90 %"}, "roll_out", "90 %"),
    ("evaluated", {}, {"under_way": "x"}, "wait", "the rollout of x is under way"),
    ("rolling", {}, {"state": "ramping", "said": "held"}, "wait", "the rollout is ramping: held"),
    ("rolling", {}, {"state": "held_back", "said": "proven"}, "end", "proven"),
    ("rolling", {}, {"state": "rolled_back", "said": "harm"}, "end", "no gate of confidence keeps 95%"),
    ("rolling", {}, {"state": "rolled_back", "said": "harm", "gate": GATE}, "try_gate", "behind a gate 50% of"),
    ("rolling", {"gated": True}, {"state": "rolled_back", "said": "harm", "gate": GATE}, "end", "harm"),
]


@pytest.mark.parametrize(("phase", "state", "facts", "does", "why"), TABLE)
def test_each_phase(phase, state, facts, does, why):
    """One step, with its why."""
    step = next_step(ON, State(phase, **state), Facts(**facts), 10 * DAY)
    assert step.do == does
    assert why in step.why


@pytest.mark.parametrize(("phase", "state", "facts", "does", "why"), TABLE)
def test_notify_asks_before_what_costs_or_serves_and_for_nothing_else(phase, state, facts, does, why):
    """And does it once the very step is approved, not another one."""
    policy, before, known = replace(ON, mode="notify"), State(phase, **state), Facts(**facts)
    step = next_step(policy, before, known, 10 * DAY)
    if does not in COSTS | SERVES:
        assert step.do == does
        return
    assert (step.do, step.of) == ("ask", does)
    assert why in step.why
    asked = replace(before, asked=step.of, told=step.needs)
    assert next_step(policy, approve(asked), known, 10 * DAY).do == does
    assert next_step(policy, replace(before, approved="something else"), known, 10 * DAY).do == "ask"


@pytest.mark.parametrize(("phase", "state", "facts", "does", "why"), TABLE)
def test_off_begins_and_spends_nothing(phase, state, facts, does, why):
    """What is rolled out is followed to its end all the same, without a gate."""
    step = next_step(replace(ON, mode="off"), State(phase, **state), Facts(**facts), 10 * DAY)
    assert step.do in ({"wait", "end"} if phase == "rolling" else {"wait"})


def test_a_budget_is_kept():
    """Before the training by its estimate, before the questions by what is spent; an unknown price waits for one."""
    policy = replace(ON, tuner="openai", money_per_month=10.0)
    built = State("built")
    assert next_step(policy, built, Facts(rows=500), 0).needs == "price"
    assert next_step(policy, built, Facts(rows=500, estimate=4.0, spent=6.0), 0).do == "tune"
    late = next_step(policy, built, Facts(rows=500, estimate=4.0, spent=6.01), 0)
    assert (late.do, late.needs) == ("wait", "money")
    assert "estimated at $4.00, and $6.01 of this month's $10.00" in late.why
    assert next_step(policy, State("tuned"), Facts(spent=10.0), 0).do == "wait"
    assert next_step(policy, State("tuned"), Facts(spent=9.9), 0).do == "evaluate"


def test_the_rarest_answer_counts():
    """Where the policy asks for it."""
    policy = replace(ON, per_answer=5)
    assert next_step(policy, State("built"), Facts(rows=500, fewest=4), 0).do == "end"
    assert next_step(policy, State("built"), Facts(rows=500, fewest=5), 0).do == "tune"


def test_a_policy_is_read_strictly():
    """What is written is read back; rollouts of an autopilot share their chance of a false promotion."""
    policy = autopilot_from(
        {"models": ["big"], "base": "small", "settings": {"epochs": 3}, "rollout": {"margin": 0.05}}
    )
    assert autopilot_from(policy.to_json()) == policy
    assert (policy.mode, policy.rollout.spend, policy.rollout.margin) == ("notify", True, 0.05)
    for fault, said in (
        ({}, "models: missing"),
        ({"models": [], "base": "b"}, "models: none"),
        ({"models": ["m"], "base": "b", "mode": "auto"}, "mode: "),
        ({"models": ["m"], "base": "b", "settings": {"epoch": 3}}, "settings.epoch: not known"),
        ({"models": ["m"], "base": "b", "gate": {"floor": 2}}, "gate.floor"),
        ({"models": ["m"], "base": "b", "rollout": {"margin": 2}}, "rollout.margin"),
        ({"models": ["m"], "base": "b", "heldout": 0}, "heldout"),
    ):
        with pytest.raises(ConfigError, match=said):
            autopilot_from(fault)


def test_a_state_is_read_back():
    """As it was written."""
    state = State("tuning", 2, 3, 4, 5, job="tune-1", candidate={"model": "m"})
    assert state_of(state.to_json()) == state
    assert approve(state) is None
