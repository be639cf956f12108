"""The local spool goes into the store: once, whole, and beside owners that go on writing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from logos_shift_openai.client.counters import Counters
from logos_shift_openai.client.spool import Spool
from logos_shift_openai.server import spool_folders
from logos_shift_openai.server.embedded import TakenIn, positions, take_in
from logos_shift_openai.server.file_lock import try_lock
from logos_shift_openai.server.spool_folders import waiting
from logos_shift_openai.server.store.schema import call_bodies, calls, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from logos_shift_openai.server.store.database import Store

NOW = 1_764_000_000_000


class Folder:
    """An owner's folder; its lock is held while the owner lives."""

    def __init__(self, home: Path, owner: str) -> None:
        self.path = home / "spool" / "local" / owner
        self.path.mkdir(parents=True, exist_ok=True)
        self._life = ExitStack()

    def live(self) -> Folder:
        assert self._life.enter_context(try_lock(self.path / "lock"))
        return self

    def die(self) -> None:
        self._life.close()

    def write(self, segment: int, *lines: bytes) -> Path:
        path = self.path / f"{segment:06}.ndjson"
        with path.open("ab") as file:
            file.write(b"".join(lines))
        return path


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    """Spools on disk go into the store beside them."""
    return sqlite_store


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def owner(home: Path) -> Any:
    folders: list[Folder] = []

    def make(name: str = "4711-ab") -> Folder:
        folders.append(Folder(home, name))
        return folders[-1]

    yield make
    for folder in folders:
        folder.die()


@pytest.fixture
def into(store: Store, home: Path) -> Callable[[], TakenIn]:
    return lambda: take_in(store, home, lambda: NOW)


def ids(store: Store) -> set[str]:
    with store.reading() as connection:
        return set(connection.scalars(select(calls.c.id)))


def test_an_orphan_is_taken_in_whole_and_removed(store: Store, home: Path, owner: Any, lines: Any, into: Any) -> None:
    """All its segments, the last line without a newline too; then its folder is gone."""
    folder = owner()
    folder.write(1, lines.call(id="a"), lines.feedback("a", label="success"))
    folder.write(2, lines.call(id="b"), lines.call(id="c").rstrip(b"\n"))
    result = into()
    assert (result.new, result.seen, result.refused, result.faults) == (4, 0, 0, [])
    assert ids(store) == {"a", "b", "c"}
    assert list((home / "spool" / "local").iterdir()) == []


def test_a_living_owner_keeps_its_active_segment(store: Store, owner: Any, lines: Any, into: Any) -> None:
    """Sealed segments are removed once they are in; the active one is read to its last whole line."""
    folder = owner().live()
    sealed = folder.write(1, lines.call(id="a"))
    half = lines.call(id="c")
    active = folder.write(2, lines.call(id="b"), half[:30])
    assert into().new == 2
    assert (sealed.exists(), active.exists()) == (False, True)
    again = into()
    assert (again.new, again.seen, again.refused) == (0, 0, 0)
    folder.write(2, half[30:], lines.call(id="d"))
    later = into()
    assert (later.new, later.seen) == (2, 0)
    assert ids(store) == {"a", "b", "c", "d"}
    folder.die()
    last = into()
    assert (last.new, last.seen) == (0, 0)
    assert not folder.path.exists()
    with store.reading() as connection:
        assert positions(connection) == {}


def test_lines_that_are_no_records_are_kept_for_a_person(
    store: Store, home: Path, owner: Any, lines: Any, into: Any
) -> None:
    """They lie as they were, with their reasons beside them, and are counted; none is lost."""
    folder = owner()
    torn = lines.call(id="torn")[:40]
    folder.write(1, b"\x00\xff garbage\r\n", lines.call(id="a"), b'{"v":3}\n', torn)
    result = into()
    assert (result.new, result.refused) == (1, 3)
    kept = home / "spool" / "local" / "refused"
    assert (kept / "4711-ab-000001.ndjson").read_bytes() == b'\x00\xff garbage\r\n{"v":3}\n' + torn + b"\n"
    assert len((kept / "4711-ab-000001.why.txt").read_text().splitlines()) == 3
    with store.reading() as connection:
        assert connection.scalar(select(func.sum(refused.c.lines))) == 3
    assert into().refused == 0


