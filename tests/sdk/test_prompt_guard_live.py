"""A candidate for some prompts alone, as a caller meets it: a changed prompt is answered by the baseline, and counted."""

from __future__ import annotations

from provider import experiment, records

from logos_shift_openai.core.fingerprint import prompt_fingerprint

SYSTEM = {"role": "system", "content": "Name the intent."}
ASKED = [SYSTEM, {"role": "user", "content": "hello"}]


def test_a_changed_prompt_stays_with_the_baseline(provider, home):
    """In no arm of the experiment; known ones go on, whatever the user says."""
    experiment(home, change={"prompts": [prompt_fingerprint({"messages": ASKED})]})
    client = provider.client()
    other = [{"role": "system", "content": "Name the intent!"}, ASKED[1]]
    answers = [
        client.chat.completions.create(model="m", messages=messages).model
        for messages in (ASKED, other, [SYSTEM, {"role": "user", "content": "bye"}], [ASKED[1]])
    ]
    assert answers == ["cheap", "m", "cheap", "m"]
    told = records(home)
    assert [one.get("assigned") for one in told] == ["candidate", None, "candidate", None]
    assert {one["experiment"] for one in told} == {"exp"}
    assert told[1]["why"] == "the prompt changed since the candidate was tuned: retrain"
    assert client._logos_shift.stats()["prompt_changed"] == 2


def test_tools_are_a_part_of_the_prompt(provider, home):
    """The same system text with other tools is another prompt."""
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    experiment(home, change={"prompts": [prompt_fingerprint({"messages": ASKED, "tools": [tool]})]})
    client = provider.client()
    assert client.chat.completions.create(model="m", messages=ASKED).model == "m"
    assert client.chat.completions.create(model="m", messages=ASKED, tools=[tool]).model == "cheap"
