"""Owns the records on disk that wait to be sent, and the little memory used where no disk can be written.

Its rule: written first, sent after, deleted on the server's yes; what cannot be read or is refused is set
aside for a person.

Theory of operation. Under `<home>/spool/<destination>/` each process has a folder with a lock that dies
with it:

    <owner>/lock  <owner>/000001.ndjson  000002.ndjson ...        refused/*.ndjson

Only the owner writes, only to the segment with the highest number, and always whole lines: a write that a
full disk cut short is cut back to the last whole line. So half a line can stand only at the very end of a
segment, where a process was killed. A folder whose lock can be taken has no owner any more; whoever takes
it sends what is in it. Segments are numbered upwards and never written again once a higher one exists.
Where the folder cannot be written, lines wait in memory, bounded, and the folder is tried again every half
minute. One lock guards the state; files are read and sent outside it.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from logos_shift_openai.client.file_lock import (
    FileLock,
    OwnFolder,
    adopt,
    folders_in,
    give_back,
    segments_in,
    size_of,
)
from logos_shift_openai.client.periodic import reset_in_child
from logos_shift_openai.client.refused_files import REFUSED, move_aside, reason, write_aside
from logos_shift_openai.client.segments import Segment, is_ours, is_whole, lines_of, measure, read_lines
from logos_shift_openai.client.waiting_lines import WaitingLines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from logos_shift_openai.client.counters import Counters

_logger = logging.getLogger("logos_shift_openai")

LOCAL = "local"
_SCAN_EVERY = 5.0  # seconds between two looks at what the whole destination takes on disk
_MAX_ADOPTED = 16  # folders held at once; the others wait, or another process takes them


class Spool:
    """The records of one destination that wait to be sent; safe to use from several threads.

    Args:
        home: the folder of everything of ours; made when the first line comes.
        destination: "local", or a name for the server's address.
        counters: where losses are counted.
        max_bytes: bound on all that waits on disk for this destination, of every process.
        segment_bytes: a segment is sealed when the next line would make it longer than this.
        memory_bytes: bound on what waits in memory while the folder cannot be written.
        retry_seconds: time between two tries of a folder that could not be written.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        home: Path,
        destination: str,
        counters: Counters,
        *,
        max_bytes: int = 2**30,
        segment_bytes: int = 2**20,
        memory_bytes: int = 4 * 2**20,
        retry_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.root = home / "spool" / destination
        self.listener: Callable[[], None] | None = None
        """Called after each append, so that a sender may wake up; must be quick and not raise."""
        self._counters = counters
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._memory_bound = memory_bytes
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._begin_afresh()
        reset_in_child(self)

    def _begin_afresh(self) -> None:
        self._guard = threading.RLock()
        self._own: OwnFolder | None = None
        self._adopted: dict[Path, FileLock] = {}
        self._unusable: set[Path] = set()  # segments that can be neither deleted nor moved: never sent twice by us
        self._memory = WaitingLines(self._memory_bound, self._segment_bytes)
        self._broken = False
        self._retry_at = 0.0
        self._usage = 0
        self._scanned_at: float | None = None

    def append(self, lines: Sequence[bytes]) -> None:
        """Keep `lines`, each ending in a newline, on disk or else in memory; count what fits in neither."""
        with self._guard:
            if self._broken and self._clock() < self._retry_at:
                self._wait_in_memory(lines)
            else:
                self._write([*self._memory.clear(), *lines])
        if self.listener is not None:
            self.listener()

    def tend(self) -> float | None:
        """Try a folder again that could not be written; return the seconds to the next try, if any."""
        with self._guard:
            if not self._memory:
                return None
            if self._clock() >= self._retry_at:
                self._write(self._memory.clear())
            return max(0.0, self._retry_at - self._clock()) if self._memory else None

    def seal(self, older_than: float = 0.0) -> None:
        """Make the segment being written ready to send, if its first line is at least this old."""
        with self._guard:
            age = self.unsealed_age()
            if self._own is not None and age is not None and age >= older_than:
                self._own.seal()

    def unsealed_age(self) -> float | None:
        """Return the seconds since the first line of the segment being written, None if there is none."""
        with self._guard:
            own = self._own
            return None if own is None or own.since is None else max(0.0, self._clock() - own.since)

    def _write(self, lines: Sequence[bytes]) -> None:
        fitting = self._within_bound(lines)
        if not fitting:
            return
        written, error = self._write_to_own(fitting)
        self._usage += sum(map(len, fitting[:written]))
        if error is None:
            if self._broken:
                self._broken = False
                self._counters.forget("spool_unwritable")
            return
        self._broken = True
        self._retry_at = self._clock() + self._retry_seconds
        self._counters.add("spool_unwritable")
        self._counters.say_once(
            _logger,
            "spool_unwritable",
            "spool %s cannot be written (%s): records wait in memory, at most %d bytes",
            self.root,
            errno.errorcode.get(error.errno or 0, type(error).__name__),
            self._memory_bound,
        )
        self._wait_in_memory(fitting[written:])

    def _write_to_own(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Write to our folder, or a new one; return how many lines are safe, and what stopped it."""
        try:
            if self._own is not None and self._own.gone():
                self._own.abandon()
                self._own = None
            if self._own is None:
                # Nobody adopts on the way to no server: there each process goes on where the last one ended.
                reuse = self.root.name == LOCAL
                self._own = OwnFolder.settle(self.root, self._segment_bytes, reuse=reuse)
        except OSError as error:
            return 0, error
        return self._own.write(lines, self._clock())

    def _within_bound(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Drop what would go beyond `max_bytes` on disk."""
        size = sum(map(len, lines))
        if self._scanned_at is None or self._usage + size > self._max_bytes:
            self._scan()
        if self._usage + size <= self._max_bytes:
            return lines
        fitting, room = [], self._max_bytes - self._usage
        for line in lines:
            if len(line) <= room:
                room -= len(line)
                fitting.append(line)
        self._counters.add("spool_full", len(lines) - len(fitting))
        self._counters.say_once(
            _logger,
            "spool_full",
            "spool %s is full at %d bytes: new records are dropped",
            self.root,
            self._max_bytes,
        )
        return fitting

    def _scan(self) -> None:
        """Measure all that waits for this destination; other processes write and delete there too."""
        now = self._clock()
        if self._scanned_at is None or now >= self._scanned_at + _SCAN_EVERY:
            self._scanned_at = now
            self._usage = sum(size_of(folder) for folder in folders_in(self.root))

    def _wait_in_memory(self, lines: Sequence[bytes]) -> None:
        dropped = self._memory.add(lines)
        if dropped:
            self._counters.add("memory_full", dropped)

    def next_segment(self) -> Segment | None:
        """Return the next sealed segment, if any; the same again until `done` or `refuse`."""
        while True:
            with self._guard:
                if self._memory.taken is not None:
                    return self._memory.taken
                path = self._first_path()
                if path is None:
                    return self._memory.take()
            segment = self._read(path)
            if segment is not None:
                return segment

    def adopt_orphans(self) -> int:
        """Take over the folders of processes that ended; return how many."""
        adopted = 0
        with self._guard:
            self._scan()
        for folder in folders_in(self.root):
            with self._guard:
                ours = self._own is not None and folder == self._own.folder
                if ours or folder in self._adopted or folder.name == REFUSED:
                    continue
                if len(self._adopted) >= _MAX_ADOPTED:
                    break
                adopted += self._adopt(folder)
        if adopted:
            self._counters.add("adopted", adopted)
        return adopted

    def done(self, segment: Segment) -> None:
        """Delete a segment: the server has said yes."""
        with self._guard:
            if segment.path is None:
                self._memory.done(segment)
                return
            self._drop_file(segment.path, segment.size)

    def refuse(self, what: Segment | Sequence[bytes], why: str, segment: Segment | None = None) -> None:
        """Set a segment, or some lines of `segment`, aside in `refused/` for a person; count why."""
        why = reason(why)
        lines = lines_of(what.data) if isinstance(what, Segment) else what
        source = what if isinstance(what, Segment) else segment
        path = source.path if source is not None else None
        stem = f"{path.parent.name}-{path.stem}" if path is not None else f"{os.getpid()}-memory"
        self._counters.add(f"refused_{why}", len(lines))
        self._set_aside(f"{stem}-{why}.ndjson", lines)
        if isinstance(what, Segment):
            self.done(what)

    @property
    def usage(self) -> int:
        """Bytes that wait: on disk for this destination, as far as we know, and in our memory."""
        return self._usage + self._memory.size  # without the lock: whoever counts must not wait for a disk that hangs

    def standing(self) -> dict[str, int | float | None]:
        """Measure what this process has to send: bytes, segments, and the oldest one's age in seconds.

        What waits in memory counts as one segment without an age; folders of other living processes are theirs to tell.
        """
        with self._guard:
            folders = [*self._adopted] if self._own is None else [self._own.folder, *self._adopted]
            in_memory = self._memory.size
        size, count, oldest = measure(folders)
        age = None if oldest is None else round(max(0.0, time.time() - oldest), 1)
        return {"bytes": size + in_memory, "segments": count + int(in_memory > 0), "oldest": age}

    def pending(self) -> bool:
        """Whether anything waits to be sent: written by us, adopted, or in memory."""
        with self._guard:
            own = self._own
            writing = own is not None and own.since is not None
            return writing or bool(self._memory) or self._memory.taken is not None or self._first_path() is not None

    def close(self, timeout: float = 1.0) -> None:
        """Let go of every folder, and remove the empty ones: what waits on disk is for the next process.

        A later append begins anew. Waits at most `timeout` seconds for a thread that is busy with the disk.
        """
        if not self._guard.acquire(timeout=max(0.0, timeout)):
            return
        try:
            self._memory.put_back()  # better twice than never, ids tell them apart
            self._write(self._memory.clear())
            if self._memory:
                self._counters.add("lost_at_exit", len(self._memory.clear()))
            for folder in list(self._adopted):
                self._leave(folder)
            own, self._own = self._own, None
            if own is not None:
                own.leave()
        finally:
            self._guard.release()

    def after_fork(self) -> None:
        """Leave everything to the parent: close our copies of its files and begin with nothing."""
        own, adopted = self._own, self._adopted
        self._begin_afresh()
        if own is not None:
            own.abandon()
        for lock in adopted.values():
            lock.abandon()

    def _first_path(self) -> Path | None:
        for folder in [*self._adopted]:
            for path in segments_in(folder):
                if path not in self._unusable:
                    return path
            self._leave(folder)
        if self._own is not None:
            for path in self._own.sealed():
                if path not in self._unusable:
                    return path
        return None

    def _read(self, path: Path) -> Segment | None:
        """Read a sealed segment; None if there is nothing in it to send, which is seen to here."""
        try:
            lines, size, torn = read_lines(path)
        except FileNotFoundError:
            return None
        except OSError:
            self._move_aside(path)
            return None
        if torn:
            self._counters.add("torn_lines")
        readable = is_ours if path.parent not in self._adopted else is_whole
        good = [line for line in lines if readable(line)]
        if len(good) < len(lines):
            bad = [line for line in lines if not readable(line)]
            self._counters.add("refused_unreadable", len(bad))
            self._counters.say_once(
                _logger, "unreadable", "unreadable lines of %s are kept in %s", self.root, self.root / REFUSED
            )
            # Named by its segment and written anew: a segment read twice leaves its bad lines once.
            self._set_aside(f"{path.parent.name}-{path.stem}-unreadable.ndjson", bad, anew=True)
        if not good:
            with self._guard:
                self._drop_file(path, size)
            return None
        return Segment(path, b"".join(good), size)

    def _adopt(self, folder: Path) -> bool:
        found = adopt(folder)
        if found is None:
            return False
        lock, strangers = found
        self._adopted[folder] = lock
        for path in strangers:
            self._move_aside(path)  # of another edition of this software, perhaps
        return True

    def _leave(self, folder: Path) -> None:
        """Give an adopted folder back."""
        give_back(folder, self._adopted.pop(folder))

    def _drop_file(self, path: Path, size: int) -> None:
        try:
            path.unlink()
        except FileNotFoundError:
            pass
        except OSError:
            self._unusable.add(path)
            self._counters.add("undeletable")
            return
        self._usage = max(0, self._usage - size)

    def _set_aside(self, name: str, lines: Sequence[bytes], *, anew: bool = False) -> None:
        size = sum(map(len, lines))
        try:
            with self._guard:
                if self._usage + size > self._max_bytes + self._memory_bound:  # these are bounded as well
                    raise OSError(errno.ENOSPC, name)  # noqa: TRY301  one way to fail
                self._usage += size
            write_aside(self.root, name, lines, anew=anew)
        except OSError:
            self._counters.add("refuse_failed", len(lines))

    def _move_aside(self, path: Path) -> None:
        """Move a file that is no segment of ours to `refused/` as it is."""
        self._counters.add("refused_file")
        self._counters.say_once(
            _logger, "unreadable", "unreadable files of %s are kept in %s", self.root, self.root / REFUSED
        )
        try:
            move_aside(self.root, path)
        except OSError:
            self._unusable.add(path)
            self._counters.add("refuse_failed")
