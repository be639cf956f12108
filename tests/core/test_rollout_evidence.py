"""Evidence: counts without an order, and scores that are refused."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.evidence import GRID, Cell, Draw, Evidence, ScoreError, on_grid
from logos_shift_openai.core.metrics import METRICS, UnknownMetricError, score_of
from logos_shift_openai.core.rollout_state import draw_at
from logos_shift_openai.core.strict import ConfigError
from logos_shift_openai.core.wealth import log_wealth, not_worse, worse_by

DRAWS = st.sampled_from([(100, 0), (500, 0), (500, 100), (5_000, 0), (5_000, 500), (9_900, 0)])
CELLS = st.builds(
    lambda draw, centre, variant, score: Cell("success", *draw, centre, variant, score),
    DRAWS,
    st.sampled_from([300, 540, 597]),
    st.sampled_from(["baseline", "candidate"]),
    st.integers(0, GRID),
)


@given(st.lists(CELLS, max_size=60), st.randoms(use_true_random=False))
def test_wealth_has_no_order(cells, dice):
    """Shuffled, split, merged and read back from JSON, the records give the same wealth to the last bit."""
    plain = Evidence()
    for cell in cells:
        plain.add(cell)
    shuffled = list(cells)
    dice.shuffle(shuffled)
    parts = [Evidence(), Evidence()]
    for place, cell in enumerate(shuffled):
        parts[place % 2].add(cell)
    parts[1].merge(parts[0])
    again = Evidence.from_rows(json.loads(json.dumps(parts[1].rows())))
    assert again == plain
    for claim in (not_worse(0.02), worse_by(0.02), worse_by(0.4)):
        assert log_wealth(claim, again.of("success")) == log_wealth(claim, plain.of("success"))


def test_a_score_taken_back_leaves_nothing():
    """A corrected score is the old one taken off and the new one added."""
    evidence, cell = Evidence(), Cell("success", 100, 0, 540, "candidate", GRID)
    evidence.add(cell)
    evidence.add(cell, -1)
    assert evidence == Evidence()
    assert len(evidence) == 0


def test_means_and_units_are_of_a_variant():
    """Each variant has its own mean, over all draws; where there is nothing, there is none."""
    evidence = Evidence(
        {Cell("success", 100, 0, 540, "candidate", 300): 1, Cell("success", 500, 0, 540, "candidate", 600): 3}
    )
    assert evidence.mean("success", "candidate") == pytest.approx(0.875)
    assert evidence.units("success", "candidate") == 4
    assert evidence.mean("success", "baseline") is None
    assert evidence.mean("errors", "candidate") is None


def test_a_second_draw_has_its_own_chance():
    """A unit that stayed on the baseline at one share is drawn among those that did; no rise is no draw."""
    assert draw_at(500, None) == Draw(500)
    assert draw_at(500, 100).chance == Fraction(400, 9_900)
    assert draw_at(500, 500) is None


@pytest.mark.parametrize("score", [-0.001, 1.001, math.nan, math.inf, "1", None, True])
def test_scores_that_are_none(score):
    """What is not a number in [0, 1] is refused by what it is."""
    with pytest.raises(ScoreError, match=r"score is (a number from 0 to 1|in 0\.\.1), not"):
        on_grid(score)


@given(st.floats(0, 1))
def test_the_grid_is_near(score):
    """A score moves by at most half a step."""
    assert abs(on_grid(score) / GRID - score) <= 0.5 / GRID + 1e-12


@given(st.integers(1, 6), st.data())
def test_means_of_few_are_exact(units, data):
    """The mean of up to six successes and failures is on the grid."""
    right = data.draw(st.integers(0, units))
    assert Fraction(on_grid(right / units), GRID) == Fraction(right, units)


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        (Cell("no good", 100, 0, 540, "candidate", 1), "metric"),
        (Cell("success", 100, 0, 540, "winner", 1), "variant"),
        (Cell("success", 10_001, 0, 540, "candidate", 1), "share"),
        (Cell("success", 100, 500, 540, "candidate", 1), "after"),
        (Cell("success", 100, 0, 601, "candidate", 1), "centre"),
        (Cell("success", 100, 0, 540, "candidate", -1), "score"),
        (Cell("success", 100, 0, 540, "candidate", 0.5), "score"),
        (Cell("success", 100, 0, 540, "candidate", True), "score"),
    ],
)
def test_cells_that_cannot_be(cell, fault):
    """A cell off its scales is refused with the name of the field, from code and from JSON."""
    with pytest.raises(ScoreError, match=f"^{fault}: "):
        Evidence().add(cell)
    with pytest.raises(ConfigError, match=rf"^evidence\[0\]: {fault}: "):
        Evidence.from_rows([[*cell, 1]])


@pytest.mark.parametrize("rows", [{}, [1], [["success"]], [["success", 1, 0, 1, "candidate", 1, 1.5]]])
def test_rows_that_are_none(rows):
    """JSON that is no evidence is refused."""
    with pytest.raises(ConfigError, match="evidence"):
        Evidence.from_rows(rows)


def test_values_become_scores():
    """Rates where less is better are turned; quantities are cut at their cap."""
    assert score_of("success", 1) == GRID
    assert score_of("errors", 1) == 0
    assert score_of("latency", 250, cap=1_000) == 450
    assert score_of("cost", 5.0, cap=1.0) == 0
    assert score_of("latency", math.inf, cap=1_000) == 0


@pytest.mark.parametrize(
    ("name", "value", "cap", "fault"),
    [
        ("succes", 1, None, "'succes' is no metric; known are success, "),
        ("errors", math.nan, None, "errors: nan is not a number"),
        ("errors", 1.5, None, r"errors: 1\.5 is not in 0\.\.1"),
        ("latency", -1, 1_000, "latency: -1 is below 0"),
        ("latency", 1, None, "latency: a cap is needed"),
        ("latency", 1, math.nan, "latency: a cap is needed"),
    ],
)
def test_values_that_are_refused(name, value, cap, fault):
    """Each bad value is told by metric and value."""
    with pytest.raises(ScoreError, match=fault):
        score_of(name, value, cap=cap)


def test_an_unknown_metric_has_an_error_of_its_own():
    with pytest.raises(UnknownMetricError):
        score_of("x", 1)
    assert all(metric.words for metric in METRICS.values())


def test_a_rate_of_what_lies_above_a_limit():
    """At the limit is not above it; without a limit there is no rate."""
    scores = [score_of("slow", value, cap=100.0) for value in (0, 100.0, 100.1, float("inf"))]
    assert scores == [GRID, GRID, 0, 0]
    with pytest.raises(ScoreError, match="slow: a cap is needed"):
        score_of("slow", 5.0)
