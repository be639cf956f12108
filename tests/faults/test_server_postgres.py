"""PostgreSQL restarted under load, and the leader of two servers killed: nothing that was answered 2xx is lost."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("uvicorn")
from fault_programs import BUSY
from served_faults import LEASE_SECONDS, Senders, ServerProcess, check_whole, ids, kept, make_batches, wait_until
from sqlalchemy import func, select, text

from logos_shift_openai.core.records import CallRecord, FeedbackRecord, call_line, feedback_line
from logos_shift_openai.server.fold import fold, settle
from logos_shift_openai.server.ingest import ingest_within
from logos_shift_openai.server.store.database import open_store
from logos_shift_openai.server.store.evidence import calls_locked
from logos_shift_openai.server.store.schema import calls, evidence_deltas

NOW = 1_764_000_000_000


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
    assert took < LEASE_SECONDS * 1.25 + 2.0 * BUSY  # its lease, a look, and a busy machine
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


def test_mending_that_a_writer_stands_in_the_way_of_is_done_the_next_turn(postgres_url):
    """The database ends it, as one of two that wait for each other; the step is none the worse."""
    store = open_store(postgres_url)
    with store.writing() as one, store.writing() as two:  # which do not see each other, so nothing is scored
        for name in "ab":
            ingest_within(
                one, [call_line(CallRecord(id=name, at=NOW, endpoint="chat.completions", request=b"{}"))], NOW
            )
            said = FeedbackRecord(id=f"f{name}", at=NOW, call_id=name, value=0.5)
            ingest_within(two, [feedback_line(said)], NOW)
    waits: list[float] = []
    faults: list[BaseException] = []

    def turn():
        try:
            waits.append(fold(store, NOW + 1))
        except BaseException as fault:
            faults.append(fault)

    def blocked():
        asked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        with store.reading() as connection:
            return connection.scalar(text(asked))

    thread = threading.Thread(target=turn)
    with store.writing() as writer:
        calls_locked(writer, calls.c.id, ["b"])
        thread.start()
        wait_until(blocked)
        calls_locked(writer, calls.c.id, ["a"])
    thread.join()
    assert (faults, len(waits)) == ([], 1)
    fold(store, NOW + 2)
    check_whole(store)
    with store.reading() as connection:
        assert set(connection.scalars(select(calls.c.score))) == {0.5}
    store.close()
