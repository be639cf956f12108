"""Whether two answers to the same request agree, and what a number of such pairs proves.

A comparer takes the baseline's and the candidate's whole answer as read from JSON and gives a score in [0, 1], 1 for
the same answer. If the answers differ on less than a part m of the calls, success cannot fall by more than m, whatever
the differing ones are worth; so only those need a judge. The interval holds at every look: it is made of the bets of
`core.wealth`'s kind, `W = product of (1 + l (y - m))`, over a few fixed parts of the largest legal fraction.

Sources: Waudby-Smith, Ramdas, *Estimating means of bounded random variables by betting*, JRSS-B 2024; Ville 1939.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .answers import Answer, answers_of, same_json, same_text
from .evidence import GRID, on_grid
from .fields import shared_fields
from .wealth import log_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Comparer = Callable[[Any, Any], float]

_PARTS: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 0.995)
_HALVINGS: Final = 40


class IncomparableError(ValueError):
    """A pair that cannot be compared, for there is no answer of the baseline's to compare with."""


class Standing(NamedTuple):
    """What pairs prove, at one look out of any number of looks.

    Args:
        pairs: How many were compared.
        mean: Their mean score, None without any.
        low: The mean lies at or above it.
        high: The mean lies at or below it.
        differ: At most this part of the calls has another answer; so success cannot fall by more.
    """

    pairs: int
    mean: float | None
    low: float
    high: float
    differ: float


def exact(baseline: Any, candidate: Any) -> float:
    """Compare to the letter: texts, tool calls and their arguments, in order."""
    return _by_choice(baseline, candidate, lambda one, other: one == other)


def text(baseline: Any, candidate: Any) -> float:
    """Compare texts without case, width of characters and whitespace; tool calls as `json_equal`."""
    return _by_choice(baseline, candidate, same_text)


def json_equal(baseline: Any, candidate: Any) -> float:
    """Compare as JSON where both are JSON: order of keys, whitespace and the form of numbers do not count.

    Other texts are compared without the whitespace around them. Tool calls are a name and JSON arguments, in any order.
    """
    return _by_choice(baseline, candidate, same_json)


def fields(baseline: Any, candidate: Any) -> float:
    """Compare field by field: the part of the values in JSON, or of a call's name and arguments, that both have."""
    return _by_choice(baseline, candidate, shared_fields)


COMPARERS: Final[Mapping[str, Comparer]] = {"exact": exact, "json": json_equal, "text": text, "fields": fields}


def _by_choice(baseline: Any, candidate: Any, same: Callable[[Answer, Answer], float]) -> float:
    """Give the part of the choices that agree, each with the one of its index."""
    ours, theirs = answers_of(baseline), answers_of(candidate)
    if not ours:
        raise IncomparableError("the baseline has no answer")
    agree = sum(same(one, other) for one, other in zip(ours, theirs, strict=False))
    return agree / max(len(ours), len(theirs))


def standing(scores: Mapping[int, int], alpha: float = 0.05) -> Standing:
    """Say what pairs prove.

    Args:
        scores: How many pairs have which score, in steps of the grid (see `evidence.on_grid`).
        alpha: The chance that the interval ever leaves the mean out; as much again for `differ`.
    """
    pairs = sum(scores.values())
    mean = sum(score * count for score, count in scores.items()) / pairs / GRID if pairs else None
    low, high = interval(scores, alpha)
    whole = {GRID: scores.get(GRID, 0), 0: pairs - scores.get(GRID, 0)}
    return Standing(pairs, mean, low, high, 1 - _edge(whole, -1, math.log(1 / alpha)))


def interval(scores: Mapping[int, int], alpha: float = 0.05) -> tuple[float, float]:
    """Give an interval that holds the mean at all looks together, with a chance of at least 1 - alpha."""
    needed = math.log(2 / alpha)
    return _edge(scores, -1, needed), _edge(scores, 1, needed)


def log_apart(scores: Mapping[int, int], least: float) -> float:
    """Give the logarithm of the wealth against "the mean score is at least `least`".

    Args:
        scores: As for `standing`.
        least: In (0, 1).
    """
    return _log_wealth(scores, least, 1)


def counts_of(scores: Iterable[float]) -> dict[int, int]:
    """Count scores in [0, 1] by their place on the grid.

    Raises:
        ScoreError: one is no number or lies outside.
    """
    counts: dict[int, int] = {}
    for score in scores:
        place = on_grid(score)
        counts[place] = counts.get(place, 0) + 1
    return counts


def _log_wealth(scores: Mapping[int, int], mean: float, sign: int) -> float:
    """Bet against "the mean is at least `mean`" (sign 1) or "at most" (sign -1); it rises or falls with `mean` only."""
    room = 1 - mean if sign > 0 else mean
    moves = [(count, sign * (mean - score / GRID) / room) for score, count in sorted(scores.items())]
    return log_mean([math.fsum(count * math.log1p(part * move) for count, move in moves) for part in _PARTS])


def _edge(scores: Mapping[int, int], sign: int, needed: float) -> float:
    """Find the last mean that is not refuted: from above (sign 1) or from below (sign -1)."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        refuted = _log_wealth(scores, middle, sign) >= needed
        if refuted == (sign > 0):
            high = middle
        else:
            low = middle
    return high if sign > 0 else low
