"""Clocks that jump an hour to and fro: nothing is lost, no lease is stuck, followers see everything once."""

from __future__ import annotations

from random import Random

import pytest

pytest.importorskip("sqlalchemy")
from served_faults import HOUR_MS, check_whole, ids, kept, make_batches
from sqlalchemy import select

from logos_shift_openai.core.records import CallRecord, FeedbackRecord, call_line, feedback_line
from logos_shift_openai.server.fold import fold
from logos_shift_openai.server.following import Cursor, calls_since
from logos_shift_openai.server.ingest import ingest, ingest_within
from logos_shift_openai.server.store import leases
from logos_shift_openai.server.store.database import open_store
from logos_shift_openai.server.store.schema import calls
from logos_shift_openai.server.worker import LEASE_SECONDS, StoreLease

NOW = 1_764_000_000_000
LEASE_MS = int(LEASE_SECONDS * 1000)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    """A store on each engine."""
    where = tmp_path / "store.sqlite3" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = open_store(where)
    yield opened
    opened.close()


def test_batches_under_a_jumping_clock_are_kept_and_counted(store):
    """Folded in between by the same clock; on SQLite a follower sees each call once, in order of arrival."""
    dice = Random(61)
    batches = make_batches(60, seed=62)
    cursor, followed, places, now = Cursor(), [], [], NOW
    for batch in batches:
        now += dice.choice([-HOUR_MS, HOUR_MS, 7, 7, 7])
        ingest(store, batch, now)
        fold(store, now + dice.choice([-HOUR_MS, 0, HOUR_MS]))
        if store.is_sqlite:
            with store.reading() as connection:
                followed += calls_since(connection, cursor)
            places.append(cursor.received)
    assert kept(store) == ids(batches)
    while fold(store, now) == 0.0:
        pass
    check_whole(store)
    if store.is_sqlite:
        with store.reading() as connection:
            assert sorted(call["id"] for call in followed) == sorted(connection.scalars(select(calls.c.id)))
        assert places == sorted(places)


def test_a_lease_outlives_no_clock_that_goes_back(store):
    """Its holder killed, the next need not wait for the hour to come round; alive, it has renewed it and keeps it."""

    def hold(name, now):
        with store.writing() as connection:
            return leases.acquire(connection, "work", name, LEASE_MS, now)

    first = hold("one", NOW)
    assert hold("two", NOW + 1) is None
    assert hold("one", NOW - HOUR_MS).token > first.token - 1
    assert hold("two", NOW - HOUR_MS + 1) is None
    second = hold("one", NOW + HOUR_MS)
    assert hold("two", NOW + HOUR_MS + 1) is None
    third = hold("two", NOW)
    assert third.token > second.token
    assert hold("one", NOW + 1) is None
    assert hold("one", NOW + LEASE_MS).token > third.token


def test_a_worker_under_a_jumping_clock_holds_on(store):
    """Whichever way it jumps, one of two leads at every look."""
    dice = Random(63)
    one, two, now = StoreLease(store, "one"), StoreLease(store, "two"), NOW
    for _ in range(100):
        now += dice.choice([-HOUR_MS, HOUR_MS, 5_000, 5_000])
        assert one.hold(now) != two.hold(now)


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
@pytest.mark.parametrize("jump", [-HOUR_MS, 0, HOUR_MS], ids=["back", "none", "forward"])
def test_writers_that_passed_each_other_are_mended_whatever_the_clock(store, jump):
    """A call and what was said of it, committed beside each other, are scored after a jump as before."""
    fold(store, NOW)
    with store.writing() as one, store.writing() as two:
        ingest_within(one, [call_line(CallRecord(id="a", at=NOW, endpoint="chat.completions", request=b"{}"))], NOW + 1)
        ingest_within(two, [feedback_line(FeedbackRecord(id="b", at=NOW, call_id="a", value=0.5))], NOW + 2)
    fold(store, NOW + jump + 15_000)
    with store.reading() as connection:
        assert connection.scalar(select(calls.c.score)) == 0.5
    check_whole(store)
