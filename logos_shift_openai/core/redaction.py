"""What is taken out of a body before it is kept: the rules (`Redaction`), and `clean`, which applies them.

Secrets, named members, media and whatever is over the limit are replaced visibly. Rule: fails closed. `clean` gives a
body that was looked at as a whole, or raises `Unclean`, and then nothing of the body may be kept.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from . import key_paths, media
from .cleaning import KEY, Active, Walk
from .json_text import Document, Place, write
from .media import Media
from .redaction_finders import ESCAPED_ASCII, Finder, Raw, custom
from .redaction_rules import RULES, finders_of
from .truncation import SMALLEST_LIMIT, Cutter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Cleaned", "Media", "Redaction", "Unclean", "clean"]

_Part = TypeVar("_Part")

_MOST_PATTERNS = 200
_NAME = re.compile(r"[\w.-]{1,64}")
_TAKES = f"takes off, or a list of {', '.join(RULES)}, key:<path>, for example secrets,email,key:metadata.ssn"


class Unclean(ValueError):  # noqa: N818 - says what the body is
    """The body cannot be cleaned for sure; nothing of it may be kept."""


@dataclass(frozen=True)
class Redaction:
    """What to take out. An immutable value; equal rules are equal values.

    Args:
        rules: Names of built-in rules: `secrets`, `email`, `iban`, `card`, `ssn`, `ip`, `phone`.
        keys: Paths of members whose values go, in the grammar of `core.key_paths`.
        patterns: Own patterns: name and regular expression. What one matches becomes `[redacted:<name>]`. Its speed on
            hostile text is its author's affair.

    Raises:
        ValueError: a rule is unknown, a path is none, a pattern is none or matches the empty text.
    """

    rules: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    patterns: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        _ = self.plan

    @classmethod
    def build(
        cls,
        rules: Sequence[str] = ("secrets",),
        keys: Sequence[str] = (),
        patterns: Sequence[tuple[str, str]] = (),
    ) -> Redaction:
        """Make a redaction of lists, each part named once.

        Raises:
            ValueError: a part is wrong; the message names it.
        """
        return cls(_once(rules), _once(keys), _once((name, regex) for name, regex in patterns))

    @classmethod
    def parse(cls, text: str) -> Redaction:
        """Read the form used in the environment, for example `secrets,email,key:metadata.ssn`; `off` is nothing at all.

        Raises:
            ValueError: a part is wrong; the message says what the text takes.
        """
        parts = [part.strip() for part in text.split(",")]
        if parts == ["off"]:
            return cls()
        rules, keys = [], []
        for part in parts:
            kind, colon, path = part.partition(":")
            if colon and kind == KEY and path:
                keys.append(path)
            elif part in RULES:
                rules.append(part)
            else:
                raise ValueError(f"{part!r} is no redaction rule: {_TAKES}")
        try:
            return cls.build(rules, keys)
        except ValueError as error:
            raise ValueError(f"{error}: {_TAKES}") from None

    def merged(self, other: Redaction) -> Redaction:
        """Take out what either of both takes out."""
        return Redaction.build(self.rules + other.rules, self.keys + other.keys, self.patterns + other.patterns)

    @cached_property
    def plan(self) -> Plan:
        """The rules, ready to be used."""
        return _plan(self)


_NONE: Final[Mapping[str, int]] = MappingProxyType({})


class Cleaned(NamedTuple):
    """A body that may be kept.

    Args:
        body: Valid JSON without line ends, byte for byte the one given where nothing had to be replaced.
        media: The media taken out of it.
        truncated: Paths of what was cut for the limit.
        redacted: How often each rule replaced something, by name; `key` counts named members.
    """

    body: bytes
    media: tuple[Media, ...] = ()
    truncated: tuple[str, ...] = ()
    redacted: Mapping[str, int] = _NONE


def clean(body: bytes, *, root: str, redaction: Redaction | Plan, limit: int | None) -> Cleaned:
    """Take out of a body what must not be kept.

    A body in which nothing can be found, which is the common case, is not parsed, so it is not proven to be JSON.

    Args:
        body: JSON text in UTF-8.
        root: What paths call the body: `request`, `response`, `metadata`, `error` or `feedback`.
        redaction: The rules, or as much of their plan as is needed here (`Plan.narrowed`).
        limit: The most bytes the result may have, 1024 or more; None for no limit.

    Returns:
        The body to keep, and what was done to it.

    Raises:
        Unclean: it cannot be done for sure: no JSON, no UTF-8, nested too deep.
        ValueError: the limit is less than 1024.
    """
    if limit is not None and limit < SMALLEST_LIMIT:
        raise ValueError(f"limit: {limit} bytes is less than {SMALLEST_LIMIT}")
    try:
        text = body.decode()
        active = (redaction.plan if isinstance(redaction, Redaction) else redaction).active(body)
        if active is None and (limit is None or len(body) <= limit):
            return Cleaned(_on_one_line(body))
        return _slowly(body, text, root, active or _NOTHING, limit)
    except (ValueError, RecursionError) as error:
        raise Unclean(f"{root}: {_what(error)}") from None


class Plan(NamedTuple):
    """A redaction with its patterns compiled and its paths read.

    Args:
        finders: All finders, in the order they are used.
        keys: Each key path with a name that must be in a body for it to match, or None.
    """

    finders: tuple[Finder, ...]
    keys: tuple[tuple[key_paths.Steps, bytes | None], ...]

    def active(self, body: bytes) -> Active | None:
        """Say what has to be looked for in a body, or None where there is nothing to find and nothing to mend."""
        if b"\\" in body and ESCAPED_ASCII.search(body) is not None:
            return Active(self.finders, tuple(steps for steps, _ in self.keys), media=True)
        finders, keys, pictures = self._suspected(body)
        if finders or keys or pictures or _NAN.search(body) or _INFINITY.search(body):
            return Active(finders, tuple(steps for steps, _ in keys), pictures)
        return None

    def narrowed(self, text: bytes) -> Plan | None:
        """Look over many JSON texts at once, and keep what may be found in any of them.

        Args:
            text: JSON that holds all of them, written by an encoder of ours, so that it has no constant that JSON has
                not.

        Returns:
            A plan that finds in each of them what this one does; None where there is nothing to find.
        """
        if b"\\" in text and ESCAPED_ASCII.search(text) is not None:
            return self
        finders, keys, pictures = self._suspected(text)
        return Plan(finders, keys) if finders or keys or pictures else None

    def _suspected(
        self, body: bytes
    ) -> tuple[tuple[Finder, ...], tuple[tuple[key_paths.Steps, bytes | None], ...], bool]:
        raw = Raw(body)
        finders = tuple([finder for finder in self.finders if finder.sieve is None or finder.sieve(raw)])
        keys = tuple([one for one in self.keys if one[1] is None or one[1] in body])
        return finders, keys, media.sieve(body)


_NOTHING = Active((), (), media=False)
_NAN = re.compile(rb"N(?=aN)")
_INFINITY = re.compile(rb"I(?=nfinity)")


def _plan(redaction: Redaction) -> Plan:
    finders: list[Finder] = []
    for rule in RULES:  # in the order of the table, whatever the order they were asked for in
        if rule in redaction.rules:
            finders += finders_of(rule)
    for rule in redaction.rules:
        if rule not in RULES:
            raise ValueError(f"rule {rule!r} is unknown; there are {', '.join(RULES)}")
    if len(redaction.patterns) > _MOST_PATTERNS:
        raise ValueError(f"patterns: {len(redaction.patterns)} are more than {_MOST_PATTERNS}")
    for name, regex in redaction.patterns:
        if not _NAME.fullmatch(name) or name in RULES or name == KEY:
            raise ValueError(f"pattern name {name!r} must be letters, digits, '_', '.' or '-', and no rule's name")
        finders.append(custom(name, regex))
    keys: list[tuple[key_paths.Steps, bytes | None]] = []
    for path in redaction.keys:
        steps = key_paths.parse(path)
        name_in_path = key_paths.hint(steps)
        plain = name_in_path is not None and _PLAIN.fullmatch(name_in_path) is not None
        keys.append((steps, name_in_path.encode() if plain and name_in_path else None))
    return Plan(tuple(finders), tuple(keys))


_PLAIN = re.compile(r"[A-Za-z0-9_ @#:;,=-]+")


def _slowly(body: bytes, text: str, root: str, active: Active, limit: int | None) -> Cleaned:
    document = Document(text)
    walk = Walk(active)
    value = walk.body(document.value, root)
    altered = document.altered or value is not document.value
    found, counts = tuple(walk.media), dict(walk.counts)
    kept = write(value).encode() if altered else _on_one_line(body)
    if limit is None or len(kept) <= limit:
        return Cleaned(kept, found, (), counts)
    cutter = Cutter(limit)
    cut = write(cutter.cut(value, Place(root))).encode()
    return Cleaned(cut, found, cutter.paths, counts)


def _on_one_line(body: bytes) -> bytes:
    """Make line ends between the parts of a JSON text spaces; within its strings there are none."""
    if b"\n" in body or b"\r" in body:
        return body.replace(b"\n", b" ").replace(b"\r", b" ")
    return body


def _what(error: Exception) -> str:
    """Say what is wrong without a word of the body."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, UnicodeError):
        return "not UTF-8"
    return "not JSON" if isinstance(error, json.JSONDecodeError) else str(error)


def _once(parts: Iterable[_Part]) -> tuple[_Part, ...]:
    return tuple(dict.fromkeys(parts))
