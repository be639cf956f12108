"""The export: every call once, with what `find_call` has of it, in memory that does not grow with the store."""

from __future__ import annotations

import json
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, update

from logos_shift_openai.server import export
from logos_shift_openai.server.calls import find_call
from logos_shift_openai.server.dictionaries import train_due
from logos_shift_openai.server.export import Wanted, export_calls
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.store.schema import call_bodies, calls

if TYPE_CHECKING:
    from logos_shift_openai.server.store.database import Store

NOW = 1_764_000_000_000


def test_a_line_is_the_call_as_it_is_shown(any_store: Store, lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With heads and bodies packed or not, over several parts, in the order of ids, each once."""
    monkeypatch.setattr(export, "_PART", 64)
    monkeypatch.setattr(export, "_NAMES", 50)

    def some(size: int) -> None:
        batch: list[bytes] = []
        for number in range(size):
            name = lines.new_id()
            batch += (
                lines.call(
                    id=name, provider_id=f"p-{name}", user_id="u", why="because", metadata={"n": number},
                    parent=name if number % 7 == 0 else None, requested_model="m\u2028",
                    request={"messages": [{"role": "user", "content": f"number {number} \n \u00e9"}]},
                    response={"usage": {"prompt_tokens": number}}, dataset="d" if number % 3 else "e",
                ),
                lines.feedback(name, value=0.5),
                lines.feedback(f"p-{name}", label="success", at=NOW + 10**6, correction={"role": "assistant"}),
            )  # fmt: skip
        ingest(any_store, batch[: 3 * size - 1], NOW)

    some(250)
    train_due(any_store, NOW)
    some(50)
    bare = b'{"v":1,"kind":"call","id":"zz","at":1,"endpoint":"function","request":{"x":1e999}}'
    ingest(any_store, [lines.call(id="foreign", error=None), bare], NOW)
    with any_store.writing() as connection:
        connection.execute(delete(call_bodies).where(call_bodies.c.call_id == "foreign"))
    written = list(export_calls(any_store))
    found = [json.loads(line) for line in written]
    assert [one["id"] for one in found] == sorted({one["id"] for one in found})
    assert len(found) == 302
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in written)
    with any_store.reading() as connection:
        for one in [*found[::40], *found[-3:]]:
            shown = find_call(connection, one["id"])
            assert shown is not None
            counted = shown.pop("feedback")
            assert one.pop("score") == (None if counted is None else counted["score"])
            del shown["children"], shown["cost"]  # the prices of today are no part of a record
            if one["id"] == "zz":
                one["request"] = {
                    "x": None
                }  # as it came in the line, and what JSON cannot hold is null where it is shown
            assert one == shown


def test_only_what_is_wanted(any_store: Store, lines: Any, take: Any) -> None:
    """By dataset, time and score."""
    take(
        lines.call(id="a", dataset="d", at=NOW),
        lines.call(id="b", dataset="e", at=NOW + 5),
        lines.call(id="c", dataset="d", at=NOW + 9),
        lines.feedback("c", value=0.0),
    )

    def ids(**wanted: Any) -> list[str]:
        return [json.loads(line)["id"] for line in export_calls(any_store, Wanted(**wanted))]

    assert ids() == ["a", "b", "c"]
    assert ids(dataset="d") == ["a", "c"]
    assert ids(since=NOW + 5) == ["b", "c"]
    assert ids(rated=True) == ["c"]
    assert ids(dataset="none") == []


def test_a_body_that_is_no_strict_json_is_made_so(any_store: Store, lines: Any, take: Any) -> None:
    """A reader of lines must not stumble over one of them."""
    take(lines.call(id="a"))
    with any_store.writing() as connection:
        pack = b'{"request":{"n":NaN,\n"m":1},"response":null,"attempts":[],"truncated":[],"media":[]}'
        data = any_store.codec.pack("default", pack)
        connection.execute(call_bodies.update().values(codec="zstd", data=data))
    (line,) = export_calls(any_store)
    assert line.count(b"\n") == 1
    assert json.loads(line, parse_constant=lambda _name: 1 / 0)["request"] == {"n": None, "m": 1}


def test_memory_does_not_grow_with_the_store(any_store: Store, lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the calls take no more than a part does."""
    monkeypatch.setattr(export, "_PART", 100)

    def peak() -> tuple[int, int]:
        tracemalloc.start()
        count = sum(1 for _line in export_calls(any_store))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return count, used

    def add(size: int) -> None:
        ingest(any_store, [lines.call(request={"text": "word " * 400}) for _ in range(size)], NOW)

    add(300)
    peak()  # what is kept ready from the first time on
    first = peak()
    add(900)
    second = peak()
    assert (first[0], second[0]) == (300, 1_200)
    assert second[1] < first[1] * 1.5


def test_calls_that_come_meanwhile_do_no_harm(any_store: Store, lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do those that go: a part begins after the last id of the one before."""
    monkeypatch.setattr(export, "_PART", 2)
    ingest(any_store, [lines.call(id=name) for name in "bdfhkmrs"], NOW)
    given = export_calls(any_store)
    first = [next(given) for _ in range(3)]  # the second part is in hand, and the third on its way
    ingest(any_store, [lines.call(id=name) for name in "aq"], NOW)
    with any_store.writing() as connection:
        connection.execute(delete(calls).where(calls.c.id.in_(["d", "h"])))
    assert [json.loads(line)["id"] for line in (*first, *given)] == list("bdfhkmqrs")


def test_an_export_that_nobody_reads_on_leaves_nothing_behind(
    any_store: Store, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its thread nor its connection; and a fault of a later part comes after the lines before it."""
    monkeypatch.setattr(export, "_PART", 2)
    ingest(any_store, [lines.call(id=name) for name in "bdfhk"], NOW)
    before = threading.active_count()
    given = export_calls(any_store)
    next(given)
    given.close()
    assert threading.active_count() == before
    with any_store.writing() as connection:
        connection.execute(update(call_bodies).where(call_bodies.c.call_id == "k").values(codec="lz4"))
    seen = []
    with pytest.raises(ValueError, match="lz4"):
        seen.extend(json.loads(line)["id"] for line in export_calls(any_store))
    assert threading.active_count() == before
