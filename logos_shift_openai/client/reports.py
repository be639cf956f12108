"""Owns what a process says of itself: what it lost, what waits in its spool, which config it has; and when it says so.

Its rule: nothing of it is done on a caller's thread, and no answer to it changes the way of the records. A report
holds counts, versions and ages, never a header, a key, an address, a host's name or a word of a prompt; the process is
named by 128 random bits, new in every process and every forked child.

With a server the uploader's thread sends it (`POST /v1/clients`) once a minute and at a clean end; a server that does
not know the address is not asked again for an hour. Without one the recorder's thread writes it to
`clients/<process>.json` in the home folder; whoever takes the spool in takes it in as well.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.client.config_source import replace_file
from logos_shift_openai.client.periodic import reset_in_child
from logos_shift_openai.client.wire import UnavailableError
from logos_shift_openai.core.losses import told
from logos_shift_openai.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Protocol

    from logos_shift_openai.client.counters import Counters

    class ReportWire(Protocol):
        """What the reports ask of a `Wire`."""

        def post_client(self, report: bytes, timeout: float) -> tuple[int, float | None]: ...  # noqa: D102


FOLDER: Final = "clients"
EVERY: Final = 60.0
_FIRST: Final = 5.0  # seconds from the first count on: a start is over by then
_LONGEST: Final = 3600.0
_TIMEOUT: Final = 3.0  # the records wait so long for it, at most, once a minute
_MOST_FILES: Final = 1_000
_OK: Final = range(200, 300)
_UNAUTHORIZED: Final = frozenset({401, 403})
_UNAUTHORIZED_WAIT: Final = 300.0
_NOT_THERE: Final = frozenset({400, 404, 405, 413, 415, 422, 501})
_NEVER: Final = float("inf")


class Reports:
    """The reports of one process about one destination.

    Args:
        counters: What is told, of what it says in `core.losses.TOLD`; nothing is told before there is a count.
        state: Gives the rest: `config`, `spool`, `breakers`, as in docs/http-api.md.
        sdk: The versions of the SDK and of this package.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        counters: Counters,
        state: Callable[[], Mapping[str, Any]],
        sdk: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counters = counters
        self._state = state
        self._sdk = sdk
        self._clock = clock
        self._begin_afresh()
        reset_in_child(self)

    def _begin_afresh(self) -> None:
        self.process = os.urandom(16).hex()
        self._started = self._clock()
        self._sequence = 0
        self._due: float | None = None
        self._last: dict[str, int] | None = None  # the counts that were told last
        self._over = False

    def wait(self) -> float:
        """Give the seconds to the next report, 0 for now; infinite where there is nothing to say yet."""
        if self._over or (self._due is None and not told(self._counters.snapshot())):
            return _NEVER
        now = self._clock()
        if self._due is None:
            self._due = now + _FIRST
        return max(0.0, self._due - now)

    def send(self, wire: ReportWire, timeout: float = _TIMEOUT, *, ended: bool = False) -> None:
        """Send a report; whatever is answered, the next one comes no sooner than in a minute.

        Args:
            wire: The way to the server.
            timeout: Seconds it may take at most.
            ended: This is the last one.
        """
        if self._over or not (self._last or told(self._counters.snapshot())):
            return
        self._over = ended
        self._due = self._clock() + EVERY
        counts, report = self._report(ended=ended)
        try:
            status, wish = wire.post_client(report, min(timeout, _TIMEOUT))
        except UnavailableError:
            return  # the records say so, if it is worth saying
        if status in _OK:
            self._last = counts
            return
        pause = _LONGEST if status in _NOT_THERE else _UNAUTHORIZED_WAIT if status in _UNAUTHORIZED else wish or EVERY
        self._due = self._clock() + min(_LONGEST, max(EVERY, pause))

    def keep(self, home: Path, *, ended: bool = False) -> float | None:
        """Write a report into the home folder if one is due.

        Args:
            home: The home folder.
            ended: This is the last one, and is due.

        Returns:
            Seconds to the next one, None where nothing has changed. One that cannot be written is tried again then.
        """
        if self._over or (not ended and told(self._counters.snapshot()) == (self._last or {})):
            return None
        left = self.wait()
        if left == _NEVER or (left > 0 and not ended):
            return None if left == _NEVER else left
        self._over = ended
        self._due = self._clock() + EVERY
        folder = home / FOLDER
        counts, report = self._report(ended=ended)
        path = folder / f"{self.process}.json"
        try:
            if path.exists() or not folder.is_dir() or len(os.listdir(folder)) < _MOST_FILES:  # noqa: PTH208
                replace_file(path, report)
        except OSError:  # read-only, full, or open for reading on Windows: the spool says so where it matters
            return None if ended else EVERY
        self._last = counts
        return None

    def after_fork(self) -> None:
        """Be another process: with an id, counts and times of its own."""
        self._begin_afresh()

    def _report(self, *, ended: bool) -> tuple[dict[str, int], bytes]:
        self._sequence += 1
        counts = told(self._counters.snapshot())
        report = {
            "process": self.process,
            "sequence": self._sequence,
            "uptime": round(self._clock() - self._started, 3),
            "ended": ended,
            "version": __version__,
            "sdk": self._sdk,
            "counts": counts,
            **self._state(),
        }
        return counts, json.dumps(report, separators=(",", ":")).encode()
