"""The spool of one destination: what it keeps, hands out, sets aside and never loses without a count."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from logos_shift_openai.client.counters import Counters
from logos_shift_openai.client.file_lock import OwnFolder, folders_in, segments_in
from logos_shift_openai.client.refused_files import REFUSED
from logos_shift_openai.client.segments import Segment, lines_of
from logos_shift_openai.client.spool import Spool


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


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


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


def test_nothing_is_made_before_the_first_line(case: Case, tmp_path: Path) -> None:
    """A program that records nothing leaves no folder behind."""
    assert case.spool.next_segment() is None
    assert case.spool.adopt_orphans() == 0
    assert not case.spool.pending()
    case.spool.close()
    assert list(tmp_path.iterdir()) == []


def test_lines_come_back_in_order_once_sealed_and_go_once_done(case: Case) -> None:
    """What is being written is not handed out; what is done is deleted, and its folder goes at the end."""
    case.spool.append(lines(1, 2))
    assert case.spool.next_segment() is None
    assert case.spool.pending()
    case.spool.seal()
    segment = case.spool.next_segment()
    assert segment is not None
    assert ids_of(segment.data) == ["1", "2"]
    assert case.spool.next_segment() == segment  # until it is done
    case.spool.append(lines(3))
    case.spool.done(segment)
    assert case.spool.next_segment() is None
    case.spool.seal()
    assert case.take_all() == ["3"]
    assert not case.spool.pending()
    case.spool.close()
    assert folders_in(case.spool.root) == []
    assert case.spool.usage == 0


def test_lines_are_on_disk_when_append_returns(case: Case) -> None:
    """A reader of the living owner's folder, or the one after a crash, finds them whole."""
    case.spool.append(lines(1, 2))
    [folder] = folders_in(case.spool.root)
    assert [path.read_bytes() for path in segments_in(folder)] == [b"".join(lines(1, 2))]


def test_seal_waits_for_the_age_asked_for(case: Case) -> None:
    """The age counts from the first line of the segment."""
    assert case.spool.unsealed_age() is None
    case.spool.append(lines(1))
    case.clock.now += 0.9
    case.spool.append(lines(2))
    case.spool.seal(older_than=1.0)
    assert case.spool.next_segment() is None
    assert case.spool.unsealed_age() == pytest.approx(0.9)
    case.clock.now += 0.2
    case.spool.seal(older_than=1.0)
    assert case.spool.unsealed_age() is None
    assert case.take_all() == ["1", "2"]


def test_a_full_segment_is_sealed_by_itself(tmp_path: Path) -> None:
    """Batches stay within the size asked for, whatever the age."""
    case = Case(tmp_path, segment_bytes=300)
    case.spool.append([line(number, 80) for number in range(7)])
    sizes = []
    while (segment := case.spool.next_segment()) is not None:
        sizes.append(segment.size)
        case.spool.done(segment)
    assert sizes == [2 * len(line(0, 80))] * 3
    case.spool.seal()
    assert case.take_all() == ["6"]


def test_the_listener_hears_of_each_append(case: Case, tmp_path: Path) -> None:
    """The sender is told once the lines can be had, on disk or in memory."""
    heard: list[bool] = []
    case.spool.listener = lambda: heard.append(case.spool.pending())
    blocked(tmp_path)
    case.spool.append(lines(1))
    (tmp_path / "spool").unlink()
    case.clock.now += 31.0
    case.spool.append(lines(2))
    assert heard == [True, True]


def test_local_records_of_many_short_processes_share_a_folder(tmp_path: Path) -> None:
    """Without a server nobody adopts: each process goes on where the last one ended, and the bound holds for all."""
    size = len(line(1))
    for number in range(5):
        counters = Counters()
        spool = Spool(tmp_path, "local", counters, max_bytes=size * 4)
        spool.append(lines(number))
        spool.close()
    [folder] = folders_in(tmp_path / "spool" / "local")
    assert [ids_of(path.read_bytes()) for path in segments_in(folder)] == [["0", "1", "2", "3"]]
    assert counters.snapshot() == {"spool_full": 1}


# Orphans


