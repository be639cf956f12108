"""The queue between the caller's thread and the spool."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

from logos_shift_openai.client.counters import Counters
from logos_shift_openai.client.file_lock import folders_in, segments_in
from logos_shift_openai.client.recorder import Recorder
from logos_shift_openai.client.segments import lines_of
from logos_shift_openai.client.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONG = 90.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.tick = 0.0

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


class Still:
    """A thread that never runs, so that a test takes the turns itself; counts its wake-ups."""

    def __init__(self) -> None:
        self.alive = True
        self.asked = False
        self.awaited = False
        self.wakes = 0

    def start(self) -> None:
        pass

    def wake(self) -> None:
        self.wakes += 1

    def run_now(self, timeout: float) -> bool:
        return False

    def stop(self, timeout: float) -> None:
        self.alive = False


class Case:
    def __init__(self, home: Path, encode: Callable[[object], bytes | None] | None = None, **bounds: int) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.rests: list[float] = []
        self.spool = Spool(home, "d", self.counters, clock=self.clock)
        self.recorder = Recorder(
            encode or plain, self.spool, self.counters, clock=self.clock, rest=self.rests.append, **bounds
        )
        self.still = Still()
        self.recorder.thread = self.still  # type: ignore[assignment]

    @property
    def counts(self) -> dict[str, int]:
        return self.counters.snapshot()

    def turn(self) -> float | None:
        self.clock.now += 0.1
        return self.recorder.step()

    def written(self) -> list[bytes]:
        return written(self.spool)


def plain(item: object) -> bytes:
    return b'{"v":1,"id":"%s"}' % str(item).encode()


def written(spool: Spool) -> list[bytes]:
    paths = [path for folder in folders_in(spool.root) for path in segments_in(folder)]
    return [line for path in paths for line in lines_of(path.read_bytes())]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.fixture
def threaded(tmp_path: Path) -> Iterator[Recorder]:
    counters = Counters()
    recorder = Recorder(plain, Spool(tmp_path, "d", counters), counters)
    yield recorder
    recorder.thread.stop(LONG)


def test_what_is_put_is_written_in_order_a_line_each(case: Case) -> None:
    """A line without a newline gets one."""
    for number in range(3):
        case.recorder.put(number, 10)
    case.turn()
    assert case.written() == [plain(number) + b"\n" for number in range(3)]
    assert case.counts == {"recorded": 3}


def test_nothing_is_encoded_or_written_in_the_callers_thread(case: Case, tmp_path: Path) -> None:
    """A put leaves the work to ours."""
    case.recorder.put(1, 10)
    assert list(tmp_path.iterdir()) == []


def test_the_first_put_wakes_and_the_next_do_not(case: Case) -> None:
    """While records come, our thread works by its period; it sleeps without a timer after a period without one."""
    case.recorder.put(1, 10)
    case.recorder.put(2, 10)
    assert case.still.wakes == 1
    assert case.recorder.step() == pytest.approx(0.1)  # just woken: the caller goes first
    assert case.written() == []
    assert case.turn() == 0.1
    assert len(case.written()) == 2
    case.recorder.put(3, 10)
    assert case.still.wakes == 1
    assert case.turn() == 0.1
    assert case.turn() is None
    case.recorder.put(4, 10)
    assert case.still.wakes == 2


def test_no_record_waits_longer_than_a_period(case: Case) -> None:
    """A turn after a wake comes when the first record is one period old."""
    case.recorder.put(1, 10)
    case.clock.now += 0.04
    assert case.recorder.step() == pytest.approx(0.06)
    case.clock.now += 0.0601
    assert case.recorder.step() == 0.1
    assert len(case.written()) == 1


def test_beyond_the_bound_in_count_the_new_record_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Counted in records and bytes; said by our thread, once."""
    case = Case(tmp_path, max_count=3)
    for number in range(5):
        case.recorder.put(number, 10)
    assert caplog.records == []
    case.turn()
    case.turn()
    assert case.counts == {"queue_full": 2, "queue_full_bytes": 20, "recorded": 3}
    assert len(caplog.records) == 1
    case.recorder.put(6, 10)
    case.turn()
    assert case.counts["recorded"] == 4


def test_beyond_the_bound_in_bytes_the_new_record_is_dropped(tmp_path: Path) -> None:
    """A record too large for the queue is dropped though a smaller one would still go in."""
    case = Case(tmp_path, max_bytes=100)
    case.recorder.put(1, 90)
    case.recorder.put(2, 11)
    case.recorder.put(3, 10)
    case.turn()
    assert case.counts == {"queue_full": 1, "queue_full_bytes": 11, "recorded": 2}


