"""Taking calls in one by one, as a store does, comes to what counting all of them at once comes to."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from logos_shift_openai.core.booking import (
    CALLS,
    WINDOW_MS,
    DrawnCall,
    ScoredCall,
    SeenUnit,
    Tally,
    book,
    due,
    milliseconds,
    take,
    tallied,
)
from logos_shift_openai.core.evidence import GRID
from logos_shift_openai.core.policy import Policy
from logos_shift_openai.core.records import Unit
from logos_shift_openai.core.rollout import begin

T = 1_764_000_000
STATE = begin(Policy(ladder=(100, 500, 10_000)), T).at(500, {"success": 300})
BUCKET = 300


def scored(at: int, number: int, share: int, scores: dict[str, int]) -> ScoredCall:
    variant = "candidate" if share > BUCKET else "baseline"
    known = {metric: score / GRID for metric, score in scores.items()}
    return ScoredCall(at / 1000, f"c{number:03}", Unit("user", "u"), variant, share, BUCKET, known)  # type: ignore[arg-type]


def drawn(call: ScoredCall, metrics: Any) -> DrawnCall:
    """A part of what is known of a call: what came in at first, or a score that was said later."""
    scores = {metric: round(call.scores[metric] * GRID) for metric in metrics}
    return DrawnCall(milliseconds(call.at), call.id, call.assigned, call.share, scores)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**9), size=st.integers(1, 40))
def test_any_order_any_times_late_and_changed_scores(seed: int, size: int) -> None:
    """With calls of two shares around the end of the hour, some twice, and looks in between."""
    dice = Random(seed)
    ends = [T * 1000 + dice.randrange(3) * WINDOW_MS + dice.choice((-1, 0, 1, 40_000)) for _ in range(4)]
    calls, events = [], []
    for number in range(size):
        at = max(T * 1000, dice.choice([*ends, T * 1000 + dice.randrange(3 * WINDOW_MS)]))
        scores = {metric: dice.randrange(GRID + 1) for metric in ("success", "errors") if dice.random() < 0.8}
        call = scored(at, number, dice.choice((100, 500)), scores)
        calls.append(call)
        wrong = call._replace(scores={metric: dice.random() for metric in scores})
        events.append([drawn(call, scores)])
        if dice.random() < 0.6:  # first without its feedback or with another one, some of it once more later
            dense = [metric for metric in scores if metric != "success"]
            events[-1] = [drawn(call, dense), drawn(wrong, set(scores) - set(dense)), drawn(call, scores)]
    unit: SeenUnit = {}
    tally, now, as_of = Tally(), T * 1000, T * 1000
    while any(events):
        waiting = dice.choice([one for one in events if one])
        counted = list(tallied(unit, as_of))
        take(unit, waiting[0])
        if dice.random() < 0.9:  # else it comes again
            waiting.pop(0)
        now += dice.choice((0, 1, WINDOW_MS // 7))
        tally.add(counted, -1)
        tally.add(tallied(unit, now))
        as_of = now
        assert all(len(seen.calls) <= 2 * CALLS for seen in unit.values())
    assert tally.evidence(STATE) == book(STATE, calls, now / 1000)
    end = due(unit, now)
    if end is not None:
        assert list(tallied(unit, end - 1)) == list(tallied(unit, now))
    assert len(list(tallied(unit, end or now))) >= len(list(tallied(unit, now))) + (end is not None and 100 in unit)


def test_the_hour_is_over_a_millisecond_after_it() -> None:
    """Then, and not before, what has fewer than five scores counts."""
    unit: SeenUnit = {}
    take(unit, DrawnCall(1_000, "a", "baseline", 100, {"success": 600}))
    take(unit, DrawnCall(1_000 + WINDOW_MS, "b", "baseline", 100, {"success": 0}))
    take(unit, DrawnCall(1_001 + WINDOW_MS, "c", "baseline", 100, {"success": 0}))
    assert due(unit, 5_000) == 1_001 + WINDOW_MS
    assert len(list(tallied(unit, 1_000 + WINDOW_MS))) == 1
    assert list(tallied(unit, 1_001 + WINDOW_MS))[1] == (("success", 100, 0, "baseline"), 300)
    assert due(unit, 1_001 + WINDOW_MS) is None


def test_a_score_that_is_taken_back_counts_no_more() -> None:
    """As when the parent that it came from is gone."""
    unit: SeenUnit = {}
    take(unit, DrawnCall(1_000, "a", "baseline", 100, {"success": 600, "errors": 0}))
    take(unit, DrawnCall(1_000, "a", "baseline", 100, {"success": None}))
    assert [group[0] for group, _score in tallied(unit, 9 * WINDOW_MS)] == ["units", "errors"]


def test_a_tally_survives_as_rows() -> None:
    """What counts for nothing leaves nothing behind."""
    tally = Tally()
    tally.add([(("success", 100, 0, "baseline"), 3), (("success", 100, 0, "candidate"), 4)])
    tally.add([(("success", 100, 0, "candidate"), 4)], -1)
    assert tally.rows() == [("success", 100, 0, "baseline", {3: 1})]
    assert Tally.from_rows(tally.rows()).rows() == tally.rows()