def test_the_folder_of_an_ended_process_is_adopted_sent_and_removed(tmp_path: Path) -> None:
    """All its segments count as sealed, the last one too."""
    dead = Case(tmp_path, segment_bytes=100)
    dead.spool.append(lines(*range(10)))
    dead.spool.close()
    case = Case(tmp_path)
    assert case.spool.adopt_orphans() == 1
    assert case.spool.pending()
    assert case.take_all() == [str(number) for number in range(10)]
    assert folders_in(case.spool.root) == []
    assert case.counts == {"adopted": 1}


def test_the_folder_of_a_living_owner_is_left_alone(tmp_path: Path) -> None:
    """A lock that is held cannot be taken, by another spool of the same process neither."""
    alive = Case(tmp_path)
    alive.spool.append(lines(1))
    case = Case(tmp_path)
    assert case.spool.adopt_orphans() == 0
    alive.spool.seal()
    assert alive.take_all() == ["1"]
    alive.spool.close()


def test_two_adopters_share_without_overlap(tmp_path: Path) -> None:
    """A folder one of them holds is not taken by the other; given back unsent, it is."""
    dead = Case(tmp_path)
    dead.spool.append(lines(1))
    dead.spool.close()
    first, second = Case(tmp_path), Case(tmp_path)
    assert first.spool.adopt_orphans() == 1
    assert second.spool.adopt_orphans() == 0
    first.spool.close()
    assert second.spool.adopt_orphans() == 1
    assert second.take_all() == ["1"]


def test_adopting_leaves_strange_folders_alone(case: Case) -> None:
    """A folder without a lock or a segment is none of ours, nor is the one for refused lines."""
    (case.spool.root / "photos").mkdir(parents=True)
    (case.spool.root / "photos" / "cat.jpg").write_bytes(b"cat")
    (case.spool.root / REFUSED).mkdir()
    (case.spool.root / REFUSED / "000001.ndjson").write_bytes(line(1))
    assert case.spool.adopt_orphans() == 0
    assert (case.spool.root / "photos" / "cat.jpg").exists()


def test_only_so_many_folders_are_held_at_once(tmp_path: Path) -> None:
    """A thousand crashed processes do not cost a thousand open files."""
    for number in range(20):
        dead = Case(tmp_path)
        dead.spool.append(lines(number))
        dead.spool.close()
    case = Case(tmp_path)
    assert case.spool.adopt_orphans() == 16
    assert len(case.take_all()) == 16
    assert case.spool.adopt_orphans() == 4
    assert len(case.take_all()) == 4


# Damage


def orphan(home: Path, content: bytes, name: str = "000001.ndjson") -> Path:
    folder = home / "spool" / "d" / "77-dead"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lock").touch()
    (folder / name).write_bytes(content)
    return folder


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


# No folder to write in


