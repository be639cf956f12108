"""Locks on files that die with the process that holds them.

The same kind as the owner of a spool folder takes (`flock`, or `msvcrt.locking` of the first byte), so that
both see each other: a lock that can be taken has no living holder.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_POLL_SECONDS: Final = 0.02

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class LockBusyError(OSError):
    """Another process held the lock for the whole time that was waited."""


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Take the lock if nobody has it, and hold it for the block.

    Args:
        path: The lock's file, made if it is missing; its folder must exist.

    Yields:
        Whether the lock was taken. It is not when the file was replaced or removed meanwhile.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            _lock(descriptor)
        except OSError:
            yield False
            return
        try:
            yield _is_still(descriptor, path)
        finally:
            _unlock(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def hold_lock(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock for the block, waiting for it at most so many seconds.

    Raises:
        LockBusyError: somebody else kept it for all that time.
    """
    until = time.monotonic() + seconds
    while True:
        with try_lock(path) as taken:
            if taken:
                yield
                return
        if time.monotonic() >= until:
            raise LockBusyError(f"{path}: another process holds this lock since {seconds:g} s")
        time.sleep(_POLL_SECONDS)


def _is_still(descriptor: int, path: Path) -> bool:
    mine = os.fstat(descriptor)
    with suppress(FileNotFoundError):
        there = path.stat()
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)
    return False
