"""PostgreSQL restarted under load, and the leader of two servers killed: nothing that was answered 2xx is lost."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("uvicorn")
from served_faults import LEASE_SECONDS, Senders, ServerProcess, check_whole, ids, kept, make_batches, wait_until
from sqlalchemy import func, select

from logos_shift_openai.server.fold import settle
from logos_shift_openai.server.store.database import open_store
from logos_shift_openai.server.store.schema import evidence_deltas


@pytest.fixture
def start(tmp_path):
    """Start servers that are gone at the end, whatever happens."""
    running = []

    def one(name, url, key=None):
        running.append(ServerProcess(tmp_path / name, url, key))
        return running[-1]

    yield one
    for server in running:
        server.kill()


def check_store(url, batches):
    """What was sent is there once, and counted once."""
    store = open_store(url)
    try:
        assert kept(store) == ids(batches)
        settle(store, time.time_ns() // 1_000_000)
        check_whole(store)
    finally:
        store.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgresql_restarted_under_load_loses_nothing(mode, postgres, postgres_url, start):
    """The server says 503 in between and goes on by itself; `immediate` is as if the power had gone."""
    server = start("home", postgres_url)
    batches = make_batches(400, seed=31)
    senders = Senders(batches, lambda: server)
    senders.start()
    for part in (1, 2):
        wait_until(lambda part=part: len(senders.answered) >= 100 * part)
        refused = senders.statuses[503]
        postgres.stop(mode)
        try:
            wait_until(lambda refused=refused: senders.statuses[503] >= refused + 4)
        finally:
            postgres.start()
    senders.join()
    assert set(senders.statuses) == {200, 503}
    assert senders.whys == {"store_unavailable"}
    wait_until(lambda: server.health()["status"] == "ok")
    assert server.health()["worker"]["leader"]
    assert server.end() == 0
    check_store(postgres_url, batches)


def test_a_leader_that_is_killed_is_followed_by_the_other(postgres_url, start):
    """Within the time of the lease, with batches on their way to both; what it had begun to fold is folded once."""
    first = start("first", postgres_url)
    wait_until(lambda: first.health()["worker"]["leader"])
    second = start("second", postgres_url, first.key)
    batches = make_batches(400, seed=41)
    alive = [first, second]
    turns = iter(range(10**9))

    def either():
        there = tuple(alive)
        return there[next(turns) % len(there)]

    senders = Senders(batches, either)
    senders.start()
    wait_until(lambda: len(senders.answered) >= 150)
    assert not second.health()["worker"]["leader"]
    alive.remove(first)
    first.kill()
    killed = time.monotonic()
    wait_until(lambda: second.health()["worker"]["leader"])
    took = time.monotonic() - killed
    senders.join()
    assert took < LEASE_SECONDS * 1.25 + 2.0  # its lease, a look, and a busy machine
    store = open_store(postgres_url)
    try:

        def waiting():
            with store.reading() as connection:
                return connection.scalar(select(func.count()).select_from(evidence_deltas))

        wait_until(lambda: waiting() == 0)
    finally:
        store.close()
    assert second.end() == 0
    check_store(postgres_url, batches)
