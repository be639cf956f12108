"""The spool of one destination: what it keeps, hands out, and never loses without a count."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from spool_case import Case, blocked, ids_of, line, lines

from logos_shift_openai.client.counters import Counters
from logos_shift_openai.client.file_lock import OwnFolder, folders_in, segments_in
from logos_shift_openai.client.refused_files import REFUSED
from logos_shift_openai.client.segments import Segment
from logos_shift_openai.client.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


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
