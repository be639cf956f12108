"""What an edition would be made of, told without making one: the same counts as the edition's own, within a bound."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from logos_shift_openai.server.datasets import preview as looking
from logos_shift_openai.server.datasets.choosing import Choice
from logos_shift_openai.server.datasets.keeping import FolderEditions
from logos_shift_openai.server.datasets.preview import preview
from logos_shift_openai.server.datasets.register import list_editions, make_edition
from logos_shift_openai.server.shadow_pairs import shadow_pairs
from logos_shift_openai.server.shadows import compare_waiting

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from logos_shift_openai.server.store.database import Store

NOW = 1_764_000_000_000


def asked(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def said(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]}


def filled(lines: Any, take: Any, count: int = 40) -> None:
    take(*(
        lines.call(
            dataset="d", request=asked(f"question {number % 30}, mail ada@example.com"), response=said("yes"),
            served="candidate" if number % 10 == 0 else "baseline",
        )
        for number in range(count)
    ))  # fmt: skip


def test_it_tells_what_the_edition_would_have(store: Store, lines: Any, take: Any, tmp_path: Path) -> None:
    """Read, chosen, left out by which rule, redacted; and examples as they would stand in it. Nothing is made."""
    filled(lines, take)
    choice = Choice(dataset="d", heldout=2_000)
    found = preview(store, choice)
    with store.reading() as connection:
        assert list_editions(connection) == []
    counts = make_edition(store, FolderEditions(tmp_path), choice, NOW).manifest["counts"]
    assert (found.read, found.train, found.heldout) == (40, counts["train"], counts["heldout"])
    assert found.left_out == counts["left_out"] == {"candidate": 4, "duplicate": found.left_out["duplicate"]}
    assert found.redacted == counts["redacted"] == {"email": counts["redacted"]["email"]}
    assert found.since is None
    assert [one["role"] for one in found.examples[0]["messages"]] == ["user", "assistant"]
    assert "ada@example.com" not in json.dumps(found.examples)


def test_it_reads_the_latest_calls_alone(store: Store, lines: Any, take: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says from when on; where nothing is left to train on it still tells why."""
    filled(lines, take)
    monkeypatch.setattr(looking, "MOST", 15)
    found = preview(store, Choice(dataset="d"))
    assert found.read == 15
    assert found.since is not None
    assert preview(store, Choice(dataset="d", since=found.since)).since is None
    none = preview(store, Choice(dataset="d", feedback="success"))
    assert (none.train, none.heldout, none.left_out["feedback"] > 0) == (0, 0, True)


def test_pairs_of_a_shadow_are_shown_side_by_side(store: Store, lines: Any, take: Any) -> None:
    """Shortened in a list, whole for one call; those that differ by themselves, a page at a time."""
    ids = []
    for number in range(6):
        call_id = lines.new_id()
        theirs = said("yes" if number % 2 else "no")
        call = lines.call(id=call_id, experiment="x", request=asked(f"question {number}"), response=said("yes"))
        shadow = lines.call(
            shadow_of=call_id, experiment="x", served="candidate", request=b"null", response=theirs, at=NOW + number
        )
        take(call, shadow)
        ids.append(call_id)
    compare_waiting(store, "x", "exact", 0)
    with store.reading() as connection:
        every = shadow_pairs(connection, experiment="x", limit=10)
        differ = shadow_pairs(connection, experiment="x", differ=True, limit=10)
        older = shadow_pairs(connection, experiment="x", before=(every[1]["at"], every[1]["id"]), limit=2)
        (one,) = shadow_pairs(connection, call=ids[0], limit=10)
    assert [pair["shadow_of"] for pair in every] == ids[::-1]
    assert [pair["shadow_of"] for pair in differ] == ids[4::-2]
    assert older == every[2:4]
    assert (differ[0]["asked"], differ[0]["baseline"], differ[0]["candidate"]) == ("question 4", "yes", "no")
    assert (one["baseline"], one["candidate"], one["score"]) == (said("yes"), said("no"), 0.0)
