"""The bounded queue between requests and the store's writers.

A batch is admitted or turned away before its body is read; an admitted one is unpacked, split and committed in a
writer's thread, and its request is answered after the commit. So a yes always means that the records are there.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from .inflating import inflate
from .ingest import Receipt, Refusal, ingest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .limits import Limits
    from .store.database import Store

_T = TypeVar("_T")
_POSTGRESQL_WRITERS: Final = 4


class QueueFullError(Exception):
    """There is no room for another batch now."""


class TooManyLinesError(Exception):
    """A batch has more lines than it may."""


class Intake:
    """Write batches, so many at a time.

    Args:
        store: Where they go.
        limits: How much is taken.
        now: Milliseconds since 1970.
    """

    def __init__(self, store: Store, limits: Limits, now: Callable[[], int]) -> None:
        self._store = store
        self._limits = limits
        self._now = now
        # SQLite has one writer at a time: more threads would only wait for each other.
        writers = 1 if store.engine.dialect.name == "sqlite" else _POSTGRESQL_WRITERS
        self._threads = ThreadPoolExecutor(writers, thread_name_prefix="logos-shift-writer")
        self.batches = 0
        self.size = 0

    @contextmanager
    def admitted(self, size: int) -> Iterator[None]:
        """Keep room for a batch during the block.

        Args:
            size: Bytes it takes, as far as they are known.

        Raises:
            QueueFullError: there is none.
        """
        limits = self._limits
        if self.batches >= limits.queue_batches or (self.batches and self.size + size > limits.queue_bytes):
            raise QueueFullError
        self.batches += 1
        self.size += size
        try:
            yield
        finally:
            self.batches -= 1
            self.size -= size

    async def take(self, body: bytes, encoding: str) -> Receipt:
        """Take a batch in, within `admitted`.

        Raises:
            InflateError: the body is broken.
            TooLongError: it is too long.
            TooManyLinesError: it has too many lines.
            StoreError: it could not be written; nothing of it is there.
        """
        return await self._in_thread(lambda: self._take(body, encoding))

    async def take_lines(self, lines: list[bytes]) -> Receipt:
        """Take a few lines in; as `take`."""
        return await self._in_thread(lambda: ingest(self._store, lines, self._now()))

    async def change(self, do: Callable[[], _T]) -> _T:
        """Run something else that writes, in its turn."""
        return await self._in_thread(do)

    def close(self) -> None:
        """Finish what was begun, and take no more."""
        self._threads.shutdown(wait=True)

    async def _in_thread(self, do: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, do)

    def _take(self, body: bytes, encoding: str) -> Receipt:
        text = inflate(body, encoding, self._limits.inflated_bytes)
        if text.count(b"\n") > self._limits.lines:
            raise TooManyLinesError
        lines = text.split(b"\n")
        if not lines[-1]:
            lines.pop()
        if len(lines) > self._limits.lines:
            raise TooManyLinesError
        longest = self._limits.line_bytes
        long = [number for number, line in enumerate(lines) if len(line) > longest]
        for number in long:
            lines[number] = b""  # which is passed over
        receipt = ingest(self._store, lines, self._now())
        if not long:
            return receipt
        refused = [Refusal(number + 1, None, f"line: longer than {longest} bytes") for number in long]
        every = sorted([*receipt.refused, *refused], key=lambda one: one.line)
        return Receipt(receipt.new, receipt.seen, tuple(every))
