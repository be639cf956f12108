"""The way of segments to the server, with the server's answers and the clock passed in."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest

from logos_shift_openai.client.counters import Counters
from logos_shift_openai.client.refused_files import REFUSED
from logos_shift_openai.client.segments import lines_of
from logos_shift_openai.client.spool import Spool
from logos_shift_openai.client.uploader import Uploader
from logos_shift_openai.client.wire import (
    BadBatchError,
    Receipt,
    RefusedLine,
    RetryLaterError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    WireError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONG = 90.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Server:
    """Answers as told; keeps what it took, by id."""

    def __init__(self) -> None:
        self.answers: list[WireError | Receipt | None] = []
        self.limit = 10**9
        self.got: list[str] = []
        self.posts: list[int] = []
        self.timeouts: list[float] = []

    def post_records(self, ndjson: bytes, timeout: float) -> Receipt:
        self.posts.append(len(ndjson))
        self.timeouts.append(timeout)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, WireError):
            raise answer
        if answer is not None:
            return answer
        if len(ndjson) > self.limit:
            raise TooLargeError("HTTP 413")
        ids = ids_of(ndjson)
        new = [one for one in ids if one not in self.got]
        self.got += new
        return Receipt(len(new), len(ids) - len(new))


class Case:
    def __init__(self, home: Path) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.server = Server()
        self.spool = Spool(home, "d", self.counters, clock=self.clock)
        self.uploader = Uploader(self.spool, self.server, self.counters, clock=self.clock, random=lambda: 1.0)
        self.uploader.thread.stop(0.0)  # the tests take the turns

    @property
    def counts(self) -> dict[str, int]:
        return self.counters.snapshot()

    def put(self, *names: object, size: int = 0) -> None:
        self.spool.append([line(name, size) for name in names])

    def turn(self) -> float | None:
        self.clock.now += 1.0
        return self.uploader.step()

    def refused(self) -> list[str]:
        folder = self.spool.root / REFUSED
        return (
            [one for path in sorted(folder.iterdir()) for one in ids_of(path.read_bytes())] if folder.exists() else []
        )


def line(name: object, size: int = 0) -> bytes:
    return json.dumps({"v": 1, "id": str(name), "x": "x" * size}, separators=(",", ":")).encode() + b"\n"


def ids_of(data: bytes) -> list[str]:
    return [json.loads(one)["id"] for one in lines_of(data)]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_a_segment_is_sent_when_a_second_old_and_deleted_on_yes(case: Case) -> None:
    """Fresh lines gather first; the next turn comes when they are old enough, then none until more come."""
    case.put(1, 2)
    assert case.uploader.step() == 1.0
    assert case.server.posts == []
    assert case.turn() == 0.0
    assert case.turn() is None
    assert case.server.got == ["1", "2"]
    assert case.counts == {"sent": 2, "seen": 0}
    assert not case.spool.pending()


def test_what_the_server_has_already_counts_as_seen(case: Case) -> None:
    """Sent a second time, after a crash between the server's yes and our deletion."""
    case.server.got = ["1"]
    case.put(1, 2)
    case.turn()
    assert case.counts == {"sent": 1, "seen": 1}


def test_orphans_are_sent_first_and_looked_for_once_a_minute(case: Case, tmp_path: Path) -> None:
    """What an ended process left goes out without a new record."""

    def leave(name: str) -> None:
        other = Spool(tmp_path, "d", Counters())
        other.append([line(name)])
        other.close()

    leave("a")
    assert case.turn() == 0.0
    assert case.server.got == ["a"]
    leave("b")
    assert case.turn() is None
    case.clock.now += 59.0
    assert case.turn() == 0.0
    assert case.server.got == ["a", "b"]


def test_an_unavailable_server_is_asked_ever_more_rarely(case: Case) -> None:
    """The wait doubles from a second to a minute; nothing is deleted; said once."""
    case.put(1)
    case.server.answers = [UnavailableError("HTTP 500") for _ in range(8)]
    waits = []
    for _ in range(8):
        wait = case.turn()
        assert wait is not None
        waits.append(wait)
        case.clock.now += wait - 1.0
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert case.turn() == 0.0
    assert case.server.got == ["1"]
    assert case.counts["send_failed"] == 8


def test_the_wait_is_spread_over_clients(case: Case) -> None:
    """Chance takes up to half of it away, so that a thousand clients do not come back as one."""
    case.put(1)
    case.uploader._random = lambda: 0.0
    case.server.answers = [UnavailableError("HTTP 500") for _ in range(3)]
    waits = []
    for _ in range(3):
        waits.append(case.turn())
        case.clock.now += 60.0
    assert waits == [1.0, 1.0, 2.0]


