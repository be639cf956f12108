"""Evidence is what a recount of the records gives, whatever came in which order and how often."""

from __future__ import annotations

import threading
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from logos_shift_openai.core.records import CallError, CallRecord, FeedbackRecord, call_line, feedback_line
from logos_shift_openai.server.feedback import effective_scores
from logos_shift_openai.server.fold import fold, mend_since
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.statistics import variant_statistics
from logos_shift_openai.server.store.database import Store, empty_store
from logos_shift_openai.server.store.evidence import HOUR_MS, Key, recount, sums_by_key
from logos_shift_openai.server.store.migrate import count_anew
from logos_shift_openai.server.store.schema import calls, evidence, evidence_deltas
from logos_shift_openai.server.store.sums import Sums, bucket_middle, bucket_of, quantile

NOW = 1_764_000_000_000


def whole(store: Store) -> dict[Key, Sums]:
    """Count anew from the raw records alone: the scores from the feedback, nothing from the evidence."""
    total: dict[Key, Sums] = {}
    with store.reading() as connection:
        table = effective_scores()
        raw = {row.id: row.score for row in connection.execute(select(table.c.id, table.c.score))}
        kept = {row.id: row.score for row in connection.execute(select(calls.c.id, calls.c.score))}
        assert {name: score for name, score in kept.items() if score is not None} == raw
        for (key, _start), sums in recount(connection).items():
            total.setdefault(key, Sums()).add(sums)
    return total


def agree(store: Store) -> None:
    expected = whole(store)
    with store.reading() as connection:
        assert sums_by_key(connection) == expected


def records(dice: Random, size: int, prefix: str = "") -> list[bytes]:
    """Calls with parents among each other and feedback by every kind of name, some of it for calls that never come."""
    names = [f"{prefix}c{number}" for number in range(size)]
    lines = [
        call_line(
            CallRecord(
                id=name,
                at=NOW - dice.randrange(50) * HOUR_MS // 7,
                endpoint=dice.choice(["chat.completions", "function"]),
                request=b"{}",
                response=dice.choice([None, b'{"usage":{"prompt_tokens":7,"completion_tokens":2}}']),
                dataset=dice.choice(["a", "b"]),
                experiment=dice.choice([None, "x"]),
                assigned=dice.choice([None, "baseline", "candidate"]),
                served=dice.choice(["baseline", "candidate"]),
                parent=dice.choice([None, dice.choice(names)]),
                provider_id=dice.choice([None, f"{prefix}p{dice.randrange(size)}"]),
                duration_ms=dice.lognormvariate(5, 2),
                first_token_ms=dice.choice([None, 3.5]),
                complete=dice.random() < 0.8,
                error=dice.choice([None, None, CallError("E", 500)]),
            )
        )
        for name in names
    ]
    for number in range(size):
        about = f"{prefix}{dice.choice(['c', 'p'])}{dice.randrange(size + 3)}"
        lines.append(
            feedback_line(
                FeedbackRecord(
                    id=f"{prefix}f{number}",
                    at=dice.randrange(5),
                    call_id=about,
                    value=dice.choice([None, 1 / 3, dice.random()]),
                    label=dice.choice([None, "success", "failure"]),
                    comment="c",
                )
            )
        )
    return lines


def batches(dice: Random, lines: list[bytes]) -> list[list[bytes]]:
    """Cut lines into batches in any order, some of them sent again."""
    shuffled = [*lines, *dice.sample(lines, len(lines) // 2)]
    dice.shuffle(shuffled)
    found: list[list[bytes]] = []
    while shuffled:
        size = dice.randrange(1, 9)
        found.append(shuffled[:size])
        shuffled = shuffled[size:]
    return found


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9), size=st.integers(1, 12))
def test_evidence_is_what_a_recount_gives(seed: int, size: int) -> None:
    """For records in any order, with replays and feedback before its call, folded in between or not."""
    dice = Random(seed)
    store = empty_store("memory")
    try:
        for batch in batches(dice, records(dice, size)):
            ingest(store, batch, NOW)
            if dice.random() < 0.3:
                fold(store, NOW)
        agree(store)
        while fold(store, NOW) == 0.0:
            pass
        agree(store)
        with store.writing() as connection:
            before = sums_by_key(connection)
            count_anew(connection)
            assert sums_by_key(connection) == before
    finally:
        store.close()


