"""Wealth: its expectation under each claim, computed exactly over all outcomes of a unit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.evidence import GRID, Cell, Draw
from logos_shift_openai.core.sample_ratio import log_ratio_wealth
from logos_shift_openai.core.wealth import (
    fractions,
    log_mean,
    log_wealth,
    loss_beyond,
    loss_within,
    not_worse,
    steps,
    worse_by,
    z_of,
)

DRAWS = st.sampled_from([Draw(100), Draw(500), Draw(500, 100), Draw(5_000), Draw(9_900)])
CENTRES = st.integers(3, GRID - 3)
RATES = st.floats(0, 1)
MARGINS = st.floats(0.001, 0.5)


def mean_factors(claim, draw, centre, base, candidate):
    """Give the expected factor of one unit's bets, for scores of 0 and 1 at the given rates."""
    chance, total = float(draw.chance), [0.0] * len(claim.effects)
    for variant, part, rate in (("candidate", chance, candidate), ("baseline", 1 - chance, base)):
        for score, odds in ((GRID, part * rate), (0, part * (1 - rate))):
            for bet, step in enumerate(steps(claim, draw, centre, variant, score)):
                total[bet] += odds * math.exp(step)
    return total


@given(DRAWS, CENTRES, RATES, RATES, st.floats(0.5, 2))
def test_z_is_the_difference(draw, centre, base, candidate, ratio):
    """The mean of Z is the candidate's mean minus the ratio times the baseline's, whatever draw and centre."""
    chance, c = float(draw.chance), centre / GRID
    mean = sum(
        part * (rate * z_of(variant, 1, chance, c, ratio) + (1 - rate) * z_of(variant, 0, chance, c, ratio))
        for variant, part, rate in (("candidate", chance, candidate), ("baseline", 1 - chance, base))
    )
    assert mean == pytest.approx(candidate - ratio * base, abs=1e-9)


@given(DRAWS, CENTRES, RATES, st.floats(0, 1), MARGINS)
def test_a_better_candidate_never_raises_the_harm(draw, centre, base, better, margin):
    """In the mean, the wealth against "not worse" does not grow where the candidate is as good or better."""
    candidate = base + better * (1 - base)
    assert max(mean_factors(not_worse(margin), draw, centre, base, candidate)) <= 1 + 1e-9


@given(DRAWS, CENTRES, RATES, st.floats(0, 1), MARGINS)
def test_a_candidate_beyond_the_margin_is_not_proven_safe(draw, centre, base, worse, margin):
    """In the mean, the wealth against "worse by m" does not grow where the candidate is worse by m or more."""
    if base >= margin:
        candidate = (base - margin) * worse
        assert max(mean_factors(worse_by(margin), draw, centre, base, candidate)) <= 1 + 1e-9


@given(DRAWS, CENTRES, RATES, RATES, st.floats(0.5, 2))
def test_ratios_of_losses(draw, centre, base, candidate, ratio):
    """Of the two claims about a ratio of losses, the one that is true loses nothing to its gambler in the mean."""
    within = (1 - candidate) <= ratio * (1 - base)
    claim = (loss_within if within else loss_beyond)(ratio, 0.02)
    assert max(mean_factors(claim, draw, centre, base, candidate)) <= 1 + 1e-9


@given(DRAWS, CENTRES, MARGINS, st.floats(0.05, 2), st.integers(0, GRID), st.sampled_from(["baseline", "candidate"]))
def test_no_unit_takes_everything(draw, centre, margin, risk, score, variant):
    """Every bet stays below the fraction at which a unit could take all."""
    for claim in (not_worse(margin), worse_by(risk), loss_within(1.2, margin), loss_beyond(0.7, margin)):
        assert all(0 <= one <= 1 for one in fractions(claim, draw, centre))
        assert all(math.exp(step) >= 0.09 for step in steps(claim, draw, centre, variant, score))


def cells(share, **counts):
    """Counts by name: c1 is a candidate's success, b0 a baseline's failure."""
    names = {"c": "candidate", "b": "baseline"}
    return {Cell("success", share, 0, 540, names[key[0]], GRID * int(key[1])): count for key, count in counts.items()}


def test_swapped_variants_swap_the_verdict():
    """At one half, harm of the one is harm of the other once the variants are swapped."""
    good, bad = cells(5_000, c1=260, c0=140, b1=370, b0=30), cells(5_000, b1=260, b0=140, c1=370, c0=30)
    assert log_wealth(not_worse(0.02), good) > math.log(20) > 0 > log_wealth(not_worse(0.02), bad)
    assert log_wealth(worse_by(0.02), bad) > math.log(20) > 0 > log_wealth(worse_by(0.02), good)


def test_a_total_failure_takes_three_calls():
    """At 1 % three failing calls of the candidate prove harm to one metric, four to one of five."""
    assert log_wealth(not_worse(0.02), cells(100, c0=3)) >= math.log(20)
    alone = [log_wealth(not_worse(0.02), cells(100, c0=4)), *(log_wealth(not_worse(0.02), cells(100, c1=4)),) * 4]
    assert log_mean(alone) >= math.log(20)


def test_certain_draws_say_nothing():
    """At 0 and at 100 % nothing was drawn, so nothing is learned."""
    for share in (0, 10_000):
        assert log_wealth(not_worse(0.02), cells(share, c0=50)) == pytest.approx(0)
        assert log_ratio_wealth(cells(share, c0=50)) == pytest.approx(0)


@given(DRAWS)
def test_a_right_split_gains_nothing(draw):
    """In the mean, the wealth against a right split stays what it is."""
    chance = float(draw.chance)
    one, other = (
        math.exp(log_ratio_wealth({Cell("units", draw.share, draw.after, 540, variant, 0): 1}))
        for variant in ("candidate", "baseline")
    )
    assert chance * one + (1 - chance) * other == pytest.approx(1)


def test_a_broken_split_is_seen():
    """A candidate that loses half of its units is caught, an even split is not."""
    assert log_ratio_wealth(cells(5_000, c1=200, b1=400)) > math.log(1_000)
    assert log_ratio_wealth(cells(5_000, c1=400, b1=400)) < 0
    assert log_ratio_wealth(cells(100, c1=0, b1=5_000)) > math.log(1_000)
