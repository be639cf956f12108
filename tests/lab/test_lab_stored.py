"""Stored completions: kept if asked for, listed, labelled, deleted, and imported by our own command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from typer.testing import CliRunner

from logos_shift_openai.cli.application import app

if TYPE_CHECKING:
    from pathlib import Path

    from logos_shift_openai.lab import Lab


def ask(client: openai.OpenAI, text: str, **options: Any) -> Any:
    messages = [{"role": "system", "content": "Name it."}, {"role": "user", "content": text}]
    return client.chat.completions.create(**{"model": "oracle-large", "messages": messages, "store": True, **options})


def test_only_what_asks_for_it_is_stored(client: openai.OpenAI) -> None:
    """Whole and streamed answers are; one without ``store`` is not. They read back as they were, with their metadata."""
    ask(client, "no", store=False)
    first = ask(client, "How do I activate my card?", metadata={"app": "a"}, temperature=0.5)
    chunks = list(ask(client, "And when?", stream=True))
    stored = list(client.chat.completions.list())
    assert [one.id for one in stored] == [first.id, chunks[0].id]
    assert stored[0].choices == first.choices
    again = client.chat.completions.retrieve(first.id).model_dump()
    assert (again["metadata"], again["temperature"], again["usage"]) == ({"app": "a"}, 0.5, first.usage.model_dump())


def test_they_are_listed_by_model_label_and_page(client: openai.OpenAI) -> None:
    """Oldest first unless asked otherwise; pages of any size give all of them once."""
    ids = [ask(client, f"q{number}", metadata={"half": str(number % 2)}).id for number in range(5)]
    other = ask(client, "q", model="tiny-base").id
    listed = client.chat.completions.list
    assert [one.id for one in listed(limit=2)] == [*ids, other]
    assert [one.id for one in listed(order="desc", limit=4)] == [other, *reversed(ids)]
    assert [one.id for one in listed(model="tiny-base")] == [other]
    assert [one.id for one in listed(metadata={"half": "1"})] == [ids[1], ids[3]]


def test_the_messages_are_those_that_were_asked(client: openai.OpenAI) -> None:
    """In their order, each with an id; parts are kept beside their text."""
    parts = [{"type": "text", "text": "Hi"}]
    messages: Any = [{"role": "system", "content": "Name it."}, {"role": "user", "content": parts}]
    stored = ask(client, "", messages=messages)
    found = list(client.chat.completions.messages.list(stored.id, limit=1))
    assert [(one.role, one.content) for one in found] == [("system", "Name it."), ("user", "Hi")]
    assert found[0].id != found[1].id
    assert found[1].content_parts


def test_one_can_be_labelled_and_deleted(client: openai.OpenAI) -> None:
    """New metadata take the place of the old; afterwards it is gone for every call."""
    stored = ask(client, "q", metadata={"a": "1"}).id
    assert client.chat.completions.update(stored, metadata={"b": "2"}).model_dump()["metadata"] == {"b": "2"}
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.update(stored, metadata={"b": 2})  # type: ignore[dict-item]
    assert client.chat.completions.delete(stored).deleted
    for call in (client.chat.completions.retrieve, client.chat.completions.delete):
        with pytest.raises(openai.NotFoundError):
            call(stored)
    assert list(client.chat.completions.list()) == []


def test_the_import_command_takes_them_in(
    lab: Lab,
    client: openai.OpenAI,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``logos-shift import openai`` against the lab: each stored completion once, however often it runs."""
    for text in ("How do I activate my card?", "Is there an age limit?"):
        ask(client, text, metadata={"from": "lab"})
    monkeypatch.setenv("OPENAI_BASE_URL", lab.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    monkeypatch.setenv("LOGOS_SHIFT_HOME", str(tmp_path))

    def run(*command: str) -> Any:
        done = CliRunner().invoke(app, [*command, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    first, again = (run("import", "openai", "--dataset", "old") for _ in range(2))
    assert (first["entries"], first["new"], first["refused"]) == (2, 2, 0)
    assert (again["new"], again["seen"]) == (0, 2)
    calls = run("calls", "list", "--dataset", "old")
    assert {call["requested_model"] for call in calls} == {"oracle-large"}, calls