def test_the_order_of_arrival_does_not_matter(any_store: Store) -> None:
    """Many rounds into one store, on each engine; replaying everything changes nothing."""
    dice = Random(11)
    lines = [line for number in range(12) for line in records(dice, 8, f"r{number}-")]
    for batch in batches(dice, lines):
        ingest(any_store, batch, NOW)
    agree(any_store)
    fold(any_store, NOW)
    with any_store.reading() as connection:
        before = sums_by_key(connection)
        assert connection.scalar(select(func.count()).select_from(evidence_deltas)) == 0
        assert connection.scalar(select(func.count()).select_from(evidence)) > len(before)
    assert ingest(any_store, lines, NOW).new == 0
    with any_store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(evidence_deltas)) == 0
        assert sums_by_key(connection) == before


@pytest.mark.parametrize("since", [NOW - 3 * 24 * HOUR_MS, NOW - 5 * HOUR_MS - 1, NOW - 12_345, NOW + 1])
def test_since_is_exact_to_the_millisecond(any_store: Store, since: int) -> None:
    """Whole days and hours come from the sums, the rest of an hour from its calls."""
    dice = Random(3)
    ingest(any_store, records(dice, 60), NOW)
    fold(any_store, NOW)
    ingest(any_store, records(dice, 60, "late-"), NOW)
    with any_store.reading() as connection:
        found = sum(one.calls for one in variant_statistics(connection, since=since))
        assert found == connection.scalar(select(func.count()).where(calls.c.at >= since))
        raw: dict[Key, Sums] = {}
        for (key, _start), sums in recount(connection, None, (since, NOW * 2)).items():
            raw.setdefault(key, Sums()).add(sums)
        assert sums_by_key(connection, since=since) == raw


def test_writers_at_once_lose_nothing(any_store: Store) -> None:
    """Four writers send parts of the same records in their own order while one folds; mended, all of it is there."""
    dice = Random(5)
    lines = [line for number in range(8) for line in records(dice, 10, f"r{number}-")]
    faults: list[BaseException] = []

    def write(seed: int) -> None:
        own = Random(seed)
        try:
            for batch in batches(own, own.sample(lines, len(lines) * 3 // 4)):
                ingest(any_store, batch, NOW)
        except BaseException as fault:
            faults.append(fault)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        fold(any_store, NOW)
    for writer in writers:
        writer.join()
    assert faults == []
    ingest(any_store, lines, NOW)
    mend_since(any_store, 0)
    agree(any_store)


@settings(max_examples=200)
@given(st.floats(0.001, 1e9))
def test_a_time_is_found_within_a_percent(milliseconds: float) -> None:
    """The middle of its bucket is close enough."""
    assert bucket_middle(bucket_of(milliseconds)) == pytest.approx(milliseconds, rel=0.005)


def test_quantiles_are_by_nearest_rank() -> None:
    """Of nothing there is none; nothing and less take no time."""
    assert quantile({}, 50) is None
    assert quantile({bucket_of(-3.0): 5, bucket_of(0.0): 1}, 50) == 0.0
    times = {bucket_of(float(number)): 1 for number in range(1, 101)}
    assert quantile(times, 95) == pytest.approx(95, rel=0.005)
    assert quantile(times, 50) == pytest.approx(50, rel=0.005)


def test_sums_come_back_as_they_were_packed() -> None:
    """Small and large, and below nothing too: a delta may take a score off."""
    sums = Sums()
    sums.move_score(0.7, None)
    sums.latency = dict.fromkeys(range(1, 2_000, 3), 2**40)
    for one in (sums, Sums()):
        again = Sums.unpack(one.pack())
        assert again == one
        assert (again.scored, again.score, again.squares) == (one.scored, one.score, one.squares)
    with pytest.raises(ValueError, match="unknown kind"):
        Sums.unpack(b"\x09")
