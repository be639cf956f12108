"""What clients say of themselves, as the store keeps it, on each engine."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from logos_shift_openai.server import clients as clients_module
from logos_shift_openai.server.client_files import take_reports
from logos_shift_openai.server.client_report import read_report
from logos_shift_openai.server.clients import DAY_MS, LIVE_MS, Clients, read_clients, take_report
from logos_shift_openai.server.store.schema import client_processes

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from logos_shift_openai.server.store.database import Store

NOW = 1_764_000_000_000


def say(store: Store, process: int, sequence: int, now: int = NOW, **more: Any) -> dict[str, int] | None:
    report = read_report(written(process, sequence, **more))
    with store.writing() as connection:
        return take_report(connection, report, now, "server", "key")


def written(process: int, sequence: int, **more: Any) -> bytes:
    counts = {name: more.pop(name) for name in list(more) if isinstance(more[name], int) and name != "ended"}
    return json.dumps({"process": f"{process:032x}", "sequence": sequence, "counts": counts, **more}).encode()


def seen(store: Store, now: int = NOW) -> Clients:
    with store.reading() as connection:
        return read_clients(connection, now)


def test_counts_are_added_by_day_and_once(store: Store) -> None:
    """What is new since the last report; a report that comes again, or late, changes nothing."""
    assert say(store, 1, 1, recorded=10, queue_full=2) == {"recorded": 10, "queue_full": 2}
    assert say(store, 1, 1, recorded=10, queue_full=2) is None
    assert say(store, 2, 1, recorded=5, closed=1) == {"recorded": 5, "closed": 1}
    assert say(store, 1, 3, now=NOW + DAY_MS, recorded=15, queue_full=2, spool_full=4) == {
        "recorded": 5,
        "spool_full": 4,
    }
    assert say(store, 1, 2, recorded=12, queue_full=2) is None
    found = seen(store, NOW + DAY_MS)
    assert (found.today.kept, found.today.lost) == (1, {"spool_full": 4})
    assert (found.week.kept, found.week.lost) == (16, {"queue_full": 2, "closed": 1, "spool_full": 4})
    assert found.ever == found.week
    first, second = found.processes
    assert (first.kept, first.lost, first.last_seen) == (11, {"queue_full": 2, "spool_full": 4}, NOW + DAY_MS)
    assert (second.kept, second.key_id) == (5, "key")


def test_names_that_are_not_known_do_not_grow_the_table(store: Store) -> None:
    """A client may say what it likes."""
    say(store, 1, 1, **{f"refused_{number}": 1 for number in range(100)}, recorded=1)
    assert seen(store).ever.counts == {"recorded": 1}


def test_a_process_is_live_stale_or_ended(store: Store) -> None:
    """And what is wrong with it is said in words."""
    config = {"version": 3, "age": 10.0, "poll": 30.0}
    say(store, 1, 1, config=config, recorded=1)
    say(store, 2, 1, config={**config, "age": 91.0}, recorded=1)
    say(store, 3, 1, ended=True, closed=2)
    say(store, 4, 1, config={"version": 3, "poll": 5.0}, uptime=100.0, recorded=1)
    by = {int(one.process, 16): one for one in seen(store).processes}
    assert {key: one.state for key, one in by.items()} == {1: "live", 2: "live", 3: "ended", 4: "live"}
    assert by[1].warnings == []
    assert by[2].warnings == ["its config was not confirmed for 91 s"]
    assert by[3].warnings == ["2 records lost (closed 2)"]
    assert by[4].warnings == ["its config was not confirmed for 100 s"]
    later = {int(one.process, 16): one for one in seen(store, NOW + LIVE_MS + 1).processes}
    assert {key: one.state for key, one in later.items()} == {1: "stale", 2: "stale", 3: "ended", 4: "stale"}
    assert "no report" in later[1].warnings[0]


def test_processes_are_forgotten_and_their_sums_stay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """After seven days; of too many, those heard of longest ago."""
    say(store, 1, 1, recorded=1, closed=1)
    later = NOW + 8 * DAY_MS
    assert seen(store, later).known == 0
    assert seen(store, later).week.counts == {}
    say(store, 2, 1, now=later, recorded=1)
    monkeypatch.setattr(clients_module, "PROCESSES_MAX", 3)
    for number in range(3, 8):
        say(store, number, 1, now=later + number, recorded=1)
    with store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(client_processes)) == 3
    found = seen(store, later + 10)
    assert sorted(int(one.process, 16) for one in found.processes) == [5, 6, 7]
    assert found.ever.counts == {"recorded": 7, "closed": 1}


def test_files_of_a_home_are_taken_in_once(sqlite_store: Store, tmp_path: Path) -> None:
    """That of a process which ended is removed, one that is no report is left for a week."""
    folder = tmp_path / "clients"
    folder.mkdir()
    for process, ended in ((1, False), (2, True)):
        (folder / f"{process:032x}.json").write_bytes(written(process, 1, ended=ended, recorded=3, queue_full=1))
    (folder / "bad.json").write_bytes(b"{")
    now = int((folder / "bad.json").stat().st_mtime * 1000) + 1_000
    take_reports(sqlite_store, tmp_path, now)
    take_reports(sqlite_store, tmp_path, now)
    assert sorted(path.name for path in folder.iterdir()) == [f"{1:032x}.json", "bad.json"]
    found = seen(sqlite_store, now)
    assert (found.ever.kept, found.ever.lost) == (6, {"queue_full": 2})
    assert {one.state for one in found.processes} == {"live", "ended"}
    assert {one.state for one in seen(sqlite_store, now + LIVE_MS).processes} == {"quiet", "ended"}
    take_reports(sqlite_store, tmp_path, now + 8 * DAY_MS)
    assert list(folder.iterdir()) == []
    assert seen(sqlite_store, now).ever == found.ever


def test_a_home_without_reports_is_left_alone(sqlite_store: Store, tmp_path: Path) -> None:
    """No folder is made by looking."""
    take_reports(sqlite_store, tmp_path / "none", NOW)
    assert not os.path.lexists(tmp_path / "none")
    with sqlite_store.writing() as connection:
        assert connection.execute(update(client_processes).values(via="home")).rowcount == 0
