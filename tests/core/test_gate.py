"""The confidence gate: what a confidence is, and that a chosen gate keeps what it promises."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.config_reading import parse_config
from logos_shift_openai.core.gate import (
    FEWEST,
    Compared,
    Gate,
    choose,
    confidences,
    confidences_in,
    upper_bound,
)
from logos_shift_openai.core.strict import ConfigError


def test_confidences():
    """Whole answer, geometric mean, least sure token; a rounding above 1 counts as 1."""
    found = confidences([math.log(0.5), math.log(0.8), 1e-9])
    assert found == pytest.approx({"sequence": 0.4, "mean": 0.4 ** (1 / 3), "least": 0.5})
    assert confidences([]) is None
    assert confidences([math.nan, 0.0]) is None
    assert confidences([-math.inf]) == {"sequence": 0, "mean": 0, "least": 0}


def test_equal_confidences_are_equal_however_they_were_reckoned():
    """The same probability in one token or in three: a rounding in the last place tells no answers apart."""
    assert math.exp(3 * math.log(0.1)) != 0.001
    assert confidences([math.log(0.1)] * 3)["sequence"] == confidences([math.log(0.001)])["sequence"] == 0.001


@pytest.mark.parametrize(
    "answer",
    [None, [], "text", {}, {"choices": None}, {"choices": []}, {"choices": [None]}, {"choices": [{"logprobs": None}]},
     {"choices": [{"logprobs": {"content": []}}]}, {"choices": [{"logprobs": {"content": ["x"]}}]},
     {"choices": [{"logprobs": {"content": [{"logprob": "x"}]}}]}],
)  # fmt: skip
def test_unknown_confidence_never_passes(answer):
    assert confidences_in(answer) is None
    assert not Gate(1e-12).passes(confidences_in(answer))


def test_least_sure_choice_counts():
    def choice(*logs):
        return {"logprobs": {"content": [{"logprob": one} for one in logs]}}

    assert confidences_in({"choices": [choice(0.0), choice(-1.0, 0.0)]})["least"] == pytest.approx(math.exp(-1))
    assert confidences_in({"choices": [choice(0.0), {"logprobs": None}]}) is None


@pytest.mark.parametrize(
    ("hits", "of", "chance", "bound"),
    [
        (0, 59, 0.05, 0.04950),
        (0, 299, 0.05, 0.009969),
        (5, 100, 0.05, 0.10225),
        (10, 100, 0.025, 0.17622),
        (7, 7, 0.05, 1),
    ],
)
def test_upper_bound(hits, of, chance, bound):
    """Figures of Clopper and Pearson's bound; for no hit it is 1 - chance ** (1 / of)."""
    assert upper_bound(hits, of, chance) == pytest.approx(bound, rel=2e-3)
    if hits == 0:
        assert upper_bound(hits, of, chance) == pytest.approx(1 - chance ** (1 / of), rel=1e-9)


def drawn(dice, answers, right_at):
    """Answers whose chance to agree rises with their confidence."""
    for _ in range(answers):
        sure = dice.random()
        agrees = dice.random() < right_at(sure)
        yield Compared({"sequence": sure**2, "mean": sure, "least": sure / 2}, float(agrees))


def test_chosen_gate_keeps_its_promise():
    """Over many draws, the true part of differing calls exceeds what is borne at most as often as was said."""
    borne, broken, coverage = 0.03, 0, []
    for seed in range(300):
        found = choose(list(drawn(random.Random(seed), 400, lambda sure: 0.6 + 0.4 * sure)), 1 - borne)
        if found is None:
            coverage.append(0.0)
            continue
        least = found.gate.least ** (0.5 if found.gate.by == "sequence" else 1) * (2 if found.gate.by == "least" else 1)
        coverage.append(found.coverage)
        broken += 0.4 * (1 - least) ** 2 / 2 > borne  # the integral of 0.4 (1 - sure) from `least` to 1
    assert broken <= 0.05 * 300
    assert sorted(coverage)[150] > 0.15  # the widest that is true lets 39 % through


def test_better_candidate_answers_more():
    dice = random.Random(1)
    coverage = [
        choose(list(drawn(dice, 2_000, lambda sure, worst=worst: worst + (1 - worst) * sure)), 0.98).coverage
        for worst in (0.5, 0.9, 0.99)
    ]
    assert coverage == sorted(coverage)
    assert coverage[-1] == 1


def test_nothing_proven():
    """Too few answers, a candidate that is sure of wrong ones, or one that tells nothing: no gate."""
    sure = {"sequence": 1.0, "mean": 1.0, "least": 1.0}
    assert choose([Compared(sure, 1.0)] * (FEWEST - 1), 0.5) is None
    assert choose([Compared(sure, 0.0)] * 500, 0.98) is None
    assert choose([Compared(None, 1.0)] * 500, 0.98) is None
    assert choose([], 0.98) is None


def test_equal_confidences_pass_together():
    """A gate cannot tell answers of one confidence apart, so wrong ones among them count whatever their order."""
    same = {"sequence": 0.9, "mean": 0.9, "least": 0.9}
    answers = [Compared(same, 1.0)] * 400 + [Compared(same, 0.0)] * 100
    assert choose(answers, 0.98) is None
    assert choose(answers[::-1], 0.98) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=FEWEST, max_size=200), st.randoms())
def test_order_does_not_matter(found, dice):
    answers = [Compared({"sequence": sure, "mean": sure, "least": sure}, float(agrees)) for sure, agrees in found]
    chosen = choose(answers, 0.8)
    dice.shuffle(answers)
    assert choose(answers, 0.8) == chosen
    if chosen is not None:
        passing = [one for one in answers if chosen.gate.passes(one.confidences)]
        assert len(passing) == chosen.passed
        assert sum(one.agreement < 1 for one in passing) == chosen.differing
        assert chosen.bound <= 0.2


def config(gate):
    candidate = '{"model": "c", "gate": %s}' % gate  # noqa: UP031 - braces
    return '{"version": 1, "experiments": [{"key": "k", "share": 0, "salt": "s", "candidate": %s}]}' % candidate  # noqa: UP031


def test_in_the_config():
    (one,) = parse_config(config('{"least": 0.9, "by": "least"}')).experiments
    assert one.candidate.gate == Gate(0.9, "least")
    assert parse_config(config("null")).experiments[0].candidate.gate is None


@pytest.mark.parametrize(
    ("gate", "fault"),
    [("{}", "gate.least: missing"), ('{"least": 2}', "gate.least: 2 is not in"), ('{"least": 0}', "gate.least: 0 is not"),
     ('{"least": 0.5, "by": "x"}', "gate.by:"), ('{"least": 0.5, "x": 1}', "gate.x: not known")],
)  # fmt: skip
def test_bad_config(gate, fault):
    with pytest.raises(ConfigError, match=fault):
        parse_config(config(gate))
