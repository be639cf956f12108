"""The pieces of a question that can be copied into an answer: runs of words, and numbers.

Owns what counts as a piece. A run begins and ends at the edge of a word and has at most ``LONGEST`` words; marks around
it may be left off. A number is read as Python writes it, thousands may have commas; with
a per cent sign it is also its hundredth.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

LONGEST = 8
_MOST_WORDS, _MOST_LETTERS = 100, 4_000  # of a question, the rest of a longer one is not copied from
_WORD = re.compile(r"\S+")
_EDGES = "\"'`\u201c\u201d\u2018\u2019()[]{}<>.,;:!?"
_NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3}){1,4}|\d{1,15})(?:\.\d+)?(?![\d]|\.\d)")


class Span(NamedTuple):
    """A piece of a question: its letters, the places of its first and last word, and its value if it is a number."""

    start: int
    end: int
    text: str
    first: int
    last: int
    number: int | float | None = None

    def crosses(self, other: Span) -> bool:
        """Tell whether the two share a letter."""
        return self.start < other.end and other.start < self.end


class Question(NamedTuple):
    """A text cut up: itself, its words in lower case without marks, its runs of words, its numbers."""

    text: str
    words: tuple[str, ...]
    runs: tuple[Span, ...]
    numbers: tuple[Span, ...]


def cut_up(text: str) -> Question:
    """Cut a question into what can be copied from it."""
    return _cut_up(text[:_MOST_LETTERS])


@lru_cache(maxsize=256)
def _cut_up(text: str) -> Question:
    found = [match for _, match in zip(range(_MOST_WORDS), _WORD.finditer(text), strict=False)]
    bare = [_bare(match) for match in found]
    runs = [run for first in range(len(found)) for run in _runs_from(text, found, bare, first)]
    numbers = [
        span
        for place, match in enumerate(found)
        for one in _NUMBER.finditer(text, match.start(), match.end())
        for span in _numbers_in(text, one, place)
    ]
    return Question(text, tuple(text[start:end].lower() for start, end in bare), tuple(runs), tuple(numbers))


def pieces_for(value: object, question: Question) -> list[Span]:
    """Find where a value of an answer stands in the question; nowhere for what is neither text nor number."""
    if isinstance(value, str):
        return [run for run in question.runs if run.text == value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return []
    return [span for span in question.numbers if span.number == value]


def _bare(match: re.Match[str]) -> tuple[int, int]:
    word = match.group()
    left = len(word) - len(word.lstrip(_EDGES))
    right = len(word) - len(word.rstrip(_EDGES))
    return (match.start() + left, match.end() - right) if left < len(word) else match.span()


def _runs_from(text: str, found: list[re.Match[str]], bare: list[tuple[int, int]], first: int) -> list[Span]:
    start = bare[first][0]
    return [
        Span(start, end, text[start:end], first, last)
        for last in range(first, min(first + LONGEST, len(found)))
        for end in sorted({bare[last][1], found[last].end()})
    ]


def _numbers_in(text: str, match: re.Match[str], place: int) -> list[Span]:
    value = _value(match.group())
    plain = Span(*match.span(), match.group(), place, place, value)
    if text[match.end() : match.end() + 1] != "%":
        return [plain]
    hundredth = float(Decimal(str(value)) / 100)  # 7 % is .07 to the last digit
    return [plain, Span(match.start(), match.end() + 1, match.group() + "%", place, place, hundredth)]


def _value(text: str) -> int | float:
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain)
