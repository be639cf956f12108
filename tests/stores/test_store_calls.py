"""Reading calls back: which one an id names, and following what comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logos_shift_openai.server.calls import calls_since, find_call, latest

if TYPE_CHECKING:
    from logos_shift_openai.server.store.database import Store

NOW = 1_764_000_000_000


def test_an_id_names_our_call_first_and_then_the_providers_latest(store: Store, lines: Any, take: Any) -> None:
    """Two calls may have the same id from a provider; the later one is meant."""
    take(
        lines.call(id="a", at=1, provider_id="p"),
        lines.call(id="b", at=2, provider_id="p"),
        lines.call(id="p2", at=3, parent="a"),
        lines.call(id="c", at=9, provider_id="a"),
    )
    with store.reading() as connection:
        found = {name: find_call(connection, name) for name in ("a", "p", "p2", "none")}
    assert {name: call and call["id"] for name, call in found.items()} == {
        "a": "a",
        "p": "b",
        "p2": "p2",
        "none": None,
    }
    assert found["a"] is not None
    assert found["a"]["children"] == ["p2"]


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
