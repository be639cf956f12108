"""One process's folder: its lock and the segment it writes."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from logos_shift_openai.client import file_lock
from logos_shift_openai.client.file_lock import FileLock, OwnFolder, folders_in, segments_in, size_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    """Who comes second gets nothing and does not wait; after release the next one gets it."""
    path = tmp_path / "lock"
    first = FileLock.take(path)
    assert first is not None
    assert FileLock.take(path) is None
    first.release()
    second = FileLock.take(path)
    assert second is not None
    second.release(remove=True)
    assert not path.exists()


def test_a_lock_on_a_removed_file_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opened the file just before its last holder removed it must not believe to hold the folder."""
    path = tmp_path / "lock"
    lock_as_it_is = file_lock._lock

    def lock_late(fd: int) -> None:
        path.unlink()
        lock_as_it_is(fd)

    monkeypatch.setattr(file_lock, "_lock", lock_late)
    assert FileLock.take(path) is None


def test_a_file_system_without_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is not "held by another" reaches the caller, and no file stays open."""

    def no_locks(fd: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(file_lock, "_lock", no_locks)
    before = os.dup(0)
    os.close(before)
    with pytest.raises(OSError, match="no locks"):
        FileLock.take(tmp_path / "lock")
    after = os.dup(0)
    os.close(after)
    assert after == before  # the lowest free number: none has stayed taken


def test_abandon_leaves_the_file_number_of_somebody_else_alone(tmp_path: Path) -> None:
    """A program that closed all files may have given our number to another one: that one stays open."""
    lock = FileLock.take(tmp_path / "lock")
    assert lock is not None
    assert lock._fd is not None
    number = lock._fd
    os.close(number)
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    assert other == number
    lock.abandon()
    os.write(other, b"still open")
    os.close(other)


def test_records_are_private(tmp_path: Path) -> None:
    """Folders and files can be read by their owner alone."""
    own = OwnFolder.settle(tmp_path / "home" / "spool" / "local", 100)
    own.write([b"a\n"], 0.0)
    for path in [own.folder, own.folder.parent, own.folder.parent.parent]:
        assert path.stat().st_mode & 0o777 == 0o700
    assert segments_in(own.folder)[0].stat().st_mode & 0o777 == 0o600
    own.leave()


def test_segments_fill_up_and_begin_anew(tmp_path: Path) -> None:
    """No segment is longer than its bound, unless one line alone is."""
    own = OwnFolder.settle(tmp_path / "h" / "spool" / "d", 10)
    assert own.write([b"12345\n", b"12\n", b"1\n", b"a line of its own\n", b"x\n"], 0.0) == (5, None)
    assert [path.read_bytes() for path in segments_in(own.folder)] == [
        b"12345\n12\n",
        b"1\n",
        b"a line of its own\n",
        b"x\n",
    ]
    assert [path.name for path in own.sealed()] == ["000001.ndjson", "000002.ndjson", "000003.ndjson"]
    own.seal()
    assert len(own.sealed()) == 4
    assert own.since is None
    own.leave()


def test_numbers_go_up_after_segments_were_deleted(tmp_path: Path) -> None:
    """A number is never used twice: readers may remember what they have taken in."""
    own = OwnFolder.settle(tmp_path / "h" / "spool" / "d", 10)
    own.write([b"1\n"], 0.0)
    own.seal()
    own.sealed()[0].unlink()
    own.write([b"2\n"], 0.0)
    assert [path.name for path in segments_in(own.folder)] == ["000002.ndjson"]
    own.leave()


@pytest.mark.parametrize(("room", "kept"), [(0, 0), (3, 0), (4, 1), (9, 2), (11, 2)])
def test_a_write_cut_short_is_cut_back_to_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, kept: int
) -> None:
    """However many bytes a full disk still takes, only whole lines stay, and they are counted right."""
    own = OwnFolder.settle(tmp_path / "h" / "spool" / "d", 1000)
    own.write([b"old\n"], 0.0)
    write = os.write
    left = [room]

    def full(fd: int, data: bytes) -> int:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "full")
        count = write(fd, data[: left[0]])
        left[0] -= count
        return count

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        written, error = own.write([b"abc\n", b"def\n", b"ghi\n"], 0.0)
    assert written == kept
    assert error is not None
    assert error.errno == errno.ENOSPC
    path = segments_in(own.folder)[0]
    assert path.read_bytes() == b"old\n" + b"abc\ndef\nghi\n"[: kept * 4]
    assert own.write([b"new\n"], 0.0) == (1, None)
    assert path.read_bytes().endswith(b"\nnew\n")
    own.leave()


def test_a_half_line_that_cannot_be_cut_ends_its_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows goes to another segment, so that a half line stands only at the end of one."""
    own = OwnFolder.settle(tmp_path / "h" / "spool" / "d", 1000)
    write = os.write
    own.write([b"old\n"], 0.0)
    calls: list[int] = []

    def broken(fd: int, data: bytes) -> int:
        calls.append(fd)
        if len(calls) > 1:
            raise OSError(errno.EIO, "broken")
        return write(fd, data[:2])

    def no_cut(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", broken)
        patch.setattr(os, "ftruncate", no_cut)
        assert own.write([b"abc\n"], 0.0)[0] == 0
    assert own.write([b"new\n"], 0.0) == (1, None)
    assert [path.read_bytes() for path in segments_in(own.folder)] == [b"old\nab", b"new\n"]
    own.leave()


def test_gone_sees_a_removed_file_a_removed_folder_and_a_closed_number(tmp_path: Path) -> None:
    """Each way in which others may take our segment from under us is noticed before the next write."""
    own = OwnFolder.settle(tmp_path / "h" / "spool" / "d", 1000)
    assert not own.gone()
    own.write([b"1\n"], 0.0)
    assert not own.gone()
    assert own._fd is not None
    os.close(own._fd)
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    assert own.gone()
    os.write(other, b"untouched")
    os.close(other)

    own.write([b"2\n"], 0.0)
    segments_in(own.folder)[-1].unlink()
    assert own.gone()
    own.abandon()

    own = OwnFolder.settle(tmp_path / "h" / "spool" / "d", 1000)
    own._lock.release(remove=True)
    own.folder.rmdir()
    assert own.gone()


def test_an_empty_folder_goes_with_its_owner(tmp_path: Path) -> None:
    """Nothing is left behind where nothing waits; what waits stays."""
    root = tmp_path / "h" / "spool" / "d"
    own = OwnFolder.settle(root, 1000)
    own.leave()
    assert folders_in(root) == []
    own = OwnFolder.settle(root, 1000)
    own.write([b"1\n"], 0.0)
    own.leave()
    assert folders_in(root) == [own.folder]


def test_settling_takes_another_name_when_an_adopter_was_quicker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder whose lock was taken between its making and our lock is left to the one who took it."""
    take = FileLock.take
    refused: list[Path] = []

    def late(path: Path) -> FileLock | None:
        if not refused:
            refused.append(path.parent)
            return None
        return take(path)

    monkeypatch.setattr(FileLock, "take", late)
    own = OwnFolder.settle(tmp_path / "h" / "spool" / "d", 1000)
    assert own.folder != refused[0]
    own.leave()


def test_a_successor_goes_on_where_the_last_owner_ended(tmp_path: Path) -> None:
    """A program that runs each minute for a month leaves one folder, not forty thousand."""
    root = tmp_path / "h" / "spool" / "local"
    for number in range(5):
        own = OwnFolder.settle(root, 10, reuse=True)
        own.write([b"%d\n" % number, b"%d\n" % number], 0.0)
        assert own.since == 0.0
        own.leave()
    [folder] = folders_in(root)
    assert [path.read_bytes() for path in segments_in(folder)] == [b"0\n0\n1\n1\n2\n", b"2\n3\n3\n4\n4\n"]


def test_a_successor_writes_nothing_behind_half_a_line(tmp_path: Path) -> None:
    """Where the last owner was killed in the middle of a line, another segment begins."""
    root = tmp_path / "h" / "spool" / "local"
    own = OwnFolder.settle(root, 100, reuse=True)
    own.write([b"whole\n"], 0.0)
    own.leave()
    [segment] = segments_in(own.folder)
    segment.write_bytes(b"whole\nhal")
    own = OwnFolder.settle(root, 100, reuse=True)
    own.write([b"next\n"], 0.0)
    own.leave()
    assert [path.read_bytes() for path in segments_in(own.folder)] == [b"whole\nhal", b"next\n"]


def test_nobody_succeeds_a_living_owner(tmp_path: Path) -> None:
    """Two at the same time have two folders; folders that are none of ours are let be."""
    root = tmp_path / "h" / "spool" / "local"
    (root / "refused").mkdir(parents=True)
    first = OwnFolder.settle(root, 100, reuse=True)
    second = OwnFolder.settle(root, 100, reuse=True)
    assert first.folder != second.folder
    assert list((root / "refused").iterdir()) == []
    first.leave()
    second.leave()


def test_looking_at_what_is_not_there(tmp_path: Path) -> None:
    """A folder that went away is empty, not an error."""
    assert folders_in(tmp_path / "no") == []
    assert segments_in(tmp_path / "no") == []
    assert size_of(tmp_path / "no") == 0


def test_segments_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """A seventh digit does not put a segment before the others, and other files are not segments."""
    for name in ["1000000.ndjson", "000002.ndjson", "999999.ndjson", "lock", "x.ndjson", "000003.ndjson.tmp"]:
        (tmp_path / name).touch()
    assert [path.name for path in segments_in(tmp_path)] == ["000002.ndjson", "999999.ndjson", "1000000.ndjson"]
