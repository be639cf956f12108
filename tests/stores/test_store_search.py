"""A search: what it finds, and that one look is bounded and the next goes on where it ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.core.prices import Price
from logos_shift_openai.core.records import Attempt, CallError
from logos_shift_openai.server import search as module
from logos_shift_openai.server.calls import Filters
from logos_shift_openai.server.prices import keep_prices
from logos_shift_openai.server.search import Found, Search, search_calls

if TYPE_CHECKING:
    from logos_shift_openai.server.store.database import Store


def look(store: Store, **parts: Any) -> Found:
    names = set(Search.__dataclass_fields__) - {"filters"}
    said = {name: parts.pop(name) for name in names & set(parts)}
    with store.reading() as connection:
        return search_calls(connection, Search(Filters(**{"limit": 50, **parts}), **said))


def everything(store: Store, **parts: Any) -> tuple[list[str], int]:
    """Follow the cursors to the end; the ids found, and how many looks it took."""
    found, before = [], None
    for looks in range(1, 100):
        page = look(store, before=before, **parts)
        found += [call["id"] for call in page.calls]
        if page.next is None:
            return found, looks
        before = page.next
    raise AssertionError("the cursors do not end")


def body(text: str) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}]}).encode()


def test_a_text_is_found_in_texts_in_whatever_case(store: Store, lines: Any, take: Any) -> None:
    """Escaped or not, in the question or the answer; what is only the JSON around it is not found."""
    take(
        lines.call(id="a", request=body("Straße nach KÖLN \U0001f600")),
        lines.call(id="b", request=body("x"), response=json.dumps({"said": "in köln"}, ensure_ascii=False).encode()),
        lines.call(id="c", request=body('say "köln"\nnow')),
        lines.call(id="d", request=body("nothing")),
        lines.call(id="e", request=None, response=None, bodies=False),
    )
    assert sorted(everything(store, text="Köln")[0]) == ["a", "b", "c"]
    assert everything(store, text='"KÖLN"\nnow')[0] == ["c"]
    assert everything(store, text="messages")[0] == []
    assert everything(store, text="\U0001f600")[0] == ["a"]
    assert look(store, text="STRASSE").calls[0]["match"] == "Straße nach KÖLN \U0001f600"


def test_one_look_is_bounded_and_the_next_goes_on(
    store: Store, lines: Any, take: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left out or found twice, also where many calls have the same time."""
    for name, size in (("WINDOW", 10), ("COST_ROWS", 5), ("TEXT_ROWS", 4)):
        monkeypatch.setattr(module, name, size)
    rare = {7, 8, 30}
    take(
        *(
            lines.call(
                id=f"{number:03}",
                at=1_764_000_000_000 + number // 3,
                request=body("needle" if number in rare else "hay"),
                error=CallError(type="E", message="no") if number in rare else None,
                duration_ms=900.0 if number in rare else 1.0,
            )
            for number in range(40)
        )
    )
    wanted = [f"{number:03}" for number in sorted(rare, reverse=True)]
    for query in ({"text": "needle"}, {"errors": True}, {"slower": 900.0}, {"errors": True, "text": "NEEDLE"}):
        found, looks = everything(store, **query)
        assert found == wanted, query
        assert looks > 1, query
    first = look(store, errors=True, limit=1)
    assert [call["id"] for call in first.calls] == ["030"]
    assert first.next is not None


def test_what_calls_cost(store: Store, lines: Any, take: Any) -> None:
    """By the longest pattern that fits the model which answered; without a price there is no cost."""
    attempts = [Attempt(variant="baseline", model="big-1", provider=None, ok=True, duration_ms=1.0)]
    usage = {
        "prompt_tokens": 1_000_000,
        "completion_tokens": 500_000,
        "prompt_tokens_details": {"cached_tokens": 400_000},
    }
    response = json.dumps({"usage": usage}).encode()
    take(
        lines.call(id="a", requested_model="big", attempts=attempts, response=response),
        lines.call(id="b", requested_model="small", response=response),
        lines.call(id="c", requested_model="unknown", response=response),
        lines.call(id="d", requested_model="small", response=None),
    )
    with store.writing() as connection:
        keep_prices(connection, {"b*": Price(1.0, 1.0), "big-*": Price(10.0, 20.0, 1.0), "small": Price(0.5, 0.5)})
    costs = {call["id"]: call["cost"] for call in look(store).calls}
    assert costs == {"a": pytest.approx(6 + 0.4 + 10), "b": pytest.approx(0.75), "c": None, "d": None}
    assert everything(store, dearer=1.0)[0] == ["a"]


def test_previews_say_what_was_asked_last_and_answered_first(store: Store, lines: Any, take: Any) -> None:
    """Of whatever shape; what is hostile breaks nothing."""
    call = {"function": {"name": "f", "arguments": '{"a": 1}'}}
    take(
        lines.call(
            id="chat",
            request=body("hello\n  there"),
            response=json.dumps({"choices": [{"message": {"content": "x" * 500}}]}).encode(),
        ),
        lines.call(
            id="tool",
            request=json.dumps({"messages": [{"content": [{"type": "text", "text": "part"}, 3]}]}).encode(),
            response=json.dumps({"choices": [{"message": {"content": None, "tool_calls": [call]}}]}).encode(),
        ),
        lines.call(id="odd", request=b'[1, {"messages": 7}]', response=b'{"choices": [null, 4], "output": {"a": []}}'),
        lines.call(id="none", request=None, response=None),
    )
    said = {call["id"]: (call["asked"], call["answered"]) for call in look(store, previews=True).calls}
    assert said["chat"][0] == "hello there"
    assert said["chat"][1] == "x" * 159 + "…"
    assert said["tool"] == ("part", 'f({"a": 1})')
    assert said["odd"][1] is None
    assert said["none"] == (None, None)
