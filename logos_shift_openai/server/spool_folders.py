"""What lies in a spool on disk: destinations, owners, segments and their lines.

Layout: `spool/<destination>/<owner>/lock` and `NNNNNN.ndjson`; the owner of a folder holds its lock and
appends to the segment with the highest number, the lower ones are sealed. Nothing is changed here.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, Final

from .file_lock import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LOCAL: Final = "local"
REFUSED: Final = "refused"
_SEGMENT: Final = re.compile(r"[0-9]{1,18}\.ndjson")
_START_BYTES: Final = 160  # holds the id of the first record
BATCH_BYTES: Final = 2 * 1024 * 1024
LINE_BYTES_MAX: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Lines:
    """Some whole lines of a segment.

    Args:
        end: Where the next ones begin, in bytes from its start.
        torn: The last of them has no newline: its writer died in the middle of it.
    """

    lines: list[bytes]
    end: int
    torn: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a destination has waiting.

    Args:
        orphans: Folders without a living owner that still hold records.
    """

    destination: str
    owners: int
    records: int
    size: int
    orphans: tuple[Path, ...]


def owner_folders(spool: Path) -> list[Path]:
    """List the folders of owners under a destination's folder."""
    try:
        return sorted(path for path in spool.iterdir() if path.name != REFUSED and path.is_dir())
    except FileNotFoundError:
        return []


def segments(folder: Path) -> list[Path]:
    """List an owner's segments, the active one last."""
    try:
        found = [path for path in folder.iterdir() if _SEGMENT.fullmatch(path.name)]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda path: (int(path.stem), path.name))


def segment_name(segment: Path) -> str:
    """Name a segment within its destination: "owner/segment"."""
    return f"{segment.parent.name}/{segment.name}"


def start_of(file: BinaryIO) -> str:
    """Tell a segment from another one of the same name, by a digest of how it begins."""
    file.seek(0)
    return sha256(file.read(_START_BYTES).partition(b"\n")[0]).hexdigest()


def read_lines(file: BinaryIO, position: int, *, ended: bool) -> Lines:
    """Read the next batch of lines from a position on.

    Args:
        file: An open segment.
        position: In bytes from its start.
        ended: Nobody appends any more, so what stands after the last newline is a line too.
    """
    file.seek(position)
    data = file.read(BATCH_BYTES)
    end = data.rfind(b"\n") + 1
    if not end and len(data) == BATCH_BYTES:
        data += file.readline(LINE_BYTES_MAX)
        end = len(data) if data.endswith(b"\n") or len(data) >= LINE_BYTES_MAX else 0
    at_end = len(data) - end and not file.read(1)
    torn = bool(ended and at_end)
    end = len(data) if torn else end
    return Lines(_split(data[:end]), position + end, torn)


def waiting(home: Path, taken: Mapping[str, int]) -> Iterator[Waiting]:
    """Count what waits in the spool, a destination at a time; locks are tried and let go of at once.

    Args:
        home: The home folder.
        taken: How far the segments of the local destination have been taken in, by "owner/segment".
    """
    try:
        destinations = sorted(path for path in (home / "spool").iterdir() if path.is_dir())
    except FileNotFoundError:
        return
    for destination in destinations:
        records = size = 0
        orphans: list[Path] = []
        folders = owner_folders(destination)
        for folder in folders:
            count, length = _count(folder, taken if destination.name == LOCAL else {})
            records, size = records + count, size + length
            if count and is_orphan(folder):
                orphans.append(folder)
        yield Waiting(destination.name, len(folders), records, size, tuple(orphans))


def is_orphan(folder: Path) -> bool:
    """Tell whether the lock of an owner's folder can be taken, so that it has no living owner."""
    try:
        with try_lock(folder / "lock") as taken:
            return taken
    except OSError:
        return False


def _count(folder: Path, taken: Mapping[str, int]) -> tuple[int, int]:
    records = size = 0
    for segment in segments(folder):
        with suppress(FileNotFoundError), segment.open("rb") as file:
            file.seek(taken.get(segment_name(segment), 0))
            while data := file.read(BATCH_BYTES):
                records, size = records + data.count(b"\n"), size + len(data)
    return records, size


def _split(data: bytes) -> list[bytes]:
    """Split at newlines alone; `bytes.splitlines` would split at a carriage return too."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
