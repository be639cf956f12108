"""Builds of editions on both engines: one builder at a time, lost with its process, forgotten after a week."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from logos_shift_openai.server.datasets.builds import (
    Build,
    NoBuildError,
    find_build,
    lease_name,
    list_builds,
    note_build,
    open_build,
)
from logos_shift_openai.server.datasets.choosing import Choice
from logos_shift_openai.server.store.leases import Lease, acquire, is_held, release

if TYPE_CHECKING:
    from logos_shift_openai.server.store.database import Store

NOW = time.time_ns() // 1_000_000
WEEK = 7 * 86_400_000


def begin(store: Store, holder: str, choice: Choice | None = None, now: int = NOW) -> tuple[Build, bool]:
    with store.writing() as connection:
        return open_build(connection, choice or Choice("d"), holder, now)


def let_go(store: Store, build: Build, holder: str) -> None:
    with store.writing() as connection:
        at = NOW if connection.dialect.name == "sqlite" else None
        lease = acquire(connection, lease_name(build.id), holder, 60_000, at)
        assert lease is not None
        release(connection, lease)


def test_one_builds_and_the_others_look(store: Store) -> None:
    """Also one of another process; what is noted is seen by all."""
    build, mine = begin(store, "one", Choice("d"))
    assert (build.state, build.read, mine) == ("running", 0, True)
    assert begin(store, "two", Choice("d")) == (build, False)
    other, mine = begin(store, "two", Choice("d", heldout=5))
    assert (other.id != build.id, mine) == (True, True)
    with store.writing() as connection:
        note_build(connection, build.id, NOW + 1, read=7)
        note_build(connection, other.id, NOW + 2, state="made", edition="e", read=9)
    with store.reading() as connection:
        assert (find_build(connection, build.id, NOW).read, find_build(connection, other.id, NOW).edition) == (7, "e")
        assert {one.id for one in list_builds(connection, NOW)} == {build.id, other.id}
        assert len(list_builds(connection, NOW, limit=1)) == 1
        with pytest.raises(NoBuildError):
            find_build(connection, "build-none", NOW)


def test_one_whose_process_has_ended_is_lost_and_made_anew(store: Store) -> None:
    """What it had read is forgotten."""
    build, _ = begin(store, "one", Choice("d"))
    with store.writing() as connection:
        note_build(connection, build.id, NOW, read=7)
    let_go(store, build, "one")
    with store.reading() as connection:
        lost = find_build(connection, build.id, NOW)
    assert (lost.state, "ask for the same again" in lost.said) == ("lost", True)
    again, mine = begin(store, "two", Choice("d"))
    assert (again.state, again.read, mine) == ("running", 0, True)


def test_what_has_ended_is_forgotten_after_a_week(store: Store) -> None:
    """One that is under way is not, however long it takes."""
    ended, _ = begin(store, "one", Choice("a"))
    going, _ = begin(store, "one", Choice("b"))
    with store.writing() as connection:
        note_build(connection, ended.id, NOW, state="failed", said="nothing to train on")
    latest, _ = begin(store, "one", Choice("c"), NOW + WEEK + 1)
    with store.reading() as connection:
        assert {one.id for one in list_builds(connection, NOW)} == {going.id, latest.id}


def test_a_lease_is_held_until_it_is_let_go_or_runs_out(store: Store) -> None:
    """And one that nobody ever took is not."""
    with store.writing() as connection:
        lease = acquire(connection, "work", "one", 10, 100)
        assert lease == Lease("work", "one", 1)
        assert [is_held(connection, "work", at) for at in (100, 109, 110)] == [True, True, False]
        assert not is_held(connection, "other", 100)
        release(connection, lease)
        assert not is_held(connection, "work", 100)
