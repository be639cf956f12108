"""A spool with everything passed in, and the lines, files and folders that its tests are about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from logos_shift_openai.client.counters import Counters
from logos_shift_openai.client.refused_files import REFUSED
from logos_shift_openai.client.segments import lines_of
from logos_shift_openai.client.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Case:
    """A spool with everything passed in."""

    def __init__(self, home: Path, **bounds: int) -> None:
        self.counters = Counters()
        self.clock = Clock()
        self.spool = Spool(home, "d", self.counters, clock=self.clock, **bounds)

    @property
    def counts(self) -> dict[str, int]:
        return self.counters.snapshot()

    def take_all(self) -> list[str]:
        """Return the ids of everything handed out, each confirmed."""
        ids = []
        while (segment := self.spool.next_segment()) is not None:
            ids += ids_of(segment.data)
            self.spool.done(segment)
        return ids


def line(name: object, size: int = 0) -> bytes:
    return json.dumps({"v": 1, "id": str(name), "x": "x" * size}, separators=(",", ":")).encode() + b"\n"


def lines(*names: object) -> list[bytes]:
    return [line(name) for name in names]


def ids_of(data: bytes) -> list[str]:
    return [json.loads(one)["id"] for one in lines_of(data)]


def refused(spool: Spool) -> dict[str, bytes]:
    folder = spool.root / REFUSED
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def blocked(home: Path) -> None:
    """Put a file where the folder should be: root cannot write there either."""
    home.mkdir(exist_ok=True)
    (home / "spool").write_text("in the way")


def orphan(home: Path, content: bytes, name: str = "000001.ndjson") -> Path:
    folder = home / "spool" / "d" / "77-dead"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lock").touch()
    (folder / name).write_bytes(content)
    return folder
