"""One alpha for many candidates: how it is parted, and what the rollout makes of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from logos_shift_openai.core.evidence import GRID, Cell, Evidence
from logos_shift_openai.core.findings import look_at
from logos_shift_openai.core.policy import Policy, policy_from
from logos_shift_openai.core.rollout import begin, decide
from logos_shift_openai.core.rollout_state import Step, state_from
from logos_shift_openai.core.spending import part_of
from logos_shift_openai.core.strict import ConfigError

POLICY = Policy(margin=0.05, spend=True)
DAY = 86_400


def test_the_parts_sum_to_one():
    """Over all candidates, while none is promoted; each promotion adds a whole first factor."""
    total = math.fsum(part_of(number, 0) for number in range(1, 100_000))
    assert total == pytest.approx(1, abs=1e-5)
    assert total < 1
    assert part_of(1, 0) == pytest.approx(0.6079, abs=1e-4)
    assert [part_of(10, proven) / part_of(10, 0) for proven in (0, 1, 9)] == pytest.approx([1, 2, 10])
    assert all(part_of(number, number - 1) <= 1 for number in range(1, 50))


@pytest.mark.parametrize(("number", "proven"), [(0, 0), (1, 1), (3, -1)])
def test_what_is_no_rollout(number, proven):
    with pytest.raises(ValueError, match="does not follow"):
        part_of(number, proven)


def evidence_at(share, units):
    """Two metrics on which both variants are alike, in the ratio of the draw."""
    evidence = Evidence()
    for metric, right in (("success", 0.9), ("errors", 0.99)):
        for variant, part in (("baseline", 10_000 - share), ("candidate", share)):
            count = units * part // 10_000
            evidence.add(Cell(metric, share, 0, 540, variant, GRID), round(count * right))
            evidence.add(Cell(metric, share, 0, 540, variant, 0), count - round(count * right))
    return evidence


def at_half(number, proven):
    state = replace(begin(POLICY, 0), number=number, proven=proven)
    return replace(state, steps=(Step(5_000, 0, {"success": 540, "errors": 540}),))


def test_only_the_promotion_is_harder():
    """The same proof promotes the first candidate and not the tenth; with promotions before it the tenth too."""
    evidence = evidence_at(5_000, 2_000)
    safe = min(one.safe for one in look_at(POLICY, evidence, 10_000).guarded)
    assert -math.log(0.05 * part_of(1, 0)) < safe < -math.log(0.05 * part_of(10, 0))
    assert safe > -math.log(0.05 * part_of(10, 9))
    assert decide(POLICY, at_half(1, 0), evidence, DAY).event == "proven"
    held = decide(POLICY, at_half(10, 0), evidence, DAY)
    assert held.action == "hold"
    assert "of 3290" in held.why
    assert held.why.endswith(
        "(rollout 10 of its dataset, promoted by proof 0 times before; all of them share one chance of 0.05)"
    )
    assert decide(POLICY, at_half(10, 9), evidence, DAY).event == "proven"
    assert decide(replace(POLICY, spend=False), at_half(10, 0), evidence, DAY).event == "proven"
    early = replace(at_half(10, 0), steps=(Step(100, 0, {"success": 540, "errors": 540}),))
    ramp = decide(POLICY, early, evidence_at(100, 20_000), DAY)
    assert ramp.event == "safe"


def test_number_and_policy_survive_as_json():
    """States and policies of before have the first number and no spending."""
    state = replace(begin(POLICY, 1), number=7, proven=2)
    assert state_from(json.loads(json.dumps(state.to_json()))) == state
    old = {name: value for name, value in state.to_json().items() if name not in {"number", "proven"}}
    assert (state_from(old).number, state_from(old).proven) == (1, 0)
    with pytest.raises(ConfigError, match="proven: 7 is not below the number 7"):
        state_from({**state.to_json(), "proven": 7})
    assert policy_from(POLICY.to_json()) == POLICY
    assert not policy_from({}).spend
    with pytest.raises(ConfigError, match="spend: 1 is neither true nor false"):
        policy_from({"spend": 1})


def test_stakes_sum_to_one():
    """Whatever the number of guardrails, most is on the primary metric."""
    for count in range(5):
        stakes = replace(POLICY, guardrails=POLICY.guardrails * count).stakes
        assert math.fsum(stakes) == pytest.approx(1)
        assert len(stakes) == count + 1
        assert stakes[0] == max(stakes)
