"""What a process says of itself: when, what of its counts, and what becomes of each answer."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.client.counters import Counters
from logos_shift_openai.client.reports import EVERY, FOLDER, Reports
from logos_shift_openai.client.wire import UnavailableError
from logos_shift_openai.core.losses import LOST, TOLD, kept, lost, told

if TYPE_CHECKING:
    from pathlib import Path


class Case:
    """Reports with the clock and the server's answers passed in."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.counters = Counters()
        self.reports = Reports(self.counters, dict, "openai/3 logos_shift_openai/0", clock=lambda: self.now)
        self.answers: list[tuple[int, float | None] | None] = []
        self.sent: list[dict[str, Any]] = []
        self.timeouts: list[float] = []

    def post_client(self, report: bytes, timeout: float) -> tuple[int, float | None]:
        self.sent.append(json.loads(report))
        self.timeouts.append(timeout)
        answer = self.answers.pop(0) if self.answers else (200, None)
        if answer is None:
            raise UnavailableError("Timeout")
        return answer


@pytest.fixture
def case() -> Case:
    return Case()


def test_nothing_is_said_before_there_is_a_count(case: Case, tmp_path: Path) -> None:
    """A process that makes no call says nothing, not even at its end."""
    case.counters.add("config_failed")
    assert case.reports.wait() == math.inf
    case.reports.send(case, ended=True)
    assert case.reports.keep(tmp_path, ended=True) is None
    assert case.sent == []
    assert list(tmp_path.iterdir()) == []


def test_the_first_comes_soon_and_then_one_a_minute(case: Case) -> None:
    """Counted from the first count; a heartbeat comes though nothing has changed."""
    case.counters.add("recorded", 3)
    first = case.reports.wait()
    assert 0 < first < EVERY
    case.now += first
    assert case.reports.wait() == 0
    case.reports.send(case)
    assert case.reports.wait() == EVERY
    case.now += EVERY
    case.reports.send(case)
    assert [one["sequence"] for one in case.sent] == [1, 2]
    assert [one["counts"] for one in case.sent] == [{"recorded": 3}] * 2
    assert len({one["process"] for one in case.sent}) == 1


def test_the_last_one_is_the_last(case: Case) -> None:
    """At a clean end, whatever the clock says; nothing after it."""
    case.counters.add("queue_full")
    case.reports.send(case, 0.5, ended=True)
    case.reports.send(case, ended=True)
    assert [(one["ended"], one["counts"]) for one in case.sent] == [(True, {"queue_full": 1})]
    assert case.timeouts == [0.5]
    assert case.reports.wait() == math.inf


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        ((404, None), 3600.0),
        ((405, None), 3600.0),
        ((422, None), 3600.0),
        ((401, None), 300.0),
        ((403, None), 300.0),
        ((429, 120.0), 120.0),
        ((503, 1.0), EVERY),
        ((503, 1e9), 3600.0),
        ((500, None), EVERY),
        ((302, None), EVERY),
        (None, EVERY),
    ],
)
def test_each_answer_has_its_pause(case: Case, answer: tuple[int, float | None] | None, pause: float) -> None:
    """None of them raises, and the next report has all the counts again."""
    case.counters.add("recorded")
    case.answers = [answer]
    case.reports.send(case)
    assert case.reports.wait() == pause
    case.now += pause
    case.counters.add("recorded")
    case.reports.send(case)
    assert case.sent[-1]["counts"] == {"recorded": 2}


def test_a_forked_child_is_another_process(case: Case) -> None:
    """With an id, counts and a first report of its own."""
    case.counters.add("recorded")
    case.reports.send(case)
    before = case.reports.process
    case.reports.after_fork()
    case.counters.after_fork()
    assert case.reports.process != before
    assert case.reports.wait() == math.inf
    case.counters.add("recorded")
    case.reports.send(case)
    assert [one["sequence"] for one in case.sent] == [1, 1]


def test_a_file_is_written_once_a_minute_and_only_when_something_changed(case: Case, tmp_path: Path) -> None:
    """One file a process, whole; nothing left beside it."""
    case.counters.add("recorded")
    first = case.reports.keep(tmp_path)
    assert first is not None
    assert 0 < first < EVERY
    case.now += first
    assert case.reports.keep(tmp_path) is None
    [path] = (tmp_path / FOLDER).iterdir()
    assert path.name == f"{case.reports.process}.json"
    assert json.loads(path.read_bytes())["counts"] == {"recorded": 1}
    case.now += 10 * EVERY
    assert case.reports.keep(tmp_path) is None
    assert json.loads(path.read_bytes())["sequence"] == 1
    case.counters.add("spool_full")
    case.reports.keep(tmp_path)
    case.counters.add("spool_full")
    assert case.reports.keep(tmp_path) == EVERY
    assert json.loads(path.read_bytes())["counts"] == {"recorded": 1, "spool_full": 1}
    case.reports.keep(tmp_path, ended=True)
    assert json.loads(path.read_bytes())["counts"] == {"recorded": 1, "spool_full": 2}
    assert json.loads(path.read_bytes())["ended"]
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


def test_a_folder_that_is_full_of_reports_gets_no_more(case: Case, tmp_path: Path) -> None:
    """Short scripts that nobody looks after do not fill the disk."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    for number in range(1_000):
        (folder / f"{number}.json").touch()
    case.counters.add("recorded")
    case.reports.keep(tmp_path, ended=True)
    assert len(list(folder.iterdir())) == 1_000


def test_only_known_counts_are_told() -> None:
    """A server's own words become one name; what is none of a record's is left out; every record is in one sum."""
    counts = {"recorded": 10, "spool_full": 2, "queue_full": 3, "queue_full_bytes": 999, "config_bad": 1, "sent": 0}
    counts |= {"refused_<script>": 1, "refused_bad_request": 2, "refused_unreadable": 1, "refused_file": 1}
    found = told(counts)
    assert found == {"recorded": 10, "spool_full": 2, "queue_full": 3, "refused": 3, "unreadable": 2}
    assert set(found) <= TOLD
    assert kept(found) == 8
    assert lost(found) == {"queue_full": 3, "spool_full": 2, "refused": 3, "unreadable": 2}
    assert set(LOST) <= TOLD
