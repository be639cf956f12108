"""Where a server's editions are made: one at a time, in a thread of its own, beside whatever else is asked.

Rule: whoever asked may go away, the edition is made all the same and then listed; asked again it is the same one. When
the process ends, a build that has not come to its end leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.server.holding import BusyError, held
from logos_shift_openai.server.store.database import StoreError
from logos_shift_openai.server.worker import holder_name

from .builds import Build, NoBuildError, build_id, find_build, lease_name, note_build, open_build
from .choosing import EditionError
from .register import make_edition

if TYPE_CHECKING:
    from collections.abc import Callable

    from logos_shift_openai.server.store.database import Store

    from .choosing import Choice
    from .keeping import EditionStore
    from .register import Edition

_NOTED_MS: Final = 1_000
_logger = logging.getLogger("logos_shift_openai.server")


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
        self._holder = holder_name()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="logos-shift-edition")
        self._lock = threading.Lock()
        self._busy = False
        self._turn = 0
        self._closing = False

    async def make(self, choice: Choice) -> Edition:
        """Make an edition.

        Raises:
            DeskBusyError: another one is being made.
            EditionError: it cannot be made, or the process ends.
            StoreError: the store cannot be read or written.
        """
        with self._lock:
            turn = self._sit_down()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._make, choice, self._go_on)
        finally:
            self._stand_up(turn)

    def begin(self, choice: Choice) -> Build:
        """Begin to make an edition, and say how far it is; the same choice joins the build that is under way.

        Raises:
            DeskBusyError: another one is being made.
            StoreError: the store cannot be read or written.
        """
        name, now = build_id(choice), self._now()
        with self._lock:
            if self._busy:
                return self._joined(name, now)
            turn = self._sit_down()
            holder = f"{self._holder}-{turn}"  # of its own, so that what is not quite at its end is another's
            try:
                with self._store.writing() as connection:
                    build, mine = open_build(connection, choice, holder, now)
            except BaseException:
                self._stand_up(turn)
                raise
            if mine:
                self._thread.submit(self._build, name, choice, turn, holder)
            else:
                self._stand_up(turn)
            return build

    def close(self) -> None:
        """End: a build stops at its next thousand calls."""
        self._closing = True
        self._thread.shutdown(wait=True)

    def _sit_down(self) -> int:
        if self._busy or self._closing:
            raise DeskBusyError
        self._busy, self._turn = True, self._turn + 1
        return self._turn

    def _stand_up(self, turn: int) -> None:
        if self._turn == turn:
            self._busy = False

    def _joined(self, name: str, now: int) -> Build:
        try:
            with self._store.reading() as connection:
                build = find_build(connection, name, now)
        except NoBuildError:
            raise DeskBusyError from None
        if build.state != "running":
            raise DeskBusyError
        return build

    def _build(self, name: str, choice: Choice, turn: int, holder: str) -> None:
        noted = self._now()

        def go_on(read: int) -> None:
            nonlocal noted
            self._go_on(read)
            if self._now() - noted >= _NOTED_MS:
                noted = self._now()
                with suppress(StoreError), self._store.writing() as connection:
                    note_build(connection, name, noted, read=read)

        try:
            with held(self._store, lease_name(name), holder, self._now):
                ended = self._ended(choice, go_on)
                self._stand_up(turn)  # before its end is told: whoever hears of it may ask for the next one
                self._note_end(name, **ended)
        except BusyError:
            _logger.warning("another process has taken %s", name)
        except StoreError as error:
            _logger.warning("%s was broken off: %s", name, type(error).__name__)
        except Exception:
            _logger.exception("%s was broken off", name)
            self._note_end(name, state="failed", said="a fault of the server, written to its log")
            raise
        finally:
            self._stand_up(turn)

    def _ended(self, choice: Choice, go_on: Callable[[int], None]) -> dict[str, Any]:
        """Make an edition, and give what is noted of its end."""
        try:
            made = self._make(choice, go_on)
        except EditionError as error:
            return {"state": "failed", "said": str(error)}
        return {"state": "made", "edition": made.id, "read": int(made.manifest["counts"]["read"])}

    def _note_end(self, name: str, **values: Any) -> None:
        with self._store.writing() as connection:
            note_build(connection, name, self._now(), **values)

    def _make(self, choice: Choice, go_on: Callable[[int], None]) -> Edition:
        return make_edition(self._store, self.kept, choice, self._now(), go_on)

    def _go_on(self, _read: int) -> None:
        if self._closing:
            raise EditionError("the server is about to end; ask again when it is back")
