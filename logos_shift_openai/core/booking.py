"""Book calls as evidence: which unit was drawn how, and which one score of it counts at a share.

What is booked is a function of the calls alone, in whatever order they come. A unit scores once at a share of a run,
by the mean of its first five calls (in the order of time and id) that have the metric, within an hour of its first call
there; it counts when five are there or the hour is over. A unit of kind "call" is the call itself and counts at once.
Draws are those of the run: a new run asks a new question and draws all units anew. A call that its bucket does not
explain was forced by hand; it was not drawn and is left out.

Theory of operation. A unit is kept as the calls whose scores count so far, and that is enough for any call to come: one
that is earlier than the first only shortens the hour, and one pushed out by five earlier ones stays out. So a store may
keep units and counts and take calls in as they come (`take`, then the difference of `tallied`), or count all calls
from the records (`Booking`): the code is the same, and so is what comes out. Times are whole milliseconds, so that
the end of an hour is one too.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .evidence import GRID, Evidence, Group, on_grid
from .findings import UNITS
from .records import Variant  # noqa: TC001 - stores read the types of what they keep

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .records import Unit
    from .rollout_state import State, Step

CALLS: Final = 5
WINDOW_MS: Final = 3_600_000
WINDOW_SECONDS: Final = WINDOW_MS / 1000
_when: Final = itemgetter(0, 1)


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


class DrawnCall(NamedTuple):
    """A call that was drawn, as it is booked.

    Args:
        at: When it began, milliseconds since 1970.
        id: Its id.
        variant: Where the hash put it.
        share: The candidate's share that it was drawn at, in basis points.
        scores: By metric, in steps of the grid; None takes back the one that was known before.
    """

    at: int
    id: str
    variant: Variant
    share: int
    scores: Mapping[str, int | None]


class SeenCall(NamedTuple):
    """A call that counts for at least one metric: its time and id, and its scores that count."""

    at: int
    id: str
    scores: dict[str, int]


class Seen(NamedTuple):
    """A unit at one share.

    Args:
        at: Time of its first call.
        id: That call's id.
        variant: That call's.
        calls: Those that count, in order.
    """

    at: int
    id: str
    variant: Variant
    calls: list[SeenCall]


SeenUnit = dict[int, Seen]
"""A unit by the shares that it had calls at."""


class Tally:
    """Counts by metric, share, highest share before, variant and score: evidence before it is put under its centres."""

    def __init__(self) -> None:
        self.groups: dict[tuple[str, int, int, Variant], dict[int, int]] = {}

    def add(self, where: Iterable[tuple[tuple[str, int, int, Variant], int]], count: int = 1) -> None:
        """Count what `tallied` gave; -1 takes it off."""
        for group, score in where:
            counts = self.groups.setdefault(group, {})
            counts[score] = counts.get(score, 0) + count
            if not counts[score]:
                del counts[score]

    def rows(self) -> list[tuple[Any, ...]]:
        """Give rows for keeping: the four fields of a group, then its counts by score."""
        return [(*group, counts) for group, counts in self.groups.items() if counts]

    @classmethod
    def from_rows(cls, rows: Iterable[Iterable[Any]]) -> Tally:
        """Read what `rows` gave."""
        tally = cls()
        for metric, share, after, variant, counts in rows:
            tally.groups[metric, share, after, variant] = dict(counts)
        return tally

    def evidence(self, state: State) -> Evidence:
        """Give the evidence of a state's run: each share that it has a step for, under the centres of that step."""
        steps, evidence = steps_of(state), Evidence()
        for (metric, share, after, variant), counts in self.groups.items():
            if share in steps:
                centre = 0 if metric == UNITS else steps[share].centre(metric)
                evidence.add_group(metric, Group(share, after, centre, variant), counts)
        return evidence


def steps_of(state: State) -> dict[int, Step]:
    """Give the steps of a state's run by their shares."""
    steps: dict[int, Step] = {}
    for step in state.steps:
        if step.run == state.run:
            steps.setdefault(step.share, step)
    return steps


def since_of(state: State) -> int:
    """Tell from when on calls belong to a state's run, milliseconds since 1970."""
    return milliseconds(min((step.since for step in steps_of(state).values()), default=state.seen))


def milliseconds(seconds: float) -> int:
    """Give a time in whole milliseconds."""
    return round(seconds * 1000)


def was_drawn(variant: Variant, share: int, bucket: int) -> bool:
    """Tell whether a call is where its bucket put it; a forced one was not drawn."""
    return (variant == "candidate") == (bucket < share)


