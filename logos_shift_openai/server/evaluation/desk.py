"""Where a server asks a candidate what is held out: evaluations that were asked for over HTTP, each in a thread.

Theory of operation. The lease of an evaluation is taken before the request that begins it is answered, so whoever looks
next sees that somebody is at it; the thread then works under the same lease. Where nobody is at one that is open, it
was broken off: nothing goes on by itself, for asking costs, and the same request again goes on where it was. The
providers and keys are those of this process's environment.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.server.holding import LEASE_MS, BusyError
from logos_shift_openai.server.store import leases
from logos_shift_openai.server.store.database import StoreError
from logos_shift_openai.server.tuners.problems import AwayError

from .asked import require_askable, what_is_asked
from .keeping import evaluation_id, find_evaluation, open_evaluation
from .running import evaluate, lease_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from logos_shift_openai.core.held_out import Rules

    from .keeping import Evaluation
    from .running import Bench

_AT_ONCE: Final = 4
_logger = logging.getLogger("logos_shift_openai.server")


class DeskFullError(Exception):
    """Enough is asked at this moment."""


class EvaluationDesk:
    """See the module.

    Args:
        bench: What evaluations need.
    """

    def __init__(self, bench: Bench) -> None:
        # A name of its own: the autopilots of this very process are others, of whom one must keep away.
        self.bench = replace(bench, holder=f"{bench.holder}-asked")
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closing = False

    def begin(
        self, job: str | None, edition: str | None, candidate: Mapping[str, Any] | None, rules: Rules
    ) -> Evaluation:
        """Begin an evaluation or go on with it; one that has ended by the same rules stays as it is.

        Args:
            job: The tuning job that made the candidate; None where it is told.
            edition: Id of an edition, or how it begins; None for the job's.
            candidate: As an experiment's `candidate`; None where a job made it.
            rules: What it must reach.

        Raises:
            NotAskableError: it cannot begin; nothing was written.
            ConfigError: the candidate is none.
            DeskFullError: enough is asked at this moment, or the process ends.
        """
        with self.bench.store.reading() as connection:
            told, of = what_is_asked(connection, job, edition, candidate)
        require_askable(self.bench, told, of)
        name = evaluation_id(of, told)
        with self._lock:
            self._threads = {each: one for each, one in self._threads.items() if one.is_alive()}
            if self._closing or len(self._threads) >= _AT_ONCE:
                raise DeskFullError
            with self.bench.store.writing() as connection:
                lease = None if name in self._threads else self._take(connection, name)
                if lease is None:
                    return find_evaluation(connection, name)  # somebody is at it, by the rules that he began with
                one = open_evaluation(connection, of, told, rules, self.bench.now())
                if one.state != "open":
                    leases.release(connection, lease)
                    return one
            thread = threading.Thread(target=self._work, args=(name,), name=f"asked-{name}", daemon=True)
            self._threads[name] = thread
            thread.start()
        return one

    def close(self, seconds: float) -> None:
        """End: each stops behind the part that it asks now, and can be gone on with.

        Args:
            seconds: To wait for them all.
        """
        self._closing = True
        for thread in list(self._threads.values()):
            thread.join(seconds)

    def join(self, seconds: float) -> None:
        """Wait for what is under way."""
        for thread in list(self._threads.values()):
            thread.join(seconds)

    def _take(self, connection: Connection, name: str) -> leases.Lease | None:
        at = self.bench.now() if connection.dialect.name == "sqlite" else None
        return leases.acquire(connection, lease_name(name), self.bench.holder, LEASE_MS, at)

    def _work(self, name: str) -> None:
        try:
            evaluate(self.bench, name, self._go_on)
        except BusyError:
            _logger.info("another process has taken the evaluation %s", name)
        except StoreError as error:
            _logger.warning("the evaluation %s was broken off: %s", name, type(error).__name__)
        except Exception:
            _logger.exception("the evaluation %s was broken off", name)
            raise

    def _go_on(self, _done: int, _all: int) -> None:
        if self._closing:
            raise AwayError("the server has ended; the same request goes on", waiting=True)


def at_work(connection: Connection, name: str, now: int) -> bool:
    """Tell whether somebody is at an evaluation now.

    Args:
        connection: A reader's connection.
        name: The evaluation.
        now: Milliseconds since 1970; on PostgreSQL the database's own clock counts.
    """
    at = now if connection.dialect.name == "sqlite" else None
    return find_evaluation(connection, name).state == "open" and leases.is_held(connection, lease_name(name), at)
