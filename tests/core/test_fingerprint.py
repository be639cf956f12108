"""The hashes by which requests are told apart."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from logos_shift_openai.core.fingerprint import (
    conversation_hash,
    prompt_fingerprint,
    question_hash,
    single_spaced,
    text_hash,
)

HASHES = (prompt_fingerprint, conversation_hash, question_hash)


def chat(*said, **more):
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return {"model": "m", "messages": [{"role": roles[one[0]], "content": one[2:]} for one in said], **more}


def test_the_prompt_is_what_the_program_says():
    one = prompt_fingerprint(chat("s:be brief", "u:hello", tools=[{"a": 1, "b": 2}]))
    assert one == prompt_fingerprint(chat("s:be brief", "u:other", "a:yes", tools=[{"b": 2, "a": 1}], temperature=1))
    assert len({one, prompt_fingerprint(chat("s:be long", "u:hello", tools=[{"a": 1, "b": 2}]))}) == 2
    assert one != prompt_fingerprint(chat("s:be brief", "u:hello"))
    assert len(one) == 12
    assert prompt_fingerprint(chat("u:hello")) is None


def test_the_prompt_of_the_responses_api_is_in_its_instructions():
    assert prompt_fingerprint({"instructions": "be brief", "input": "hello"}) is not None
    assert prompt_fingerprint({"input": "hello"}) is None


SPACES = [chr(code) for code in range(0x110000) if chr(code).isspace()]


@given(st.lists(st.sampled_from(SPACES) | st.sampled_from([" ", "a", "é", "\U0001f600"]), max_size=6).map("".join))
def test_the_short_look_at_white_space_is_as_good_as_the_long_one(text):
    assert single_spaced(text) == " ".join(text.split())
    assert text_hash(text) == conversation_hash({"input": text})


def test_a_conversation_is_known_by_how_it_begins():
    one = conversation_hash(chat("s:today is Monday", "u:hello  there\n"))
    assert one == conversation_hash(chat("s:today is Tuesday", "u:hello there", "a:yes?", "u:and on"))
    assert one == conversation_hash({"input": "hello there"})
    parts = {"role": "user", "content": [{"type": "text", "text": "hello there"}]}
    assert one == conversation_hash({"messages": [parts]})
    assert one == conversation_hash({"input": [{"type": "message", **parts}]})
    assert one != conversation_hash(chat("u:hello here"))
    assert len(one) == 16
    assert conversation_hash({"messages": []}) is None


def test_a_question_is_all_that_is_asked():
    one = question_hash(chat("u:hello", "a:yes?", "u:more"))
    assert one == question_hash(chat("u:hello", "a:yes?", "u:more", temperature=1))
    others = (
        chat("u:hello", "a:yes?", "u:less"),
        chat("u:hello", "a:no?", "u:more"),
        chat("u:hello", "u:yes?", "u:more"),
        {"input": "more", "previous_response_id": "r1"},
        {"input": "more", "previous_response_id": "r2"},
    )
    assert len({one, *map(question_hash, others)}) == 6
    assert len(one) == 6


def test_nobody_without_the_key_can_try_guesses():
    asked = chat("u:hello")
    assert len({question_hash(asked), question_hash(asked, b"k"), question_hash(asked, b"l" * 100)}) == 3


def test_what_cannot_be_read_has_no_hash():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for odd in (
        None,
        [],
        "text",
        {},
        {"messages": deep, "tools": deep},
        {"messages": [{"role": [], "content": {1, 2}}]},
    ):
        assert [hashed(odd) for hashed in HASHES] == [None, None, None]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "input", "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["messages", "input", "prompt", "tools", "text"]), JSON))
@example({"messages": [{"role": {"role": None, "content": None}}]})
def test_the_order_of_keys_is_nothing(request_):
    turned = json.loads(json.dumps(request_, sort_keys=True))
    assert [hashed(turned) for hashed in HASHES] == [hashed(request_) for hashed in HASHES]
