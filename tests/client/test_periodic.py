"""The background threads: their life, their failures and their wake-ups."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from logos_shift_openai.client.periodic import Periodic

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = 90.0


class Counts(Counter[str]):
    def __call__(self, reason: str) -> None:
        self[reason] += 1


def periodic(
    step: Callable[[], float | None], counts: Counts | None = None, clock: Callable[[], float] = lambda: 0.0
) -> Periodic:
    return Periodic("test-part", step, count=counts if counts is not None else Counts(), clock=clock)


def test_nothing_runs_before_start_and_start_twice_makes_one_thread() -> None:
    """A thread is made by the first start, and only by it."""
    before = threading.active_count()
    turns = threading.Semaphore(0)
    part = periodic(turns.release)
    assert threading.active_count() == before
    part.start()
    part.start()
    assert turns.acquire(timeout=LONG)
    assert threading.active_count() == before + 1
    part.stop(LONG)
    assert threading.active_count() == before


def test_the_thread_is_a_daemon() -> None:
    """The end of the program never waits for it."""
    part = periodic(lambda: None)
    part.start()
    assert part._thread is not None
    assert part._thread.daemon
    part.stop(LONG)


def test_wake_brings_a_turn_to_a_thread_that_sleeps_without_a_timer() -> None:
    """A step that returned None runs again after a wake and not before."""
    turns = threading.Semaphore(0)
    part = periodic(turns.release)
    part.start()
    assert turns.acquire(timeout=LONG)
    assert not turns.acquire(blocking=False)
    part.wake()
    assert turns.acquire(timeout=LONG)
    part.stop(LONG)


def test_many_wakes_at_once_do_no_harm() -> None:
    """Threads that wake the same part at the same time do not trip over each other."""
    part = periodic(lambda: None)
    part.start()

    def wake() -> None:
        for _ in range(2_000):
            part.wake()

    threads = [threading.Thread(target=wake) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert part.run_now(LONG)
    part.stop(LONG)


@pytest.mark.parametrize("error", [ValueError, MemoryError, SystemExit, KeyboardInterrupt])
def test_a_failing_step_is_counted_and_the_thread_goes_on(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a step raises, the next turn comes; the log names the error and not its text."""
    errors = [error("a secret")]

    def step() -> None:
        if errors:
            raise errors.pop()

    counts = Counts()
    part = periodic(step, counts)
    part.start()
    while errors:
        part.run_now(LONG)
    assert part.run_now(LONG)
    part.stop(LONG)
    assert counts == {"test_part_failed": 1}
    assert error.__name__ in caplog.text
    assert "a secret" not in caplog.text


def test_failures_back_off_and_a_good_turn_ends_that() -> None:
    """Each failure doubles the wait up to a minute; the first good turn sets it back."""
    bad = True

    def step() -> float:
        if bad:
            raise ValueError
        return 7.0

    part = periodic(step)
    waits = [part._turn_in_thread() for _ in range(9)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    bad = False
    assert part._turn_in_thread() == 7.0
    bad = True
    assert part._turn_in_thread() == 0.5


def test_run_now_waits_for_a_whole_turn_and_says_so_to_the_step() -> None:
    """A turn that is asked for tells its step, so that it does all its work; others do not."""
    asked: list[bool] = []
    part = periodic(lambda: asked.append(part.asked))
    part.start()
    assert part.run_now(LONG)
    assert asked[-1] is True
    assert part.asked is False
    part.stop(LONG)


def test_run_now_without_a_thread_works_in_the_callers() -> None:
    """At the end of an interpreter no thread can start: the caller takes the turn."""
    ran: list[int] = []
    part = periodic(lambda: ran.append(threading.get_ident()))
    assert part.run_now(0.0)
    assert ran == [threading.get_ident()]


def test_run_now_reports_a_turn_that_failed() -> None:
    """A turn that raised does not pass for one that did its work."""

    def step() -> None:
        raise ValueError

    assert not periodic(step).run_now(1.0)


def test_run_now_gives_up_on_a_step_that_hangs() -> None:
    """The time given is kept even if the step never returns."""
    hang = threading.Event()
    inside = threading.Event()

    def step() -> None:
        inside.set()
        hang.wait(LONG)

    part = periodic(step)
    part.start()
    assert inside.wait(LONG)
    assert not part.run_now(0.01)
    part.stop(0.0)
    assert not part.run_now(0.01)  # the thread is still inside: no second one goes in
    hang.set()
    part.stop(LONG)


def test_a_step_that_waits_for_itself_does_not_hang() -> None:
    """A flush asked for from within the background work answers no at once."""
    answers: list[bool] = []
    part = periodic(lambda: answers.append(part.run_now(LONG)))
    part.start()
    assert part.run_now(LONG)
    part.stop(LONG)
    assert set(answers) == {False}


def test_after_stop_nothing_starts() -> None:
    """Stopped is stopped: a late put starts no thread."""
    before = threading.active_count()
    part = periodic(lambda: None)
    part.stop(0.0)
    part.start()
    assert threading.active_count() == before
    assert not part.alive


def test_a_forgotten_part_takes_its_thread_along() -> None:
    """A client that is simply dropped leaves no thread behind, though its step slept without a timer."""
    part = periodic(lambda: None)
    part.start()
    assert part.run_now(LONG)
    thread = part._thread
    assert thread is not None
    del part
    gc.collect()
    thread.join(LONG)
    assert not thread.is_alive()


def test_a_step_does_not_keep_its_object_alive() -> None:
    """A dropped recorder goes at once, without waiting for the garbage collector, and its thread with it."""

    class Part:
        def __init__(self) -> None:
            self.thread = periodic(self.step)

        def step(self) -> None:
            pass

    gc.disable()
    try:
        part = Part()
        part.thread.start()
        assert part.thread.run_now(LONG)
        thread = part.thread._thread
        assert thread is not None
        del part
        thread.join(LONG)
        assert not thread.is_alive()
    finally:
        gc.enable()


def test_no_thread_to_be_had_is_counted_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no thread nothing is raised, and the next try comes a second later."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    now = [100.0]
    counts = Counts()
    part = periodic(lambda: None, counts, clock=lambda: now[0])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        part.start()
        part.start()
    part.start()
    assert counts == {"thread_not_started": 1}
    assert not part.alive
    now[0] += 1.0
    part.start()
    assert part.alive
    part.stop(LONG)


def test_a_child_begins_with_no_thread_and_free_locks() -> None:
    """After a fork the part counts as not started, whatever its thread held in the parent."""
    hang = threading.Event()
    inside = threading.Event()

    def step() -> None:
        if threading.current_thread() is not threading.main_thread():
            inside.set()
            hang.wait(LONG)

    part = periodic(step)
    part.start()
    assert inside.wait(LONG)
    thread, token = part._thread, part._token
    part.after_fork()
    assert not part.alive
    assert part.run_now(0.0) is True  # the turn lock the thread still holds is not the child's
    hang.set()
    part.stop(0.0)
    token.release()  # here, unlike in a child, the thread is still there
    assert thread is not None
    thread.join(LONG)
