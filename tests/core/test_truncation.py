"""The cap holds for every body, the same way each time, and shows what it cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logos_shift_openai.core.redaction import Cleaned, Redaction, clean
from logos_shift_openai.core.truncation import cut_text

OFF = Redaction()


def capped(body: bytes, limit: int = 1024) -> Cleaned:
    return clean(body, root="request", redaction=OFF, limit=limit)


LONG = st.builds(lambda text, times: text * times, st.text(min_size=1, max_size=4), st.integers(0, 900))
LEAVES = LONG | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SMALL = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=30) | LONG, below, max_size=4),
    max_leaves=8,
)
# Repetition stands above the recursion: within it, repetitions would multiply to bodies of many megabytes.
MANY = st.builds(lambda value, times: [value] * times, SMALL, st.integers(0, 80)) | st.builds(
    lambda value, times: {f"key{number}": value for number in range(times)}, SMALL, st.integers(0, 80)
)
BODIES = SMALL | MANY | st.lists(MANY, max_size=3) | st.dictionaries(st.text(max_size=5), MANY | SMALL, max_size=3)


@settings(max_examples=150, deadline=None)
@given(BODIES, st.sampled_from([1024, 1500, 5000]), st.booleans())
def test_no_body_is_longer_than_the_limit(body: Any, limit: int, ascii_only: bool):
    """Whatever is in it, the result is valid JSON within the limit, and what was cut is named."""
    written = json.dumps(body, ensure_ascii=ascii_only or not _is_utf8(body)).encode()
    result = capped(written, limit)
    assert len(result.body) <= limit
    shown = json.loads(result.body)
    if len(written) <= limit:
        assert shown == body
    if shown != body:
        assert result.truncated
        assert b"[truncated " in result.body or b"[dropped " in result.body
    assert capped(written, limit) == result
    again = capped(result.body, limit)
    assert (again.body, again.truncated) == (result.body, ())


def _is_utf8(body: Any) -> bool:
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@settings(deadline=None)
@given(st.text(max_size=400), st.integers(48, 300))
def test_a_text_is_cut_between_letters(text: str, room: int):
    """What is left of a text is its beginning, and the marker counts the bytes that are gone."""
    cut = cut_text(text, room)
    assert len(json.dumps(cut, ensure_ascii=True)) <= room or len(json.dumps(cut, ensure_ascii=False).encode()) <= room
    if cut != text:
        kept, _, lost = cut.rpartition("…[truncated ")
        assert text.startswith(kept)
        gone = text.encode("utf-8", "surrogatepass")[len(kept.encode("utf-8", "surrogatepass")) :]
        assert lost == f"{len(gone)} bytes]"


def test_short_texts_stay_whole_beside_a_long_one():
    """A long document loses its tail before a question loses a word."""
    body = {"messages": [{"role": "user", "content": "Why?"}, {"role": "tool", "content": "x" * 50_000}], "model": "m"}
    result = capped(json.dumps(body).encode(), 2000)
    shown = json.loads(result.body)
    assert shown["messages"][0] == {"role": "user", "content": "Why?"}
    assert shown["messages"][1]["content"].startswith("x" * 1700)
    assert result.truncated == ("request.messages[1].content",)


def test_many_messages_lose_their_tail():
    """Where even short texts are too many, the head of the list is kept and the number of lost items said."""
    body = {"model": "m", "messages": [{"role": "user", "content": f"message {number}"} for number in range(500)]}
    result = capped(json.dumps(body).encode(), 4000)
    shown = json.loads(result.body)
    assert shown["model"] == "m"
    *messages, last = shown["messages"]
    assert messages == body["messages"][: len(messages)]
    assert last == f"…[dropped {500 - len(messages)} items]"
    assert len(messages) > 80
    assert result.truncated == ("request.messages",)


def test_small_members_stay_beside_large_ones():
    """Objects are shared out among their members; small ones are whole."""
    body = {"small": 1, "numbers": list(range(2000)), "flag": True, "words": ["word"] * 2000}
    shown = json.loads(capped(json.dumps(body).encode(), 2048).body)
    assert (shown["small"], shown["flag"]) == (1, True)
    assert shown["numbers"][:100] == list(range(100))
    assert shown["words"][:80] == ["word"] * 80


def test_too_many_keys_are_dropped_visibly():
    """An object of thousands of keys keeps its first ones and says how many are gone, under a key of its own."""
    body = {"…": 0} | {f"key {number}": number for number in range(5000)}
    result = capped(json.dumps(body).encode())
    shown = json.loads(result.body)
    assert shown["…"] == 0
    assert shown["……"] == f"[dropped {5001 - (len(shown) - 1)} keys]"
    assert result.truncated == ("request",)


def test_a_long_list_of_cuts_ends_in_a_number():
    """The paths themselves are capped: after 64 only their number is given."""
    result = capped(json.dumps(["x" * 1000] * 100).encode(), 20_000)
    assert len(result.truncated) == 65
    assert result.truncated[0] == "request[0]"
    assert result.truncated[-1] == "…[36 more]"


def test_a_number_without_end_is_cut():
    """A number of thousands of digits becomes a text that says so."""
    result = capped(b'{"n":' + b"7" * 5000 + b"}")
    assert json.loads(result.body)["n"].startswith("7" * 900)
    assert result.truncated == ("request.n",)


@pytest.mark.parametrize("body", ["x" * 5000, ["x" * 5000], [[["x" * 5000]]]])
def test_any_shape_can_be_cut(body: Any):
    """A bare text, a list, nested lists: the text is cut where it stands."""
    result = capped(json.dumps(body).encode())
    assert b"[truncated " in result.body
    assert 950 < len(result.body) <= 1024
