"""A file of logs taken apart into JSON values, one at a time: lines of JSON, or one JSON document; gzipped or not.

A line that is no JSON is given as its fault, with its number, and stops nothing.
"""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase
    from pathlib import Path

WRAPPED_IN: Final = ("data", "runs", "observations", "items")
"""Members of an object under which an API's answer, saved as it came, has its list."""

_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"


class Item(NamedTuple):
    """One entry of a file.

    Args:
        where: "line 3" or "item 3", counted from 1.
        value: What stands there; None where there is a fault.
        fault: Why it cannot be read.
    """

    where: str
    value: Any
    fault: str | None = None


def read_items(path: Path) -> Iterator[Item]:
    """Read a file's entries in their order.

    Args:
        path: The file.

    Raises:
        OSError: it cannot be read.
    """
    with _opened(path) as file:
        first = b""
        while not first:
            line = file.readline()
            if not line:
                return
            first = line.removeprefix(_BOM).strip()
        if first[:1] == b"[" or not _is_json(first):
            yield from _of_document(first + b"\n" + file.read())
            return
        yield from _of_line(1, first)
        for number, line in enumerate(file, 2):
            if line.strip():
                yield from _of_line(number, line)


def _opened(path: Path) -> BufferedIOBase:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return gzip.open(path, "rb") if packed else path.open("rb")


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _of_line(number: int, line: bytes) -> Iterator[Item]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        yield Item(f"line {number}", None, f"no JSON: {error}")
        return
    yield from _unwrapped(f"line {number}", value)


def _of_document(text: bytes) -> Iterator[Item]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        yield Item("the file", None, f"neither lines of JSON nor one JSON document: {error}")
        return
    if isinstance(value, list):
        for number, one in enumerate(value, 1):
            yield Item(f"item {number}", one)
    else:
        yield from _unwrapped("item 1", value)


def _unwrapped(where: str, value: Any) -> Iterator[Item]:
    """Give an object, or the entries of the list that an API wrapped in one."""
    if isinstance(value, dict) and "id" not in value and "messages" not in value:
        for name in WRAPPED_IN:
            if isinstance(value.get(name), list):
                for number, one in enumerate(value[name], 1):
                    yield Item(f"{where}, {name}[{number - 1}]", one)
                return
    yield Item(where, value)
