"""How far two answers agree, field by field: for JSON with several parts, and for calls with several arguments.

A field is a value at a path: of an object its keys, of a list its items without their order, of a call its name and
each argument. The score is Dice's: twice the shared fields by the fields of both, so a field too much costs as much as
one too few. Texts that are no JSON have one field, themselves. Source: Dice, Ecology 26 (1945).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from .answers import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .answers import Answer


def shared_fields(one: Answer, other: Answer) -> float:
    """Give the part of the fields that two choices share, in [0, 1]."""
    ours, theirs = _fields(one), _fields(other)
    both = sum(ours.values()) + sum(theirs.values())
    return 2 * sum((ours & theirs).values()) / both if both else 1.0


def _fields(answer: Answer) -> Counter[tuple[str, Any]]:
    found: Counter[tuple[str, Any]] = Counter()
    if answer.text.strip() or not answer.tools:
        found.update(_of_text(answer.text, ""))
    for name, arguments in answer.tools:
        found[f"{name}()", ""] += 1
        found.update(one for one in _of_text(arguments, f"{name}()") if one[1] != (dict, ""))
    return found


def _of_text(text: str, path: str) -> list[tuple[str, Any]]:
    try:
        value = read_json(text)
        return list(_leaves(value if isinstance(value, dict | list) else text.strip(), path))
    except (ValueError, ArithmeticError, RecursionError):
        return [(path, (str, text.strip()))]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Give the fields of a value; an empty object or list is one, and to JSON true is no number."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _leaves(inner, f"{path}[]")
    else:
        yield path, (type(value), "" if isinstance(value, dict | list) else value)
