"""The live config as the server hands it out: the newest version in memory, and whoever waits for a newer one.

One look at the store every half a second, however many clients ask; a waiting client costs a task, no thread.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from .config_versions import NOTHING, Version, live_config, live_version
from .store.database import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from sqlalchemy import Connection

LOOK_SECONDS: Final = 0.5
_logger = logging.getLogger("logos_shift_openai.server")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A version as it is sent."""

    version: int
    body: bytes
    etag: bytes

    @classmethod
    def of(cls, version: Version) -> Snapshot:
        """Prepare a version; its ETag tells two stores' versions of the same number apart."""
        body = version.document.encode("utf-8", "replace")
        return cls(version.version, body, f'"{version.version}-{sha256(body).hexdigest()[:12]}"'.encode())


class LiveConfig:
    """Hold the newest version.

    Args:
        read: runs a function on a reader's connection, in a thread.
        most_waiting: so many may wait at a time; more are answered at once.
    """

    def __init__(
        self,
        read: Callable[[Callable[[Connection], Snapshot | None]], Awaitable[Snapshot | None]],
        most_waiting: int,
    ) -> None:
        self._read = read
        self._most_waiting = most_waiting
        self._waiting: set[asyncio.Future[None]] = set()
        self._closing = False
        self.current: Snapshot = Snapshot.of(NOTHING)
        self.known = False
        """Whether the store has been asked at all."""

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiting)

    async def refresh(self) -> None:
        """Look whether there is a newer version, and wake those who wait for one.

        Raises:
            StoreError: the store cannot be read; the last version stays.
        """
        have = self.current.version if self.known else -1

        def newer(connection: Connection) -> Snapshot | None:
            return None if live_version(connection) == have else Snapshot.of(live_config(connection))

        found = await self._read(newer)
        self.known = True
        # A look that began before another's may end after it: versions never go back.
        if found is not None and (found.version > self.current.version or have == -1):
            self.current = found
            self._wake()

    async def newer_than(
        self, etags: frozenset[bytes], seconds: float, gone: Callable[[], Coroutine[None, None, None]]
    ) -> Snapshot:
        """Give the newest version: at once if the asker has another one, else when there is a newer one.

        Args:
            etags: The versions that the asker has.
            seconds: How long to wait at most.
            gone: Ends when the asker has gone away, who then waits no more.
        """
        if self.current.etag in etags and seconds > 0 and not self._closing and self.waiting < self._most_waiting:
            future = asyncio.get_running_loop().create_future()
            timer = asyncio.get_running_loop().call_later(seconds, _wake_one, future)
            leaving = asyncio.ensure_future(gone())
            leaving.add_done_callback(lambda _: _wake_one(future))
            self._waiting.add(future)
            try:
                await future
            finally:
                timer.cancel()
                leaving.cancel()
                self._waiting.discard(future)
        return self.current

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        failing = False
        while True:
            try:
                await self.refresh()
                failing = False
            except StoreError as error:
                if not failing:
                    _logger.warning("the config cannot be read: %s; the last one is handed out", error)
                failing = True
            await asyncio.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """Let nobody wait any more: the process is about to end."""
        self._closing = True
        self._wake()

    def _wake(self) -> None:
        for future in list(self._waiting):
            _wake_one(future)


def _wake_one(future: asyncio.Future[None]) -> None:
    with suppress(asyncio.InvalidStateError):
        future.set_result(None)
