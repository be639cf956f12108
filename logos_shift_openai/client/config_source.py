"""Owns where the config comes from: a file on this machine or an address, watched in a thread of its own.

Its rule: never in a call's path; a document is handed on as bytes, and one that is refused changes nothing:
the last good one stays. An address's last good one is also kept on disk, for a start without the network.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import random as dice
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from logos_shift_openai.client.periodic import Periodic, reset_in_child
from logos_shift_openai.client.wire import UnauthorizedError, UnavailableError, Wire, WireError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from logos_shift_openai.client.counters import Counters
    from logos_shift_openai.client.wire import ConfigAnswer

    OnConfig = Callable[[bytes], float | None]

    class ConfigWire(Protocol):
        """What an address source asks of a `Wire`."""

        def get_config(self, etag: str | None, timeout: float, wait: float = 0.0) -> ConfigAnswer: ...  # noqa: D102


_logger = logging.getLogger("logos_shift_openai")

_MAX_BYTES = 4 * 2**20
_UNAUTHORIZED_WAIT = 300.0
_LONGEST_WAIT = 300.0
_LEAST_POLL = 1.0
_BETWEEN_WAITS = 0.5  # seconds between two questions to a server that holds its answer back


class _Confirmed:
    """The document in force: hands new ones on, and knows when the last good one was confirmed."""

    def __init__(self, on_config: OnConfig, counters: Counters, clock: Callable[[], float]) -> None:
        self.poll: float | None = None
        """Seconds between two looks, if the document in force names them."""
        self._on_config = on_config
        self._counters = counters
        self._clock = clock
        self._at: float | None = None
        self._good = False

    def offer(self, body: bytes, source: str, *, confirmed: bool = True) -> bool:
        """Hand a document on; whether it was taken. A refused one is counted each time and said once."""
        self._good = False
        try:
            self.poll = self._on_config(body)
        except Exception as error:  # noqa: BLE001  a ValueError says what is wrong; all else is ours, and no end
            self._counters.add("config_bad")
            reason = str(error)[:300] if isinstance(error, ValueError) else type(error).__name__
            key = f"config_bad:{hashlib.sha256(body).hexdigest()[:16]}"
            said = "the config in %s is refused, the last good one stays: %s"
            self._counters.say_once(_logger, key, said, source, reason)
            return False
        self._good = True
        if confirmed:
            self.confirm()
        return True

    def confirm(self) -> None:
        """Hear that the document last offered is still the newest; a refused one confirms nothing."""
        if self._good:
            self._at = self._clock()

    def age(self) -> float | None:
        return None if self._at is None else max(0.0, self._clock() - self._at)


class FileSource:
    """Watch a config file.

    Args:
        path: the file; it may come, change and go at any time.
        on_config: takes the file's bytes and puts the config in force; what it returns is not used here.
            Raises ValueError, with the path of the fault, on a document that is not right.
        counters: where faults are counted.
        poll: seconds between two looks at the file.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        path: str | Path,
        on_config: OnConfig,
        counters: Counters,
        *,
        poll: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = Path(path)
        self._counters = counters
        self._poll = poll
        self._current = _Confirmed(on_config, counters, clock)
        self._seen: tuple[int, int, int] | None = None
        self.thread = Periodic("logos-shift-config", self.step, count=counters.add, clock=clock)

    def load(self) -> None:
        """Read the file now, in this thread: for the start, so that the first call finds its config."""
        with contextlib.suppress(OSError):  # the thread's own look counts it
            self._look()

    def start(self) -> None:
        """Watch from now on."""
        self.thread.start()

    def stop(self, timeout: float) -> None:
        """Watch no more; wait for the thread at most `timeout` seconds."""
        self.thread.stop(timeout)

    @property
    def poll(self) -> float:
        """Seconds between two looks."""
        return self._poll

    def age(self) -> float | None:
        """Return the seconds since the config in force was last found unchanged, None without one."""
        return self._current.age()

    def step(self) -> float:
        """Look at the file once; return the seconds to the next look."""
        try:
            self._look()
        except FileNotFoundError:
            if self._seen is not None:
                self._failed("is gone")
        except OSError as error:
            self._failed(f"cannot be read ({type(error).__name__})")
        return self._poll

    def _look(self) -> None:
        if _signature(os.stat(self._path)) == self._seen:  # noqa: PTH116  the pair of fstat
            self._current.confirm()
            return
        with self._path.open("rb") as file:
            seen = _signature(os.fstat(file.fileno()))
            body = file.read(_MAX_BYTES + 1)
        self._seen = seen  # as it was before reading: a change in the meantime is seen by the next look
        self._current.offer(body, str(self._path))

    def _failed(self, what: str) -> None:
        self._counters.add("config_failed")
        said = "the config file %s %s: the last good one stays"
        self._counters.say_once(_logger, f"config:{what}", said, self._path, what)