def test_a_turn_before_its_time_asks_nothing(case: Case) -> None:
    """A wake by new records does not shorten the wait."""
    case.put(1)
    case.server.answers = [UnavailableError("HTTP 500"), UnavailableError("HTTP 500")]
    case.turn()
    case.clock.now += 1.0
    assert case.turn() == 2.0
    case.put(2)
    assert case.turn() == 1.0
    assert len(case.server.posts) == 2


@pytest.mark.parametrize(("wish", "wait"), [(None, 1.0), (0.0, 1.1), (7.0, 7.7), (1e9, 3960.0)])
def test_a_servers_wish_is_followed_within_reason(case: Case, wish: float | None, wait: float) -> None:
    """A Retry-After is kept, a little late, and cut at an hour."""
    case.put(1)
    case.server.answers = [RetryLaterError("HTTP 429", wish)]
    assert case.turn() == pytest.approx(wait)


def test_a_batch_too_large_is_halved(case: Case) -> None:
    """Each line arrives once, and the segment is deleted when its last part is in."""
    case.server.limit = 3 * len(line(0, 100))
    case.put(*range(10), size=100)
    while case.turn() is not None:
        pass
    assert sorted(case.server.got, key=int) == [str(number) for number in range(10)]
    assert case.counts == {"sent": 10, "seen": 0}
    assert not case.spool.pending()


def test_one_line_too_large_is_set_aside(case: Case) -> None:
    """It is kept, and the others arrive."""
    case.server.limit = 200
    case.spool.append([line(1), line(2, 300), line(3)])
    while case.turn() is not None:
        pass
    assert sorted(case.server.got) == ["1", "3"]
    assert case.refused() == ["2"]
    assert case.counts == {"refused_too_large": 1, "sent": 2, "seen": 0}


