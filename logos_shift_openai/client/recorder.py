"""Owns the queue between the caller's thread and ours: what is put here is encoded and spooled by ours.

Its rule: `put` never waits, never raises and keeps to its bounds in bytes and count; what does not fit is
counted.

Our thread sleeps without a timer while nothing comes. The first put wakes it, and from then on it works
once a period until a period brings nothing. It holds the interpreter lock for short whiles only: a caller's
thread that wants the lock waits a fraction of a millisecond for it. As long as a turn is young it rests long
enough between them that a call meets one of them at most; what is left then is done with hardly a rest.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from logos_shift_openai.client.periodic import Periodic, reset_in_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from logos_shift_openai.client.counters import Counters
    from logos_shift_openai.client.spool import Spool

_logger = logging.getLogger("logos_shift_openai")

_CHUNK_BYTES = 256 * 2**10  # lines gathered for one write
_HOLD = 0.0008  # seconds of work before a rest
_PRESSED_HOLD = 0.005  # with the queue half full or a turn grown long: the interpreter's own idea of a fair turn
_LONG_REST = 0.015  # a streamed call of 200 chunks takes 5 to 15 ms of CPU
_REST = 0.00005
_HURRIED = 0.6  # periods after which a turn takes short rests only
_PRESSED = 1.5  # periods after which it works as with the queue half full: a record is to be on disk in 0.25 s


class Recorder:
    """Take records from callers' threads and bring them to the spool in a thread of its own.

    Args:
        encode: turns a record into a line (a newline at its end is added if missing); None skips the record.
            Whatever it raises costs that one record.
        spool: where the lines go.
        counters: where losses are counted.
        max_bytes: bound on the sizes of all records that wait.
        max_count: bound on their number.
        period: seconds a record waits at most before it is encoded and written.
        clock: seconds that never go back.
        rest: lets other threads run for some seconds.
    """

    def __init__(
        self,
        encode: Callable[[object], bytes | None],
        spool: Spool,
        counters: Counters,
        *,
        max_bytes: int = 16 * 2**20,
        max_count: int = 10_000,
        period: float = 0.1,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._encode = encode
        self._spool = spool
        self._counters = counters
        self._max_bytes = max_bytes
        self._max_count = max_count
        self._period = period
        self._clock = clock
        self._rest = rest
        self.thread = Periodic("logos-shift-recorder", self.step, count=counters.add, clock=clock)
        self._begin_afresh()
        self._closing = False
        self._closed = False
        self.beside: Callable[[], float | None] | None = None
        """Called in our thread after each turn; returns the seconds to when it wants the next one, or None."""
        reset_in_child(self)

    def _begin_afresh(self) -> None:
        self._queue: deque[tuple[object, int]] = deque()
        self._bytes = 0  # approximate: callers add without a lock, each turn of ours sets it right again
        self._busy = False
        self._underway = 0  # records taken from the queue and not yet written
        self._idle = True
        self._work_at = 0.0

    def put(self, item: object, size: int) -> None:
        """Queue `item`, of about `size` bytes. For the caller's thread: never waits, never raises."""
        if self._bytes + size > self._max_bytes or len(self._queue) >= self._max_count or self._closed:
            self._dropped(size)
            return
        self._queue.append((item, size))
        self._bytes += size
        if self._idle:
            self._begin_work()

    def step(self) -> float | None:
        """Do one turn: encode and spool what has waited for a period; return the seconds to the next turn."""
        if not self._queue:
            wish = None if self.beside is None else self.beside()
            wait = self._fall_idle()
            return wish if wait is None else wait if wish is None else min(wait, wish)
        early = self._work_at - self._clock()
        if early > 0 and not self.thread.asked and not self._closing:
            return early  # just woken: let the caller finish, and more records come
        begun = self._clock()
        self._drain(begun)
        return max(self._period - (self._clock() - begun), self._period / 10)

    def flush(self, timeout: float) -> bool:
        """Bring all that was put so far to the spool; False if `timeout` seconds did not suffice."""
        if not self._queue and not self._busy:
            return True
        return self.thread.run_now(timeout)

    def close(self, deadline: float) -> None:
        """Spool what waits until the clock says `deadline`, count what is left over, take no more."""
        self._closing = True
        self.flush(deadline - self._clock())
        self._closed = True
        self.thread.stop(0.0)
        left = len(self._queue) + self._underway
        if left:
            self._counters.add("lost_at_exit", left)

    def after_fork(self) -> None:
        """Leave what waits to the parent, who will spool it."""
        self._begin_afresh()

    def _dropped(self, size: int) -> None:
        if self._closed:
            self._counters.add("closed")
        else:
            self._counters.add("queue_full")
            self._counters.add("queue_full_bytes", size)

    def _begin_work(self) -> None:
        self._idle = False
        self._work_at = self._clock() + self._period
        self.thread.start()
        self.thread.wake()
        if not self.thread.alive:  # no thread to be had just now: the next put tries again
            self._idle = True

    def _fall_idle(self) -> float | None:
        self._bytes = 0
        self._idle = True
        if self._queue:  # put between our look and our falling idle, and nobody woke us for it
            self._idle = False
            return self._period
        return self._spool.tend()

    def _drain(self, begun: float) -> None:
        """Encode and spool what is in the queue now; later records wait for the next turn."""
        self._busy = True
        rest_at = begun + _HOLD
        lines: list[bytes] = []
        taken = gathered = 0
        try:
            for _ in range(len(self._queue)):
                item, size = self._queue.popleft()
                self._underway += 1
                taken += size
                line = self._line(item)
                del item
                if line is not None:
                    lines.append(line)
                    gathered += len(line)
                if gathered >= _CHUNK_BYTES:
                    self._write(lines, taken)
                    lines, taken, gathered = [], 0, 0
                if (now := self._clock()) >= rest_at and not self._closing:
                    pressed = now >= begun + _PRESSED * self._period or self._is_half_full()
                    hurried = pressed or self.thread.awaited or now >= begun + _HURRIED * self._period
                    self._rest(_REST if hurried else _LONG_REST)
                    rest_at = self._clock() + (_PRESSED_HOLD if pressed else _HOLD)
        finally:  # an interrupt in the middle keeps what is encoded
            self._write(lines, taken)
            self._set_bytes_right()
            self._busy = False

    def _is_half_full(self) -> bool:
        return len(self._queue) * 2 > self._max_count or self._bytes * 2 > self._max_bytes

    def _line(self, item: object) -> bytes | None:
        try:
            line = self._encode(item)
            if line is None:
                self._counters.add("encode_skipped")
                return None
            if not line.endswith(b"\n"):
                line += b"\n"
            if line.find(b"\n") != len(line) - 1:
                raise ValueError("a line within a line")  # noqa: TRY301  one way to fail
        except BaseException as error:  # a user's redaction may raise anything, SystemExit too
            if isinstance(error, KeyboardInterrupt):
                raise
            self._counters.add("encode_failed")
            self._counters.say_once(
                _logger,
                f"encode_failed:{type(error).__name__}",
                "a record was left out because encoding it raised %s",
                type(error).__name__,
            )
            return None
        return line

    def _write(self, lines: list[bytes], taken: int) -> None:
        if lines:
            try:
                self._spool.append(lines)
            except Exception as error:  # noqa: BLE001  whatever it is, the next records get their chance
                self._counters.add("spool_failed", len(lines))
                self._counters.say_once(_logger, "spool_failed", "the spool raised %s", type(error).__name__)
            else:
                self._counters.add("recorded", len(lines))
        self._underway = 0
        self._bytes -= taken

    def _set_bytes_right(self) -> None:
        try:
            self._bytes = sum(size for _, size in self._queue)
        except RuntimeError:  # a put while we looked: the next turn is soon
            return
        if self._counters.snapshot().get("queue_full"):
            self._counters.say_once(
                _logger,
                "queue_full",
                "records come faster than they can be written: the queue (%d bytes, %d records) overflowed",
                self._max_bytes,
                self._max_count,
            )