class UrlSource:
    """Ask an address for the config, again and again.

    A server may hold its answer back until there is a newer config, so that a change arrives at once; one that
    answers at once all the same is asked ever more rarely, down to once a period.

    Args:
        source: the server, or the address of one fixed document (asked without a key).
        on_config: as for a file; returns the seconds between two polls, None for `poll`.
        cache: file for the last good document; None keeps none.
        counters: where faults are counted.
        poll: seconds between two polls where the document names none.
        timeout: seconds one request may take.
        wait: seconds for which a server may hold its answer back; 0 asks it once a period.
        clock: seconds that never go back.
        random: gives numbers from 0 to 1.
    """

    def __init__(
        self,
        source: ConfigWire | str,
        on_config: OnConfig,
        cache: Path | None,
        counters: Counters,
        *,
        poll: float = 30.0,
        timeout: float = 10.0,
        wait: float = 25.0,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = dice.random,
    ) -> None:
        self._wait = 0.0 if isinstance(source, str) else wait
        self._clock = clock
        self._at_once = 0  # answers in a row that were not held back
        self._wire = Wire(source, None, config_url=source) if isinstance(source, str) else source
        self._cache = cache
        self._counters = counters
        self._poll = poll
        self._timeout = timeout
        self._random = random
        self._current = _Confirmed(on_config, counters, clock)
        self._etag: str | None = None
        self._failures = 0
        self._loaded = False
        self.thread = Periodic("logos-shift-config", self.step, count=counters.add, clock=clock)
        reset_in_child(self)

    def load(self) -> None:
        """Put the document kept on disk in force, if there is one: for the start, without the network.

        It was good once but is not confirmed: `age` stays None until the address has answered.
        """
        self._loaded = True
        if self._cache is not None:
            with contextlib.suppress(OSError):  # none kept yet, or none to be read: the network has it
                self._current.offer(self._cache.read_bytes(), str(self._cache), confirmed=False)

    def start(self) -> None:
        """Ask from now on."""
        self.thread.start()

    def stop(self, timeout: float) -> None:
        """Ask no more; wait for the thread at most `timeout` seconds."""
        self.thread.stop(timeout)

    @property
    def poll(self) -> float:
        """Seconds between two questions, or for which one may be held back."""
        return max(self._period(), self._wait)

    def age(self) -> float | None:
        """Return the seconds since the address last confirmed the config in force; None if it never did."""
        return self._current.age()

    def step(self) -> float:
        """Ask once; return the seconds to the next time."""
        if not self._loaded:
            self.load()
        wait = 0.0 if self._etag is None else self._wait
        asked = self._clock()
        try:
            answer = self._wire.get_config(self._etag, self._timeout, wait)
        except UnauthorizedError as error:
            return self._failed(error, _UNAUTHORIZED_WAIT)
        except WireError as error:
            wish = error.retry_after if isinstance(error, UnavailableError) else None
            first = _LEAST_POLL if self._wait else self._period()  # a server that was asked all the time restarts
            pause = max(wish or 0.0, first * 2.0 ** min(self._failures, 9))
            self._failures += 1
            return self._failed(error, min(_LONGEST_WAIT, pause))
        self._failures = 0
        self._counters.forget("config_url")
        if answer.body is None:
            self._current.confirm()
        else:
            self._etag = answer.etag
            if self._current.offer(answer.body, "the server's answer"):
                self._keep(answer.body)
        return self._jittered(self._pause(answer, self._clock() - asked, wait))

    def after_fork(self) -> None:
        """Begin polling at once in the child; the config in force is a copy of the parent's, and as good."""
        self._failures = 0

    def _pause(self, answer: ConfigAnswer, took: float, wait: float) -> float:
        """Choose the seconds to the next question, by whether the server holds its answers back."""
        if not self._wait or self._etag is None:
            return self._period()
        if answer.body is not None or took >= wait / 2:
            self._at_once = 0
            return _BETWEEN_WAITS
        self._at_once += 1
        return min(self._period(), _BETWEEN_WAITS * 2.0 ** min(self._at_once, 16))

    def _period(self) -> float:
        return max(_LEAST_POLL, self._current.poll or self._poll)

    def _jittered(self, seconds: float) -> float:
        return seconds * (0.9 + self._random() * 0.2)

    def _failed(self, error: WireError, wait: float) -> float:
        self._counters.add("config_failed")
        self._counters.say_once(
            _logger, "config_url", "the config cannot be fetched (%s): the last good one stays", error
        )
        return self._jittered(wait)

    def _keep(self, body: bytes) -> None:
        if self._cache is not None:
            try:
                replace_file(self._cache, body)
            except OSError as error:
                self._counters.add("config_cache_failed")
                self._counters.say_once(
                    _logger,
                    "config_cache",
                    "the config cannot be kept in %s (%s)",
                    self._cache,
                    type(error).__name__,
                )


def _signature(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def replace_file(path: Path, body: bytes) -> None:
    """Write `path` so that a reader finds the old or the new whole, whatever happens in between."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(body)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
