"""Reading calls back: which one an id names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logos_shift_openai.server.calls import find_call

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
