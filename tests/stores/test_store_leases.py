"""Leases: one holder at a time, and no writing under one that was taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select, update

from logos_shift_openai.server.store.leases import Lease, LeaseLostError, acquire, check, release
from logos_shift_openai.server.store.schema import leases, meta
from logos_shift_openai.server.worker import StoreLease, Worker

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


def test_a_step_that_outlived_its_lease_commits_nothing(any_store: Store) -> None:
    """Not what it writes after another has taken over; what it wrote before stays. It is no failure of the step."""
    one, two = StoreLease(any_store, "one"), StoreLease(any_store, "two")

    def note(store: Store, name: str) -> None:
        with store.writing() as connection:
            connection.execute(insert(meta).values(name=name, value=""))

    def slow(store: Store, now: int) -> float:
        note(store, "in time")
        with any_store.writing() as connection:
            connection.execute(update(leases).values(until=0))  # as if it had run out meanwhile
        assert two.hold(now)
        note(store, "too late")
        return 1.0

    worker = Worker(any_store, [("slow", slow), ("never", lambda store, _now: note(store, "never") or 1.0)], one)
    worker.turn()
    with any_store.reading() as connection:
        assert list(connection.scalars(select(meta.c.name))) == ["in time"]
    assert (worker.leader, [state.failures for state in worker.states]) == (False, [0, 0])
    note(any_store, "others write on")


def test_a_lease_that_was_given_up_is_a_fence_too(any_store: Store) -> None:
    """Nothing is committed under it."""
    lease = StoreLease(any_store, "one")
    assert lease.hold(100)
    lease.release(100)
    with pytest.raises(LeaseLostError), any_store.fenced(lease.fence).writing() as connection:
        connection.execute(insert(meta).values(name="late", value=""))
    with any_store.reading() as connection:
        assert connection.scalar(select(meta.c.name)) is None
