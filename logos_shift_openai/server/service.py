"""What the endpoints work with: the store behind its threads, the keys, the rates, the queue, the live config.

One for each process. It is opened before the first request and closed after the last.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from .datasets.desk import EditionDesk
from .intake import Intake
from .keys import KeyRing, Known, find_known, note_used
from .limits import Buckets, Limits
from .live_config import LiveConfig
from .metrics import Metrics
from .sessions import Session, Sessions, find_session
from .store.database import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from .datasets.keeping import EditionStore
    from .evaluation.desk import EvaluationDesk
    from .notifications.channels import Channel
    from .store.database import Store
    from .tuners.machine import Workshop
    from .worker import Worker

_T = TypeVar("_T")
_READERS: Final = 4
_NOTE_SECONDS: Final = 60.0
_LAST_PART_SECONDS: Final = 2.0
_LOGINS_PER_SECOND: Final = 0.5
_LOGIN_BURST_SECONDS: Final = 20.0
_logger = logging.getLogger("logos_shift_openai.server")


class BusyError(Exception):
    """Too many requests read the store at this moment."""


class Service:
    """See the module.

    Args:
        store: Already migrated.
        limits: How much is taken.
        no_auth: Whether everybody may do everything; the server then answers its own machine alone.
        cors_origins: Origins of web pages that may give feedback, `*` for all.
        worker: The background work, if this process may do it.
        shop: What starting a tuning job needs; None where there is no folder of editions.
        channels: What notifications are told on.
        editions: Where the files of editions lie; None for a server that makes none.
        evaluations: Asks candidates what is held out; None where there is no folder of editions.
        dashboard: Whether there are pages for people, and sessions for them.
        embedded: The home folder whose `config.json` and spool the store belongs to, where no server owns it.
        now: Milliseconds since 1970.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        store: Store,
        *,
        limits: Limits | None = None,
        no_auth: bool = False,
        cors_origins: Collection[str] = (),
        worker: Worker | None = None,
        shop: Workshop | None = None,
        channels: Sequence[Channel] = (),
        editions: EditionStore | None = None,
        evaluations: EvaluationDesk | None = None,
        dashboard: bool = True,
        embedded: Path | None = None,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.limits = limits or Limits()
        self.no_auth = no_auth
        self.cors_origins = frozenset(origin.encode() for origin in cors_origins)
        self.worker = worker
        self.shop = shop
        self.channels = tuple(channels)
        self.editions = None if editions is None else EditionDesk(store, editions, now)
        self.evaluations = evaluations
        self.dashboard = dashboard
        self.embedded = embedded
        self.now = now
        self.clock = clock
        self.started = now()
        self.openapi = b"{}"
        self.metrics = Metrics()
        self.closing = False
        self.keys = KeyRing(self._find_key, clock)
        self.rates = Buckets(self.limits.requests_per_second, self.limits.burst_seconds)
        self.sessions = Sessions(self._find_session, now, clock)
        self.logins = Buckets(_LOGINS_PER_SECOND, _LOGIN_BURST_SECONDS)
        self.followers: dict[str, tuple[int, int]] = {}
        """The config that each key asked with last, and when: version and milliseconds since 1970, of this process."""
        self.failures = Buckets(self.limits.failures_per_second, self.limits.burst_seconds)
        self.intake = Intake(store, self.limits, now)
        self.config = LiveConfig(lambda ask: self.read(ask, always=True), self.limits.waiting)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="logos-shift-reader")
        self._reading = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Start what runs beside the requests."""
        with suppress(StoreError):  # said by the watch, and /ready says no
            await self.config.refresh()
        self._tasks = [asyncio.create_task(self.config.watch()), asyncio.create_task(self._note_uses())]
        if self.worker is not None:
            self.worker.start()

    def begin_closing(self) -> None:
        """Hear that the process is to end: readiness says no, and nobody waits for a config any more."""
        self.closing = True
        self.config.close()

    async def close(self) -> None:
        """Finish what was begun."""
        self.begin_closing()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self.intake.close()
        try:
            self._write_uses()  # before anything that may take long: whoever ends us may lose patience
        except StoreError as error:
            _logger.warning("the last use of keys was not written down: %s", error)
        if self.worker is not None:
            self.worker.stop(self.limits.shutdown_seconds)
        if self.editions is not None:
            self.editions.close()
        if self.evaluations is not None:
            self.evaluations.close(_LAST_PART_SECONDS)
        self._readers.shutdown(wait=True)

    async def read(self, ask: Callable[[Connection], _T], *, always: bool = False) -> _T:
        """Ask the store something, in a reader's thread.

        Args:
            ask: What to ask it.
            always: Even when too many ask already: for the few questions of our own.

        Raises:
            StoreError: it cannot be read.
            BusyError: too many ask already.
        """

        def run() -> _T:
            with self.store.reading() as connection:
                return ask(connection)

        return await self.look(run, always=always)

    async def look(self, run: Callable[[], _T], *, always: bool = False) -> _T:
        """Do something that waits, in a reader's thread.

        Args:
            run: What to do.
            always: As for `read`.

        Raises:
            BusyError: too many ask already.
        """
        if self._reading >= self.limits.reads and not always:
            raise BusyError
        self._reading += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, run)
        finally:
            self._reading -= 1

    async def write(self, do: Callable[[Connection], _T]) -> _T:
        """Change the store in one transaction, in a writer's thread.

        Raises:
            StoreError: it cannot be written; nothing was.
        """

        def run() -> _T:
            with self.store.writing() as connection:
                return do(connection)

        return await self.intake.change(run)

    async def _find_key(self, key_id: str) -> Known | None:
        return await self.read(lambda connection: find_known(connection, key_id), always=True)

    async def _find_session(self, token_hash: bytes) -> Session | None:
        return await self.read(lambda connection: find_session(connection, token_hash), always=True)

    def note_use(self, key_id: str) -> None:
        """Remember that a key was used, to be written down once in a while."""
        self.keys.used[key_id] = self.now()

    async def _note_uses(self) -> None:
        while True:
            await asyncio.sleep(_NOTE_SECONDS)
            try:
                await self.intake.change(self._write_uses)
            except StoreError as error:
                _logger.warning("the last use of keys was not written down: %s", error)

    def _write_uses(self) -> None:
        used, self.keys.used = self.keys.used, {}
        if not used:
            return
        try:
            with self.store.writing() as connection:
                note_used(connection, used)
        except StoreError:
            self.keys.used = {**used, **self.keys.used}  # they are written with the next
            raise
