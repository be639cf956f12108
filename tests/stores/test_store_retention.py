"""Retention by rules, daily partitions, and evidence that stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.server.calls import find_call
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.retention import Rule, enforce, rules, set_rule
from logos_shift_openai.server.store.columns import pack_id
from logos_shift_openai.server.store.database import Store, open_store
from logos_shift_openai.server.store.evidence import sums_by_key
from logos_shift_openai.server.store.partitions import days_of, make_partitions
from logos_shift_openai.server.store.schema import call_bodies, calls, feedback

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 1_764_000_000_000
DAY = 86_400_000


def counts(store: Store) -> list[int]:
    with store.reading() as connection:
        return [connection.scalar(select(func.count()).select_from(one)) or 0 for one in (calls, call_bodies, feedback)]


def test_each_dataset_has_its_own_time(any_store: Store, lines: Any, take: Any) -> None:
    """Bodies may go first; feedback goes with its call, by either id; the counts stay as they were."""
    for days in (1, 10, 40):
        at = NOW - days * DAY
        for dataset in ("short", "long"):
            name = f"{dataset}-{days}"
            take(
                lines.call(id=name, at=at, dataset=dataset, provider_id=f"p-{name}"),
                lines.feedback(name, label="success"),
                lines.feedback(f"p-{name}", comment="x"),
            )
    with any_store.writing() as connection:
        set_rule(connection, Rule("*", days=30, body_days=5))
        set_rule(connection, Rule("short", days=3))
        set_rule(connection, Rule("short", days=5))
        assert rules(connection)["short"] == Rule("short", 5, None)
    with any_store.reading() as connection:
        before = sums_by_key(connection)
    removed = enforce(any_store, NOW)
    assert (removed.calls, removed.bodies) == (3, 4)
    assert counts(any_store) == [3, 2, 6]
    with any_store.reading() as connection:
        assert set(connection.scalars(select(calls.c.id))) == {"short-1", "long-1", "long-10"}
        assert sums_by_key(connection) == before
        without = find_call(connection, "long-10")
    assert without is not None
    assert (without["request"], without["response"], without["attempts"]) == (None, None, [])
    again = enforce(any_store, NOW)
    assert (again.calls, again.bodies) == (0, 0)
    with pytest.raises(ValueError, match="at least 1"), any_store.writing() as connection:
        set_rule(connection, Rule("*", days=0))


def test_what_was_removed_does_not_come_back(any_store: Store, lines: Any, take: Any) -> None:
    """A replay of what is past its dataset's days is refused and counts nothing; younger and other ones are taken."""
    old, younger = NOW - 10 * DAY - 1, NOW - 10 * DAY
    batch = [
        lines.call(id="old", at=old, dataset="short"),
        lines.call(id="young", at=younger, dataset="short"),
        lines.call(id="other", at=old, dataset="long"),
        lines.feedback("old", id="said", at=NOW - 31 * DAY, value=1),
    ]
    assert take(*batch).new == 4
    with any_store.writing() as connection:
        set_rule(connection, Rule("*", days=30))
        set_rule(connection, Rule("short", days=10))
    enforce(any_store, NOW)
    with any_store.reading() as connection:
        before = sums_by_key(connection)
    receipt = take(*batch)
    assert (receipt.new, receipt.seen) == (0, 2)
    assert {one.id: (one.line, one.why) for one in receipt.refused} == {
        "old": (1, "past retention: calls of 'short' are kept for 10 days"),
        "said": (4, "past retention: feedback is kept for 30 days"),
    }
    with any_store.reading() as connection:
        assert sums_by_key(connection) == before
    with any_store.writing() as connection:
        set_rule(connection, Rule("long"))
        set_rule(connection, Rule("short", days=11))
    again = take(lines.call(id="new", at=old, dataset="short"), lines.feedback("new", at=1, value=1))
    assert (again.new, again.refused) == (2, ())


def test_without_rules_all_is_kept(any_store: Store, lines: Any, take: Any) -> None:
    """A store nobody has set a rule for loses nothing."""
    take(lines.call(at=1))
    assert enforce(any_store, NOW).calls == 0
    assert counts(any_store)[0] == 1


@pytest.fixture
def server(postgres_url: str) -> Iterator[Store]:
    """A store on PostgreSQL."""
    store = open_store(postgres_url)
    yield store
    store.close()


def place(store: Store, call_id: str) -> str:
    with store.reading() as connection:
        found = connection.exec_driver_sql(
            "SELECT tableoid::regclass::text FROM calls WHERE id = %s", (pack_id(call_id),)
        )
        return str(found.scalar_one())


def test_a_day_of_ids_lies_in_its_partition(server: Store, lines: Any) -> None:
    """Each id says its day; what has no day of its own lies in the default one, and each id is there once."""
    with server.writing() as connection:
        make_partitions(connection, NOW)
        assert NOW // DAY in days_of(connection, "calls")
        assert make_partitions(connection, NOW) == []
    at_midnight = NOW - NOW % DAY
    names = {
        uuid7(at_midnight, bytes(10)): f"calls_day_{NOW // DAY}",
        uuid7(at_midnight + DAY - 1, b"\xff" * 10): f"calls_day_{NOW // DAY}",
        uuid7(at_midnight + DAY, bytes(10)): f"calls_day_{NOW // DAY + 1}",
        uuid7(NOW - 300 * DAY, bytes(10)): "calls_default",
        "chatcmpl-of-somebody": "calls_default",
    }
    batch = [lines.call(id=name, at=NOW) for name in names]
    assert ingest(server, batch, NOW).new == len(names)
    assert ingest(server, batch, NOW).new == 0
    assert {name: place(server, name) for name in names} == names


def test_a_day_that_came_without_its_partition_gets_it_later(server: Store, lines: Any) -> None:
    """Rows move over from the default one, and stay findable and unique."""
    late = NOW + 300 * DAY
    name = uuid7(late, bytes(10))
    ingest(server, [lines.call(id=name, at=late)], NOW)
    assert place(server, name) == "calls_default"
    with server.writing() as connection:
        make_partitions(connection, late)
    assert place(server, name) == f"calls_day_{late // DAY}"
    assert ingest(server, [lines.call(id=name, at=late)], NOW).seen == 1
    with server.reading() as connection:
        assert find_call(connection, name) is not None


def test_whole_days_go_by_dropping_their_partition(server: Store, lines: Any) -> None:
    """With every dataset's time past; feedback on its calls goes too."""
    with server.writing() as connection:
        make_partitions(connection, NOW)
        set_rule(connection, Rule("*", days=2))
    names = [uuid7(NOW + number, bytes(10)) for number in range(5)]
    ingest(server, [lines.call(id=name, at=NOW) for name in names], NOW)
    ingest(server, [lines.feedback(name, label="success") for name in names], NOW)
    later = NOW + 30 * DAY
    ingest(server, [lines.call(id="other", at=later)], later)
    removed = enforce(server, later)
    assert removed.partitions > 0
    assert counts(server) == [1, 1, 0]
    with server.reading() as connection:
        assert NOW // DAY not in days_of(connection, "calls")
        assert sum(sums.calls for sums in sums_by_key(connection).values()) == 6
