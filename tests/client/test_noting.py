"""What is worked out of bodies on our own thread."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.client.noting import BYTES_MAX, Noted, key_of, note
from logos_shift_openai.core.records import Unit

ASKED = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}).encode()
ANSWER = json.dumps({"choices": [{"finish_reason": "stop", "message": {"content": "Hi"}}]}).encode()
USER = Unit("user", "u")


def noted(
    request=ASKED, response=ANSWER, *, endpoint="chat.completions", unit=USER, key=b"", failed=False, complete=True
):
    return note(endpoint, request, response, failed=failed, complete=complete, unit=unit, key=key)


def test_an_answer_with_white_space_is_read():
    assert noted().checks == noted(response=ANSWER.replace(b" ", b"")).checks == {"refused": False, "cut": False}


def test_the_key_decides_the_hash_of_a_question():
    hashes = {noted(key=key_of(secret)).question for secret in (None, "one", "other")}
    assert len(hashes) == 3
    assert noted(unit=Unit("conversation", "u")).question
    assert noted(unit=Unit("user", "\ud800")).question
    assert noted(unit=Unit("call", "u")).question is None
    assert noted(unit=None).question is None


def test_large_and_other_bodies_are_left_alone():
    large = json.dumps({"messages": [{"role": "system", "content": "x" * BYTES_MAX}]}).encode()
    assert noted(large) == noted(endpoint="embeddings") == noted(b"null") == noted(b"{") == Noted()
    assert noted(response=b"[" * 100_000).checks == {}
    assert noted(response=None, failed=True).checks == {}
    assert noted(complete=False).checks == {}


@given(st.binary(max_size=40), st.none() | st.binary(max_size=40), st.booleans(), st.booleans())
def test_nothing_raises(request_, response, failed, complete):
    assert isinstance(noted(request_, response, failed=failed, complete=complete), Noted)
