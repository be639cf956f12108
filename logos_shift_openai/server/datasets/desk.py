"""Where a server's editions are made: one at a time, in a thread of its own, beside whatever else is asked.

Rule: whoever asked may go away, the edition is made all the same and then listed; asked again it is the same one. When
the process ends, a build that has not come to its end leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .choosing import EditionError
from .register import make_edition

if TYPE_CHECKING:
    from collections.abc import Callable

    from logos_shift_openai.server.store.database import Store

    from .choosing import Choice
    from .keeping import EditionStore
    from .register import Edition


class DeskBusyError(Exception):
    """An edition is being made already."""


class EditionDesk:
    """See the module.

    Args:
        store: Where the calls are.
        kept: Where the files of editions go.
        now: Milliseconds since 1970.
    """

    def __init__(self, store: Store, kept: EditionStore, now: Callable[[], int]) -> None:
        self.kept = kept
        self._store = store
        self._now = now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="logos-shift-edition")
        self._busy = False
        self._closing = False

    async def make(self, choice: Choice) -> Edition:
        """Make an edition.

        Raises:
            DeskBusyError: another one is being made.
            EditionError: it cannot be made, or the process ends.
            StoreError: the store cannot be read or written.
        """
        if self._busy or self._closing:
            raise DeskBusyError
        self._busy = True
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._make, choice)
        finally:
            self._busy = False

    def close(self) -> None:
        """End: a build stops at its next thousand calls."""
        self._closing = True
        self._thread.shutdown(wait=True)

    def _make(self, choice: Choice) -> Edition:
        return make_edition(self._store, self.kept, choice, self._now(), self._go_on)

    def _go_on(self, _read: int) -> None:
        if self._closing:
            raise EditionError("the server is about to end; ask again when it is back")
