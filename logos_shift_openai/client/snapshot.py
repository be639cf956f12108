"""Any value of Python as JSON, on the caller's thread: what a function was asked and gave, as it was at that time."""

from __future__ import annotations

import json
import re
import sys
from collections import deque
from dataclasses import fields, is_dataclass
from datetime import date
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from operator import attrgetter, methodcaller
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from pydantic_core import SchemaSerializer

if TYPE_CHECKING:
    from collections.abc import Callable


def snapshot(value: object) -> bytes:
    """Write a value as JSON now, for its owner may change it; what JSON cannot say becomes a short text.

    Nothing is consumed: an iterator, a generator or a stream is named, not read. Of an object whose class is
    not the standard library's only the class is named: its `repr` may do anything, as query a database.
    """
    for way in (_same, _plain, _short):
        try:
            return _encode(way(value)).encode("utf-8", "replace")
        except Exception:  # noqa: BLE001, S112 - the next way is more forgiving
            continue
    return b'"?"'


def _same(value: object) -> object:
    return value


def _plain(value: object, above: frozenset[int] = frozenset()) -> object:
    """Make a value plain that JSON's own writer refuses: for its keys, or because it contains itself."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if id(value) in above:
        return "<itself>"
    inside = above | {id(value)}
    if isinstance(value, dict):
        keys = (key if isinstance(key, str) else _short(key) for key in value)
        return dict(zip(keys, (_plain(one, inside) for one in value.values()), strict=False))
    if isinstance(value, (list, tuple)):
        return [_plain(one, inside) for one in value]
    return _plain(_told(value), inside)


def _told(value: object) -> object:
    """Say in JSON's words what JSON's own writer does not know."""
    try:
        return _in_other_words(value)
    except Exception:  # noqa: BLE001 - values are anybody's code
        return _short(value)


_WORDS: Final[tuple[tuple[Any, Callable[[Any], object]], ...]] = (
    ((set, frozenset, deque), list),
    (Enum, attrgetter("value")),
    ((date, time_of_day), methodcaller("isoformat")),
    ((Decimal, UUID, PurePath), str),
    (Integral, int),
    (Real, float),
)


def _in_other_words(value: Any) -> object:
    serializer = getattr(type(value), "__pydantic_serializer__", None)
    if isinstance(serializer, SchemaSerializer):
        # As values of Python: the JSON mode would read iterators to their end.
        return serializer.to_python(value, warnings=False)
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in fields(value) if one.repr}
    for types, say in _WORDS:
        if isinstance(value, types):
            return say(value)
    return _short(value)


_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
_SHORT: Final = 200


def _short(value: object) -> str:
    kind = type(value)
    named = f"<{kind.__module__}.{kind.__qualname__}>"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if kind.__module__.partition(".")[0] not in sys.stdlib_module_names:
        return named
    try:
        text = _ADDRESS.sub("", repr(value))
    except Exception:  # noqa: BLE001 - what it holds may be of any class
        return named
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_told).encode