def test_refused_lines_stay_in_the_spool_when_they_cannot_be_put_by(
    store: Store, home: Path, owner: Any, lines: Any, into: Any
) -> None:
    """Then nothing of their batch is committed, and the folder is named."""
    (home / "spool" / "local").mkdir(parents=True)
    (home / "spool" / "local" / "refused").write_text("in the way")
    segment = owner().write(1, lines.call(id="a"), b"bad\n")
    result = into()
    assert len(result.faults) == 1
    assert segment.exists()
    assert ids(store) == set()
    (home / "spool" / "local" / "refused").unlink()
    assert into().new == 1


def test_a_crash_between_commit_and_removal_doubles_nothing(
    store: Store, owner: Any, lines: Any, into: Any, tmp_path: Path
) -> None:
    """The same folder coming back is read again at most, and every record is seen."""
    folder = owner()
    folder.write(1, lines.call(id="a"), lines.call(id="b"))
    shutil.copytree(folder.path, tmp_path / "copy")
    assert into().new == 2
    shutil.copytree(tmp_path / "copy", folder.path)
    again = into()
    assert (again.new, again.seen) == (0, 2)
    assert ids(store) == {"a", "b"}


def test_an_owner_with_a_name_that_came_before_is_read_from_the_start(
    store: Store, owner: Any, lines: Any, into: Any
) -> None:
    """A position belongs to a segment's content, not to its name."""
    first = owner().live()
    first.write(1, lines.call(id="a"), lines.call(id="b"))
    into()
    shutil.rmtree(first.path)
    first.die()
    second = owner().live()
    second.write(1, lines.call(id="c"), lines.call(id="d"), lines.call(id="e"))
    assert into().new == 3


def test_a_folder_just_being_made_is_left_alone(owner: Any, into: Callable[[], TakenIn], home: Path) -> None:
    """Its owner has not locked it yet; without a segment there is nothing to lose by waiting."""
    folder = owner()
    os.utime(folder.path, (NOW / 1000, NOW / 1000))
    into()
    assert list(folder.path.iterdir()) == []
    os.utime(folder.path, (NOW / 1000 - 600, NOW / 1000 - 600))
    into()
    assert not folder.path.exists()


def test_files_that_are_no_segments_are_left_and_said(owner: Any, lines: Any, into: Any) -> None:
    """What somebody put into an owner's folder is not ours to remove."""
    folder = owner()
    folder.write(1, lines.call())
    (folder.path / "notes.txt").write_text("mine")
    result = into()
    assert result.new == 1
    assert "notes.txt" in result.faults[0]
    assert (folder.path / "notes.txt").read_text() == "mine"


def test_one_folder_that_cannot_be_read_does_not_stop_the_others(
    store: Store, owner: Any, lines: Any, into: Any
) -> None:
    """It is named, and the rest is taken in."""
    bad = owner("1-bad")
    (bad.path / "lock").mkdir()
    bad.write(1, lines.call(id="x"))
    owner("2-good").write(1, lines.call(id="a"))
    result = into()
    assert "1-bad" in result.faults[0]
    assert ids(store) == {"a"}


