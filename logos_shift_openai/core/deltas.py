"""Putting the pieces of a streamed object together again.

Rule: texts are joined, except those that name something (`id`, `type`, `role` …), which providers like to repeat and
which therefore count once; items of a list that carry an `index` are put together by it, others are appended; objects
are merged member by member; anything else is replaced; null never wipes out a value.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Object: TypeAlias = "dict[str, Any]"  # what a provider sends has no narrower type

NAMES = frozenset({"id", "type", "name", "role", "index", "object", "format", "call_id", "status"})
"""Members whose text is a name: the first one that says something counts."""

_JOINED_PARTS = frozenset({"text", "thinking"})
"""Types of content parts that may come in pieces without an index; a piece goes on with the last part of its type."""

_PLAIN_LISTS = frozenset({"annotations", "citations"})
"""Lists whose items may have an `index` that is no place in the list."""


class Pieces(list[str]):
    """A text that is still coming."""


class Entries(list[Any]):
    """A list that is still coming, and where in it each index stands."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[int, int] = {}


def merge(whole: Object, delta: Object) -> None:
    """Put a delta into an object.

    Args:
        whole: what has come so far; changed in place.
        delta: the new piece; it is taken over, so nobody else may use it afterwards.
    """
    for key, value in delta.items():
        if value is None:
            whole.setdefault(key, None)
        elif isinstance(value, str):
            _merge_text(whole, key, value)
        elif isinstance(value, dict):
            into = whole.get(key)
            if not isinstance(into, dict):
                into = whole[key] = {}
            merge(into, value)
        elif isinstance(value, list):
            _merge_list(whole, key, value)
        else:
            whole[key] = value


def _merge_text(whole: Object, key: str, value: str) -> None:
    before = whole.get(key)
    if key in NAMES:
        if not before:
            whole[key] = value
    elif isinstance(before, Pieces):
        before.append(value)
    elif isinstance(before, Entries):
        if value:
            _append(before, {"type": "text", "text": value})
    else:
        whole[key] = Pieces((value,))


def _merge_list(whole: Object, key: str, items: list[Any]) -> None:
    before = whole.get(key)
    entries = before if isinstance(before, Entries) else Entries()
    if isinstance(before, Pieces) and any(before):
        _append(entries, {"type": "text", "text": "".join(before)})
    whole[key] = entries
    if key in _PLAIN_LISTS:
        entries.extend(items)
        return
    for item in items:
        _append(entries, item)


def _append(entries: Entries, item: object) -> None:
    if not isinstance(item, dict):
        entries.append(item)
        return
    index = item.get("index")
    if isinstance(index, int) and not isinstance(index, bool):
        place = entries.places.setdefault(index, len(entries))
    elif item.get("type") in _JOINED_PARTS and entries and _type_of(entries[-1]) == item["type"]:
        place = len(entries) - 1
    else:
        place = len(entries)
    if place == len(entries):
        entries.append({})
    merge(entries[place], item)


def _type_of(entry: object) -> object:
    return entry.get("type") if isinstance(entry, dict) else None


def finished(value: Any) -> Any:
    """Give a merged value as plain JSON: texts joined, lists ordered by their index."""
    if isinstance(value, Pieces):
        return "".join(value)
    if isinstance(value, Entries):
        order = dict(sorted(value.places.items()))
        indexed = iter([value[place] for place in order.values()])
        taken = set(order.values())
        return [finished(next(indexed) if place in taken else entry) for place, entry in enumerate(value)]
    if isinstance(value, dict):
        return {key: finished(member) for key, member in value.items()}
    return value


def merge_logprobs(whole: Object, delta: Object) -> None:
    """Put the log probabilities of a chunk behind those that came before: every list is continued, none wiped out."""
    for key, value in delta.items():
        before = whole.get(key)
        if isinstance(value, list) and isinstance(before, list):
            before.extend(value)
        elif value is not None or key not in whole:
            whole[key] = value
