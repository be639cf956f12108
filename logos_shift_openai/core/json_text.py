"""JSON text that is read, changed in places and written again, with every number kept letter for letter.

Numbers are read as `Number`, their own text, so `1.0E5` or a 30 digit id is written as it came. Rule: what is
written is always valid JSON: NaN and the infinities become null, and of double keys only the last one is kept.
"""

from __future__ import annotations

import json
import re
from typing import TypeAlias

MAX_DEPTH = 200
"""Objects and lists may be nested this deep; deeper text is refused instead of trusted to the stack."""


class Number(str):
    """A JSON number as the text it was written in."""

    __slots__ = ()


Json: TypeAlias = "dict[str, Json] | list[Json] | str | bool | None"
"""A tree as `Document` reads it; numbers are `Number`, a str of its own type."""

_STRING = json.JSONEncoder(ensure_ascii=False)
_ASCII_STRING = json.JSONEncoder(ensure_ascii=True)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LITERALS = {None: "null", True: "true", False: "false"}


class Document:
    """One JSON text, read.

    Attributes:
        value: the tree.
        altered: whether writing `value` again gives other content than the text had, because a double key or a
            constant JSON does not have was dropped.
    """

    __slots__ = ("altered", "value")

    def __init__(self, text: str) -> None:
        """Read the text.

        Args:
            text: one JSON value, with white space around it or not.

        Raises:
            ValueError: it is not JSON.
            RecursionError: it is nested too deep for the reader.
        """
        self.altered = False
        self.value: Json = json.loads(
            text,
            parse_int=Number,
            parse_float=Number,
            parse_constant=self._constant,
            object_pairs_hook=self._object,
        )

    def _constant(self, _name: str) -> None:
        self.altered = True

    def _object(self, pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        members = dict(pairs)
        if len(members) != len(pairs):
            self.altered = True
        return members


def write(value: Json) -> str:
    """Write a tree as compact JSON text on one line.

    Args:
        value: what `Document` gave, changed or not.

    Returns:
        The text; letters beyond ASCII stay as they are, halves of surrogate pairs are escaped.
    """
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts)


def write_string(text: str) -> str:
    """Write one JSON string, with its quotes."""
    if not text.isascii() and _LONE_SURROGATE.search(text):
        return _ASCII_STRING.encode(text)
    return _STRING.encode(text)


def _write(value: Json, parts: list[str]) -> None:
    if isinstance(value, Number):
        parts.append(str(value))
    elif isinstance(value, str):
        parts.append(write_string(value))
    elif isinstance(value, dict):
        lead = "{"
        for key, member in value.items():
            parts.append(f"{lead}{write_string(key)}:")
            _write(member, parts)
            lead = ","
        parts.append("{}" if lead == "{" else "}")
    elif isinstance(value, list):
        lead = "["
        for item in value:
            parts.append(lead)
            _write(item, parts)
            lead = ","
        parts.append("[]" if lead == "[" else "]")
    else:
        parts.append(_LITERALS[value])


class Place:
    """Where a value stands: a chain of keys and indexes up to the root, written only when asked for."""

    __slots__ = ("above", "key")

    def __init__(self, key: str | int, above: Place | None = None) -> None:
        """Make the place `key` below `above`; without `above`, `key` names the root."""
        self.key = key
        self.above = above

    def __str__(self) -> str:
        names: list[str] = []
        place: Place | None = self
        while place is not None:
            names.append(_step(place.key, first=place.above is None))
            place = place.above
        return "".join(reversed(names))


_PLAIN = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_LONGEST_NAME = 100


def _step(key: str | int, *, first: bool) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    name = key if len(key) <= _LONGEST_NAME else key[:_LONGEST_NAME] + "…"
    if not _PLAIN.fullmatch(name):
        return f"[{_ASCII_STRING.encode(name)}]"
    return name if first else f".{name}"
