"""Rollouts: what they add to a record, what a look costs over more and more calls, and how soon a decision follows.

What a record costs is the CPU of this process: the same lines go into two stores in turns, of which one has rollouts
that all of the calls belong to, and the ticks that a server does meanwhile are done for both. For the looks the store
is filled with events as ingest appends them, 500 calls each, which the server's own code counts; the calls' rows, which
a look does not read, are left out.
"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from benchmarks.measure import Row, each
from benchmarks.server.ingest import send
from benchmarks.server.records import SHARE, START, Records
from benchmarks.server.served import Process, folder, postgres, served

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.server.sizes import Size
    from logos_shift_openai.core.evidence import Evidence
    from logos_shift_openai.server.store.database import Store

_BATCH = 500
_BATCHES_A_TICK = 8
"""As many as come in a second at 4,000 records a second."""
_TURNS = 21
_FOR_EVER = 3_000 * 86_400.0


def rows(size: Size) -> list[Row]:
    """Measure on both engines."""
    found = _deciding()
    with folder() as home:
        found += _looks("SQLite", home / "store.sqlite3", size)
    with folder() as home:
        found += _ingest("SQLite", (home / "plain.sqlite3", home / "busy.sqlite3"), size)
        found += _served("SQLite", home, None)
    with postgres() as cluster:
        if cluster is not None:
            found += _looks("PostgreSQL", cluster.new_database(), size)
            found += _ingest("PostgreSQL", (cluster.new_database(), cluster.new_database()), size)
            with folder() as home:
                found += _served("PostgreSQL", home, cluster.new_database())
    return found


def _ingest(name: str, targets: tuple[Path | str, Path | str], size: Size) -> list[Row]:
    """Take the same lines into two stores in turns, one with open rollouts, and count them in that one."""
    from logos_shift_openai.server.ingest import ingest
    from logos_shift_openai.server.rollouts import tick
    from logos_shift_openai.server.store.database import open_store

    plain, busy = stores = tuple(open_store(target) for target in targets)
    _begin(busy)
    found = []
    for seed, kind in ((5, "user"), (6, "call")):
        lines = Records(seed, kind).calls(size.records)
        cpu = {plain.where: 0.0, busy.where: 0.0}
        for start in range(0, len(lines), _BATCH):
            for store in stores:
                began = time.process_time()
                ingest(store, lines[start : start + _BATCH], START)
                if start // _BATCH % _BATCHES_A_TICK == _BATCHES_A_TICK - 1 or start + _BATCH >= len(lines):
                    tick(store, START + start)
                cpu[store.where] += time.process_time() - began
        without, added = (one / len(lines) * 1e6 for one in (cpu[plain.where], cpu[busy.where] - cpu[plain.where]))
        note = f"over {without:.0f} us; {size.records:,} lines in batches of {_BATCH}, counted each {_BATCHES_A_TICK}"
        target = 5.0 if kind == "call" else None
        found.append(Row(f"{name}: an open rollout adds to a record, {kind}s drawn", added, "us", target, note=note))
    for store in stores:
        store.close()
    return found


def _served(name: str, home: Path, address: str | None) -> list[Row]:
    from logos_shift_openai.server.store.database import open_store

    with served(home, address) as server:
        store = open_store(address or home / "store.sqlite3")
        _begin(store)
        store.close()
        took = _decision(server)
    note = "from the answer to the records to the config that follows, by long-poll"
    return [Row(f"{name}: a decision is out", took, "s", 2, note=note)]


def _begin(store: Store) -> None:
    from logos_shift_openai.core.policy import Policy
    from logos_shift_openai.server.config_versions import change_config
    from logos_shift_openai.server.experiments import Plan, start_in
    from logos_shift_openai.server.rollouts import begin_rollout

    policy = Policy(ladder=(SHARE, 10_000), deadline_seconds=_FOR_EVER)
    for dataset in ("sales", "support"):
        plan = Plan(f"{dataset}-tiny", ("gpt-6.1-sol",), "tiny", dataset=dataset)
        change_config(store, partial(start_in, plan=plan, salt="salt"), why="benchmark", now=START)
        begin_rollout(store, plan.key, policy, START)


def _decision(server: Process) -> float:
    """Give the seconds until a candidate that fails every call is out."""
    headers = {"Authorization": f"Bearer {server.key}"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    shares, etag = [-1], ""
    send(server, Records(seed=9, failing="candidate").calls(2_000), _BATCH)
    began = time.perf_counter()
    while 0 not in shares:
        connection.request("GET", "/v1/config?wait=30", headers={**headers, "If-None-Match": etag})
        answer = connection.getresponse()
        etag, document = answer.headers["ETag"], answer.read()
        shares = [one["share"] for one in json.loads(document)["experiments"]] if document else shares
    connection.close()
    return time.perf_counter() - began


def _looks(name: str, target: Path | str, size: Size) -> list[Row]:
    from logos_shift_openai.core.rollout import decide
    from logos_shift_openai.server.counting import count
    from logos_shift_openai.server.measures import evidence_of
    from logos_shift_openai.server.rollout_reading import get_rollout
    from logos_shift_openai.server.store.database import open_store

    store, times, there = open_store(target), [], 0
    _begin(store)
    one = get_rollout(store, "sales-tiny")

    def look() -> None:
        count(store, one.experiment, one.policy, one.state, START)
        with store.reading() as connection:
            evidence = evidence_of(connection, one.experiment, one.policy, one.state, START / 1000)
        assert decide(one.policy, one.state, evidence, START / 1000).look

    for calls in size.calls:
        _fill(store, calls - there)
        there = calls
        look()
        times.append(statistics.median(each(look, _TURNS)) * 1000)
    store.close()
    note = f"median of {_TURNS}: what waits, the evidence, and `decide`"
    found = [
        Row(f"{name}: a look over {calls:,} calls", took, "ms", 10 if calls >= 1_000_000 else None, note=note)
        for calls, took in zip(size.calls, times, strict=True)
    ]
    slower = f"{name}: the look over {size.calls[-1]:,} against {size.calls[0]:,} calls"
    return [*found, Row(slower, times[-1] / times[0], "", 2)]


def _fill(store: Store, calls: int) -> None:
    from logos_shift_openai.server.counting import count
    from logos_shift_openai.server.rollout_reading import get_rollout
    from logos_shift_openai.server.store.rollout_counts import Event, EventCall, append_event

    dice, one = Random(4), get_rollout(store, "sales-tiny")
    event = Event([], [])
    for number in range(_BATCH):
        scores = {"errors": 600 * (dice.random() < 0.98), "success": dice.randrange(601)}
        event.calls.append(EventCall(f"c{number}", START, b"", SHARE, dice.randrange(10_000) < SHARE, scores))
    for start in range(0, calls, _BATCH * 100):
        with store.writing() as connection:
            for _ in range(start, min(calls, start + _BATCH * 100), _BATCH):
                append_event(connection, one.experiment, event)
        count(store, one.experiment, one.policy, one.state, START)


def _deciding() -> list[Row]:
    """`decide` on evidence of 3,500 cells: five shares, two metrics with 170 scores each and two with five."""
    from logos_shift_openai.core.policy import Guarded, Policy
    from logos_shift_openai.core.rollout import begin, decide

    slow = (Guarded("latency", "lower", cap=1_000.0), Guarded("first_token", "lower", cap=1_000.0))
    policy = Policy(guardrails=(Guarded("errors", "lower"), *slow))
    state, dice = begin(policy, 0), Random(3)
    for number, share in enumerate(policy.ladder[1:5], 1):
        state = replace(state, seen=number * 1e5).at(share, {})
    evidence = _evidence(dice, policy.ladder[:5])
    (first,) = each(lambda: decide(policy, state, evidence, state.seen), 1)

    def grow() -> None:
        evidence.merge(_evidence(dice, policy.ladder[4:5]))

    took = []
    for _ in range(_TURNS):
        grow()
        took += each(lambda: decide(policy, state, evidence, state.seen), 1)
    note = f"{len(evidence):,} cells, five shares, four metrics"
    return [
        Row("decide, when the present share has new counts", statistics.median(took) * 1000, "ms", 1, note=note),
        Row("decide, the first one of a process", first * 1000, "ms", note="finds every fraction and logarithm"),
    ]


def _evidence(dice: Random, shares: tuple[int, ...]) -> Evidence:
    from logos_shift_openai.core.evidence import Evidence, Group

    evidence = Evidence()
    for share in shares:
        for variant in ("baseline", "candidate"):
            for metric, grid in (("success", 120), ("errors", 600), ("latency", 3), ("first_token", 3)):
                scores = dice.sample(range(0, 601, grid), min(170, 600 // grid))
                counts = {score: dice.randrange(1, 90) for score in scores}
                evidence.add_group(metric, Group(share, 0, 540, variant), counts)
    return evidence
