"""The files of an edition while they are written: both splits, what belongs to them, and at last the manifest.

Beside the splits lie the ids of the calls, and what each held-out call asked besides.
Rule: all is on the disk before anybody may see it; every hash is of the bytes that were written.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

TRAIN: Final = "train.jsonl"
HELDOUT: Final = "heldout.jsonl"
SOURCES: Final = "sources.txt"
MANIFEST: Final = "manifest.json"
ASKED: Final = "heldout-asked.jsonl"
NAMES: Final = (TRAIN, HELDOUT, ASKED, SOURCES, MANIFEST)
_ID_LENGTH: Final = 20
_BUFFER: Final = 1 << 18


class Files:
    """See the module; a context manager that closes them.

    Args:
        folder: An empty one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, BinaryIO] = {}
        self._hashes = {name: hashlib.sha256() for name in (TRAIN, HELDOUT, ASKED, SOURCES)}
        self._rows = dict.fromkeys(self._hashes, 0)
        self._bytes = dict.fromkeys(self._hashes, 0)
        self._waiting = {name: bytearray() for name in self._hashes}

    def __enter__(self) -> Files:  # noqa: PYI034 - nobody inherits
        self._open = {name: (self._folder / name).open("wb") for name in self._hashes}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._open.values():
            file.close()

    def write(self, name: str, line: bytes) -> None:
        """Add a line, its end included."""
        waiting = self._waiting[name]
        waiting += line
        self._rows[name] += 1
        if len(waiting) >= _BUFFER:
            self._put(name)

    def _put(self, name: str) -> None:
        """Write what waits; hashed in large pieces, which is a good part of the time of a row."""
        waiting = self._waiting[name]
        self._open[name].write(waiting)
        self._hashes[name].update(waiting)
        self._bytes[name] += len(waiting)
        waiting.clear()

    def rows(self, name: str) -> int:
        """Count the lines of a file."""
        return self._rows[name]

    def said(self) -> dict[str, dict[str, Any]]:
        """Give hash, size and rows of each file as it is now; what waits is written."""
        for name in self._waiting:
            self._put(name)
        return {
            name: {"sha256": one.hexdigest(), "bytes": self._bytes[name], "rows": self._rows[name]}
            for name, one in self._hashes.items()
        }

    def finish(self, manifest: dict[str, Any]) -> str:
        """Write the manifest, see everything onto the disk, and give the edition's id: the hash of the manifest."""
        for name, file in self._open.items():
            self._put(name)
            file.flush()
            os.fsync(file.fileno())
        text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True).encode("utf-8", "replace") + b"\n"
        with (self._folder / MANIFEST).open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return name_of(text)


def name_of(manifest: bytes) -> str:
    """Give the id of an edition: the hash of its manifest's bytes."""
    return hashlib.sha256(manifest).hexdigest()[:_ID_LENGTH]
