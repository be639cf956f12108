"""Following a store: each call once, in the order of arrival, also one whose transaction is committed late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.server.following import BEHIND_MS, Cursor, calls_since, latest
from logos_shift_openai.server.ingest import ingest, ingest_within
from logos_shift_openai.server.store.database import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.server.store.database import Store

NOW = 1_764_000_000_000
HOUR = 3_600_000


@pytest.fixture
def shared(postgres_url: str) -> Iterator[Store]:
    """A store that several may write to at once."""
    opened = open_store(postgres_url)
    yield opened
    opened.close()


def fresh(store: Store, cursor: Cursor) -> list[str]:
    """Look once."""
    with store.reading() as connection:
        return [call["id"] for call in calls_since(connection, cursor)]


def test_a_cursor_sees_each_call_once_in_the_order_of_arrival(store: Store, lines: Any, take: Any) -> None:
    """Late calls with an early start too, and several batches of one millisecond."""
    take(lines.call(id="old"), now=NOW)
    with store.reading() as connection:
        cursor = latest(connection)
        assert calls_since(connection, cursor) == []
    take(lines.call(id="b", at=5), lines.call(id="a", at=4), now=NOW)
    with store.reading() as connection:
        assert [call["id"] for call in calls_since(connection, cursor)] == ["a", "b"]
    take(lines.call(id="late", at=1), now=NOW)
    take(lines.call(id="next", at=2), now=NOW + 7)
    with store.reading() as connection:
        assert [call["id"] for call in calls_since(connection, cursor)] == ["late", "next"]
        assert calls_since(connection, cursor) == []


def test_an_empty_store_gives_a_cursor_that_sees_the_first_call(store: Store, lines: Any, take: Any) -> None:
    """There is nothing to be behind of yet."""
    with store.reading() as connection:
        cursor = latest(connection)
    take(lines.call(id="first"))
    with store.reading() as connection:
        assert [call["id"] for call in calls_since(connection, cursor)] == ["first"]


def test_a_call_that_is_committed_late_is_seen(shared: Store, lines: Any) -> None:
    """Its transaction was open for an hour, in which others came and were seen; each is seen once."""
    ingest(shared, [lines.call(id="old")], NOW - HOUR)
    with shared.reading() as connection:
        cursor = latest(connection)
    with shared.writing() as slow:
        ingest_within(slow, [lines.call(id="slow")], NOW)
        ingest(shared, [lines.call(id="quick")], NOW + 5)
        assert fresh(shared, cursor) == ["quick"]
        ingest(shared, [lines.call(id="later")], NOW + HOUR)
        assert fresh(shared, cursor) == ["later"]
        assert fresh(shared, cursor) == []
    assert fresh(shared, cursor) == ["slow"]
    assert fresh(shared, cursor) == []


def test_who_begins_to_follow_sees_what_is_under_way(shared: Store, lines: Any) -> None:
    """A call that was received before the follower's first look, and committed after it."""
    with shared.writing() as slow:
        ingest_within(slow, [lines.call(id="slow")], NOW)
        ingest(shared, [lines.call(id="quick")], NOW + 5)
        with shared.reading() as connection:
            cursor = latest(connection)
        assert fresh(shared, cursor) == []
    assert fresh(shared, cursor) == ["slow"]


def test_a_server_whose_clock_is_behind_is_followed(shared: Store, lines: Any) -> None:
    """As far as clocks may differ; and no more ids are kept than of that time."""
    cursor = Cursor()
    for turn in range(5):
        now = NOW + turn * 2 * BEHIND_MS
        ingest(shared, [lines.call(id=f"a{turn}")], now)
        assert fresh(shared, cursor) == [f"a{turn}"]
        ingest(shared, [lines.call(id=f"b{turn}")], now - BEHIND_MS)
        assert fresh(shared, cursor) == [f"b{turn}"]
        assert cursor.ids == {f"a{turn}", f"b{turn}"}
        assert len(cursor.marks) <= 1