def test_long_segments_are_read_in_parts_with_progress(
    store: Store, home: Path, owner: Any, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines longer than a part too; the progress ends at the whole."""
    monkeypatch.setattr(spool_folders, "BATCH_BYTES", 1024)
    folder = owner()
    path = folder.write(1, *(lines.call() for _ in range(30)), lines.call(request={"text": "x" * 5000}), lines.call())
    size = path.stat().st_size
    said: list[tuple[int, int]] = []
    result = take_in(store, home, lambda: NOW, lambda done, total: said.append((done, total)))
    assert (result.new, result.refused) == (32, 0)
    assert len(said) > 5
    assert said[-1] == (size, size)


def test_a_line_longer_than_any_record_is_refused_in_pieces(
    store: Store, owner: Any, lines: Any, into: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A corrupted segment without newlines neither fills the memory nor hides what follows."""
    monkeypatch.setattr(spool_folders, "BATCH_BYTES", 1024)
    monkeypatch.setattr(spool_folders, "LINE_BYTES_MAX", 4096)
    owner().write(1, b"\x00" * 20_000 + b"\n", lines.call(id="a"))
    result = into()
    assert (result.new, result.faults) == (1, [])
    assert result.refused >= 4
    assert ids(store) == {"a"}


def test_what_a_real_client_spools_is_taken_in(store: Store, home: Path, lines: Any, into: Any) -> None:
    """The client's own spool, alive and closed, is read by the same layout."""
    spool = Spool(home, "local", Counters(), segment_bytes=600)
    spool.append([lines.call(id=f"c{number}") for number in range(10)])
    assert into().new == 10
    spool.append([lines.call(id="last")])
    assert into().new == 1
    spool.close()
    into()
    assert len(ids(store)) == 11
    assert [path for path in (home / "spool" / "local").rglob("*.ndjson") if "refused" not in path.parts] == []


def test_what_waits_is_counted(store: Store, home: Path, owner: Any, lines: Any, into: Any) -> None:
    """For the local destination only what is not in the store yet; for others all, with its orphans."""
    line = lines.call()
    local = owner().live()
    local.write(1, line)
    into()
    local.write(1, line, line)
    other = home / "spool" / "0123456789abcdef" / "9-x"
    other.mkdir(parents=True)
    (other / "000001.ndjson").write_bytes(line)
    with store.reading() as connection:
        found = {one.destination: one for one in waiting(home, positions(connection))}
    assert (found["local"].records, found["local"].size, found["local"].orphans) == (2, 2 * len(line), ())
    assert (found["0123456789abcdef"].records, found["0123456789abcdef"].orphans) == (1, (other,))


_TAKER = """
import pathlib, sys
from logos_shift_openai.server.embedded import take_in
from logos_shift_openai.server.store.database import open_store
home = pathlib.Path(sys.argv[1])
store = open_store(home / "store.sqlite3")
print("ready", flush=True)
sys.stdin.readline()
result = take_in(store, home, lambda: 1)
store.close()
print(result.new, result.seen, result.refused, len(result.faults))
"""


def test_two_processes_take_the_same_spool_in_at_once(store: Store, home: Path, owner: Any, lines: Any) -> None:
    """Beside orphans and a living owner: every record once, every refused line counted once, no fault."""
    for number in range(12):
        folder = owner(f"{number}-x")
        folder.write(1, *(lines.call(request={"text": "x" * 900}) for _ in range(40)), b"bad\n")
        folder.write(2, *(lines.call() for _ in range(20)))
    alive = owner("living").live()
    alive.write(1, *(lines.call() for _ in range(30)))
    alive.write(2, *(lines.call() for _ in range(10)))
    command = [sys.executable, "-c", _TAKER, str(home)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    answers = []
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, err
        answers.append([int(number) for number in out.split()])
    assert sum(answer[0] for answer in answers) == 12 * 60 + 40
    assert [answer[3] for answer in answers] == [0, 0]
    with store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(calls)) == 12 * 60 + 40
        assert connection.scalar(select(func.count()).select_from(call_bodies)) == 12 * 60 + 40
        assert connection.scalar(select(refused.c.lines)) == 12
    assert sorted(path.name for path in (home / "spool" / "local").iterdir()) == ["living", "refused"]


_KILLED = """
import os, pathlib, sys
from logos_shift_openai.server import embedded, spool_folders
from logos_shift_openai.server.store.database import open_store
spool_folders.BATCH_BYTES = 4096
home = pathlib.Path(sys.argv[1])
store = open_store(home / "store.sqlite3")
seen = []
def die(done, total):
    seen.append(done)
    if len(seen) == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
embedded.take_in(store, home, lambda: 1, die)
"""


@pytest.mark.parametrize("batches", [1, 3])
def test_a_process_killed_in_the_middle_leaves_the_rest_for_the_next(
    store: Store, home: Path, *, owner: Any, lines: Any, into: Any, batches: int
) -> None:
    """What it had committed stays, what it had not is read by the next one, and nothing twice."""
    folder = owner()
    folder.write(1, *(lines.call() for _ in range(100)))
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(home), str(batches)], check=False)
    assert killed.returncode == -9
    before = len(ids(store))
    assert 0 < before < 100
    result = into()
    assert (result.new, result.seen) == (100 - before, 0)
    assert len(ids(store)) == 100