def test_without_a_folder_lines_wait_in_memory_and_are_handed_out(
    case: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Sent from memory; said once and counted."""
    blocked(tmp_path)
    case.spool.append(lines(1))
    case.spool.append(lines(2))
    assert case.spool.pending()
    assert case.spool.usage == len(line(1)) * 2
    assert case.counts == {"spool_unwritable": 1}
    assert len(caplog.records) == 1
    assert case.take_all() == ["1", "2"]
    assert not case.spool.pending()
    assert case.spool.usage == 0


def test_memory_is_bounded_in_bytes(tmp_path: Path) -> None:
    """New lines are dropped and counted; a sent batch makes room."""
    case = Case(tmp_path, memory_bytes=len(line(1)) * 3)
    blocked(tmp_path)
    case.spool.append(lines(1, 2))
    case.spool.append(lines(3, 4))
    assert case.counts["memory_full"] == 1
    segment = case.spool.next_segment()
    assert segment is not None
    case.spool.append(lines(5))
    assert case.counts["memory_full"] == 2  # what is being sent is still in memory
    case.spool.done(segment)
    case.spool.append(lines(6))
    assert case.take_all() == ["6"]


def test_the_folder_is_tried_again_and_then_takes_what_waited(case: Case, tmp_path: Path) -> None:
    """Every half minute, also when no new line comes."""
    blocked(tmp_path)
    assert case.spool.tend() is None
    case.spool.append(lines(1))
    assert case.spool.tend() == 30.0
    case.clock.now += 29.0
    case.spool.append(lines(2))
    assert case.counts == {"spool_unwritable": 1}
    case.clock.now += 1.5
    assert case.spool.tend() == 30.0
    assert case.counts == {"spool_unwritable": 2}
    (tmp_path / "spool").unlink()
    case.clock.now += 30.0
    assert case.spool.tend() is None
    case.spool.append(lines(3))
    case.spool.seal()
    assert case.take_all() == ["1", "2", "3"]


def test_lines_being_sent_from_memory_are_not_written_as_well(case: Case, tmp_path: Path) -> None:
    """The folder comes back while a batch from memory is under way: what is under way stays apart."""
    blocked(tmp_path)
    case.spool.append(lines(1))
    segment = case.spool.next_segment()
    assert segment is not None
    assert segment.path is None
    case.spool.append(lines(2))
    (tmp_path / "spool").unlink()
    case.clock.now += 31.0
    case.spool.append(lines(3))
    case.spool.done(segment)
    case.spool.seal()
    assert case.take_all() == ["2", "3"]


def test_closing_writes_what_memory_holds_if_it_can(case: Case, tmp_path: Path) -> None:
    """A batch under way is written as well: twice is mended by its ids, never is not."""
    blocked(tmp_path)
    case.spool.append(lines(1))
    case.spool.next_segment()
    case.spool.append(lines(2))
    (tmp_path / "spool").unlink()
    case.spool.close()
    after = Case(tmp_path)
    after.spool.adopt_orphans()
    assert after.take_all() == ["1", "2"]


def test_closing_counts_what_is_lost(case: Case, tmp_path: Path) -> None:
    """No folder and no more time: the loss has its number."""
    blocked(tmp_path)
    case.spool.append(lines(1, 2))
    case.spool.close()
    assert case.counts["lost_at_exit"] == 2
    assert case.spool.usage == 0


def test_a_folder_removed_under_us_is_made_again(case: Case) -> None:
    """Lines after that are on disk and not in a file without a name."""
    case.spool.append(lines(1))
    [folder] = folders_in(case.spool.root)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    case.spool.append(lines(2))
    case.spool.seal()
    assert case.take_all() == ["2"]


def test_no_more_than_the_bound_is_kept_on_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The bound holds for the destination, other processes' folders included; the surplus is counted, said once."""
    size = len(line(1, 100))
    other = Case(tmp_path)
    other.spool.append([line(number, 100) for number in range(1, 6)])
    other.spool.close()
    case = Case(tmp_path, max_bytes=size * 8)
    case.spool.append([line(number, 100) for number in range(1, 6)])
    case.spool.append([line(9, 100)])
    assert case.counts == {"spool_full": 3}
    assert len(caplog.records) == 1
    assert case.spool.usage == size * 8
    for segment in segments_in(folders_in(case.spool.root)[0]) + segments_in(folders_in(case.spool.root)[1]):
        if segment.stat().st_size == size * 5:
            segment.unlink()  # another process has sent it
    case.clock.now += 6.0
    case.spool.append([line(7, 100)])
    assert case.counts == {"spool_full": 3}


def test_after_close_an_append_begins_anew(case: Case) -> None:
    """A late record still gets to the disk, for the next process."""
    case.spool.append(lines(1))
    case.spool.close()
    case.spool.append(lines(2))
    assert len(folders_in(case.spool.root)) == 2
    case.spool.close()


def test_the_reset_of_a_forked_child_leaves_the_parents_files_locked(case: Case, tmp_path: Path) -> None:
    """The child begins with nothing; it closes its copies without giving the parent's locks back."""
    dead = Case(tmp_path)
    dead.spool.append(lines("dead"))
    dead.spool.close()
    case.spool.append(lines(1))
    case.spool.adopt_orphans()
    own = case.spool._own
    assert isinstance(own, OwnFolder)
    kept = [
        os.dup(fd) for fd in (own._lock._fd, *(lock._fd for lock in case.spool._adopted.values())) if fd is not None
    ]
    case.spool.after_fork()
    assert not case.spool.pending()
    assert case.spool.usage == 0
    assert case.spool.adopt_orphans() == 0  # `kept` stands for the parent, who still has both folders
    for fd in kept:
        os.close(fd)
    assert case.spool.adopt_orphans() == 2


def test_done_with_a_segment_that_is_gone_is_fine(case: Case) -> None:
    """Someone else deleted it: that is what we wanted."""
    case.spool.append(lines(1))
    case.spool.seal()
    segment = case.spool.next_segment()
    assert isinstance(segment, Segment)
    assert segment.path is not None
    segment.path.unlink()
    case.spool.done(segment)
    assert case.counts == {}
    assert case.spool.next_segment() is None
