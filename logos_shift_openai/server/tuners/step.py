"""Tuning as a step of the background work: every job that is due is taken on, each in a thread of its own.

A thread, because an upload may take minutes and the other steps must not wait; the job's own lease keeps other
processes away from it.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from logos_shift_openai.server.holding import BusyError
from logos_shift_openai.server.store.database import StoreError

from .example_files import keep_index
from .jobs import NoJobError, due_jobs
from .machine import Workshop, advance
from .named import tuner_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from logos_shift_openai.server.store.database import Store

    from .protocol import Tuner

_SECONDS: Final = 5.0
_AT_ONCE: Final = 4
_logger = logging.getLogger("logos_shift_openai.server")


def workshop(
    store: Store, home: Path, holder: str, now: Callable[[], int], environ: Mapping[str, str] | None = None
) -> Workshop:
    """Make what the work on jobs needs, with the tuners of this process's environment.

    Args:
        store: Where jobs are kept.
        home: Where editions lie.
        holder: Names this process among all.
        now: Milliseconds since 1970.
        environ: Where the tuners' addresses and keys stand; None for this process's own.
    """

    def keep(name: str, content: bytes) -> None:
        keep_index(store, home, name, content, now())

    return Workshop(store, home, partial(_named, home, keep, environ), holder, now)


def _named(
    home: Path,
    keep: Callable[[str, bytes], None],
    environ: Mapping[str, str] | None,
    name: str,
    provider: str | None,
) -> Tuner:
    return tuner_named(name, provider, home, keep, environ)


class TuningStep:
    """See the module.

    Args:
        shop: What the work needs; its store is not the worker's fenced one, for a thread outlives a step.
    """

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._working: dict[str, threading.Thread] = {}

    def __call__(self, store: Store, now: int) -> float:
        """Take on what is due; gives the seconds to the next look."""
        self._working = {job_id: thread for job_id, thread in self._working.items() if thread.is_alive()}
        with store.reading() as connection:
            due = due_jobs(connection, now)
        for job_id in due:
            if job_id not in self._working and len(self._working) < _AT_ONCE:
                thread = threading.Thread(target=self._work, args=(job_id,), name=f"tuning-{job_id}", daemon=True)
                self._working[job_id] = thread
                thread.start()
        return _SECONDS

    def join(self, seconds: float) -> None:
        """Wait for what is under way."""
        for thread in self._working.values():
            thread.join(seconds)

    def _work(self, job_id: str) -> None:
        with suppress(BusyError, NoJobError):
            try:
                advance(self._shop, job_id)
            except StoreError as error:
                _logger.warning("the tuning job %s was not looked at: %s", job_id, type(error).__name__)
            except Exception:
                _logger.exception("the tuning job %s was not looked at", job_id)
                raise
