"""Book calls as evidence: which unit was drawn how, and which one score of it counts at a share.

Calls come in the order of (at, id); what is booked is a function of the calls alone, so `book`, which sorts, gives the
same evidence for the same calls in any order. A unit scores once at a share of a run, by the mean of its first five
calls that have the metric, within an hour of its first call there; it counts when five are there or the hour is over.
A unit of kind "call" counts at once. Draws are those of the run: a new run asks a new question and draws all units
anew. A call that its bucket does not explain was forced by hand; it was not drawn and is left out.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from .evidence import GRID, Cell, Evidence, on_grid
from .findings import UNITS
from .rollout_state import Step, draw_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .records import Unit, Variant
    from .rollout_state import State

CALLS: Final = 5
WINDOW_SECONDS: Final = 3_600.0


class ScoredCall(NamedTuple):
    """What is known of a call.

    Args:
        at: When it began, Unix seconds.
        id: Its id.
        unit: What was bucketed.
        assigned: Where the hash put it.
        share: The candidate's share that it was drawn at, in basis points.
        bucket: Where the hash put the unit, 0 to 9,999.
        scores: By metric, in [0, 1], higher is better; only those that are known.
        question: Hash of what was asked, by which its repetition is known.
    """

    at: float
    id: str
    unit: Unit
    assigned: Variant
    share: int
    bucket: int
    scores: Mapping[str, float]
    question: str | None = None


@dataclass(slots=True)
class _Seen:
    """A unit at one share: at most five scores by metric."""

    since: float
    variant: Variant
    scores: dict[str, list[float]] = field(default_factory=dict)


class Booking:
    """The calls of a rollout's present run, as far as they were read.

    Args:
        state: Whose run is booked.
    """

    def __init__(self, state: State) -> None:
        steps: dict[int, Step] = {}
        for step in state.steps:
            if step.run == state.run:
                steps.setdefault(step.share, step)
        self._steps = steps
        self.since = min((step.since for step in steps.values()), default=state.seen)
        self.left_out = 0
        self._last = (float("-inf"), "")
        self._units: dict[tuple[str, str], dict[int, _Seen]] = {}

    def add(self, call: ScoredCall) -> None:
        """Take a call in.

        Raises:
            ValueError: it comes before one that was taken in.
            ScoreError: a score is not in [0, 1].
        """
        if (call.at, call.id) < self._last:
            raise ValueError(f"call {call.id} comes before {self._last[1]}")
        self._last = (call.at, call.id)
        drawn = "candidate" if call.bucket < call.share else "baseline"
        if call.at < self.since or call.share not in self._steps or call.assigned != drawn:
            self.left_out += 1
            return
        at_shares = self._units.setdefault(call.unit, {})
        seen = at_shares.setdefault(call.share, _Seen(call.at, call.assigned))
        if call.at - seen.since > WINDOW_SECONDS:
            return
        for metric, score in call.scores.items():
            on_grid(score)
            kept = seen.scores.setdefault(metric, [])
            if len(kept) < CALLS:
                kept.append(score)

    def evidence(self, now: float) -> Evidence:
        """Give the evidence as it stands at `now`, Unix seconds."""
        evidence = Evidence()
        for (kind, _id), at_shares in self._units.items():
            shares = sorted(at_shares)
            for share in shares:
                earlier = shares[: bisect_left(shares, share)]
                draw = draw_at(share, earlier[-1] if earlier else None)
                if draw is None or any(at_shares[one].variant == "candidate" for one in earlier):
                    continue
                seen = at_shares[share]
                evidence.add(Cell(UNITS, draw.share, draw.after, 0, seen.variant, GRID))
                over = kind == "call" or now - seen.since > WINDOW_SECONDS
                for metric, scores in seen.scores.items():
                    if over or len(scores) == CALLS:
                        score = on_grid(min(1.0, sum(scores) / len(scores)))
                        centre = self._steps[share].centre(metric)
                        evidence.add(Cell(metric, draw.share, draw.after, centre, seen.variant, score))
        return evidence


def book(state: State, calls: Iterable[ScoredCall], now: float) -> Evidence:
    """Book calls that come in any order.

    Args:
        state: Where the rollout stands.
        calls: Those of its experiment, each once.
        now: Unix seconds.

    Raises:
        ScoreError: a score is not in [0, 1].
    """
    booking = Booking(state)
    for call in sorted(calls, key=lambda call: (call.at, call.id)):
        booking.add(call)
    return booking.evidence(now)
