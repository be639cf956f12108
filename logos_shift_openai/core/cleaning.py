"""The slow way through a body: every text in its tree is looked at, and what must not be kept is replaced.

Rule: all of it or nothing. Whatever cannot be looked at for sure (no JSON, nested too deep, not UTF-8) raises, so that
the caller keeps nothing of the body. JSON inside a text, as in the arguments of a tool call, is looked at as JSON too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import key_paths, media
from .json_text import MAX_DEPTH, Document, Json, Number, Place, write
from .redaction_finders import ESCAPED_ASCII, SEPARATORS, Finder, Raw
from .redaction_secrets import names_secret

KEY = "key"
"""What the values of named keys are counted as, and the word in their replacement text."""

_MOST_LAYERS = 4
"""JSON in a text in JSON in a text … is followed this many times; beyond, the text is looked at as plain text."""


class TooDeepError(ValueError):
    """The body is nested deeper than anybody looks."""


@dataclass(frozen=True)
class Active:
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

    def _object(
        self, members: dict[str, Json], place: Place, states: Sequence[key_paths.State], depth: int
    ) -> Json:
        cleaned: dict[str, Json] = {}
        same = True
        for key, member in members.items():
            kept = self._member(members, key, Place(key, place), states, depth)
            name = self._name(key)
            if name is not key:
                name = _unlike(name, cleaned, members)
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
        if isinstance(member, str) and not isinstance(member, Number):
            if self._by_name and names_secret(key, member):
                self.counts["secrets"] += 1
                return "[redacted:secrets]"
            above = place.above.key if place.above else None
            if self._active.media and media.is_place(above, key, members):
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
        inner = self._inner(text, place, states, depth)
        if self._active.media and ";base64," in inner:
            return self._around_media(inner, place)
        return self._plain(inner)

    def _inner(self, text: str, place: Place, states: Sequence[key_paths.State], depth: int) -> str:
        """Clean a text that is itself JSON as JSON; anything else comes back as it is."""
        if (
            not _looks_like_json(text)
            or self._layers >= _MOST_LAYERS
            or not self._worth_reading(text, states)
        ):
            return text
        try:
            document = Document(text)
        except ValueError:
            return text
        self._layers += 1
        try:
            cleaned = self._value(document.value, place, states, depth)
        finally:
            self._layers -= 1
        if cleaned is document.value and not document.altered:
            return text
        return write(cleaned)

    def _worth_reading(self, text: str, states: Sequence[key_paths.State]) -> bool:
        if states:
            return True
        raw = Raw(text.encode("utf-8", "surrogatepass"))
        if ESCAPED_ASCII.search(raw.bytes):
            return True
        if self._active.media and media.sieve(raw.bytes):
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
        for finder in self._active.finders:
            text = self._replace(finder, text)
        return text

    def _replace(self, finder: Finder, text: str) -> str:
        looked_at = text.translate(SEPARATORS) if finder.separators and not text.isascii() else text
        parts: list[str] = []
        done = 0
        for start, end in finder.find(looked_at):
            parts += (text[done:start], f"[redacted:{finder.rule}]")
            done = end
            self.counts[finder.rule] += 1
        return "".join((*parts, text[done:])) if parts else text


def _looks_like_json(text: str) -> bool:
    begin, end = text[:1], text[-1:]
    if begin in " \t\r\n" or end in " \t\r\n":
        stripped = text.strip(" \t\r\n")
        begin, end = stripped[:1], stripped[-1:]
    return (begin == "{" and end == "}") or (begin == "[" and end == "]")


def _unlike(name: str, *taken: Iterable[str]) -> str:
    """Give a name that no other member has, so that none overwrites another."""
    number, unlike = 1, name
    while any(unlike in names for names in taken):
        number += 1
        unlike = f"{name} {number}"
    return unlike
