"""Counts kept as records come in: always those that counting the records anew gives, on each engine."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, event, func, select

from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.policy import Guarded, Policy
from logos_shift_openai.core.records import CallError, CallRecord, FeedbackRecord, Unit, call_line, feedback_line
from logos_shift_openai.server import rollout_keeping
from logos_shift_openai.server.config_versions import change_config
from logos_shift_openai.server.counting import compare, count, forget
from logos_shift_openai.server.experiments import Plan, start_in
from logos_shift_openai.server.fold import mend_since
from logos_shift_openai.server.ingest import ingest, ingest_within
from logos_shift_openai.server.measures import evidence_of, recounted
from logos_shift_openai.server.retention import Rule, enforce, set_rule
from logos_shift_openai.server.rollout_reading import get_rollout
from logos_shift_openai.server.rollouts import begin_rollout, change_rollout, tick
from logos_shift_openai.server.store.database import Store, StoreConflictError, StoreError, open_store
from logos_shift_openai.server.store.rollout_counts import counted
from logos_shift_openai.server.store.schema import calls, rollout_counts, rollout_events, rollout_units

if TYPE_CHECKING:
    from logos_shift_openai.core.evidence import Evidence
    from logos_shift_openai.core.rollout_state import State

START = 1_764_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR
POLICY = Policy(ladder=(1_000, 5_000, 10_000), guardrails=(Guarded("errors", "lower"), Guarded("latency", cap=1_000.0)))


class Traffic:
    """Calls of few users and of no user, some with parents, and feedback that comes early, late, twice or anew."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.buckets = {f"u{number}": self.dice.randrange(6_000) for number in range(6)}
        self.ids: list[str] = []

    def lines(self, size: int, at: int, share: int) -> list[bytes]:
        """Lines of about that size, around a time, in no order."""
        found = []
        for _ in range(size):
            call_id = uuid7(at, self.dice.randbytes(10))
            self.ids.append(call_id)
            found += [self.call(call_id, at, share)] * self.dice.choice((1, 1, 2))
        found += [self.said(self.dice.choice(self.ids), at) for _ in range(size)]
        self.dice.shuffle(found)
        return found

    def call(self, call_id: str, at: int, share: int) -> bytes:
        dice = self.dice
        unit = Unit("call", call_id) if dice.random() < 0.3 else Unit("user", dice.choice(sorted(self.buckets)))
        bucket = self.buckets.get(unit.id, dice.randrange(10_000))
        drawn = "candidate" if bucket < share else "baseline"
        forced = dice.random() < 0.05
        return call_line(
            CallRecord(
                id=call_id, at=at + dice.randrange(-HOUR // 2, HOUR // 2), endpoint="chat.completions", request=b"{}",
                dataset="sales", unit=unit, experiment="x", share=share, bucket=bucket,
                parent=dice.choice([None, None, dice.choice(self.ids)]),
                assigned="baseline" if forced else drawn,  # type: ignore[arg-type]
                served=dice.choice(("baseline", drawn)),  # type: ignore[arg-type]
                error=dice.choice([None, None, None, CallError("E", 500)]), duration_ms=float(dice.randrange(-9, 1_500)),
            )
        )  # fmt: skip

    def said(self, call_id: str, at: int) -> bytes:
        made = uuid7(at, self.dice.randbytes(10))
        return feedback_line(FeedbackRecord(id=made, at=at, call_id=call_id, value=self.dice.choice((0.0, 1 / 3, 1.0))))


def kept(store: Store, policy: Policy, state: State) -> Evidence:
    with store.reading() as connection:
        return evidence_of(connection, "x", policy, state, 0)


def anew(store: Store, policy: Policy, state: State) -> Evidence:
    """Count from the records, as of the time that the kept counts are of."""
    with store.reading() as connection:
        head = counted(connection, "x")
        assert head is not None
        return recounted(connection, "x", policy, state, head.until / 1000)


def rows(store: Store, table: Any) -> int:
    with store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def begun(store: Store) -> Store:
    """A store with an experiment whose rollout has just begun."""
    plan = Plan(key="x", models=("big",), candidate="small", dataset="sales")
    change_config(store, lambda document: start_in(document, plan, "salt"), why="test", now=START)
    begin_rollout(store, "x", POLICY, START)
    return store


def step(store: Store, state: State, share: int, now: int) -> State:
    """Go to a share as a decision does."""
    after = replace(state, seen=now / 1000).at(share, {"success": 300, "errors": 500})
    with store.writing() as connection:
        rollout_keeping._keep_state(connection, "x", get_rollout(store, "x"), POLICY, after, now, {})
    return after


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_the_records(begun: Store, seed: int) -> None:
    """Whatever comes in whatever order, counted at whatever times, over steps, pauses and a share set by hand."""
    traffic, dice = Traffic(seed), Random(seed)
    state, now, share = get_rollout(begun, "x").state, START, 1_000
    for turn in range(14):
        ingest(begun, traffic.lines(dice.randrange(1, 25), now - dice.choice((0, 0, 2 * HOUR)), share), now)
        now += dice.choice((1_000, HOUR // 3, HOUR))
        if dice.random() < 0.7:
            count(begun, "x", POLICY, state, now)
            assert kept(begun, POLICY, state) == anew(begun, POLICY, state)
        share = {4: 3_000, 6: 1_000, 8: 5_000}.get(turn, share)
        if share == 5_000 and state.share == 1_000:
            state = step(begun, state, share, now)
    count(begun, "x", POLICY, state, now + 2 * HOUR)
    found = kept(begun, POLICY, state)
    assert found == anew(begun, POLICY, state)
    assert {cell.share for cell, _ in found.items()} == {1_000, 5_000}
    assert {cell.metric for cell, _ in found.items()} == {"success", "errors", "latency", "units"}
    said = compare(begun, "x", POLICY, state)
    assert (said.agrees, said.scores) == (True, said.anew)
    assert rows(begun, rollout_events) == 0


def test_a_turn_that_dies_anywhere_changes_nothing(begun: Store) -> None:
    """At each statement in turn, while records are counted and while all is counted anew."""
    traffic, now = Traffic(5), START
    state = get_rollout(begun, "x").state
    for fresh in (True, False):
        ingest(begun, traffic.lines(20, now, 1_000), now)
        now += 2 * HOUR
        before = [rows(begun, table) for table in (rollout_events, rollout_units)]
        deaths = 0
        while True:
            try:
                with dying(begun, deaths):
                    count(begun, "x", POLICY, state, now)
            except ZeroDivisionError:
                deaths += 1
                assert [rows(begun, table) for table in (rollout_events, rollout_units)] == before, fresh
            else:
                break
        assert deaths >= 3
        assert kept(begun, POLICY, state) == anew(begun, POLICY, state)


class dying:  # noqa: N801 - reads as a statement
    """Within it the process dies before the n-th change to a row."""

    def __init__(self, store: Store, number: int) -> None:
        self.engine, self.left = store.engine, number

    def __enter__(self) -> None:
        event.listen(self.engine, "before_cursor_execute", self.look)

    def __exit__(self, *_: object) -> None:
        event.remove(self.engine, "before_cursor_execute", self.look)

    def look(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(("INSERT", "DELETE", "UPDATE")):
            self.left -= 1
            if self.left < 0:
                raise ZeroDivisionError


def test_two_that_count_at_once_count_once(begun: Store) -> None:
    """While records are coming in: in the end each is counted once."""
    traffic = Traffic(6)
    state = get_rollout(begun, "x").state
    batches = [traffic.lines(15, START + number * HOUR // 9, 1_000) for number in range(12)]
    done = threading.Event()

    def lead() -> None:
        while not done.is_set():
            try:
                count(begun, "x", POLICY, state, START)
            except StoreConflictError:
                continue

    leaders = [threading.Thread(target=lead) for _ in range(2)]
    for leader in leaders:
        leader.start()
    for batch in batches:
        ingest(begun, batch, START)
    done.set()
    for leader in leaders:
        leader.join()
    mend_since(begun, 0)
    count(begun, "x", POLICY, state, START + DAY)
    assert kept(begun, POLICY, state) == anew(begun, POLICY, state)
    assert compare(begun, "x", POLICY, state).agrees


def test_a_batch_that_commits_late_is_counted(begun: Store) -> None:
    """Others that came after it are counted meanwhile, on the engine that has such a thing."""
    if begun.is_sqlite:
        pytest.skip("one writer at a time")
    traffic = Traffic(7)
    state = get_rollout(begun, "x").state
    for fresh in (True, False):
        with begun.writing() as late:
            ingest_within(late, traffic.lines(9, START, 1_000), START)
            before = traffic.ids[:]
            other = Traffic(8 + fresh)
            ingest(begun, other.lines(9, START, 1_000), START)
            count(begun, "x", POLICY, state, START + HOUR)
            assert kept(begun, POLICY, state) == anew(begun, POLICY, state)
        count(begun, "x", POLICY, state, START + HOUR)
        assert kept(begun, POLICY, state) == anew(begun, POLICY, state), (fresh, before)


@pytest.mark.skipif(os.environ.get("LOGOS_SHIFT_TEST_PGBOUNCER") == "1", reason="a pooler takes no startup options")
def test_a_rollout_does_not_begin_while_records_that_knew_of_none_are_taken_in(postgres_url: str) -> None:
    """Else what they say to it would be lost; on SQLite there is one writer anyway."""
    store, hasty = open_store(postgres_url), open_store(f"{postgres_url}?options=-c%20lock_timeout%3D100ms")
    plan = Plan(key="x", models=("big",), candidate="small", dataset="sales")
    change_config(store, lambda document: start_in(document, plan, "salt"), why="test", now=START)
    with store.writing() as late:
        ingest_within(late, Traffic(16).lines(9, START + HOUR, 1_000), START)
        with pytest.raises(StoreError, match="lock timeout"):
            begin_rollout(hasty, "x", POLICY, START)
    begin_rollout(hasty, "x", POLICY, START)
    one = get_rollout(store, "x")
    count(store, "x", POLICY, one.state, START + 3 * HOUR)
    assert len(kept(store, POLICY, one.state)) > 3
    assert kept(store, POLICY, one.state) == anew(store, POLICY, one.state)
    store.close()
    hasty.close()


def test_evidence_outlives_the_calls(begun: Store) -> None:
    """Retention takes the records; the counts stay, and feedback on what is gone changes nothing."""
    traffic = Traffic(9)
    state = get_rollout(begun, "x").state
    ingest(begun, traffic.lines(30, START, 1_000), START)
    count(begun, "x", POLICY, state, START + 2 * HOUR)
    before = kept(begun, POLICY, state)
    with begun.writing() as connection:
        set_rule(connection, Rule("sales", 1))
    enforce(begun, START + 9 * DAY)
    assert rows(begun, calls) == 0
    with begun.writing() as connection:
        set_rule(connection, Rule("sales", None))
    ingest(begun, [traffic.said(traffic.ids[0], START)], START + 9 * DAY)
    count(begun, "x", POLICY, state, START + 9 * DAY)
    assert len(before) > 5
    assert kept(begun, POLICY, state) == before
    assert compare(begun, "x", POLICY, state).agrees is False


def test_a_new_run_begins_with_the_calls_that_are_its_own(begun: Store) -> None:
    """After a promotion only calls since then count, and the units of the old run go, a part at a time."""
    traffic = Traffic(10)
    ingest(begun, traffic.lines(30, START + HOUR, 1_000), START + HOUR)
    tick(begun, START + HOUR)
    assert rows(begun, rollout_units) > 3
    change_rollout(begun, "x", "promote", START + HOUR)
    state = get_rollout(begun, "x").state
    assert (state.run, state.share) == (2, 9_900)
    tick(begun, START + HOUR)
    ingest(begun, traffic.lines(30, START + 2 * HOUR, 9_900), START + 2 * HOUR)
    tick(begun, START + 4 * HOUR)
    state = get_rollout(begun, "x").state
    found = kept(begun, POLICY, state)
    assert {cell.share for cell, _ in found.items()} == {9_900}
    assert found == anew(begun, POLICY, state)
    with begun.reading() as connection:
        assert len(set(connection.scalars(select(rollout_units.c.generation)))) == 1


def test_what_has_ended_is_forgotten_but_for_its_counts(begun: Store) -> None:
    """No event is written any more, and what was left over is dropped."""
    traffic = Traffic(11)
    ingest(begun, traffic.lines(20, START + HOUR, 1_000), START + HOUR)
    tick(begun, START + HOUR)
    ingest(begun, traffic.lines(20, START + HOUR, 1_000), START + HOUR)
    change_rollout(begun, "x", "roll_back", START + 2 * HOUR)
    ingest(begun, traffic.lines(20, START + 2 * HOUR, 0), START + 2 * HOUR)
    tick(begun, START + 3 * HOUR)
    assert [rows(begun, one) for one in (rollout_events, rollout_units, rollout_counts)] == [0, 0, 1]
    forget(begun, "x")


def test_an_upgraded_store_is_counted_from_its_records(begun: Store) -> None:
    """An open rollout of a version that kept no counts: the first look makes them."""
    traffic = Traffic(12)
    ingest(begun, traffic.lines(40, START + HOUR, 1_000), START + HOUR)
    with begun.writing() as connection:
        for table in (rollout_events, rollout_units, rollout_counts):
            connection.execute(delete(table))
    one = get_rollout(begun, "x")
    with begun.reading() as connection:
        assert len(evidence_of(connection, "x", one.policy, one.state, START / 1000)) > 5  # before the first look
    tick(begun, START + 2 * HOUR)
    assert kept(begun, POLICY, one.state) == anew(begun, POLICY, one.state)
    ingest(begun, traffic.lines(10, START + 2 * HOUR, 1_000), START + 2 * HOUR)
    count(begun, "x", POLICY, one.state, START + 4 * HOUR)
    assert kept(begun, POLICY, one.state) == anew(begun, POLICY, one.state)


def test_nothing_is_written_where_no_rollout_is_open(store: Store) -> None:
    """Calls of experiments are counted by nobody there."""
    ingest(store, Traffic(13).lines(10, START, 1_000), START)
    assert rows(store, rollout_events) == 0


def test_a_clock_that_jumps_back_takes_nothing_off(begun: Store) -> None:
    """What was counted because its hour was over stays counted."""
    state = get_rollout(begun, "x").state
    ingest(begun, Traffic(14).lines(10, START + HOUR, 1_000), START + HOUR)
    count(begun, "x", POLICY, state, START + 9 * HOUR)
    before = kept(begun, POLICY, state)
    ingest(begun, [Traffic(15).said("of no call", START)], START)
    count(begun, "x", POLICY, state, START)
    assert kept(begun, POLICY, state) == before
