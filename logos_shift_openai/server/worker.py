"""The background work: steps that one process at a time does, whichever holds the lease.

A step is a function of the store and the time that does one turn and returns the seconds to its next. It may be cut
off at any point and be run twice: the lease keeps the work from being done twice, not from being begun twice. What a
step writes after another process has taken the lease over is not committed: the store it is given is fenced.
A step that fails is counted, said once, and tried ever more rarely; it keeps no other from its turn.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from .store import leases

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from .store.database import Store

    Step = Callable[[Store, int], float]

LEASE: Final = "worker"
LEASE_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 5.0
_FIRST_BACKOFF: Final = 5.0
_LAST_BACKOFF: Final = 300.0
_logger = logging.getLogger("logos_shift_openai.server")


class Lease(Protocol):
    """The right to work, held by one process at a time."""

    def hold(self, now: int) -> bool:
        """Take or renew it; whether it is ours now. `now` is in milliseconds since 1970."""
        ...

    def release(self, now: int) -> None:
        """Give it up, if it is ours."""
        ...

    def fence(self, connection: Connection) -> None:
        """Make sure, in a transaction that is about to be committed, that it is ours still.

        Raises:
            LeaseLostError: it is not.
        """
        ...


@dataclass(slots=True)
class StepState:
    """How a step is doing in this process.

    Args:
        due: When its next turn is, seconds on the worker's clock.
        last_ok: When a turn last went well, milliseconds since 1970.
        failures: Turns that failed since then.
        fault: Kind of the last failure.
    """

    name: str
    step: Step = field(repr=False)
    due: float = 0.0
    last_ok: int | None = None
    failures: int = 0
    fault: str | None = None


class Worker:
    """Do the steps, in a thread of its own.

    Args:
        store: What the steps work on.
        steps: Each with its name.
        lease: The right to do them.
        now: Milliseconds since 1970.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        store: Store,
        steps: Sequence[tuple[str, Step]],
        lease: Lease,
        *,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store.fenced(lease.fence)
        self._lease = lease
        self._now = now
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.leader = False
        self.lease_fault: str | None = None
        self.states = [StepState(name, step) for name, step in steps]

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="logos-shift-worker", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End after the step under way, and let another process take over at once."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def turn(self) -> float:
        """Do what is due, if the lease is ours; return the seconds to the next look."""
        if not self._hold():
            return _LOOK_SECONDS
        for state in self.states:
            if self._clock() < state.due or self._stop.is_set():
                continue
            self._do(state)
            if not self._hold():  # a step may have taken longer than the lease
                return _LOOK_SECONDS
        due = min((state.due for state in self.states), default=self._clock() + _LOOK_SECONDS)
        return max(0.05, min(_LOOK_SECONDS, due - self._clock()))

    def _run(self) -> None:
        while not self._stop.is_set():
            self._stop.wait(self.turn())
        if self.leader:
            self.leader = False
            try:
                self._lease.release(self._now())
            except Exception as error:  # noqa: BLE001 - it runs out by itself
                _logger.warning("the lease was not given up: %s", error)

    def _hold(self) -> bool:
        try:
            held = self._lease.hold(self._now())
        except Exception as error:  # noqa: BLE001 - the store is away: whoever reaches it leads
            if self.lease_fault is None:
                _logger.warning("the lease of the background work cannot be had: %s", error)
            self.lease_fault = type(error).__name__
            self.leader = False
            return False
        self.lease_fault = None
        if held and not self.leader:
            _logger.info("this process does the background work now")
        self.leader = held
        return held

    def _do(self, state: StepState) -> None:
        try:
            wait = state.step(self._store, self._now())
        except leases.LeaseLostError:
            _logger.info("the step %s took longer than the lease; what it wrote last was undone", state.name)
            wait = 0.0
        except Exception as error:  # counted, said, and tried again
            state.failures += 1
            state.fault = type(error).__name__
            if state.failures == 1:
                _logger.exception("the step %s failed; it is tried again", state.name)
            wait = min(_LAST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(state.failures - 1, 10))
        else:
            state.failures, state.fault, state.last_ok = 0, None, self._now()
        state.due = self._clock() + wait


class StoreLease:
    """The lease in the store, timed by the clock that its engine trusts."""

    def __init__(self, store: Store, holder: str) -> None:
        self._store = store
        self._holder = holder
        self._held: leases.Lease | None = None

    def hold(self, now: int) -> bool:
        """Take or renew it."""
        with self._store.writing() as connection:
            # On SQLite all share one machine's clock; elsewhere the database's own counts.
            at = now if connection.dialect.name == "sqlite" else None
            milliseconds = int(LEASE_SECONDS * 1000)
            self._held = leases.acquire(connection, LEASE, self._holder, milliseconds, at)
        return self._held is not None

    def release(self, now: int) -> None:  # noqa: ARG002 - the protocol's
        """Give it up."""
        if self._held is not None:
            with self._store.writing() as connection:
                leases.release(connection, self._held)
            self._held = None

    def fence(self, connection: Connection) -> None:
        """Make sure that nobody has taken it over."""
        if self._held is None:
            raise leases.LeaseLostError(f"the lease {LEASE} is not held by {self._holder}")
        leases.check(connection, self._held)


def holder_name() -> str:
    """Name this process among all that may hold the lease."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(4)}"
