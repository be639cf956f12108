"""What every command begins with: the home folder, its store, and the spool taken in."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logos_shift_openai.cli.output import CommandError, bars_wanted, console, now_ms, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.progress import Progress, TaskID

    from logos_shift_openai.server.embedded import TakenIn
    from logos_shift_openai.server.store.database import Store

BODIES_URL: Final = "LOGOS_SHIFT_BODIES_URL"
"""The variable that says where bodies lie, for every process that opens a store."""

_LONG_BYTES: Final = 4 * 1024 * 1024
"""A spool of more than this is worth a progress bar."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command works.

    Args:
        home: The home folder.
        bodies_url: Where bodies lie, if not in the database: LOGOS_SHIFT_BODIES_URL.
    """

    home: Path
    bodies_url: str | None = None

    @property
    def store_path(self) -> Path:
        """The file of the embedded store."""
        return self.home / "store.sqlite3"

    def open_store(self, address: str | None = None, *, create: bool = True) -> Store:
        """Open the home folder's store, or a database, with its bodies where they lie.

        Args:
            address: Of a database; None for the home folder's store.
            create: As for `server.store.database.open_store`.

        Raises:
            StoreError: it cannot be opened.
        """
        from logos_shift_openai.server.store.database import open_store  # noqa: PLC0415

        return open_store(address or self.store_path, create=create, bodies_url=self.bodies_url)


@contextmanager
def opened(place: Place, *, create: bool = False, address: str | None = None) -> Iterator[Store]:
    """Open the store, take the spool in, and close it after the block.

    A home folder that does not exist reads as an empty one, and is not made just because somebody looked.

    Args:
        place: Where.
        create: Make the home folder if it is missing: the command is about to write.
        address: Of a database, which is opened in the place of the home folder's store; no spool goes there.

    Raises:
        CommandError: the store cannot be opened, read or written.
    """
    from logos_shift_openai.server.store.database import StoreError, empty_store  # noqa: PLC0415

    try:
        there = address is None and (create or place.home.is_dir())
        if address is not None:
            store = place.open_store(address, create=False)
        else:
            store = place.open_store() if there else empty_store(str(place.store_path))
    except StoreError as error:
        nowhere = address is None and not place.store_path.is_file()
        cure = "; another home folder is named by --home or LOGOS_SHIFT_HOME" if nowhere else ""
        raise CommandError(f"{error}{cure}") from None
    try:
        if there:
            take_in_and_say(store, place)
        yield store
    except StoreError as error:
        raise CommandError(str(error)) from None
    finally:
        store.close()


def take_spool_in(store: Store, place: Place) -> TakenIn:
    """Take the spool in, with a progress bar on a terminal when it is long.

    Raises:
        StoreError: the store cannot be written; the rest stays in the spool.
    """
    from logos_shift_openai.server.embedded import take_in  # noqa: PLC0415

    if not bars_wanted():
        return take_in(store, place.home, now_ms)
    bar = _progress()
    try:
        return take_in(store, place.home, now_ms, _advance(bar))
    finally:
        bar.stop()


def take_in_and_say(store: Store, place: Place) -> None:
    """Take the spool in; where that fails, what the store has can be shown all the same."""
    from logos_shift_openai.server.store.database import StoreError  # noqa: PLC0415

    try:
        result = take_spool_in(store, place)
    except StoreError as error:
        warn(f"the spool was not taken in: {error}")
        return
    for fault in result.faults:
        warn(fault)
    if result.refused:
        lines = "line" if result.refused == 1 else "lines"
        warn(f"{result.refused} {lines} of the spool refused; see {place.home / 'spool' / 'local' / 'refused'}")


def _progress() -> Progress:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("taking the spool in"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console(stderr=True), transient=True)


def _advance(bar: Progress) -> Callable[[int, int], None]:
    tasks: list[TaskID] = []

    def advance(done: int, total: int) -> None:
        if total < _LONG_BYTES:
            return
        if not tasks:
            bar.start()  # not before it is worth one: it takes hold of the terminal
            tasks.append(bar.add_task("", total=total))
        bar.update(tasks[0], completed=min(done, total))

    return advance