def take(unit: SeenUnit, call: DrawnCall) -> None:
    """Take a call in, or more that became known of one, or a score that was changed; the last word counts."""
    at, name, scores = call.at, call.id, dict(call.scores)
    first_at, first, variant, calls = unit.get(call.share) or (at, name, call.variant, [])
    if (at, name) < (first_at, first):
        first_at, first, variant = at, name, call.variant
    elif at - first_at > WINDOW_MS:
        return
    for place, one in enumerate(calls):
        if one.id == name and one.at == at:
            calls, scores = calls[:place] + calls[place + 1 :], {**one.scores, **scores}
            break
    known = SeenCall(at, name, {metric: score for metric, score in scores.items() if score is not None})
    unit[call.share] = Seen(first_at, first, variant, _counting(sorted([*calls, known], key=_when), first_at))


def _counting(calls: list[SeenCall], since: int) -> list[SeenCall]:
    """Keep of calls in order what counts: the first scores of each metric within the hour."""
    room: dict[str, int] = {}
    kept = []
    for one in calls:
        if one.at - since > WINDOW_MS:
            break
        scores = {}
        for metric, score in one.scores.items():
            room[metric] = room.get(metric, 0) + 1
            if room[metric] <= CALLS:
                scores[metric] = score
        if scores:
            kept.append(SeenCall(one.at, one.id, scores))
    return kept


def tallied(unit: SeenUnit, now: int) -> Iterator[tuple[tuple[str, int, int, Variant], int]]:
    """Give what a unit counts for at a time: groups of a tally, each with the unit's score.

    Args:
        unit: By its shares.
        now: Milliseconds since 1970.
    """
    after = 0
    for share in sorted(unit):
        seen = unit[share]
        yield (UNITS, share, after, seen.variant), GRID
        over = now - seen.at > WINDOW_MS
        for metric, (calls, total) in _totals(seen).items():
            if over or calls == CALLS:
                yield (metric, share, after, seen.variant), (2 * total + calls) // (2 * calls)
        if seen.variant == "candidate":  # it is not drawn again
            return
        after = share


def due(unit: SeenUnit, now: int) -> int | None:
    """Tell when a unit counts for more by time alone, milliseconds since 1970; None for never."""
    ends = [
        seen.at + WINDOW_MS + 1
        for seen in unit.values()
        if now - seen.at <= WINDOW_MS and any(calls < CALLS for calls, _ in _totals(seen).values())
    ]
    return min(ends, default=None)


def tallied_call(
    variant: Variant, share: int, scores: Mapping[str, int | None]
) -> Iterator[tuple[tuple[str, int, int, Variant], int]]:
    """Give what scores of a call count for that is a unit of its own, as `tallied`."""
    return (((metric, share, 0, variant), score) for metric, score in scores.items() if score is not None)


class Booking:
    """The calls of a rollout's present run, as far as they were read, in any order.

    Args:
        state: Whose run is booked.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.since = since_of(state)
        self.left_out = 0
        self.units: dict[Unit, SeenUnit] = {}
        self._alone = Tally()

    def add(self, call: ScoredCall) -> None:
        """Take a call in, each once.

        Raises:
            ScoreError: a score is not in [0, 1].
        """
        at = milliseconds(call.at)
        scores = {metric: on_grid(score) for metric, score in call.scores.items()}
        if at < self.since or not was_drawn(call.assigned, call.share, call.bucket):
            self.left_out += 1
        elif call.unit.kind == "call":
            self._alone.add(tallied_call(call.assigned, call.share, {UNITS: GRID, **scores}))
        else:
            drawn = DrawnCall(at, call.id, call.assigned, call.share, scores)
            take(self.units.setdefault(call.unit, {}), drawn)

    def tally(self, now: int) -> Tally:
        """Give the counts as they stand at `now`, milliseconds since 1970."""
        tally = Tally.from_rows(self._alone.rows())
        for unit in self.units.values():
            tally.add(tallied(unit, now))
        return tally

    def evidence(self, now: float) -> Evidence:
        """Give the evidence as it stands at `now`, Unix seconds."""
        return self.tally(milliseconds(now)).evidence(self._state)


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
    for call in calls:
        booking.add(call)
    return booking.evidence(now)


def _totals(seen: Seen) -> dict[str, tuple[int, int]]:
    """Give how many scores of each metric there are, and their sum."""
    totals: dict[str, tuple[int, int]] = {}
    for one in seen.calls:
        for metric, score in one.scores.items():
            calls, total = totals.get(metric, (0, 0))
            totals[metric] = calls + 1, total + score
    return totals
