"""Calls become evidence: one score a unit and share, in whatever order they come."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logos_shift_openai.core.booking import WINDOW_SECONDS, Booking, ScoredCall, book
from logos_shift_openai.core.evidence import GRID, Cell, Evidence, ScoreError
from logos_shift_openai.core.policy import Policy
from logos_shift_openai.core.records import Unit, UnitKind, Variant
from logos_shift_openai.core.rollout import begin
from logos_shift_openai.core.rollout_state import CENTRE_UNKNOWN, State

T = 1_000_000.0
STATE = begin(Policy(), T)


def call(at: float, score: float | None, *, unit: str = "u", share: int = 100, bucket: int = 200) -> ScoredCall:
    scores = {} if score is None else {"success": score}
    variant: Variant = "candidate" if bucket < share else "baseline"
    kind: UnitKind = "call" if unit.startswith("call") else "user"
    return ScoredCall(T + at, f"id-{at:012.3f}-{unit}", Unit(kind, unit), variant, share, bucket, scores)


def success(evidence: Evidence) -> list[tuple[int, int, str, int]]:
    return sorted((c.share, c.after, c.variant, c.score) for c, n in evidence.of("success").items() for _ in range(n))


def ramped(*shares: int) -> State:
    state = STATE
    for number, share in enumerate(shares, 1):
        state = replace(state, seen=T + number * 10_000).at(share, {"success": 300 + number})
    return state


def test_the_first_five_calls_count_once_there_are_five() -> None:
    """Four wait for the window, the fifth closes the unit, the sixth changes nothing."""
    calls = [call(number, number % 2) for number in range(6)]
    assert success(book(STATE, calls[:4], T + 10)) == []
    assert success(book(STATE, calls[:4], T + WINDOW_SECONDS + 1)) == [(100, 0, "baseline", GRID // 2)]
    assert success(book(STATE, calls[:5], T + 10)) == [(100, 0, "baseline", 240)]
    assert book(STATE, calls, T + 10) == book(STATE, calls[:5], T + 10)
    late = call(WINDOW_SECONDS + 2, 1.0)
    assert book(STATE, [*calls[:4], late], T + 9_999) == book(STATE, calls[:4], T + 9_999)


def test_a_call_as_unit_counts_at_once() -> None:
    """There is nothing to wait for."""
    assert success(book(STATE, [call(1, 0.25, unit="call-1", bucket=3)], T + 1)) == [(100, 0, "candidate", 150)]


def test_a_unit_enters_again_only_from_the_baseline_and_at_its_later_chance() -> None:
    """What was on the candidate is not drawn again; the cell has the centre of its own step."""
    state = ramped(500, 1_000)
    stays = [call(at, 1.0, unit="s", share=share, bucket=700) for at, share in ((1, 100), (2, 500), (3, 1_000))]
    moved = [call(at, 0.0, unit="m", share=share, bucket=300) for at, share in ((1, 100), (2, 500), (3, 1_000))]
    evidence = book(state, [*stays, *moved], T + 99_999)
    assert success(evidence) == [
        (100, 0, "baseline", 0),
        (100, 0, "baseline", GRID),
        (500, 100, "baseline", GRID),
        (500, 100, "candidate", 0),
        (1_000, 500, "candidate", GRID),
    ]
    centres = {cell.share: cell.centre for cell in evidence.of("success")}
    assert centres == {100: CENTRE_UNKNOWN, 500: 301, 1_000: 302}
    units = evidence.of("units")
    assert units[Cell("units", 100, 0, 0, "baseline", GRID)] == 2


def test_late_feedback_is_booked_at_the_share_of_its_call() -> None:
    """The unit stands at its old share, whatever the share is now."""
    calls = [call(1, None), call(20_000, 1.0, share=500, bucket=200)]
    late = [call(1, 0.5), calls[1]]
    assert success(book(ramped(500), calls, T + 99_999)) == [(500, 100, "candidate", GRID)]
    assert success(book(ramped(500), late, T + 99_999)) == [(100, 0, "baseline", 300), (500, 100, "candidate", GRID)]


def test_what_was_not_drawn_here_is_left_out() -> None:
    """Forced calls, calls from before the run, and calls of a share that no step has, until one has it."""
    forced = call(1, 1.0)._replace(assigned="candidate")
    booking = Booking(STATE)
    for one in (call(-5, 1.0), forced, call(2, 1.0, share=7_777)):
        booking.add(one)
    assert booking.left_out == 2
    assert booking.evidence(T + 99_999) == Evidence()
    assert success(booking.tally(round(T + 99_999) * 1000).evidence(ramped(7_777))) == [(7_777, 0, "candidate", GRID)]
    with pytest.raises(ScoreError):
        book(STATE, [call(1, float("nan"))], T)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9), size=st.integers(1, 60))
def test_order_does_not_matter(seed: int, size: int) -> None:
    """Any permutation of the calls gives the same evidence."""
    dice = Random(seed)
    state = ramped(500, 1_000)
    buckets = {f"{kind}{number}": dice.randrange(1_200) for kind in ("user", "call") for number in range(4)}
    calls = []
    for _ in range(size):
        unit = dice.choice(sorted(buckets))
        score = dice.choice([None, 0.0, 1 / 3, 1.0, dice.random()])
        share = dice.choice([100, 500, 1_000])
        calls.append(call(dice.randrange(30_000), score, unit=unit, share=share, bucket=buckets[unit]))
    calls = list({one.id: one for one in calls}.values())
    now = T + dice.randrange(40_000)
    expected = book(state, calls, now)
    dice.shuffle(calls)
    assert book(state, calls, now) == expected
    assert Evidence.from_rows(expected.rows()) == expected
