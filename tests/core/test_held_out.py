"""The gate's rules: what passes, what does not, and in which words."""

from __future__ import annotations

import pytest

from logos_shift_openai.core.held_out import Judged, Rules, report, rules_from
from logos_shift_openai.core.strict import ConfigError


def rows(right, wrong, answer="yes", valid=None):
    return [Judged(answer, 1.0, valid)] * right + [Judged(answer, 0.0, valid)] * wrong


def test_enough_agreement_passes():
    """At the floor, with the mean, its interval and the table."""
    found = report(Rules(floor=0.9), rows(90, 10), 200)
    assert found.passed
    assert (found.rows, found.held_out, found.agreement) == (100, 200, 0.9)
    assert found.low < 0.9 < found.high
    assert found.why == "90.0% of 100 held-out answers agree"
    assert [tuple(one) for one in found.answers] == [("yes", 100, 0.9, True)]


@pytest.mark.parametrize(
    ("rules", "given", "said"),
    [
        (Rules(floor=0.9), rows(89, 11), "89.0% of 100 held-out answers agree, the floor is 90.0%"),
        (Rules(), rows(29, 0), "29 held-out answers are too few to tell, 30 are the least"),
        (Rules(rows=0), [], "0 held-out answers are too few"),
        (Rules(), rows(97, 0, valid=True) + rows(3, 0, valid=False), "97.0% are the JSON"),
        (Rules(), rows(90, 0) + rows(2, 8, "no"), "1 of the answers agree less than 30%, the worst 20% of 10 rows"),
        (Rules(every_answer=True), rows(50, 0) + rows(9, 0, "no"), "1 of 2 answers have fewer than 10"),
    ],
)
def test_each_floor_keeps_off_by_itself(rules, given, said):
    """And says which, and by how much."""
    found = report(rules, given, len(given))
    assert not found.passed
    assert said in found.why


def test_a_rare_answer_is_not_judged_by_itself():
    """Nine rows of ten that are asked for: in the table, and no fault."""
    found = report(Rules(), rows(91, 0) + rows(0, 9, "no"), 100)
    assert found.passed
    assert [one.judged for one in found.answers] == [True, False]


def test_rules_are_read_strictly():
    """What is written is read back; a fault is named with its path."""
    rules = Rules(floor=0.7, money=1.5, every_answer=True)
    assert rules_from(rules.to_json()) == rules
    with pytest.raises(ConfigError, match=r"gate\.floor: 2 is not in 0\.\.1"):
        rules_from({"floor": 2}, "gate")
    with pytest.raises(ConfigError, match="flor: not known here"):
        rules_from({"flor": 0.5})
