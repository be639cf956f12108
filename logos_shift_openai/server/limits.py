"""How much the server takes: of one request, of one key, of all together.

Everything here is a value or pure arithmetic on a clock that is passed in; who enforces which is said beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MOST_BUCKETS: Final = 10_000
MEBIBYTE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one server process.

    Args:
        body_bytes: A request's body as it is sent; more is a 413.
        inflated_bytes: The same unpacked; unpacking stops there, and it is a 413.
        lines: Lines of a batch; more is a 413.
        line_bytes: One line; a longer one is refused by itself.
        small_body_bytes: Body of every request but a batch of records.
        header_seconds: From the first byte of a request, or the start of a connection, to the end of its headers.
        body_seconds: From the end of the headers to the end of the body; later is a 408.
        queue_batches: Batches that are being written or wait to be; more is a 503.
        queue_bytes: Their bytes, unpacked as far as they are; more is a 503.
        reads: Requests that read the store, being served or waiting; more is a 503.
        requests_per_second: Of one key in the long run, in this process; more is a 429. 0 sets no limit.
        burst_seconds: So many seconds' worth of requests may come at once.
        failures_per_second: Requests without a good key from one address; more is a 429.
        waiting: Long polls of the config at a time; more are answered at once.
        shutdown_seconds: What requests in flight have to end in after a SIGTERM.
    """

    body_bytes: int = 16 * MEBIBYTE
    inflated_bytes: int = 64 * MEBIBYTE
    lines: int = 10_000
    line_bytes: int = 16 * MEBIBYTE
    small_body_bytes: int = 4 * MEBIBYTE
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    queue_batches: int = 64
    queue_bytes: int = 128 * MEBIBYTE
    reads: int = 64
    requests_per_second: float = 1_000.0
    burst_seconds: float = 2.0
    failures_per_second: float = 10.0
    waiting: int = 10_000
    shutdown_seconds: float = 20.0


class Buckets:
    """Token buckets, one for each name.

    Args:
        per_second: How fast a bucket fills; 0 lets everything pass.
        burst_seconds: A full bucket holds so many seconds' worth.
    """

    def __init__(self, per_second: float, burst_seconds: float) -> None:
        self._per_second = per_second
        self._size = max(1.0, per_second * burst_seconds)
        self._buckets: dict[str, tuple[float, float]] = {}  # name -> what was in it, and when

    def take(self, name: str, now: float) -> float:
        """Take one token.

        Args:
            name: Whose bucket.
            now: Seconds on a clock that never goes back.

        Returns:
            0 if there was one, else the seconds until there is.
        """
        if not self._per_second:
            return 0.0
        left, at = self._buckets.get(name, (self._size, now))
        left = min(self._size, left + (now - at) * self._per_second)
        if left < 1.0:
            return (1.0 - left) / self._per_second
        if name not in self._buckets and len(self._buckets) >= _MOST_BUCKETS:
            self._forget_full(now)
        self._buckets[name] = (left - 1.0, now)
        return 0.0

    def empty(self, name: str, now: float) -> float:
        """Tell the seconds until there is a token, 0 if there is one; takes none."""
        left, at = self._buckets.get(name, (self._size, now))
        left += (now - at) * self._per_second
        return 0.0 if not self._per_second or left >= 1.0 else (1.0 - left) / self._per_second

    def _forget_full(self, now: float) -> None:
        """Let go of buckets that have filled up; of all of them where none has, in favour of the memory."""
        full = [
            name for name, (left, at) in self._buckets.items() if left + (now - at) * self._per_second >= self._size
        ]
        for name in full:
            del self._buckets[name]
        if not full:
            self._buckets.clear()
