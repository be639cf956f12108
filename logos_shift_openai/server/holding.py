"""Hold a lease for as long as a block of work takes, and renew it in the background: an upload may take long.

Rule: whoever is killed in the block loses the lease within `LEASE_MS`, and another takes the work on.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from logos_shift_openai.server.store import leases
from logos_shift_openai.server.store.database import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logos_shift_openai.server.store.database import Store

LEASE_MS: Final = 90_000
_RENEW_SECONDS: Final = 30.0
_LONGEST_NAME: Final = 64


class BusyError(Exception):
    """Another process is at it."""


@contextmanager
def held(store: Store, name: str, holder: str, now: Callable[[], int]) -> Iterator[None]:
    """Hold the lease of this name.

    Args:
        store: Where it is.
        name: What is worked on; the first 64 characters count.
        holder: Names this process among all.
        now: Milliseconds since 1970; on PostgreSQL the database's own clock counts.

    Raises:
        BusyError: another holder has it.
    """
    name = name[:_LONGEST_NAME]

    def acquire() -> leases.Lease | None:
        with store.writing() as connection:
            at = now() if connection.dialect.name == "sqlite" else None
            return leases.acquire(connection, name, holder, LEASE_MS, at)

    lease = acquire()
    if lease is None:
        raise BusyError(f"another process is at {name}")
    done = threading.Event()

    def renew() -> None:
        while not done.wait(_RENEW_SECONDS):
            with suppress(StoreError):  # the next try may go better; a write of another is noticed by its turn
                acquire()

    renewing = threading.Thread(target=renew, name=f"{name}-lease", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()
        with store.writing() as connection:
            leases.release(connection, lease)
