"""Locks that die with their holder."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from logos_shift_openai.client.file_lock import FileLock
from logos_shift_openai.server.file_lock import LockBusyError, hold_lock, try_lock

if TYPE_CHECKING:
    from pathlib import Path


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """A second taker sees that it is taken, and gets it afterwards."""
    path = tmp_path / "lock"
    with try_lock(path) as first:
        with try_lock(path) as second:
            assert (first, second) == (True, False)
        with pytest.raises(LockBusyError, match="lock"), hold_lock(path, 0):
            pass
    with hold_lock(path, 0):
        pass


def test_the_clients_lock_and_ours_are_of_one_kind(tmp_path: Path) -> None:
    """A living client's folder is never taken for an orphan, nor the other way round."""
    path = tmp_path / "lock"
    lock = FileLock.take(path)
    assert lock is not None
    with try_lock(path) as taken:
        assert not taken
    lock.release()
    with try_lock(path) as taken:
        assert taken
        assert FileLock.take(path) is None


def test_a_lock_on_a_file_that_is_gone_is_none(tmp_path: Path) -> None:
    """Whoever removed the folder meanwhile has dealt with it."""
    path = tmp_path / "lock"
    with try_lock(path) as taken:
        assert taken
        path.unlink()
        with try_lock(path) as other:
            assert other


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    """No lock outlives its process."""
    program = (
        "import os, pathlib, sys\n"
        "from logos_shift_openai.server.file_lock import try_lock\n"
        "with try_lock(pathlib.Path(sys.argv[1])) as taken:\n"
        "    assert taken\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "lock")], check=False)
    assert ended.returncode == -9
    with try_lock(tmp_path / "lock") as taken:
        assert taken
