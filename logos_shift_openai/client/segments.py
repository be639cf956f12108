"""The segments of a spool as they are read: their whole lines, and which of these are in the format that we know.

Its rule: only a newline ends a line, and half a line can stand only at the very end, where a process was killed.
"""

from __future__ import annotations

import contextlib
import errno
import json
from typing import TYPE_CHECKING, NamedTuple

from logos_shift_openai.client.file_lock import segments_in

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_FORMAT = b'{"v":1,'  # how every line of ours begins
_MAX_READ = 64 * 2**20  # a longer "segment" is none of ours


class Segment(NamedTuple):
    """Lines to send in one go; `path` is None for lines that are in memory only."""

    path: Path | None
    data: bytes
    """Whole lines, each ending in a newline."""
    size: int
    """Bytes it takes on disk, or in memory."""


def read_lines(path: Path) -> tuple[list[bytes], int, bool]:
    """Read a sealed segment.

    Returns:
        Its whole lines, the bytes it takes on disk, and whether half a line stands at its end.

    Raises:
        OSError: it cannot be read, or is too long to be one of ours.
    """
    size = path.stat().st_size
    if size > _MAX_READ:
        raise OSError(errno.EFBIG, path.name)
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    return lines_of(data[:end]), size, end < len(data)


def lines_of(data: bytes) -> list[bytes]:
    """Split whole lines, each keeping its newline (`splitlines` would split at carriage returns too)."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]]


def is_ours(line: bytes) -> bool:
    """Tell a line we wrote ourselves, at a glance."""
    return (line.startswith(_FORMAT) and line.endswith(b"}\n")) or is_whole(line)


def is_whole(line: bytes) -> bool:
    """Tell a line of the format we know that nothing has happened to since."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and record.get("v") == 1


def measure(folders: Iterable[Path]) -> tuple[int, int, float | None]:
    """Measure the segments in some folders: their bytes, how many they are, and when the oldest was last written to.

    The time is in seconds since 1970, None where there is no segment.
    """
    size = count = 0
    oldest: float | None = None
    for folder in folders:
        for path in segments_in(folder):
            with contextlib.suppress(OSError):  # sent in the meantime
                found = path.stat()
                size, count = size + found.st_size, count + 1
                oldest = found.st_mtime if oldest is None else min(oldest, found.st_mtime)
    return size, count, oldest
