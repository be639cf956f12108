"""The cache of fingerprints: always what `core.fingerprint` says, and cheap when it was said before."""

from __future__ import annotations

import timeit

import pytest

from logos_shift_openai.client.prompts import Prompts
from logos_shift_openai.core.fingerprint import prompt_fingerprint

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
BODIES = [
    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"}]},
    {"messages": [{"role": "system", "content": "Be long."}, {"role": "user", "content": "a"}]},
    {"messages": [{"role": "system", "content": "Be brief."}], "tools": [TOOL]},
    {"messages": [{"role": "system", "content": "Be brief."}], "response_format": {"type": "json_object"}},
    {"messages": [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}]},
    {"messages": [{"role": "developer", "content": "Be brief."}, {"role": "system", "content": "Or not."}]},
    {"messages": [{"role": "user", "content": "a"}]},
    {"input": "a question", "instructions": "Be brief."},
    {"input": [{"role": "developer", "content": "Be brief."}]},
    {"messages": None},
    {"messages": ["odd", 1]},
]


@pytest.mark.parametrize("again", [1, 3])
def test_it_says_what_the_core_says(again):
    """Whatever was asked before."""
    prompts = Prompts()
    for body in BODIES * again:
        assert prompts.fingerprint(body) == prompt_fingerprint(body)


def test_what_the_caller_changes_in_place_is_another_prompt():
    """The cache has a copy of its own."""
    prompts, body = Prompts(), {"messages": [], "tools": [{"type": "function", "function": {"name": "a"}}]}
    first = prompts.fingerprint(body)
    body["tools"][0]["function"]["name"] = "b"
    assert prompts.fingerprint(body) == prompt_fingerprint(body) != first


def test_it_is_bounded():
    """Prompts with a date in them do not pile up."""
    prompts = Prompts()
    for number in range(2_000):
        prompts.fingerprint({"messages": [{"role": "system", "content": f"Today is {number}."}]})
    assert len(prompts._known) <= 256
    for number in range(100):
        prompts.fingerprint({"messages": [], "tools": [number]})
    assert len(prompts._known[None]) <= 8


if __name__ == "__main__":  # the figure of docs/autopilot.md
    text, many = "You name the intent of a message. " * 100, [TOOL | {"n": n} for n in range(4)]
    asked = {"messages": [{"role": "system", "content": text}, {"role": "user", "content": "a"}], "tools": many}
    cache = Prompts()
    cache.fingerprint(asked)
    times = timeit.repeat(lambda: cache.fingerprint(asked), number=20_000, repeat=5)
    print(f"{min(times) / 20_000 * 1e6:.2f} us")
