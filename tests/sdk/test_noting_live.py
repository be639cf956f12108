"""What is known of a call without anybody's help, through the real client to its records."""

from __future__ import annotations

import json

import openai
import pytest
from provider import MESSAGES, Provider, chunk, completion, experiment, records, sse

from logos_shift_openai import LogosShift, context

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": CITY}}


def streamed(text, finish="stop"):
    events = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": one}) for one in text),
        chunk({}, finish),
    ]
    return [sse(events)]


def test_an_answer_is_checked_against_the_schema_asked_for(provider, home):
    """Given whole, in a stream, and not at all."""
    client = provider.client()
    provider.answer("m", body=completion(content='{"city": "Bonn"}'))
    client.chat.completions.create(model="m", messages=MESSAGES, response_format=FORMAT)
    provider.answer("m", body=completion(content='{"town": "Bonn"}'))
    client.chat.completions.create(model="m", messages=MESSAGES, response_format=FORMAT)
    provider.answer("m", pieces=streamed('{"city": "Bonn"}'))
    list(client.chat.completions.create(model="m", messages=MESSAGES, response_format=FORMAT, stream=True))
    provider.answer("m", pieces=streamed('{"city": "Bo', "length"))
    list(client.chat.completions.create(model="m", messages=MESSAGES, response_format=FORMAT, stream=True))
    provider.answer("m", status=500)
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="m", messages=MESSAGES, response_format=FORMAT)
    found = [one.get("checks") for one in records(home)]
    usual = {"refused": False, "cut": False}
    assert found == [
        {"valid": True, **usual},
        {"valid": False, **usual},
        {"valid": True, **usual},
        {"valid": False, "refused": False, "cut": True},
        {"valid": False},
    ]


def test_refused_cut_and_usual_answers(provider, home):
    client = provider.client()
    for body in (completion(), completion(content=None, refusal="I cannot")):
        provider.answer("m", body=body)
        client.chat.completions.create(model="m", messages=MESSAGES)
    provider.answer("m", pieces=streamed("Hello", "length"))
    with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as stream:
        list(stream)
    provider.answer("m", pieces=streamed("Hello"))
    with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as stream:
        next(stream)
    assert [one.get("checks") for one in records(home)] == [
        {"refused": False, "cut": False},
        {"refused": True, "cut": False},
        {"refused": False, "cut": True},
        None,  # the caller left before its end
    ]


def test_checks_are_made_of_what_was_said_and_not_of_what_is_kept(provider, home):
    """Neither a redaction of the caller's own nor a sample without bodies changes them."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.json").write_text(json.dumps({"version": 1, "sampling": {"bodies": {"rate": 0}}}))
    provider.answer("m", body=completion(content='{"city": "Bonn"}'))
    shift = LogosShift(redact=lambda parts: {**parts, "request": {}, "response": None})
    provider.client(logos_shift=shift).chat.completions.create(model="m", messages=MESSAGES, response_format=FORMAT)
    (one,) = records(home)
    assert one["bodies"] is False
    assert one["checks"]["valid"] is True
    assert len(one["fingerprint"]) == 12


def test_the_same_question_of_the_same_unit_has_the_same_hash(provider, home, monkeypatch):
    """Of one unit only; and a hash made with the key of a server cannot be made without it."""
    experiment(home, share=0)
    client = provider.client()

    def ask(user, text="Hello"):
        with context(user_id=user):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])

    for user, text in (("a", "Hello"), ("a", "Hello"), ("a", "Bye"), ("b", "Hello")):
        ask(user, text)
    client.chat.completions.create(model="m", messages=MESSAGES)  # a unit of its own: nobody can have asked before
    found = [one.get("question") for one in records(home)]
    assert found[0] == found[1]
    assert len({*found[:4]}) == 3
    assert found[4] is None


def test_bodies_that_nobody_can_read_cost_no_record(home):
    provider = Provider()
    provider.raw["m"] = b"no JSON at all"
    provider.client().embeddings.with_raw_response.create(model="e", input="x")
    provider.client().chat.completions.with_raw_response.create(model="m", messages=MESSAGES, response_format=FORMAT)
    assert ["checks" in one for one in records(home)] == [False, False]


def test_half_a_letter_costs_no_record(provider, home):
    """UTF-8 has none for half of a surrogate pair; the record says so with a question mark."""
    client = provider.client()
    with context(user_id="u\ud800", metadata={"k": 1.5}):
        client.chat.completions.create(model="m", messages=MESSAGES)
    (found,) = records(home)
    assert (found["user_id"], found["metadata"]) == ("u?", {"k": 1.5})
