"""The slow way through a body: every text in its tree is looked at, and what must not be kept is replaced.

Rule: all of it or nothing. Whatever cannot be looked at for sure (no JSON, nested too deep, not UTF-8) raises, so that
the caller keeps nothing of the body. JSON inside a text, as in the arguments of a tool call, is looked at as JSON too.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from . import key_paths, media
from .json_text import MAX_DEPTH, Document, Json, Number, Place, write
from .redaction_finders import ESCAPED_ASCII, SEPARATORS, Finder, Raw
from .redaction_secrets import names_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "key"
"""What the values of named keys are counted as, and the word in their replacement text."""

_MOST_LAYERS = 4
"""JSON in a text in JSON in a text … is followed this many times; beyond, the text is looked at as plain text."""


class TooDeepError(ValueError):
    """The body is nested deeper than anybody looks."""


class Active(NamedTuple):
    """What is looked for in one body.

    Args:
        finders: In the order they are used.
        keys: Paths of members whose values go.
        media: Whether base64 is looked for.
    """

    finders: tuple[Finder, ...]
    keys: tuple[key_paths.Steps, ...]
    media: bool


class Walk:
    """One pass over one tree.

    Attributes:
        counts: How often each rule replaced something.
        media: What media was taken out, in order.
    """

    def __init__(self, active: Active) -> None:
        """Take what to look for."""
        self.counts: Counter[str] = Counter()
        self.media: list[media.Media] = []
        self._active = active
        self._by_name = any(finder.keys for finder in active.finders)
        self._layers = 0

    def body(self, value: Json, root: str) -> Json:
        """Clean a tree.

        Args:
            value: the tree; it is left alone.
            root: the name paths call it by.

        Returns:
            The very same object where nothing had to be replaced, else a new tree.

        Raises:
            TooDeepError: it is nested too deep.
        """
        states, named = key_paths.begin(self._active.keys, root)
        if named:
            return self._by_key()
        return self._value(value, Place(root), states, 0)

    def _value(self, value: Json, place: Place, states: Sequence[key_paths.State], depth: int) -> Json:
        if isinstance(value, str):
            if isinstance(value, Number):
                return self._number(value)
            return self._text(value, place, states, depth)
        if depth >= MAX_DEPTH:
            raise TooDeepError(f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            return self._object(value, place, states, depth + 1)
        if isinstance(value, list):
            return self._list(value, place, states, depth + 1)
        return value

    def _object(self, members: dict[str, Json], place: Place, states: Sequence[key_paths.State], depth: int) -> Json:
        cleaned: dict[str, Json] = {}
        alike: Counter[str] = Counter()
        same = True
        for key, member in members.items():
            kept = self._member(members, key, Place(key, place), states, depth)
            name = self._name(key)
            if name is not key:
                name = _unlike(name, members, alike)
            same = same and kept is member and name is key
            cleaned[name] = kept
        return members if same else cleaned

    def _member(
        self, members: dict[str, Json], key: str, place: Place, states: Sequence[key_paths.State], depth: int
    ) -> Json:
        member = members[key]
        below, named = key_paths.advance(states, key) if states else ((), False)
        if named:
            return self._by_key()
        if isinstance(member, str):
            if self._by_name and names_secret(key, member):
                self.counts["secrets"] += 1
                return "[redacted:secrets]"
            above = place.above.key if place.above else None
            if self._active.media and not isinstance(member, Number) and media.is_place(above, key, members):
                found = media.in_place(member)
                if found is not None:
                    self._note(found, place)
                    return found.marker
        return self._value(member, place, below, depth)

    def _list(self, items: list[Json], place: Place, states: Sequence[key_paths.State], depth: int) -> Json:
        cleaned: list[Json] = []
        same = True
        for index, item in enumerate(items):
            below, named = key_paths.advance(states, index) if states else ((), False)
            kept = self._by_key() if named else self._value(item, Place(index, place), below, depth)
            same = same and kept is item
            cleaned.append(kept)
        return items if same else cleaned

    def _by_key(self) -> str:
        self.counts[KEY] += 1
        return f"[redacted:{KEY}]"

    def _note(self, found: media.Found, place: Place) -> None:
        self.media.append(media.Media(str(place), found.sha256, found.bytes))

    def _number(self, number: Number) -> Json:
        cleaned = self._plain(str(number))
        return number if cleaned == number else cleaned

    def _name(self, key: str) -> str:
        return self._plain(key) if self._active.finders else key

    def _text(self, text: str, place: Place, states: Sequence[key_paths.State], depth: int) -> str:
        if _looks_like_json(text) and self._layers < _MOST_LAYERS:
            inner = self._json(text, place, states, depth)
            if inner is not None:
                return inner
        if self._active.media and ";base64," in text:
            return self._around_media(text, place)
        return self._plain(text)

    def _json(self, text: str, place: Place, states: Sequence[key_paths.State], depth: int) -> str | None:
        """Clean a text that is itself JSON, so that it stays JSON; None where it is none."""
        if not self._worth_reading(text, place, states):
            return text
        try:
            document = Document(text)
        except ValueError:
            return None
        self._layers += 1
        try:
            cleaned = self._value(document.value, place, states, depth)
        finally:
            self._layers -= 1
        if cleaned is document.value and not document.altered:
            return text
        return write(cleaned)

    def _worth_reading(self, text: str, place: Place, states: Sequence[key_paths.State]) -> bool:
        if states:
            return True
        raw = Raw(text.encode("utf-8", "surrogatepass"))
        if ESCAPED_ASCII.search(raw.bytes):
            return True
        if self._active.media and (place.key in media.HOLDERS or media.sieve(raw.bytes)):
            return True
        return any(finder.sieve is None or finder.sieve(raw) for finder in self._active.finders)

    def _around_media(self, text: str, place: Place) -> str:
        parts: list[str] = []
        done = 0
        for found in media.in_text(text):
            self._note(found, place)
            parts += (self._plain(text[done : found.start]), found.marker)
            done = found.end
        return "".join((*parts, self._plain(text[done:]))) if done else self._plain(text)

    def _plain(self, text: str) -> str:
        """Replace what the finders find in a plain text.

        All of them look at the text as it came, so what one finds does not depend on another. Where two find the
        same letters, the first one has them, and the second one what it found beside them.
        """
        owners: bytearray | None = None
        for number, finder in enumerate(self._active.finders, 1):
            looked_at = text.translate(SEPARATORS) if finder.separators and not text.isascii() else text
            for start, end in finder.find(looked_at):
                owners = owners if owners is not None else bytearray(len(text))
                owners[start:end] = owners[start:end].replace(b"\0", bytes((number,)))
        return text if owners is None else self._without(text, owners)

    def _without(self, text: str, owners: bytearray) -> str:
        """Replace each run of letters that one finder has; 0 stands for nobody."""
        parts: list[str] = []
        for run in _RUN.finditer(owners):
            owner = run.group(1)[0]
            if owner:
                rule = self._active.finders[owner - 1].rule
                self.counts[rule] += 1
                parts.append(f"[redacted:{rule}]")
            else:
                parts.append(text[run.start() : run.end()])
        return "".join(parts)


_RUN = re.compile(rb"(.)\1*", re.DOTALL)


def _looks_like_json(text: str) -> bool:
    begin, end = text[:1], text[-1:]
    if begin in " \t\r\n" or end in " \t\r\n":
        stripped = text.strip(" \t\r\n")
        begin, end = stripped[:1], stripped[-1:]
    return (begin == "{" and end == "}") or (begin == "[" and end == "]")


def _unlike(name: str, members: dict[str, Json], alike: Counter[str]) -> str:
    """Give a redacted name that no other member has, so that none overwrites another."""
    unlike = name
    while True:
        alike[name] += 1
        if alike[name] > 1:
            unlike = f"{name} {alike[name]}"
        if unlike not in members:
            return unlike
