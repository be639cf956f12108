"""The evidence of a rollout: how many units scored what, at which draw, under which centre, in which variant.

Counts have no order, so whoever counts the same records, in whatever order and after whatever crash, has the same
evidence and the same verdict. A store can keep a cell as a row and a count; nothing else is needed.

A *draw* is the chance that was put on a unit before it was seen: at share s it is s; a unit that was on the baseline at
share s0 and is drawn again at s has (s - s0) / (1 - s0); one that is on the candidate already is not drawn again. The
*centre* is the baseline's mean as it was known when the step began. Both stand in the cell, so feedback that comes late
is booked where its call was drawn, and shares are never pooled.
"""

from __future__ import annotations

import math
from fractions import Fraction
from operator import mul
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from .config import SHARE_MAX
from .records import Variant
from .strict import ConfigError, name, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GRID: Final = 600
"""Steps of a score from 0 to 1: halves to sixths and hundredths are exact, any other score moves by at most 1/1,200."""

_FIELDS: Final = 6


class ScoreError(ValueError):
    """A score that cannot be booked; the message says what stood there."""


class Draw(NamedTuple):
    """The chance that a unit had of the candidate.

    Args:
        share: The candidate's share when it was drawn, in basis points.
        after: The highest share at which it had been drawn before and stayed on the baseline; 0 for a new unit.
    """

    share: int
    after: int = 0

    @property
    def chance(self) -> Fraction:
        """The exact probability of the candidate."""
        return Fraction(self.share - self.after, SHARE_MAX - self.after)


class Cell(NamedTuple):
    """What a count is of.

    Args:
        metric: Name of the metric.
        share: The candidate's share when the unit was drawn, in basis points.
        after: As in `Draw`.
        centre: The baseline's mean when the step began, in steps of the grid.
        variant: Where the hash put the unit, whichever model answered (intention to treat).
        score: The unit's score, higher is better, in steps of the grid.
    """

    metric: str
    share: int
    after: int
    centre: int
    variant: Variant
    score: int

    @property
    def draw(self) -> Draw:
        """The draw of the cell's units."""
        return Draw(self.share, self.after)


def on_grid(score: float) -> int:
    """Put a score on the grid.

    Args:
        score: In [0, 1], higher is better.

    Raises:
        ScoreError: for NaN, for what is no number, and for what lies outside.
    """
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not math.isfinite(score):
        raise ScoreError(f"a score is a number from 0 to 1, not {score!r}")
    if not 0 <= score <= 1:
        raise ScoreError(f"a score is in 0..1, not {score!r}")
    return math.floor(score * GRID + 0.5)


class Group(NamedTuple):
    """The cells of one metric that differ in the score alone; fields as in `Cell`."""

    share: int
    after: int
    centre: int
    variant: Variant

    @property
    def draw(self) -> Draw:
        """The draw of the group's units."""
        return Draw(self.share, self.after)

    @property
    def says(self) -> bool:
        """Whether chance had a part: what was drawn with certainty compares nothing."""
        return self.after < self.share < SHARE_MAX


