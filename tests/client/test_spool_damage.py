"""What a spool cannot send: damaged lines, foreign files, and what a server has refused; it is set aside and counted."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from spool_case import Case, ids_of, line, lines, orphan, refused

from logos_shift_openai.client.file_lock import folders_in, segments_in
from logos_shift_openai.client.refused_files import REFUSED
from logos_shift_openai.client.segments import lines_of


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


# Damage


def test_a_torn_last_line_is_skipped_and_counted(case: Case, tmp_path: Path) -> None:
    """A process killed in the middle of a write costs that line and no other."""
    orphan(tmp_path, line(1) + line(2) + line(3)[:-4])
    case.spool.adopt_orphans()
    assert case.take_all() == ["1", "2"]
    assert case.counts == {"adopted": 1, "torn_lines": 1}


def test_a_segment_of_nothing_but_a_torn_line_goes_away(case: Case, tmp_path: Path) -> None:
    """It does not stand in the way of the others."""
    folder = orphan(tmp_path, line(1)[:-1])
    (folder / "000002.ndjson").write_bytes(b"")
    (folder / "000003.ndjson").write_bytes(line(2))
    case.spool.adopt_orphans()
    assert case.take_all() == ["2"]
    assert not folder.exists()


@pytest.mark.parametrize(
    "bad",
    [
        b"\x00" * 40 + b"\n",
        b"not json\n",
        b'{"v":1,"id":"x","half\n',
        b'{"v":1,"id":"\xff\xfe"}\n',
        b'{"v":2,"id":"from the future"}\n',
        b'{"id":"without a version"}\n',
        b"[1]\n",
        b"\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_bad_lines_are_set_aside_and_the_rest_is_sent(case: Case, tmp_path: Path, bad: bytes) -> None:
    """Garbage in the middle of a segment loses nothing around it, and is kept for a person."""
    orphan(tmp_path, line(1) + bad + line(2))
    case.spool.adopt_orphans()
    assert case.take_all() == ["1", "2"]
    assert refused(case.spool) == {"77-dead-000001-unreadable.ndjson": bad}
    assert case.counts["refused_unreadable"] == 1


def test_bad_lines_read_twice_are_kept_once(case: Case, tmp_path: Path) -> None:
    """A segment that was read but not sent is read again later."""
    orphan(tmp_path, b"bad\n" + line(1))
    case.spool.adopt_orphans()
    case.spool.next_segment()
    case.spool.next_segment()
    assert refused(case.spool) == {"77-dead-000001-unreadable.ndjson": b"bad\n"}


def test_our_own_damaged_segment_is_noticed_too(case: Case) -> None:
    """Someone wrote into it while we lived."""
    case.spool.append(lines(1, 2))
    case.spool.seal()
    [folder] = folders_in(case.spool.root)
    [path] = segments_in(folder)
    path.write_bytes(line(1) + b"\x00\x00\n" + line(2))
    assert case.take_all() == ["1", "2"]
    assert case.counts["refused_unreadable"] == 1


def test_files_of_another_format_are_moved_aside_whole(case: Case, tmp_path: Path) -> None:
    """What another edition of this software may have left is kept as it is, not deleted with the folder."""
    folder = orphan(tmp_path, line(1))
    (folder / "000002.ndjson.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    case.spool.adopt_orphans()
    assert case.take_all() == ["1"]
    assert refused(case.spool) == {"77-dead-000002.ndjson.zst": b"\x28\xb5\x2f\xfd"}
    assert case.counts["refused_file"] == 1
    assert not folder.exists()


def test_a_monstrous_segment_is_not_read_into_memory(case: Case, tmp_path: Path) -> None:
    """It is moved aside by its size alone."""
    folder = orphan(tmp_path, line(1))
    os.truncate(folder / "000001.ndjson", 65 * 2**20)  # a hole: takes no room on disk
    case.spool.adopt_orphans()
    assert case.take_all() == []
    assert (case.spool.root / REFUSED / "77-dead-000001.ndjson").exists()


def test_a_segment_that_is_a_folder_is_moved_aside(case: Case, tmp_path: Path) -> None:
    """Whatever cannot be read does not stop the rest."""
    folder = orphan(tmp_path, line(1), "000002.ndjson")
    (folder / "000001.ndjson").mkdir()
    case.spool.adopt_orphans()
    assert case.take_all() == ["1"]


def test_carriage_returns_do_not_split_lines() -> None:
    """Only a newline ends a line."""
    assert lines_of(b'{"a":\r1}\n{}\n') == [b'{"a":\r1}\n', b"{}\n"]


# Refusals


def test_refused_lines_are_kept_under_their_segment_and_reason(case: Case) -> None:
    """A person finds out what was refused, where it came from and why."""
    case.spool.append(lines(1, 2, 3))
    case.spool.seal()
    segment = case.spool.next_segment()
    assert segment is not None
    case.spool.refuse([line(1)], "Bad Model!", segment)
    case.spool.refuse([line(3)], "Bad Model!", segment)
    case.spool.done(segment)
    [(name, content)] = refused(case.spool).items()
    assert name.endswith("-000001-bad_model.ndjson")
    assert ids_of(content) == ["1", "3"]
    assert case.counts == {"refused_bad_model": 2}


def test_a_refused_segment_is_moved_as_a_whole(case: Case) -> None:
    """It counts as done and is kept."""
    case.spool.append(lines(1, 2))
    case.spool.seal()
    segment = case.spool.next_segment()
    assert segment is not None
    case.spool.refuse(segment, "no")
    assert case.spool.next_segment() is None
    assert [ids_of(content) for content in refused(case.spool).values()] == [["1", "2"]]


@pytest.mark.parametrize("why", ["../../etc/passwd", "/abs", "..", "\x00", "a" * 500, ""])
def test_a_servers_reason_is_not_a_path(case: Case, why: str) -> None:
    """Whatever the server calls it, the file stays in the folder for refused lines."""
    case.spool.refuse(lines(1), why)
    assert len(refused(case.spool)) == 1
    assert [path.name for path in case.spool.root.iterdir()] == [REFUSED]


def test_refused_lines_are_bounded_too(tmp_path: Path) -> None:
    """A server that refuses everything for ever does not fill the disk: beyond the bound it is counted."""
    case = Case(tmp_path, max_bytes=1_000, memory_bytes=1_000)
    for number in range(50):
        case.spool.refuse([line(number, 100)], "no")
    [kept] = refused(case.spool).values()
    assert 1_800 < len(kept) <= 2_000
    assert case.counts == {"refused_no": 50, "refuse_failed": 50 - len(lines_of(kept))}


def test_a_segment_that_cannot_be_deleted_is_sent_once(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, and not sent again by this process for ever."""
    case.spool.append(lines(1))
    case.spool.seal()

    def no(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "no")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", no)
        assert case.take_all() == ["1"]
    assert case.counts == {"undeletable": 1}
