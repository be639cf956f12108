"""Moving a store into another one: complete, resumable, and counted once."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from test_store_evidence import NOW, records

from logos_shift_openai.core.prices import Price
from logos_shift_openai.server.calls import Filters, find_call, list_calls
from logos_shift_openai.server.dictionaries import FIRST_AT, train_due
from logos_shift_openai.server.fold import fold
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.prices import keep_prices, read_prices
from logos_shift_openai.server.retention import Rule, enforce, set_rule
from logos_shift_openai.server.statistics import totals, variant_statistics
from logos_shift_openai.server.store.database import Store, open_store
from logos_shift_openai.server.store.moving import compare, move

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 86_400_000


@pytest.fixture
def server(postgres_url: str) -> Iterator[Store]:
    """An empty store on PostgreSQL."""
    store = open_store(postgres_url)
    yield store
    store.close()


def everything(store: Store) -> Any:
    with store.reading() as connection:
        heads = list_calls(connection, Filters())
        return heads, variant_statistics(connection), [find_call(connection, head["id"]) for head in heads[:20]]


def fill(store: Store, lines: Any) -> None:
    ingest(store, records(Random(2), 200), NOW)
    ingest(store, [lines.call(dataset="sales", request={"n": n}) for n in range(2 * FIRST_AT)], NOW)
    train_due(store, NOW)
    ingest(store, [lines.call(dataset="sales", request={"n": n}) for n in range(50)], NOW)
    fold(store, NOW)


def test_a_moved_store_is_the_same(sqlite_store: Store, server: Store, lines: Any) -> None:
    """Calls, bodies, feedback, scores and evidence; the counts are compared at the end."""
    fill(sqlite_store, lines)
    seen: list[tuple[int, int]] = []
    compared = move(sqlite_store, server, lambda done, total: seen.append((done, total)))
    assert [one.missing for one in compared] == [0] * len(compared)
    assert all(one.source == one.target for one in compared)
    assert seen[-1][0] == seen[-1][1]
    assert everything(server) == everything(sqlite_store)
    move(sqlite_store, server)
    assert everything(server) == everything(sqlite_store)


def test_prices_of_your_own_come_along(sqlite_store: Store, server: Store) -> None:
    """And those that the target has already stay."""
    table = {"tiny": Price(0.1, 0.4)}
    with sqlite_store.writing() as connection:
        keep_prices(connection, table)
    move(sqlite_store, server)
    with server.reading() as connection:
        assert read_prices(connection).table == table
    with server.writing() as connection:
        keep_prices(connection, {})
        keep_prices(connection, {"other": Price(1, 1)})
    move(sqlite_store, server)
    with server.reading() as connection:
        assert read_prices(connection).table == {"other": Price(1, 1)}


def test_a_move_that_broke_off_goes_on(sqlite_store: Store, server: Store, lines: Any) -> None:
    """What was copied is neither copied nor counted again, and a target in use keeps its own."""
    fill(sqlite_store, lines)
    ingest(server, [lines.call(id="own", dataset="of-the-target")], NOW)

    def break_off(done: int, _total: int) -> None:
        if done >= 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(sqlite_store, server, break_off)
    assert any(one.missing for one in compare(sqlite_store, server))
    first: list[int] = []
    compared = move(sqlite_store, server, lambda done, _total: first.append(done))
    assert first[-1] < compared[0].source + compared[2].source
    assert [one.missing for one in compared] == [0] * len(compared)
    with sqlite_store.reading() as one, server.reading() as two:
        own = [row for row in variant_statistics(two) if row.dataset != "of-the-target"]
        assert own == variant_statistics(one)
        assert totals(two).calls == totals(one).calls + 1


def test_what_was_counted_of_calls_long_removed_comes_along(sqlite_store: Store, server: Store, lines: Any) -> None:
    """Once, however often the move is run."""
    ingest(sqlite_store, [lines.call(id="old", at=NOW - 90 * DAY), lines.feedback("old", value=0.5)], NOW)
    ingest(sqlite_store, [lines.call(id="new", at=NOW)], NOW)
    with sqlite_store.writing() as connection:
        set_rule(connection, Rule("*", days=30))
    assert enforce(sqlite_store, NOW).calls == 1
    for _ in range(2):
        move(sqlite_store, server)
        with sqlite_store.reading() as one, server.reading() as two:
            assert variant_statistics(two) == variant_statistics(one)
            assert totals(two).calls == 2
