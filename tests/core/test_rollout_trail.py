"""The trail: bounded, whole from first to last, and what cannot be told is None."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.evidence import Evidence
from logos_shift_openai.core.policy import Policy
from logos_shift_openai.core.rollout import begin, decide
from logos_shift_openai.core.rollout_trail import MOST, Point, longer, point_of

NOW = 1_764_000_000.0


@given(st.integers(1, 5 * MOST))
def test_a_trail_is_bounded_and_spans_the_whole_rollout(looks: int) -> None:
    """The latest look stands last, the first ones are not all forgotten, and no gap is much wider than another."""
    trail: list[Point] = []
    for at in range(looks):
        trail = longer(trail, {"at": at})
    times = [one["at"] for one in trail]
    assert times[-1] == looks - 1
    assert min(looks, MOST // 2) <= len(times) <= MOST
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(gap > 0 for gap in gaps)
    assert times[0] <= max(gaps, default=0)


def test_a_point_is_of_the_share_that_was_looked_at() -> None:
    """Without calls nothing is proven: wealth is 1, its logarithm 0; what needs no proof has none."""
    policy = Policy()
    decision = decide(policy, begin(policy, NOW), Evidence(), NOW + 1)
    point = point_of(decision, 100)
    assert point == {"at": NOW + 1, "share": 100, "harm": 0.0, "proof": 0.0, "needed": pytest.approx(2.9957)}
    free = replace(policy, margin=0.5, ladder=(100, 200, 10_000))  # the next share cannot cost more than the margin
    early = decide(free, begin(free, NOW), Evidence(), NOW + 1)
    assert point_of(early, 100)["proof"] is None  # type: ignore[index]
    assert longer([{"at": 1}], None) == [{"at": 1}]