def test_a_key_that_is_not_accepted_keeps_the_records(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """Asked again every five minutes; said once, by the name of the setting."""
    case.put(1)
    case.server.answers = [UnauthorizedError("HTTP 401"), UnauthorizedError("HTTP 401")]
    assert case.turn() == 300.0
    case.clock.now += 299.0
    assert case.turn() == 300.0
    assert [record.getMessage() for record in caplog.records] == [
        "the server does not accept LOGOS_SHIFT_API_KEY (HTTP 401): records wait in the spool"
    ]
    case.clock.now += 299.0
    assert case.turn() == 0.0
    assert case.server.got == ["1"]
    assert case.counts == {"unauthorized": 2, "sent": 1, "seen": 0}


def test_a_batch_the_server_cannot_read_is_set_aside(case: Case) -> None:
    """Kept for a person, and not sent for ever."""
    case.put(1, 2)
    case.server.answers = [BadBatchError("HTTP 400")]
    assert case.turn() == 0.0
    case.put(3)
    case.turn()
    assert case.refused() == ["1", "2"]
    assert case.server.got == ["3"]
    assert case.counts == {"refused_bad_request": 2, "sent": 1, "seen": 0}


@pytest.mark.parametrize(
    ("refusal", "found"),
    [
        (RefusedLine(2, "b", "no such dataset"), ["b"]),
        (RefusedLine(2, None, "no such dataset"), ["b"]),
        (RefusedLine(1, "b", "no such dataset"), ["b"]),  # counted from zero: the id tells
    ],
)
def test_a_line_the_server_refused_is_kept_with_its_reason(case: Case, refusal: RefusedLine, found: list[str]) -> None:
    """Found by its place or its id; the rest is done."""
    case.put("a", "b", "c")
    case.server.answers = [Receipt(2, 0, (refusal,))]
    case.turn()
    assert case.refused() == found
    assert case.counts == {"sent": 2, "seen": 0, "refused_no_such_dataset": 1}
    assert not case.spool.pending()


@pytest.mark.parametrize(
    "receipt",
    [
        Receipt(0, 0),
        Receipt(1, 0),
        Receipt(5, 5),
        Receipt(2, 0, (RefusedLine(1, None, "x"),)),
        Receipt(1, 0, (RefusedLine(9, None, "x"),)),
        Receipt(1, 0, (RefusedLine(1, "unknown", "x"),)),
        Receipt(0, 0, (RefusedLine(1, None, "x"), RefusedLine(1, None, "x"))),
    ],
)
def test_a_receipt_that_does_not_add_up_deletes_nothing_for_good(case: Case, receipt: Receipt) -> None:
    """A server that lies about what it took: the lines are kept aside, not sent for ever and not lost."""
    case.put(1, 2)
    case.server.answers = [receipt]
    case.turn()
    assert case.refused() == ["1", "2"]
    assert case.counts == {"refused_receipt_mismatch": 2}


def test_an_unexpected_error_keeps_the_segment(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the wire is the thread's to count and to wait for; the lines go out later."""

    def broken(ndjson: bytes, timeout: float) -> Receipt:
        raise ZeroDivisionError

    case.put(1)
    with monkeypatch.context() as patch:
        patch.setattr(case.server, "post_records", broken)
        with pytest.raises(ZeroDivisionError):
            case.turn()
    case.turn()
    assert case.server.got == ["1"]


def test_lines_in_memory_are_sent_too(case: Case, tmp_path: Path) -> None:
    """Without a folder to write in, records still reach the server."""
    (tmp_path / "spool").write_text("in the way")
    case.put(1)
    assert case.turn() == 0.0
    assert case.server.got == ["1"]
    assert case.turn() is None


def test_flush_sends_everything_now(case: Case) -> None:
    """Fresh segments and those of a backing-off server too, in as many requests as it takes."""
    case.server.answers = [UnavailableError("HTTP 500")]
    case.put(1)
    case.turn()
    for number in range(2, 5):
        case.put(number)
        case.spool.seal()
    case.put(5)
    assert case.uploader.flush(case.clock.now + 5.0)
    assert case.server.got == ["1", "2", "3", "4", "5"]
    assert case.server.timeouts[-1] == 5.0


def test_flush_says_no_when_something_is_left(case: Case) -> None:
    """One try at a server that is away."""
    case.server.answers = [UnavailableError("HTTP 500")]
    case.put(1)
    assert not case.uploader.flush(case.clock.now + 5.0)
    assert len(case.server.posts) == 1


def test_flush_stops_at_its_deadline(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """No further request begins when the time is over."""
    post = case.server.post_records

    def slow(ndjson: bytes, timeout: float) -> Receipt:
        case.clock.now += 3.0
        return post(ndjson, timeout)

    monkeypatch.setattr(case.server, "post_records", slow)
    for number in range(4):
        case.put(number)
        case.spool.seal()
    assert not case.uploader.flush(case.clock.now + 5.0)
    assert case.server.got == ["0", "1"]
    assert case.server.timeouts == [5.0, 2.0]


def test_close_does_not_try_a_server_known_to_be_away(case: Case) -> None:
    """The exit is not for hoping: the records are on disk."""
    case.server.answers = [UnavailableError("HTTP 500")]
    case.put(1)
    case.turn()
    case.uploader.close(case.clock.now + 2.0)
    assert len(case.server.posts) == 1
    assert case.spool.pending()


def test_close_sends_what_is_fresh(case: Case) -> None:
    """A short script's records arrive with its end."""
    case.put(1)
    case.uploader.close(case.clock.now + 2.0)
    assert case.server.got == ["1"]


class Hanging:
    """A server that never answers until it is let go."""

    def __init__(self) -> None:
        self.inside = threading.Event()
        self.go = threading.Event()

    def post_records(self, ndjson: bytes, timeout: float) -> Receipt:
        self.inside.set()
        self.go.wait(LONG)
        return Receipt(len(lines_of(ndjson)), 0)


def threaded(home: Path, server: Hanging, clock: Callable[[], float] = time.monotonic) -> tuple[Spool, Uploader]:
    counters = Counters()
    spool = Spool(home, "d", counters)
    return spool, Uploader(spool, server, counters, seal_after=0.0, clock=clock)


def test_close_leaves_a_hanging_request_behind_at_its_deadline(tmp_path: Path) -> None:
    """The records stay in the spool, and nothing is deleted."""
    server = Hanging()
    spool, uploader = threaded(tmp_path, server)
    spool.append([line(1)])
    assert server.inside.wait(LONG)
    thread = uploader.thread._thread
    uploader.close(uploader._clock() + 0.02)
    assert spool.pending()
    server.go.set()
    assert thread is not None
    thread.join(LONG)


def test_close_does_not_wait_for_a_request_that_hangs_already(tmp_path: Path) -> None:
    """A request without an answer for over a second gets no more of the exit's time."""
    server = Hanging()
    clock = Clock()
    spool, uploader = threaded(tmp_path, server, clock)
    spool.append([line(1)])
    assert server.inside.wait(LONG)
    thread = uploader.thread._thread
    clock.now += 1.5
    uploader.close(clock.now + 3_600.0)  # returns at once, or this test takes an hour
    assert spool.pending()
    server.go.set()
    assert thread is not None
    thread.join(LONG)


def test_an_append_starts_and_wakes_the_thread(tmp_path: Path) -> None:
    """Nobody has to start it, and it sleeps without a timer when nothing is left."""
    server = Hanging()
    server.go.set()
    before = threading.active_count()
    spool, uploader = threaded(tmp_path, server)
    assert threading.active_count() == before
    for _ in range(2):
        server.inside.clear()
        spool.append([line(1)])
        assert server.inside.wait(LONG)
        assert uploader.flush(uploader._clock() + LONG)
    uploader.thread.stop(LONG)
    assert threading.active_count() == before
