"""Owns the folder one process writes its records to: the lock that says whose it is, and the segment in work.

Its rule: the lock dies with the process, whatever way that ends, and is never waited for; what stands in a
segment is whole lines, a write that failed is cut back.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOCK_NAME = "lock"
SEGMENT_NAME = re.compile(r"^(\d{6,})\.ndjson$")
_REUSE_LOOKS = 32  # orphans that settling looks at; with more processes than that alive, it makes a new folder
BINARY = getattr(os, "O_BINARY", 0)  # Windows alone knows another kind

try:
    import fcntl
except ImportError:  # Windows, which locks bytes instead, or a platform that knows neither
    _REMOVES_OPEN = False

    def _locking(fd: int, mode: str) -> None:
        try:
            msvcrt: Any = importlib.import_module("msvcrt")
        except ImportError:  # then records wait in memory, as where a file system knows no locks
            raise OSError(errno.ENOLCK, "this platform knows no locks on files") from None
        msvcrt.locking(fd, getattr(msvcrt, mode), 1)

    def _lock(fd: int) -> None:
        _locking(fd, "LK_NBLCK")

    def _unlock(fd: int) -> None:
        _locking(fd, "LK_UNLCK")
else:
    _REMOVES_OPEN = True  # a file may be removed while it is open

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)


class FileLock:
    """An exclusive lock on one file, held until `release`, `abandon` or the end of the process."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd: int | None = fd
        self._inode = os.fstat(fd).st_ino

    @classmethod
    def take(cls, path: Path) -> FileLock | None:
        """Take the lock on `path`, making the file if need be; None if another holder has it.

        Raises:
            OSError: the file cannot be made or the file system knows no locks.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(fd)
            # The last holder may have removed the file between our open and our lock: a lock on nothing.
            if os.path.samestat(os.fstat(fd), os.stat(path)):  # noqa: PTH116  the pair of fstat
                return cls(path, fd)
        except (BlockingIOError, PermissionError, FileNotFoundError):
            pass  # held by another, or gone
        except OSError:
            os.close(fd)
            raise
        os.close(fd)
        return None

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back, and remove its file first where asked."""
        if remove and _REMOVES_OPEN:
            self._remove()
        if self._fd is not None and _still(self._fd, self._inode):
            with contextlib.suppress(OSError):  # closing below gives it back as well
                _unlock(self._fd)  # a process started by other means than Python's fork may still have the file open
        self.abandon()
        if remove and not _REMOVES_OPEN:  # an open file cannot be removed there
            self._remove()

    def abandon(self) -> None:
        """Close our side only: a forked child does this, and the lock stays with the parent."""
        fd, self._fd = (
            self._fd,
            None,
        )  # first forgotten, then closed: a fork in between must not close it twice
        if fd is not None and _still(fd, self._inode):
            os.close(fd)

    def _remove(self) -> None:
        with contextlib.suppress(OSError):  # gone already, or a read-only folder: an unlocked file harms nobody
            self.path.unlink()


