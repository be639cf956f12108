"""Owns the background threads: one `Periodic` is one daemon thread that calls a `step` again and again.

Its rule: nothing here can raise into, block or outlive the program. A step that fails is counted and tried
later, a forked child begins anew, and a thread ends when nobody holds its `Periodic` any more.

How a thread sleeps: on a plain lock that it holds itself, its token; whoever wants it awake releases that
lock. That is one C call without a lock inside, so it may happen in a signal handler or a finaliser, where
an `Event` could wait for itself.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import threading
import time
import weakref
from collections import deque
from types import MethodType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class _Forkable(Protocol):
        def after_fork(self) -> None: ...


_logger = logging.getLogger("logos_shift_openai")

_FIRST_BACKOFF = 0.5
_LAST_BACKOFF = 60.0
_START_AGAIN = 1.0  # seconds between two tries when the system gives no thread


_forkables: weakref.WeakSet[_Forkable] = weakref.WeakSet()


def reset_in_child(thing: _Forkable) -> None:
    """Call `thing.after_fork()` in every forked child, as long as `thing` lives."""
    _forkables.add(thing)


def _after_fork_in_child() -> None:
    for thing in list(_forkables):
        thing.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def _release(token: threading.Lock) -> None:
    with contextlib.suppress(RuntimeError):  # released by another thread a moment before: awake is awake
        if token.locked():
            token.release()


class Periodic:
    """Call `step` in a daemon thread of its own.

    Args:
        name: the thread's name; a failing step is counted as `<name>_failed`, dashes turned to underscores.
        step: does one turn of work and returns the seconds to the next one, or None to sleep until woken. A method
            does not keep its object alive: when that is dropped, the thread ends.
        count: called with a reason whenever there is something to count.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float | None],
        *,
        count: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.asked = False
        """True during a turn that `run_now` asked for: the step then does all its work, without waiting."""
        self._name = name
        self._step = weakref.WeakMethod(step) if isinstance(step, MethodType) else lambda: step
        self._count = count
        self._clock = clock
        self._failures = 0
        self._stopped = False
        self._begin_afresh()
        reset_in_child(self)

    def _begin_afresh(self) -> None:
        self._thread: threading.Thread | None = None
        self._token = _taken_lock()
        self._starting = threading.Lock()
        self._in_turn = threading.Lock()
        self._waiters: deque[threading.Lock] = deque()
        self._start_not_before = 0.0

    @property
    def alive(self) -> bool:
        """Whether the thread runs and will take another turn."""
        return self._thread is not None and self._thread.is_alive() and not self._stopped

    def start(self) -> None:
        """Start the thread unless it runs already or was stopped; its first turn comes at once."""
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        # Never waits: whoever finds the lock taken is right that the thread is being started.
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None and not self._stopped and self._clock() >= self._start_not_before:
                self._start_thread()
        finally:
            self._starting.release()

    def _start_thread(self) -> None:
        token = self._token
        me = weakref.ref(self, lambda _: _release(token))
        thread = threading.Thread(target=_run, args=(me, token), name=self._name, daemon=True)
        self._thread = thread  # before it runs: its step may ask whether it is itself
        try:
            # In an empty context: newer interpreters would keep the starter's for the thread's life.
            contextvars.Context().run(thread.start)
        except (RuntimeError, MemoryError):  # no thread to be had, or the interpreter is ending
            self._thread = None
            self._start_not_before = self._clock() + _START_AGAIN
            self._count("thread_not_started")

    def wake(self) -> None:
        """Make the next turn come now. Does nothing for a thread that is not started."""
        _release(self._token)

    def run_now(self, timeout: float) -> bool:
        """Wait until one whole turn that began after this call is over, and say whether it went well.

        The thread takes that turn. Where there is none (never started, or stopped), the caller's thread does.

        Args:
            timeout: seconds to wait at most; False is returned after them.
        """
        thread = self._thread
        if thread is not None and thread.ident == threading.get_ident():
            return False  # a step that waits for itself
        if self.alive:
            waiter = _taken_lock()
            self._waiters.append(waiter)
            self.wake()
            return waiter.acquire(timeout=_bounded(timeout)) and self._failures == 0
        if not self._in_turn.acquire(timeout=_bounded(timeout)):
            return False
        try:
            self._turn(asked=True)
        finally:
            self._in_turn.release()
        return self._failures == 0

    @property
    def awaited(self) -> bool:
        """Say whether somebody waits for this turn or the next one to end."""
        return self.asked or bool(self._waiters)

    def stop(self, timeout: float) -> None:
        """End the thread after its turn, for good; wait at most `timeout` seconds for that."""
        self._stopped = True
        self.wake()
        thread = self._thread
        if thread is not None and thread.ident != threading.get_ident():
            thread.join(max(0.0, timeout))

    def after_fork(self) -> None:
        """Forget the parent's thread and every lock another of its threads may have held."""
        self.asked = False
        self._failures = 0
        self._begin_afresh()

    def _turn_in_thread(self) -> float | None:
        waiters = self._waiters
        served = [waiters.popleft() for _ in range(len(waiters))]
        with self._in_turn:
            wait = self._turn(asked=bool(served))
        for waiter in served:
            waiter.release()
        return wait

    def _turn(self, *, asked: bool) -> float | None:
        self.asked = asked
        step = self._step()
        try:
            wait = None if step is None else step()
        except BaseException as error:  # a user's callable may raise anything, SystemExit too
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise
            wait = self._failed(error)
        else:
            self._failures = 0
        finally:
            self.asked = False
        return wait

    def _failed(self, error: BaseException) -> float:
        self._failures += 1
        self._count(f"{self._name.replace('-', '_')}_failed")
        if self._failures == 1:
            with contextlib.suppress(Exception):  # counted above; a broken log handler adds nothing to that
                _logger.warning("%s: %s in the background; it tries again", self._name, type(error).__name__)
        return min(_LAST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(self._failures - 1, 16))

    def _end(self) -> None:
        while self._waiters:
            self._waiters.popleft().release()


def _bounded(seconds: float | None) -> float:
    """Return what `Lock.acquire` takes: -1 is forever, and very long is cut."""
    return -1.0 if seconds is None else min(max(0.0, seconds), threading.TIMEOUT_MAX)


def _run(me: weakref.ref[Periodic], token: threading.Lock) -> None:
    """Take turns until stopped or forgotten; holds its `Periodic` only during a turn."""
    while True:
        periodic = me()
        if periodic is None:
            return
        if periodic._stopped:  # noqa: SLF001  the thread's own half of the class
            periodic._end()  # noqa: SLF001
            return
        wait = periodic._turn_in_thread()  # noqa: SLF001
        del periodic
        token.acquire(timeout=_bounded(wait))
