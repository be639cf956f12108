"""Does a value fit a JSON schema, as far as structured outputs go: types, enums, objects, arrays, unions, limits.

Rule: lenient and bounded. A keyword that is not known here (`pattern`, `format`, `not`, `if`, what drafts may bring)
forbids nothing, `oneOf` is read as `anyOf`, and a reference that leads nowhere allows everything; so "does not fit" is
always meant. Patterns are left out on purpose: one that backtracks for minutes would hold the interpreter as long.

Source of the keywords: JSON Schema 2020-12, and the subset that OpenAI's structured outputs name.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable

DEPTH_MAX: Final = 100
STEPS_MAX: Final = 20_000
"""So many schemas are held against values before the answer is "unknown": some ten milliseconds."""


class _TooMuchError(Exception):
    """Too deep, or too much to do."""


def fits(schema: object, value: object) -> bool | None:
    """Tell whether a value fits a schema.

    Args:
        schema: As read from JSON.
        value: As read from JSON.

    Returns:
        None where it would take too much to tell: deeper than `DEPTH_MAX`, or more than `STEPS_MAX` steps.
    """
    try:
        return _Fitting(schema).fits(schema, value)
    except (_TooMuchError, RecursionError):
        return None


def equal(one: object, other: object) -> bool:
    """Compare as JSON does: 1 is 1.0 and neither is true.

    Raises:
        RecursionError: both are nested very deep.
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    return one == other


class _Fitting:
    """One value held against one schema, with the steps that are left."""

    def __init__(self, root: object) -> None:
        self.root = root
        self.left = STEPS_MAX
        self.depth = 0

    def fits(self, schema: object, value: object) -> bool:
        self.spend(1)
        if not isinstance(schema, dict):
            return schema is not False
        if self.depth >= DEPTH_MAX:
            raise _TooMuchError
        self.depth += 1
        for key, said in schema.items():
            check = _CHECKS.get(key)
            if check is not None and not check(self, said, value, schema):
                self.depth -= 1
                return False
        self.depth -= 1
        return True

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise _TooMuchError


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _type(_: _Fitting, said: Any, value: Any, _schema: dict[str, Any]) -> bool:
    names = said if isinstance(said, list) else [said]
    known = [_TYPES[name] for name in names if isinstance(name, str) and name in _TYPES]
    return len(known) < len(names) or any(check(value) for check in known)


def _enum(run: _Fitting, said: Any, value: Any, _schema: dict[str, Any]) -> bool:
    if not isinstance(said, list):
        return True
    run.spend(len(said) // 8)
    return any(equal(one, value) for one in said)


def _properties(run: _Fitting, said: Any, value: Any, _schema: dict[str, Any]) -> bool:
    if not isinstance(said, dict) or not isinstance(value, dict):
        return True
    return all(run.fits(schema, value[key]) for key, schema in said.items() if key in value)


def _additional(run: _Fitting, said: Any, value: Any, schema: dict[str, Any]) -> bool:
    if not isinstance(value, dict) or "patternProperties" in schema:
        return True
    named = schema.get("properties")
    known = named if isinstance(named, dict) else {}
    return all(run.fits(said, one) for key, one in value.items() if key not in known)


def _required(_: _Fitting, said: Any, value: Any, _schema: dict[str, Any]) -> bool:
    if not isinstance(said, list) or not isinstance(value, dict):
        return True
    return all(key in value for key in said if isinstance(key, str))


def _items(run: _Fitting, said: Any, value: Any, schema: dict[str, Any]) -> bool:
    if not isinstance(value, list) or isinstance(said, list):  # a list of schemas is of older drafts
        return True
    first = schema.get("prefixItems")
    return all(run.fits(said, one) for one in value[len(first) if isinstance(first, list) else 0 :])


def _prefix(run: _Fitting, said: Any, value: Any, _schema: dict[str, Any]) -> bool:
    if not isinstance(said, list) or not isinstance(value, list):
        return True
    return all(run.fits(schema, one) for schema, one in zip(said, value, strict=False))


def _any_of(run: _Fitting, said: Any, value: Any, _schema: dict[str, Any]) -> bool:
    return not isinstance(said, list) or any(run.fits(schema, value) for schema in said)


def _all_of(run: _Fitting, said: Any, value: Any, _schema: dict[str, Any]) -> bool:
    return not isinstance(said, list) or all(run.fits(schema, value) for schema in said)


def _ref(run: _Fitting, said: Any, value: Any, _schema: dict[str, Any]) -> bool:
    return run.fits(_resolved(run.root, said), value)


def _resolved(root: object, said: Any) -> object:
    """Follow a JSON pointer from the root (RFC 6901); what leads elsewhere allows everything."""
    if not isinstance(said, str) or not (said == "#" or said.startswith("#/")):
        return True
    place = root
    for part in said.split("/")[1:]:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(place, dict) and key in place:
            place = place[key]
        elif isinstance(place, list) and key.isdecimal() and int(key) < len(place):
            place = place[int(key)]
        else:
            return True
    return place


def _limit(of: Callable[[Any], Any], passes: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    """Make a check of a size; `of` gives None where the value has none."""

    def check(_: _Fitting, said: Any, value: Any, _schema: dict[str, Any]) -> bool:
        size = of(value)
        return size is None or not _is_number(said) or passes(size, said)

    return check


def _number(value: Any) -> Any:
    return value if _is_number(value) else None


def _length_of(kind: type[str | list[Any] | dict[str, Any]]) -> Callable[[Any], int | None]:
    return lambda value: len(value) if isinstance(value, kind) else None


def _is_multiple(value: Any, of: Any) -> bool:
    if of <= 0:
        return True
    try:
        return bool(value % of == 0 if isinstance(of, int) else value / of == math.floor(value / of))
    except (OverflowError, ValueError):
        return True


_CHECKS: Final[dict[str, Callable[[_Fitting, Any, Any, dict[str, Any]], bool]]] = {
    "type": _type,
    "enum": _enum,
    "const": lambda _run, said, value, _schema: equal(said, value),
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "items": _items,
    "prefixItems": _prefix,
    "anyOf": _any_of,
    "oneOf": _any_of,
    "allOf": _all_of,
    "$ref": _ref,
    "minimum": _limit(_number, lambda size, limit: size >= limit),
    "maximum": _limit(_number, lambda size, limit: size <= limit),
    "exclusiveMinimum": _limit(_number, lambda size, limit: size > limit),
    "exclusiveMaximum": _limit(_number, lambda size, limit: size < limit),
    "multipleOf": _limit(_number, _is_multiple),
    "minLength": _limit(_length_of(str), lambda size, limit: size >= limit),
    "maxLength": _limit(_length_of(str), lambda size, limit: size <= limit),
    "minItems": _limit(_length_of(list), lambda size, limit: size >= limit),
    "maxItems": _limit(_length_of(list), lambda size, limit: size <= limit),
    "minProperties": _limit(_length_of(dict), lambda size, limit: size >= limit),
    "maxProperties": _limit(_length_of(dict), lambda size, limit: size <= limit),
}
