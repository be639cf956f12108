"""Finders, which every redaction rule is made of, and the finder of somebody's own pattern.

Theory of operation. A finder has two halves:

- `find` gives the spans to take out of one decoded text;
- `sieve` looks at the bytes of a whole body, JSON escapes and all, and says whether `find` could find anything
  in it. It may say yes for nothing, but never no wrongly. A body whose sieves all say no is not even parsed.

Three facts keep the sieves honest. Whatever a sieve looks for is made of letters that JSON writers leave as they
are; a body in which somebody escaped such letters never takes the fast way (see `ESCAPED_ASCII`). A sieve does not
look at the letter before a match, since that may be the tail of an escape, unless it says so. And a test compares
both ways on texts with escapes put in at random.

Sieves begin with one rare letter or a long word, because Python finds those at the speed of `memchr`. Every
pattern does a bounded amount of work for each place where it fails, so hostile text costs linear time.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Span: TypeAlias = "tuple[int, int]"

ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")
"""An escape of a letter that JSON writers never need to escape: after one, no sieve is to be trusted."""


class Raw:
    """The bytes of a body in the forms the sieves look at.

    `shape` writes every digit as 0, every capital as A, and every separator as `-`.
    """

    __slots__ = ("_fine", "_grouped", "_lower", "_shape", "bytes")

    def __init__(self, body: bytes) -> None:
        """Take a body; its other forms are made when first asked for."""
        self.bytes = body
        self._lower: bytes | None = None
        self._shape: bytes | None = None
        self._fine: bool | None = None
        self._grouped: bool | None = None

    @property
    def lower(self) -> bytes:
        """The body in small letters."""
        if self._lower is None:
            self._lower = self.bytes.lower()
        return self._lower

    @property
    def shape(self) -> bytes:
        """The body as the shape of its digits, letters and separators."""
        if self._shape is None:
            self._shape = self.bytes.translate(_SHAPES)
        return self._shape

    @property
    def grouped(self) -> bool:
        """Whether two digits, a separator and four digits follow each other, as in every number that comes in groups.

        One look instead of one for each make of number.
        """
        if self._grouped is None:
            self._grouped = _GROUPED.search(self.shape) is not None
        return self._grouped

    @property
    def fine(self) -> bool:
        """Whether a number may be written with separators that are not ASCII, which no shape shows."""
        if self._fine is None:
            plain = b"\\u" not in self.bytes and self.bytes.isascii()
            self._fine = not plain and _FINE_IN_NUMBER.search(self.bytes) is not None
        return self._fine


_GROUPED = re.compile(rb"0(?=0-0000)")
_SHAPES = bytes.maketrans(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ .()",
    b"0" * 10 + b"A" * 26 + b"-" * 4,
)


class Finder(NamedTuple):
    """One way to find what a rule takes out.

    Args:
        rule: Name of the rule, which the replacement text carries.
        find: Gives the spans in a text, in order and apart from each other.
        sieve: Whether a body may hold any; None where nobody can say without looking.
        separators: Whether `find` wants the spaces and dashes of typographers as plain ones.
        keys: Whether the names of members count as well: `{"password": "…"}`.
    """

    rule: str
    find: Callable[[str], Iterable[Span]]
    sieve: Callable[[Raw], object] | None
    separators: bool = False
    keys: bool = False


# A token begins where no letter stands before it, or right after the escape of a line end in text that is itself code.
START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf]))"
NUMBER_START = r"(?:(?<![\w.+-])|(?<=\\[nrtbf]))"

SEPARATORS = str.maketrans(
    dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f", " ")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
)
"""Spaces and dashes typographers use, to their plain form; one letter each, so that places stay the same."""

_FINE = (
    rb"(?:\xc2\xa0|\xe2\x80[\x80-\x8a\x90-\x95\xaf]|\xe2\x88\x92"
    rb"|\\u(?:00[aA]0|20(?:0[0-9aA]|1[0-5]|2[fF])|2212))"
)
_FINE_IN_NUMBER = re.compile(_FINE + rb"(?:" + _FINE + rb"|[ .()/\\-]){0,30}[0-9]")


def matches(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    """Give the spans of a pattern: its group `x` where it has one, else the whole of it."""
    group = "x" if "x" in pattern.groupindex else 0
    return (match.span(group) for match in pattern.finditer(text))


def finder(
    rule: str, pattern: str, sieve: Callable[[Raw], object], *, flags: int = 0, separators: bool = False
) -> Finder:
    """Make the finder of one pattern; its group `x`, where it has one, is what goes."""
    return Finder(rule, partial(matches, re.compile(pattern, flags)), sieve, separators=separators)


def custom(name: str, regex: str) -> Finder:
    """Make a finder of somebody's own pattern.

    Args:
        name: what the replacement text calls it.
        regex: the pattern, in Python's syntax.

    Raises:
        ValueError: the pattern is none, or matches the empty text.
    """
    try:
        pattern = re.compile(regex)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"pattern {name!r}: {error}") from None
    if pattern.search("") is not None:
        raise ValueError(f"pattern {name!r} matches the empty text")
    needle = _leading_text(regex)
    sieve = None if needle is None else partial(_holds, needle)
    return Finder(name, partial(_own_matches, pattern), sieve)


def _own_matches(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    return (match.span() for match in pattern.finditer(text) if match.end() > match.start())


def _holds(needle: bytes, raw: Raw) -> bool:
    return needle in raw.bytes


_LEADING_TEXT = re.compile(r"(?:\\b)?([A-Za-z0-9_@#:;,= -]+)")


def _leading_text(regex: str) -> bytes | None:
    """Give the plain letters every match of a pattern begins with, or None where that is not plain to see."""
    found = _LEADING_TEXT.match(regex)
    if found is None or "|" in regex or "(?" in regex:
        return None
    letters = found.group(1)
    if regex[found.end() : found.end() + 1] in ("*", "?", "{"):
        letters = letters[:-1]
    return letters.encode() if len(letters) > 1 else None