def test_the_count_of_bytes_does_not_drift(tmp_path: Path) -> None:
    """Callers add to it without a lock; a turn sets it right by what truly waits."""
    case = Case(tmp_path, max_bytes=100)
    case.recorder.put(1, 10)
    case.recorder._bytes += 10_000  # what lost updates may leave behind
    case.turn()
    case.recorder.put(2, 100)
    case.turn()
    assert case.counts == {"recorded": 2}


@pytest.mark.parametrize("error", [ValueError, RecursionError, SystemExit])
def test_an_encoder_that_raises_costs_that_record(
    tmp_path: Path, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """The others are written; the log names the error, never its text."""

    def encode(item: object) -> bytes:
        if item == 2:
            raise error("a secret")
        return plain(item)

    case = Case(tmp_path, encode)
    for number in range(4):
        case.recorder.put(number, 10)
    case.turn()
    assert case.counts == {"encode_failed": 1, "recorded": 3}
    assert "a secret" not in caplog.text


def test_an_encoder_may_leave_a_record_out(tmp_path: Path) -> None:
    """None is counted apart from a failure."""
    case = Case(tmp_path, lambda item: None if item == 1 else plain(item))
    case.recorder.put(1, 10)
    case.recorder.put(2, 10)
    case.turn()
    assert case.counts == {"encode_skipped": 1, "recorded": 1}


@pytest.mark.parametrize("bad", [b"{}\n{}\n", b"{\n}", "text", 5])
def test_an_encoder_that_lies_costs_that_record(tmp_path: Path, bad: object) -> None:
    """Two lines for one, or no line at all, would spoil the segment."""
    case = Case(tmp_path, lambda item: bad if item == 1 else plain(item))  # type: ignore[return-value,arg-type]
    case.recorder.put(1, 10)
    case.recorder.put(2, 10)
    case.turn()
    assert case.written() == [plain(2) + b"\n"]
    assert case.counts == {"encode_failed": 1, "recorded": 1}


def test_a_spool_that_raises_is_counted(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those lines are lost and the next ones are not."""

    def broken(lines: object) -> None:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(case.spool, "append", broken)
        case.recorder.put(1, 10)
        case.turn()
    case.recorder.put(2, 10)
    case.turn()
    assert case.counts == {"spool_failed": 1, "recorded": 1}


def test_much_is_written_in_several_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are not gathered without end: each quarter megabyte is written."""
    case = Case(tmp_path, lambda item: b"x" * 100_000)
    sizes: list[int] = []
    append = case.spool.append

    def watched(lines: list[bytes]) -> None:
        sizes.append(len(lines))
        append(lines)

    monkeypatch.setattr(case.spool, "append", watched)
    for number in range(7):
        case.recorder.put(number, 100_000)
    case.turn()
    assert sizes == [3, 3, 1]


def test_our_thread_rests_between_short_whiles_of_work(case: Case) -> None:
    """A caller that waits for the interpreter gets it soon, and for some time not again."""
    for number in range(100):
        case.recorder.put(number, 10)
    case.clock.now += 0.1
    case.clock.tick = 0.0001  # each look at the clock, one a record
    wait = case.recorder.step()
    assert 8 <= len(case.rests) <= 15
    assert set(case.rests) == {0.015}
    assert wait is not None
    assert wait < 0.1, "what was put since waits no longer for that"


def test_rests_get_short_where_a_turn_grows_long(case: Case) -> None:
    """With ever so much to do, records are not kept waiting for the sake of rests, and in the end there are few."""
    for number in range(4_000):
        case.recorder.put(number, 10)
    case.clock.now += 0.1
    case.clock.tick = 0.0001
    begun, rests = case.clock.now, []
    case.recorder._rest = lambda seconds: rests.append((case.clock.now - begun, seconds))
    case.recorder.step()
    assert {seconds for age, seconds in rests if age < 0.059} == {0.015}
    assert {seconds for age, seconds in rests if age > 0.061} == {0.00005}
    assert sum(0.1 <= age < 0.15 for age, _ in rests) > 45
    assert 8 <= sum(0.2 <= age < 0.25 for age, _ in rests) <= 10


@pytest.mark.parametrize("awaited", [True, False])
def test_who_waits_for_a_turn_is_not_made_to_wait_for_its_rests(case: Case, awaited: bool) -> None:
    """A flush that comes in the middle of a turn counts too."""
    case.still.awaited = awaited
    for number in range(100):
        case.recorder.put(number, 10)
    case.clock.now += 0.1
    case.clock.tick = 0.0001
    case.recorder.step()
    assert set(case.rests) == {0.00005 if awaited else 0.015}


def test_an_idle_recorder_tries_a_broken_folder_again(case: Case, tmp_path: Path) -> None:
    """Its thread sleeps until the spool's next try, not for ever."""
    (tmp_path / "spool").write_text("in the way")
    case.recorder.put(1, 10)
    case.turn()
    wait = case.turn()
    assert wait is not None
    assert wait == pytest.approx(29.9)
    (tmp_path / "spool").unlink()
    case.clock.now += wait
    assert case.recorder.step() is None
    assert case.written() == [plain(1) + b"\n"]


def test_a_put_between_the_last_look_and_the_sleep_is_not_forgotten(case: Case) -> None:
    """The step looks again after it has said that it is idle."""

    class Late(type(case.recorder._queue)):  # type: ignore[misc]
        looks = 0

        def __bool__(self) -> bool:
            self.looks += 1
            if self.looks == 2:
                self.append((1, 10))
            return len(self) > 0

    case.recorder._queue = Late()
    assert case.recorder.step() == 0.1
    assert case.turn() == 0.1
    assert len(case.written()) == 1


def test_no_thread_to_be_had_does_not_stop_later_puts_from_asking(case: Case) -> None:
    """The recorder does not believe itself at work when no thread could be started."""
    case.still.alive = False
    case.recorder.put(1, 10)
    case.recorder.put(2, 10)
    assert case.still.wakes == 2


def test_a_child_does_not_write_what_its_parent_will(case: Case) -> None:
    """What waits at the fork is the parent's."""
    case.recorder.put(1, 10)
    case.recorder.after_fork()
    case.recorder.put(2, 10)
    case.turn()
    assert case.written() == [plain(2) + b"\n"]


def test_many_threads_lose_and_double_nothing(threaded: Recorder) -> None:
    """Eight threads put at once while ours works."""

    def put(first: int) -> None:
        for number in range(first, first + 1_000):
            threaded.put(number, 10)

    threads = [threading.Thread(target=put, args=(k * 1_000,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert threaded.flush(LONG)
    assert sorted(written(threaded._spool)) == sorted(plain(number) + b"\n" for number in range(8_000))


def test_flush_does_not_wait_for_the_period(tmp_path: Path) -> None:
    """All that was put is on disk when it returns, though the period is an hour."""
    counters = Counters()
    recorder = Recorder(plain, Spool(tmp_path, "d", counters), counters, period=3_600.0)
    assert recorder.flush(0.0)
    recorder.put(1, 10)
    assert recorder.flush(LONG)
    assert len(written(recorder._spool)) == 1
    recorder.thread.stop(LONG)


def test_flush_without_a_thread_writes_in_the_callers(case: Case, tmp_path: Path) -> None:
    """At the end of an interpreter, or when the system gives no thread."""
    counters = Counters()
    recorder = Recorder(plain, Spool(tmp_path, "d", counters), counters)
    recorder.thread.stop(0.0)
    recorder.put(1, 10)
    assert recorder.flush(0.0)
    assert len(written(recorder._spool)) == 1


def test_close_writes_all_and_takes_no_more(tmp_path: Path) -> None:
    """Later puts are counted; the thread ends."""
    counters = Counters()
    recorder = Recorder(plain, Spool(tmp_path, "d", counters), counters, period=3_600.0)
    recorder.put(1, 10)
    thread = recorder.thread._thread
    recorder.close(recorder._clock() + LONG)
    recorder.put(2, 10)
    assert counters.snapshot() == {"recorded": 1, "closed": 1}
    assert thread is not None
    thread.join(LONG)
    assert not thread.is_alive()


def test_close_keeps_its_deadline_with_an_encoder_that_hangs(tmp_path: Path) -> None:
    """A redaction that never returns costs the time given, and what is left over is counted."""
    hang, inside = threading.Event(), threading.Event()

    def encode(item: object) -> bytes:
        inside.set()
        hang.wait(LONG)
        return plain(item)

    counters = Counters()
    recorder = Recorder(encode, Spool(tmp_path, "d", counters), counters, period=0.0)
    for number in range(3):
        recorder.put(number, 10)
    thread = recorder.thread._thread
    assert inside.wait(LONG)
    recorder.close(recorder._clock() + 0.02)
    assert counters.snapshot()["lost_at_exit"] == 3
    hang.set()
    assert thread is not None
    thread.join(LONG)


def test_an_interrupt_in_the_callers_thread_keeps_what_is_encoded(tmp_path: Path) -> None:
    """Ctrl-C during a flush reaches the user, and what was done by then is written."""

    def encode(item: object) -> bytes:
        if item == 2:
            raise KeyboardInterrupt
        return plain(item)

    case = Case(tmp_path, encode)
    for number in range(3):
        case.recorder.put(number, 10)
    with pytest.raises(KeyboardInterrupt):
        case.turn()
    assert case.written() == [plain(0) + b"\n", plain(1) + b"\n"]


def test_the_queue_says_nothing_of_contents(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Log lines carry names and sizes."""
    case = Case(tmp_path, max_count=1)
    with caplog.at_level(logging.DEBUG):
        case.recorder.put("a secret", 10)
        case.recorder.put("a secret", 10)
        case.turn()
    assert "a secret" not in caplog.text
