"""Owns the way of the spool's segments to the server, in a thread of its own.

Its rule: a segment is deleted after the server's yes and at no other time; what the server will never take
is set aside, and everything else is sent again, ever more rarely. A line may be sent twice; its record's id
makes it one.
"""

from __future__ import annotations

import json
import logging
import math
import random as dice
import time
from typing import TYPE_CHECKING

from logos_shift_openai.client.periodic import Periodic, reset_in_child
from logos_shift_openai.client.segments import lines_of
from logos_shift_openai.client.wire import (
    BadBatchError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from logos_shift_openai.client.counters import Counters
    from logos_shift_openai.client.reports import Reports
    from logos_shift_openai.client.segments import Segment
    from logos_shift_openai.client.spool import Spool
    from logos_shift_openai.client.wire import Receipt, RefusedLine

    class RecordsWire(Protocol):
        """What the uploader asks of a `Wire`."""

        def post_records(self, ndjson: bytes, timeout: float) -> Receipt: ...  # noqa: D102
        def post_client(self, report: bytes, timeout: float) -> tuple[int, float | None]: ...  # noqa: D102


_logger = logging.getLogger("logos_shift_openai")

_FIRST_BACKOFF = 1.0
_LAST_BACKOFF = 60.0
_LONGEST_WISH = 3600.0  # a server's Retry-After is followed up to an hour
_UNAUTHORIZED_WAIT = 300.0
_ADOPT_EVERY = 60.0
_LEAST_TIMEOUT = 0.05
_HANGS_AFTER = 1.0  # seconds without an answer after which the exit no longer waits for it


class Uploader:
    """Send what the spool holds.

    Args:
        spool: where the lines wait; this becomes its listener.
        wire: the way to the server.
        counters: where results and losses are counted.
        clock: seconds that never go back.
        random: gives numbers from 0 to 1.
        seal_after: age in seconds at which a segment is sent even if it is small.
        timeout: seconds one request may take.
        reports: what this process says of itself; sent between the records, and not while the server is away.
    """

    def __init__(
        self,
        spool: Spool,
        wire: RecordsWire,
        counters: Counters,
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = dice.random,
        seal_after: float = 1.0,
        timeout: float = 10.0,
        reports: Reports | None = None,
    ) -> None:
        self._spool = spool
        self._wire = wire
        self._counters = counters
        self._clock = clock
        self._random = random
        self._seal_after = seal_after
        self._timeout = timeout
        self._reports = reports
        self.thread = Periodic("logos-shift-uploader", self.step, count=counters.add, clock=clock)
        self._begin_afresh()
        spool.listener = self.notify
        reset_in_child(self)

    def _begin_afresh(self) -> None:
        self._idle = True
        self._segment: Segment | None = None
        self._pieces: list[bytes] = []  # what of the segment is still to be sent
        self._failures = 0
        self._not_before = 0.0
        self._adopt_at = 0.0
        self._flush_until = 0.0
        self._asking_since: float | None = None  # when the request under way began
        self._closing = False

    def start(self) -> None:
        """Start the thread; its first turn adopts what ended processes left."""
        self.thread.start()

    def notify(self) -> None:
        """Hear that the spool has something; quick, and called by its `append`."""
        if self._idle:
            self._idle = False
            self.thread.start()
            self.thread.wake()
            if not self.thread.alive:
                self._idle = True

    def step(self) -> float | None:
        """Send one segment, or all for `flush`, and a report if one is due; return the seconds to the next turn."""
        wait = self._upload()
        if self._reports is None or self._clock() < self._not_before:
            return wait
        left = self._report(self._reports)
        return left if wait is None else wait if left is None else min(wait, left)

    def _upload(self) -> float | None:
        asked = self.thread.asked
        now = self._clock()
        if now < self._not_before and not asked:
            return self._not_before - now
        if now >= self._adopt_at:
            self._adopt_at = now + _ADOPT_EVERY
            self._spool.adopt_orphans()
        while True:
            wait = self._send_next(asked)
            if wait != 0.0 or not asked or self._clock() >= self._flush_until:
                return wait

    def _report(self, reports: Reports) -> float | None:
        """Send a report if one is due, or the last one; return the seconds to the next."""
        if self._closing or reports.wait() <= 0.0:
            until = self._flush_until - self._clock() if self.thread.asked else self._timeout
            if until >= _LEAST_TIMEOUT:
                self._asking_since = self._clock()
                try:
                    reports.send(self._wire, until, ended=self._closing)
                finally:
                    self._asking_since = None
        left = reports.wait()
        return None if left == math.inf else left

    def flush(self, deadline: float) -> bool:
        """Send all there is now, until the clock says `deadline`; whether nothing is left."""
        self._flush_until = deadline
        if not self.thread.run_now(deadline - self._clock()):
            return False
        return not self._pieces and not self._spool.pending()

    def close(self, deadline: float) -> None:
        """Send until the clock says `deadline`, or not if the server is known to be away; then end."""
        now = self._clock()
        hangs = self._asking_since is not None and now - self._asking_since > _HANGS_AFTER
        if now >= self._not_before and not hangs:
            self._closing = True
            self.flush(deadline)
        self.thread.stop(0.0)

    def after_fork(self) -> None:
        """Leave the parent's segments to the parent."""
        self._begin_afresh()

    def _send_next(self, asked: bool) -> float | None:
        """Send one piece; 0 asks to go on, None says there is nothing."""
        if not self._pieces:
            self._spool.seal(0.0 if asked else self._seal_after)
            self._segment = self._spool.next_segment()
            if self._segment is None:
                return self._sleep()
            self._pieces = [self._segment.data]
        timeout = self._timeout
        if asked:
            timeout = min(timeout, max(_LEAST_TIMEOUT, self._flush_until - self._clock()))
        return self._send(self._pieces[0], timeout)

    def _sleep(self) -> float | None:
        age = self._spool.unsealed_age()
        if age is None:
            self._idle = True
            if not self._spool.pending():
                return None
            self._idle = False  # something came between our look and our falling idle
            return self._seal_after
        return max(0.01, self._seal_after - age)

    def _send(self, piece: bytes, timeout: float) -> float:
        try:
            receipt = self._post(piece, timeout)
        except TooLargeError:
            self._split(lines_of(piece))
        except BadBatchError as error:
            self._say("bad_batch", "the server refused a batch (%s); it is kept in refused/", error)
            self._spool.refuse(lines_of(piece), "bad_request", self._segment)
            self._piece_done()
        except UnauthorizedError as error:
            self._counters.add("unauthorized")
            said = "the server does not accept LOGOS_SHIFT_API_KEY (%s): records wait in the spool"
            self._say("unauthorized", said, error)
            return self._wait(_UNAUTHORIZED_WAIT)
        except UnavailableError as error:
            self._counters.add("send_failed")
            self._say("unavailable", "the server is not available (%s): records wait in the spool", error)
            return self._back_off(error.retry_after)
        else:
            self._accepted(lines_of(piece), receipt)
            self._piece_done()
        self._failures = 0
        self._not_before = 0.0
        return 0.0

    def _post(self, piece: bytes, timeout: float) -> Receipt:
        self._asking_since = self._clock()
        try:
            return self._wire.post_records(piece, timeout)
        finally:
            self._asking_since = None

    def _accepted(self, lines: Sequence[bytes], receipt: Receipt) -> None:
        self._counters.forget("unavailable")
        self._counters.forget("unauthorized")
        places = {_place(lines, refused) for refused in receipt.refused}
        taken = receipt.new + receipt.seen + len(places)
        if taken != len(lines) or len(places) != len(receipt.refused) or None in places:
            # It may have taken them or not: kept for a person, since to send them for ever would help nobody.
            said = "the server's receipt does not add up for %d lines; they are kept in refused/"
            self._say("receipt", said, len(lines))
            self._spool.refuse(lines, "receipt_mismatch", self._segment)
            return
        self._counters.add("sent", receipt.new)
        self._counters.add("seen", receipt.seen)
        for refused in receipt.refused:
            place = _place(lines, refused)
            if place is not None:
                self._spool.refuse([lines[place]], refused.why, self._segment)
        if receipt.refused:
            self._say("refused", "the server refused %d lines; they are kept in refused/", len(receipt.refused))

    def _piece_done(self) -> None:
        self._pieces.pop(0)
        if not self._pieces and self._segment is not None:
            self._spool.done(self._segment)
            self._segment = None

    def _split(self, lines: list[bytes]) -> None:
        if len(lines) == 1:
            self._spool.refuse(lines, "too_large", self._segment)
            self._piece_done()
            return
        middle = len(lines) // 2
        self._pieces[:1] = [b"".join(lines[:middle]), b"".join(lines[middle:])]

    def _back_off(self, wish: float | None) -> float:
        wait = min(_LAST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(self._failures, 16))
        self._failures += 1
        wait = max(_FIRST_BACKOFF, wait * (0.5 + self._random() / 2))
        if wish is not None:
            wait = max(_FIRST_BACKOFF, min(wish, _LONGEST_WISH)) * (1.0 + self._random() / 10)
        return self._wait(wait)

    def _wait(self, seconds: float) -> float:
        self._not_before = self._clock() + seconds
        return seconds

    def _say(self, key: str, message: str, *args: object) -> None:
        self._counters.say_once(_logger, key, message, *args)


def _place(lines: Sequence[bytes], refused: RefusedLine) -> int | None:
    """Find the line a receipt speaks of: where it says, or else by its id."""
    place = refused.line - 1
    there = 0 <= place < len(lines)
    if refused.id is None:
        return place if there else None
    mark = json.dumps(refused.id).encode()
    if there and mark in lines[place]:
        return place
    return next((index for index, line in enumerate(lines) if mark in line), None)
