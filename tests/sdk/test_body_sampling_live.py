"""A config that asks for a sample of bodies, through the real client to its records."""

from __future__ import annotations

import json

from provider import MESSAGES, records

from logos_shift_openai import LogosShift, context


def sampled(home, bodies):
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.json").write_text(json.dumps({"version": 1, "sampling": {"bodies": bodies}}))


def test_heads_and_usage_of_all_and_bodies_of_some(provider, home):
    """By dataset; what was said is nowhere in a record without bodies, and what is counted is."""
    sampled(home, {"rate": 0, "datasets": {"sales": 1}})
    client = provider.client()
    for dataset in ("sales", "support"):
        with context(dataset=dataset):
            client.chat.completions.create(model="m", messages=MESSAGES)
            for _ in client.chat.completions.create(
                model="m", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
            ):
                pass
    found = records(home)
    assert len(found) == 4
    whole = [one for one in found if one["dataset"] == "sales"]
    heads = [one for one in found if one["dataset"] == "support"]
    assert all(one["request"]["messages"] == MESSAGES and "bodies" not in one for one in whole)
    for head in heads:
        assert (head["bodies"], head["request"]) == (False, None)
        assert set(head["response"] or {}) <= {"usage"}
        assert "Hello" not in json.dumps(head)
        assert head["requested_model"] == "m"
        assert head["provider_id"] == "chatcmpl-1"
        assert head["attempts"][0]["ok"]
    assert [one["response"]["usage"]["prompt_tokens"] for one in heads if not one["stream"]] == [3]


def test_a_function_and_the_calls_inside_it_are_of_one_mind(provider, home):
    """The lot of the parent is the children's."""
    sampled(home, {"rate": 0.5})
    client, shift = provider.client(), LogosShift()

    @shift()
    def ask(text):
        return client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}]).id

    for number in range(20):
        ask(f"question {number}")
    found = {one["id"]: one for one in records(home)}
    children = [one for one in found.values() if "parent" in one]
    assert len(children) == 20
    for child in children:
        assert child.get("bodies", True) == found[child["parent"]].get("bodies", True)
