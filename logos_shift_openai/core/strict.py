"""Readers that take a JSON document apart strictly: each names the path of what does not fit.

A reader is a function of a path and a value that gives the value back, typed, or raises `ConfigError`.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_SHOWN: Final = 60


class ConfigError(ValueError):
    """A config document that is refused; the message begins with the path of the fault."""


class Fields:
    """A JSON object whose keys are taken one by one; what is left over at the end is a fault."""

    def __init__(self, path: str, data: object) -> None:
        if not isinstance(data, dict):
            raise ConfigError(f"{path or 'the document'}: {shown(data)} is not an object")
        self.path = path
        self.left = dict(data)

    def take(
        self, key: str, read: Callable[[str, Any], _T], *, default: _T | None = None, required: bool = False
    ) -> _T:
        """Take the value of a key, or the default where there is none."""
        path = f"{self.path}.{key}" if self.path else key
        if key not in self.left:
            if required:
                raise ConfigError(f"{path}: missing")
            return default  # type: ignore[return-value]  # each caller's default is of the type it reads
        return read(path, self.left.pop(key))

    def done(self) -> None:
        """Refuse what was not taken."""
        for key in self.left:
            path = f"{self.path}.{key}" if self.path else key
            raise ConfigError(f"{path}: not known here")


def shown(value: object) -> str:
    """Show a value in an error, cut short."""
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def whole(path: str, value: Any) -> int:
    """Read a whole number from 0 on."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{path}: {shown(value)} is not a whole number from 0 on")
    return value


def flag(path: str, value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise ConfigError(f"{path}: {shown(value)} is neither true nor false")
    return value


def text(path: str, value: Any) -> str:
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{path}: {shown(value)} is not a text")
    return value


def name(path: str, value: Any) -> str:
    """Read a name: 1 to 128 letters, digits and `. _ : -`."""
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise ConfigError(f"{path}: {shown(value)} is not a name of 1 to 128 letters, digits and . _ : -")
    return value


def maybe(read: Callable[[str, Any], _T]) -> Callable[[str, Any], _T | None]:
    """Also take null, for None."""
    return lambda path, value: None if value is None else read(path, value)


def number_in(low: float, high: float) -> Callable[[str, Any], float]:
    """Read a finite number between two bounds, both included."""

    def read(path: str, value: Any) -> float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not fits or not low <= value <= high:
            raise ConfigError(f"{path}: {shown(value)} is not in {low:g}..{high:g}")
        return float(value)

    return read


def one_of(*names: str) -> Callable[[str, Any], Any]:
    """Read one of some texts."""

    def read(path: str, value: Any) -> Any:
        if value not in names:
            raise ConfigError(f"{path}: {shown(value)} is not one of {', '.join(names)}")
        return value

    return read


def list_of(read: Callable[[str, Any], _T]) -> Callable[[str, Any], tuple[_T, ...]]:
    """Read a list of what another reader takes."""

    def read_all(path: str, value: Any) -> tuple[_T, ...]:
        if not isinstance(value, list):
            raise ConfigError(f"{path}: {shown(value)} is not a list")
        return tuple(read(f"{path}[{index}]", one) for index, one in enumerate(value))

    return read_all


def map_of(read: Callable[[str, Any], _T]) -> Callable[[str, Any], Mapping[str, _T]]:
    """Read an object whose values another reader takes."""

    def read_all(path: str, value: Any) -> Mapping[str, _T]:
        if not isinstance(value, dict):
            raise ConfigError(f"{path}: {shown(value)} is not an object")
        return {key: read(f"{path}.{key}", one) for key, one in value.items()}

    return read_all


def anything(_path: str, value: Any) -> Any:
    """Take any JSON value."""
    return value
