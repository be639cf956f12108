"""How far long work has come: on a terminal's stderr, gone when it has ended, and nothing at all in a pipe."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from logos_shift_openai.cli.output import bars_wanted, console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def counted(words: str) -> Iterator[Callable[..., None]]:
    """Count what a block of work goes through, in a bar where it is known how much there is.

    Args:
        words: What is done, before the count.

    Yields:
        Takes the number done so far, and how many there are where that is known.
    """
    if not bars_wanted():
        yield lambda _done, _total=None: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, console=console(stderr=True), transient=True)
    task = bar.add_task(words, total=None)

    def advance(done: int, total: int | None = None) -> None:
        bar.start()  # not before there is something to show: it takes hold of the terminal
        bar.update(task, completed=done, total=total)

    try:
        yield advance
    finally:
        bar.stop()
