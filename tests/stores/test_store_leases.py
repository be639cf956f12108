"""Leases: one holder at a time, and no writing under one that was taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from logos_shift_openai.server.store.leases import Lease, LeaseLostError, acquire, check, release

if TYPE_CHECKING:
    from logos_shift_openai.server.store.database import Store


def take(store: Store, holder: str, now: int | None, milliseconds: int = 10) -> Lease | None:
    with store.writing() as connection:
        return acquire(connection, "work", holder, milliseconds, now)


def test_one_holder_until_it_runs_out(any_store: Store) -> None:
    """Others get nothing meanwhile; who takes it over has a higher token."""
    first = take(any_store, "one", 100)
    assert first == Lease("work", "one", 1)
    assert take(any_store, "two", 105) is None
    assert take(any_store, "one", 108) == first
    assert take(any_store, "two", 117) is None
    second = take(any_store, "two", 118)
    assert second == Lease("work", "two", 2)
    assert take(any_store, "one", 119) is None


def test_a_holder_that_slept_finds_out_before_it_writes(any_store: Store) -> None:
    """Its token is lower than the one that stands there, also when it is the next holder itself."""
    first = take(any_store, "one", 100)
    assert first is not None
    with any_store.writing() as connection:
        check(connection, first)
    assert take(any_store, "two", 200) is not None
    with pytest.raises(LeaseLostError), any_store.writing() as connection:
        check(connection, first)
    again = take(any_store, "one", 300)
    assert again is not None
    assert again.token == 3


def test_a_lease_let_go_is_free_at_once(any_store: Store) -> None:
    """Tokens go on rising, and who has lost it lets nothing go."""
    first = take(any_store, "one", 100, 1_000)
    assert first is not None
    with any_store.writing() as connection:
        release(connection, first)
    second = take(any_store, "two", 101, 1_000)
    assert second is not None
    assert second.token == 2
    with any_store.writing() as connection:
        release(connection, first)
    assert take(any_store, "one", 102) is None


def test_the_databases_own_clock_counts(any_store: Store) -> None:
    """Without a time given, the engine's is taken."""
    assert take(any_store, "one", None, 60_000) is not None
    assert take(any_store, "two", None, 60_000) is None