class Evidence:
    """Counts of cells. Adding is all that is done to it; two of them with equal counts are equal."""

    def __init__(self, counts: Mapping[Cell, int] | None = None) -> None:
        self._counts: dict[str, dict[Group, dict[int, int]]] = {}
        for cell, count in (counts or {}).items():
            self.add(cell, count)

    def add(self, cell: Cell, count: int = 1) -> None:
        """Count units. A negative count takes units back, as when a score is corrected.

        Raises:
            ScoreError: for a cell that cannot be: off the grid, off the scale of shares, of no variant.
        """
        self.add_group(cell.metric, Group(*cell[1:5]), {cell.score: count})

    def add_group(self, metric: str, group: Group, counts: Mapping[int, int]) -> None:
        """Count units by their scores, all of one metric and group.

        Raises:
            ScoreError: as `add`.
        """
        if not counts:
            return
        for score in counts.keys() if _odd(counts) else (min(counts), max(counts)):
            _check(Cell(metric, *group, score))
        groups = self._counts.setdefault(metric, {})
        there = groups.setdefault(group, {})
        for score, count in counts.items():
            there[score] = there.get(score, 0) + count
        if not all(there.values()):
            groups[group] = there = {score: count for score, count in there.items() if count}
        if not there:
            del groups[group]
        if not groups:
            del self._counts[metric]

    def merge(self, other: Evidence) -> None:
        """Add all counts of another evidence."""
        for metric, groups in other._counts.items():
            for group, counts in groups.items():
                self.add_group(metric, group, counts)

    def items(self) -> Iterator[tuple[Cell, int]]:
        """Give the cells with their counts, in no order."""
        for metric in self._counts:
            yield from self.of(metric).items()

    def of(self, metric: str) -> dict[Cell, int]:
        """Give the counts of one metric."""
        return {
            Cell(metric, *group, score): count
            for group, counts in self.groups(metric).items()
            for score, count in counts.items()
        }

    def groups(self, metric: str) -> Mapping[Group, Mapping[int, int]]:
        """Give the counts of one metric by score, group by group; not to be changed."""
        return self._counts.get(metric, {})

    def units(self, metric: str, variant: Variant) -> int:
        """Count the scored units of a variant."""
        return sum(sum(counts.values()) for counts in self._of(metric, variant))

    def mean(self, metric: str, variant: Variant) -> float | None:
        """Give the mean score of a variant, None where there is none."""
        units = self.units(metric, variant)
        total = sum(sum(map(mul, counts.keys(), counts.values())) for counts in self._of(metric, variant))
        return total / units / GRID if units else None

    def rows(self) -> list[list[Any]]:
        """Give rows for JSON, sorted: the six fields of a cell, then the count."""
        return [[*cell, count] for cell, count in sorted(self.items())]

    @classmethod
    def from_rows(cls, rows: Any) -> Evidence:
        """Read what `rows` gave.

        Raises:
            ConfigError: with the path of the first fault.
        """
        evidence = cls()
        if not isinstance(rows, list):
            raise ConfigError(f"evidence: {shown(rows)} is not a list")
        for index, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != _FIELDS + 1 or not _is_whole(row[_FIELDS]):
                raise ConfigError(f"evidence[{index}]: {shown(row)} is not a cell of {_FIELDS} fields and its count")
            try:
                evidence.add(Cell(*row[:_FIELDS]), row[_FIELDS])
            except ScoreError as error:
                raise ConfigError(f"evidence[{index}]: {error}") from None
        return evidence

    def __eq__(self, other: object) -> bool:
        return self._counts == other._counts if isinstance(other, Evidence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __len__(self) -> int:
        return sum(len(counts) for groups in self._counts.values() for counts in groups.values())

    def __repr__(self) -> str:
        return f"Evidence({len(self)} cells, {sum(count for _, count in self.items())} scores)"

    def _of(self, metric: str, variant: Variant) -> list[Mapping[int, int]]:
        return [counts for group, counts in self.groups(metric).items() if group.variant == variant]


def _odd(counts: Mapping[int, int]) -> bool:
    """Tell whether scores are among them that are no plain whole numbers, and so need a look each."""
    return set(map(type, counts)) != {int}


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(cell: Cell) -> None:
    try:
        name("metric", cell.metric)
    except ConfigError as error:
        raise ScoreError(str(error)) from None
    if cell.variant not in get_args(Variant):
        raise ScoreError(f"variant: {cell.variant!r} is neither baseline nor candidate")
    for field, low, high in (("score", 0, GRID), ("centre", 0, GRID), ("share", 0, SHARE_MAX), ("after", 0, SHARE_MAX)):
        value = getattr(cell, field)
        if not _is_whole(value) or not low <= value <= high:
            raise ScoreError(f"{field}: {value!r} is not a whole number in {low}..{high}")
    if cell.after > cell.share or cell.after == SHARE_MAX:
        raise ScoreError(f"after: {cell.after} is not below the share {cell.share}")