class OwnFolder:
    """The folder this process writes to: its lock and its segment."""

    def __init__(self, folder: Path, lock: FileLock, segment_bytes: int) -> None:
        self.folder = folder
        self.since: float | None = None
        """When the first line of the segment being written came; None if no segment is."""
        self._lock = lock
        self._segment_bytes = segment_bytes
        self._fd: int | None = None
        self._inode = 0
        self._number = 0
        self._size = 0
        self._resume = False  # the last segment is a former owner's and takes more lines

    @classmethod
    def settle(cls, root: Path, segment_bytes: int, *, reuse: bool = False) -> OwnFolder:
        """Make a folder of our own under `root`, or go on in one whose owner has ended, where `reuse` is set.

        Raises:
            OSError: that cannot be done.
        """
        if reuse:
            for folder in folders_in(root)[:_REUSE_LOOKS]:
                own = cls._succeed(folder, segment_bytes)
                if own is not None:
                    return own
        for folder in (root.parent.parent, root.parent, root):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # records are private
        for _ in range(10):  # an adopter may take the folder before we have its lock
            folder = root / f"{os.getpid()}-{os.urandom(6).hex()}"
            folder.mkdir(mode=0o700)
            try:
                lock = FileLock.take(folder / LOCK_NAME)
            except FileNotFoundError:
                continue
            except OSError:  # as without locks: the next try makes another folder, and this one would stay
                with contextlib.suppress(OSError):
                    (folder / LOCK_NAME).unlink()
                remove_folder(folder)
                raise
            if lock is not None:
                return cls(folder, lock, segment_bytes)
        raise OSError(errno.EBUSY, "no folder of our own")

    @classmethod
    def _succeed(cls, folder: Path, segment_bytes: int) -> OwnFolder | None:
        """Become the owner of `folder` if it has none."""
        if not (folder / LOCK_NAME).exists():
            return None
        try:
            lock = FileLock.take(folder / LOCK_NAME)
        except OSError:
            return None
        if lock is None:
            return None
        own = cls(folder, lock, segment_bytes)
        segments = segments_in(folder)
        if segments:
            own._number = _number(segments[-1])
            own._size = _size_if_whole(segments[-1])
            own._resume = own._size > 0
        return own

    def gone(self) -> bool:
        """Whether somebody removed our folder, or removed or closed the file we write to, under us."""
        if self._fd is None:
            return not self.folder.exists()
        if not _still(self._fd, self._inode):
            self._fd = None  # closed by someone who closes every file; the number may be another file's by now
            return True
        return os.fstat(self._fd).st_nlink == 0

    def write(self, lines: Sequence[bytes], now: float) -> tuple[int, OSError | None]:
        """Append whole lines; return how many are safe, and what stopped the rest."""
        written = 0
        try:
            while written < len(lines):
                count, size = self._fitting(lines, written)
                if count == 0:
                    self.seal()
                    continue
                if self._fd is None:
                    self._open(now)
                self._append(b"".join(lines[written : written + count]), size)
                written += count
        except _CutShortError as cut:
            return written + cut.lines, cut.cause
        except OSError as error:
            return written, error
        return written, None

    def _fitting(self, lines: Sequence[bytes], start: int) -> tuple[int, int]:
        """Count the lines from `start` that fit in the segment; a first line always does."""
        size = 0
        for index in range(start, len(lines)):
            longer = size + len(lines[index])
            if self._size + longer > self._segment_bytes and self._size + size > 0:
                return index - start, size
            size = longer
        return len(lines) - start, size

    def _open(self, now: float) -> None:
        number = self._number if self._resume else self._number + 1
        flags = os.O_WRONLY | os.O_APPEND | BINARY | (0 if self._resume else os.O_CREAT | os.O_EXCL)
        self._fd = os.open(self.folder / f"{number:06d}.ndjson", flags, 0o600)
        self._inode = os.fstat(self._fd).st_ino
        self._number = number
        self._size = self._size if self._resume else 0
        self._resume = False
        self.since = now

    def _append(self, data: bytes, size: int) -> None:
        fd = self._fd
        assert fd is not None
        done = 0
        view = memoryview(data)
        try:
            while done < size:
                done += os.write(fd, view[done:])
        except OSError as error:
            whole = data.rfind(b"\n", 0, done) + 1
            self._size += whole
            try:
                os.ftruncate(fd, self._size)
            except OSError:
                self.seal()  # half a line stays at its end, where readers expect it
            raise _CutShortError(data.count(b"\n", 0, whole), error) from error
        self._size += size

    def seal(self) -> None:
        """Close the segment being written; the next line begins another."""
        fd, self._fd = (
            self._fd,
            None,
        )  # first forgotten, then closed: a fork in between must not close it twice
        empty = self._size == 0
        self._size = 0
        self._resume = False
        self.since = None
        if fd is not None:
            os.close(fd)
            if empty:  # a full disk took the file but not a line
                with contextlib.suppress(OSError):  # an empty segment harms nobody
                    (self.folder / f"{self._number:06d}.ndjson").unlink()

    def sealed(self) -> list[Path]:
        """Return our segments that are not being written."""
        return [path for path in segments_in(self.folder) if self._fd is None or _number(path) != self._number]

    def leave(self) -> None:
        """Give the folder up; remove it if nothing waits in it."""
        self.seal()
        give_back(self.folder, self._lock)

    def abandon(self) -> None:
        """Close our files and touch nothing: the folder is the parent process's, or gone."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
        self._lock.abandon()


class _CutShortError(Exception):
    """A write ended early; `lines` whole ones are on disk."""

    def __init__(self, lines: int, cause: OSError) -> None:
        super().__init__(lines, cause)
        self.lines = lines
        self.cause = cause


def adopt(folder: Path) -> tuple[FileLock, list[Path]] | None:
    """Take the lock of a folder whose owner has ended.

    Returns:
        The lock, and the files in the folder that are none of ours; None where it is not to be taken: it has an owner,
        is somebody else's or one just being made, or is gone or not ours to open.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208  names are all we need
        if LOCK_NAME not in names and not any(map(SEGMENT_NAME.match, names)):
            return None
        lock = FileLock.take(folder / LOCK_NAME)
    except OSError:
        return None
    strangers = [folder / name for name in names if name != LOCK_NAME and not SEGMENT_NAME.match(name)]
    return None if lock is None else (lock, strangers)


def give_back(folder: Path, lock: FileLock) -> None:
    """Let a folder go with its lock, and remove it if nothing waits in it."""
    empty = not segments_in(folder)
    lock.release(remove=empty)
    if empty:
        remove_folder(folder)


def _still(fd: int, inode: int) -> bool:
    """Whether `fd` is still the file it was opened for: some programs close every number they find."""
    try:
        return os.fstat(fd).st_ino == inode
    except OSError:
        return False


def _size_if_whole(path: Path) -> int:
    """Return the size of a segment that ends in a whole line, 0 for one that does not."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return size if file.read(1) == b"\n" else 0
    return 0


def _number(path: Path) -> int:
    match = SEGMENT_NAME.match(path.name)
    return int(match.group(1)) if match else -1


def segments_in(folder: Path) -> list[Path]:
    """Return the segments in `folder`, oldest first."""
    try:
        names = [name for name in os.listdir(folder) if SEGMENT_NAME.match(name)]  # noqa: PTH208
    except OSError:
        return []
    return sorted((folder / name for name in names), key=_number)


def folders_in(root: Path) -> list[Path]:
    """Return the folders in `root`, none if there is no such place."""
    try:
        with os.scandir(root) as entries:
            return sorted(root / entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def size_of(folder: Path) -> int:
    """Return the bytes the files in `folder` take; what goes away meanwhile counts as nothing."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            total += entry.stat(follow_symlinks=False).st_size
    return total


def remove_folder(folder: Path) -> None:
    """Remove an empty folder; one that is gone, or that somebody keeps something in, is let be."""
    with contextlib.suppress(OSError):
        folder.rmdir()
