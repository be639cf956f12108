"""What the clients of one process share: the live config, the recorder with its spool, the uploader, the breakers.

Equal settings share one runtime, so a client per request costs no thread. Nothing is started before the first call,
and after a fork the child starts anew. At exit all runtimes have two seconds together.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from logos_shift_openai.core.breaker import Breaker
from logos_shift_openai.core.config_reading import parse_config
from logos_shift_openai.core.redaction import Redaction
from logos_shift_openai.core.strict import ConfigError

from .call import Call
from .config_source import FileSource, UrlSource
from .counters import Counters
from .encoding import SDK, Encoder, RefusedRecord
from .example_files import ExampleFiles
from .guard import guarded
from .noting import key_of
from .prompts import Prompts
from .recorder import Recorder
from .reports import Reports
from .shadow import Shadow
from .spool import Spool
from .uploader import Uploader
from .wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from logos_shift_openai.core.config import Config, Experiment

    from .settings import Settings

_MOST_BREAKERS: Final = 50
EXIT_SECONDS: Final = 1.5  # the interpreter's own end comes after it, and two seconds are promised
_STREAM_FACTOR: Final = 4  # the bytes of a stream are several times those of the answer folded from it
log = logging.getLogger("logos_shift_openai")


class Runtime:
    """One recorder, one config, one spool; see the module."""

    def __init__(self, settings: Settings) -> None:
        self.counters = Counters()
        self.config: Config | None = None
        self.home = settings.home
        self.started = False
        self.record_bytes = settings.record_bytes
        self.stream_bytes = settings.record_bytes * _STREAM_FACTOR
        self._settings = settings
        self._own = settings.redact if isinstance(settings.redact, Redaction) else Redaction.build()
        self._by_caller = None if isinstance(settings.redact, Redaction) else settings.redact
        self._key = key_of(settings.api_key)
        self._encoder = Encoder(self._own, self._by_caller, self.record_bytes, key=self._key, count=self.counters.add)
        self._open: dict[int, Call] = {}
        self._breakers: dict[tuple[str, str, str | None], Breaker] = {}
        self._said_broken: set[str] = set()
        destination = "local" if settings.url is None else hashlib.sha256(settings.url.encode()).hexdigest()[:16]
        self.spool = Spool(settings.home, destination, self.counters, max_bytes=settings.spool_bytes)
        self.recorder = Recorder(self._encode, self.spool, self.counters)
        self.shadow = Shadow(self)
        self.reports = Reports(self.counters, self._state, SDK)
        wire = None if settings.url is None else Wire(settings.url, settings.api_key)
        self.uploader = None if wire is None else Uploader(
            self.spool, wire, self.counters, reports=self.reports
        )  # fmt: skip
        if wire is None:
            self.recorder.beside = self._tell
        # A wire of its own: a session belongs to one thread.
        asked = None if settings.url is None else Wire(settings.url, settings.api_key)
        self.prompts = Prompts()
        self.examples = ExampleFiles(settings.home, asked, self.counters)
        self.source = self._source(settings, wire)
        self.source.load()
        _all.add(self)

    def _source(self, settings: Settings, wire: Wire | None) -> FileSource | UrlSource:
        """Choose where the config is read: the place that is named, else the server, else the embedded one's file."""
        place = settings.config
        if place is None and wire is None:
            return FileSource(settings.home / "config.json", self._on_config, self.counters)
        if place is not None and "://" not in place:
            return FileSource(Path(place).expanduser(), self._on_config, self.counters)
        address = str(place if place is not None else settings.url)
        cache = settings.home / "config-cache" / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}.json"
        return UrlSource(address if place is not None or wire is None else wire, self._on_config, cache, self.counters)

    def start(self) -> None:
        """Start what runs in the background; cheap when it runs already."""
        self.started = True
        if self._settings.url is None:
            log.info("no LOGOS_SHIFT_URL is set; records stay in %s", self._settings.home)
        self.source.start()
        self.examples.start()
        if self.uploader is not None:
            self.uploader.start()

    def _on_config(self, document: bytes) -> float:
        """Take a new config, whole or not at all; gives the seconds between two polls.

        Raises:
            ConfigError: it is refused; the one in force stays.
        """
        config = parse_config(document)
        asked = config.redaction
        try:
            redaction = self._own.merged(Redaction.build(asked.rules, asked.keys, asked.patterns))
        except ValueError as error:
            raise ConfigError(f"redaction: {error}") from None
        count = self.counters.add
        self._encoder = Encoder(redaction, self._by_caller, self.record_bytes, config.sampling, self._key, count)
        self.config = config
        candidates = (one.candidate for one in config.experiments if one.state != "stopped")
        self.examples.want({one.examples.index for one in candidates if one.examples is not None})
        if self.started:
            self.examples.start()
        return config.poll_seconds

    def _encode(self, item: Any) -> bytes | None:
        try:
            line = self._encoder(item)
        except RefusedRecord:  # as its owner wants it: left out, not lost
            return None
        if self._settings.filename is not None:
            guarded(self, self._also_write, self._settings.filename, line)  # the spool gets it all the same
        if isinstance(item, Call) and item.mirror is not None:
            guarded(self, self.shadow.offer, item)
        return line

    @staticmethod
    def _also_write(path: Path, line: bytes) -> None:
        with path.open("ab") as file:
            file.write(line)

    def breaker(self, experiment: Experiment) -> Breaker:
        """Give the breaker of an experiment's candidate."""
        candidate = experiment.candidate
        key = (experiment.key, candidate.model, candidate.provider)
        found = self._breakers.get(key)
        return found if found is not None else self._breakers.setdefault(key, Breaker())

    def remember(self, call: Call) -> None:
        """Keep a call whose answer is still being read, so that the exit can end it."""
        self._open[id(call)] = call

    def forget(self, call: Call) -> None:
        """Let go of a call that has ended."""
        self._open.pop(id(call), None)

    def broken(self, do: Callable[..., Any], error: Exception) -> None:
        """Count an error of ours on the caller's path and say it once for each kind."""
        self.counters.add("internal_error")
        name = f"{getattr(do, '__name__', do)}: {type(error).__name__}{_place_of(error)}"
        if name not in self._said_broken:
            self._said_broken.add(name)
            try:
                log.warning("an error of ours was kept from a call: %s", name)
            except Exception:  # noqa: BLE001 - a user's log handler must not break the call either
                self.counters.add("log_failed")

    def _tell(self) -> float | None:
        return guarded(self, self.reports.keep, self.home)

    def _state(self) -> dict[str, Any]:
        """Say how this process stands, for its reports."""
        config, age, now = self.config, self.source.age(), time.perf_counter()
        return {
            "config": {
                "version": None if config is None else config.version,
                "age": None if age is None else round(age, 1),
                "poll": self.source.poll,
            },
            "spool": self.spool.standing(),
            "breakers": {
                key: "open" if one.until > now else "trying"
                for (key, _, _), one in list(self._breakers.items())[:_MOST_BREAKERS]
                if one.until is not None
            },
        }

    def stats(self) -> dict[str, Any]:
        """Count what was recorded, sent, spooled and dropped, by reason; the config's version and age in seconds."""
        config = self.config
        return {
            "recorded": 0,
            "sent": 0,
            **self.counters.snapshot(),
            "open": len(self._open),
            "spool_bytes": self.spool.usage,
            "config_version": None if config is None else config.version,
            "config_age": self.source.age(),
        }

    def flush(self, timeout: float) -> bool:
        """Write all records, and send them where there is a server.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether everything got where it was to go.
        """
        deadline = time.monotonic() + timeout
        written = self.recorder.flush(timeout)
        if self.uploader is None:
            return written
        return self.uploader.flush(deadline) and written

    def close(self, deadline: float) -> None:
        """End open calls, write everything, send what the time allows.

        Args:
            deadline: Seconds on the monotonic clock.
        """
        guarded(self, self.shadow.close)
        for call in list(self._open.values()):
            call.complete = False
            guarded(self, call.end)
        guarded(self, self.recorder.close, deadline)
        if self.uploader is not None:
            guarded(self, self.uploader.close, deadline)
        else:
            guarded(self, lambda: self.reports.keep(self.home, ended=True))
        guarded(self, self.source.stop, 0.0)
        guarded(self, self.examples.stop, 0.0)
        guarded(self, self.spool.close, max(0.0, deadline - time.monotonic()))

    def after_fork(self) -> None:
        """Begin anew in a child: what is under way is the parent's."""
        self.started = False
        for call in self._open.values():
            call.ended = True
        self._open.clear()


