"""Take the local spool into the embedded store.

Theory of operation. A position is kept in the store for every segment that is not finished, in the very
transaction that brings its lines in; so lines are read once, a crash at any point repeats at most a batch,
and two processes at it wait for each other a batch at a time. A folder whose lock can be taken has no living
owner: all of it is taken in and it is removed. Of a living owner the sealed segments are removed once they
are in, the active one is read up to its last whole line. Refused lines go to `refused/` before the commit,
so none is lost.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final

from sqlalchemy import Connection, delete, insert, select

from .client_files import take_reports
from .file_lock import try_lock
from .fold import settle
from .ingest import Refusal, ingest_within
from .spool_folders import LOCAL, REFUSED, owner_folders, read_lines, segment_name, segments, start_of
from .store.schema import spool_positions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .store.database import Store

_NEW_FOLDER_SECONDS: Final = 60
"""An empty folder younger than this is left alone: its owner may be just about to lock it."""


@dataclass(slots=True)
class TakenIn:
    """What came of the spool.

    Args:
        new: Records that were not there yet.
        seen: Records that were.
        refused: Lines that are no records; they lie in `spool/local/refused/` now.
        faults: What could not be read or removed, a line each.
    """

    new: int = 0
    seen: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)


def take_in(
    store: Store,
    home: Path,
    now: Callable[[], int],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> TakenIn:
    """Take in all that lies in the local spool, and what the processes said of themselves.

    Args:
        store: Where it goes.
        home: The home folder, whose spool is meant.
        now: The clock, milliseconds since 1970.
        progress: Called with the bytes read so far, and those there were at the start.

    Raises:
        StoreError: the store cannot be written; what was not taken in stays in the spool.
    """
    spool = home / "spool" / LOCAL
    job = _Job(store, spool, now, progress)
    folders = owner_folders(spool)
    job.measure(folders)
    for folder in folders:
        job.take_folder(folder)
    job.forget_missing()
    try:
        take_reports(store, home, now())
    except OSError as error:
        job.result.faults.append(f"{home}: what clients say of themselves cannot be read ({error.strerror or error})")
    if job.result.new:
        settle(store, now())
    return job.result


def positions(connection: Connection) -> dict[str, int]:
    """Tell how far the segments that are not finished have been taken in, by "owner/segment"."""
    query = select(spool_positions.c.segment, spool_positions.c.position)
    return {row.segment: row.position for row in connection.execute(query)}


class _Job:
    def __init__(self, store: Store, spool: Path, now: Callable[[], int], progress: Callable[[int, int], None]) -> None:
        self.store = store
        self.spool = spool
        self.now = now
        self.progress = progress
        self.result = TakenIn()
        self.done = self.total = 0
        with store.reading() as connection:
            self.known = positions(connection)

    def measure(self, folders: list[Path]) -> None:
        for folder in folders:
            for segment in segments(folder):
                with suppress(OSError):
                    self.total += max(0, segment.stat().st_size - self.known.get(segment_name(segment), 0))

    def take_folder(self, folder: Path) -> None:
        try:
            self._take_folder(folder)
        except FileNotFoundError:
            pass  # another process has taken it in
        except OSError as error:
            self.result.faults.append(f"{folder}: {error.strerror or error}")

    def _take_folder(self, folder: Path) -> None:
        if not segments(folder) and self.now() / 1000 - folder.stat().st_mtime < _NEW_FOLDER_SECONDS:
            return
        with try_lock(folder / "lock") as orphan:
            found = segments(folder)
            for segment in found:
                ended = orphan or segment != found[-1]
                self._take_segment(segment, ended=ended)
                if ended:
                    segment.unlink(missing_ok=True)
            if orphan and sys.platform != "win32":
                self._remove(folder)
        if orphan and sys.platform == "win32":  # where a file that is open cannot be removed
            self._remove(folder)

    def forget_missing(self) -> None:
        """Drop the positions of segments that are gone, so that they do not pile up."""
        gone = [name for name in self.known if not (self.spool / name).exists()]
        if gone:
            with self.store.writing() as connection:
                connection.execute(delete(spool_positions).where(spool_positions.c.segment.in_(gone)))

    def _take_segment(self, segment: Path, *, ended: bool) -> None:
        name = segment_name(segment)
        with segment.open("rb") as file:
            known = self.known.get(name, 0)
            if not ended and known and os.fstat(file.fileno()).st_size == known:
                return  # nothing was appended: no need to make other writers wait
            while self._take_batch(file, segment, ended=ended):
                self.progress(self.done, self.total)

    def _take_batch(self, file: BinaryIO, segment: Path, *, ended: bool) -> bool:
        name = segment_name(segment)
        with self.store.writing() as connection:
            if not segment.exists():
                return False  # another process has finished it, and its position may be forgotten already
            start = start_of(file)
            position = self._position(connection, name, start)
            batch = read_lines(file, position, ended=ended)
            if not batch.lines:
                return False
            answer = ingest_within(connection, batch.lines, self.now())
            self._keep(name, [(batch.lines[one.line - 1], one) for one in answer.refused])
            connection.execute(delete(spool_positions).where(spool_positions.c.segment == name))
            connection.execute(insert(spool_positions).values(segment=name, start=start, position=batch.end))
        self.known[name] = batch.end
        self.done += batch.end - position
        self.result.new += answer.new
        self.result.seen += answer.seen
        self.result.refused += len(answer.refused)
        return True

    def _position(self, connection: Connection, name: str, start: str) -> int:
        query = select(spool_positions).where(spool_positions.c.segment == name)
        row = connection.execute(query).mappings().first()
        return row["position"] if row is not None and row["start"] == start else 0

    def _keep(self, name: str, refusals: list[tuple[bytes, Refusal]]) -> None:
        """Put refused lines by for a person, as they are; why stands in a file beside them."""
        if not refusals:
            return
        folder = self.spool / REFUSED
        folder.mkdir(exist_ok=True)
        kept = folder / name.replace("/", "-")
        lines = b"".join(line if line.endswith(b"\n") else line + b"\n" for line, _refusal in refusals)
        _append(kept, lines)
        reasons = "".join(" ".join(one.why.split()) + "\n" for _line, one in refusals)
        _append(kept.with_suffix(".why.txt"), reasons.encode("utf-8", "replace"))

    def _remove(self, folder: Path) -> None:
        left = [path.name for path in folder.iterdir() if path.name != "lock"]
        if left:
            self.result.faults.append(f"{folder}: left where it is, it holds {left[0]!r} which is no segment")
            return
        (folder / "lock").unlink(missing_ok=True)
        with suppress(OSError):  # something was put in it just now: it is seen to at the next turn
            folder.rmdir()


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