def _place_of(error: Exception) -> str:
    """Say where an error arose, without its text: a prompt might be quoted in it."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return "" if place is None else f" at {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}"


_all: WeakSet[Runtime] = WeakSet()
_shared: dict[Any, Runtime] = {}
_making = threading.Lock()
_told = False


def runtime_for(settings: Settings) -> Runtime:
    """Give the runtime that these settings share in this process."""
    key = (
        settings.url, settings.api_key, settings.home, settings.config, settings.redact,
        settings.record_bytes, settings.spool_bytes, settings.filename,
    )  # fmt: skip
    found = _shared.get(key)
    if found is None:
        with _making:
            found = _shared.get(key)
            if found is None:
                found = _shared[key] = Runtime(settings)
    return found


def sole_runtime() -> Runtime | None:
    """Give the runtime of this process where there is exactly one."""
    return next(iter(_shared.values())) if len(_shared) == 1 else None


def close_home(home: Path, deadline: float) -> None:
    """Close and forget the runtimes that keep their spool in a folder, before the folder goes.

    Args:
        home: The home folder of their settings.
        deadline: Seconds on the monotonic clock.
    """
    for key, runtime in list(_shared.items()):
        if runtime.home == home:
            runtime.close(deadline)
            del _shared[key]


def close_all() -> None:
    """Close every runtime of the process, within `EXIT_SECONDS` together."""
    deadline = time.monotonic() + EXIT_SECONDS
    for runtime in list(_all):
        try:
            runtime.close(deadline)
        except Exception as error:  # noqa: BLE001 - the exit of the process goes on
            runtime.broken(runtime.close, error)


def _before_fork() -> None:
    """See to it that a child of `multiprocessing` closes too: it ends without the interpreter's own exit."""
    global _told  # noqa: PLW0603 - once is enough
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _told:
        _told = True
        util.register_after_fork(close_all, lambda close: util.Finalize(None, close, exitpriority=0))


def _after_fork_in_child() -> None:
    global _making  # noqa: PLW0603 - a lock held by a thread that the child does not have
    _making = threading.Lock()
    for runtime in list(_all):
        runtime.after_fork()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
