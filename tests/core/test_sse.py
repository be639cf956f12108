"""Events out of bytes, by the rules of the standard."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logos_shift_openai.core.sse import events, parts


def pairs(raw: bytes) -> list[tuple[str, str]]:
    cut = parts(raw)
    return [event for at in range(len(cut)) for event in events(cut, at)]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [("", "a"), ("", "b")]),
        (b"data:a\r\n\r\ndata: b\r\rdata:  c\n\n", [("", "a"), ("", "b"), ("", " c")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", "a")]),
        (b": comment\ndata: a\n: more\nid: 7\nretry: 10\nnonsense\n\n", [("", "a")]),
        (b"event: x\ndata: a\ndata: b\ndata\n\n", [("x", "a\nb\n")]),
        (b"data: a\nevent: x\n\ndata: b\n\n", [("x", "a"), ("", "b")]),
        (b"\n\n\ndata: a\n\n\n\n: ping\n\ndata: b\n\n", [("", "a"), ("", "b")]),
        (b"event: x\n\ndata:\n\ndata\n\n", []),
        (b"data: a\n\ndata: b", [("", "a")]),
        (b"data: a\n\ndata: b\n", [("", "a")]),
        (b"data: a: b\n\n", [("", "a: b")]),
        ("data: ☀\n\ndata: \u2028x\n\n".encode(), [("", "☀"), ("", "\u2028x")]),
        (b"data: \xe2\x98\n\n", [("", "\ufffd")]),
        (b"", []),
    ],
)
def test_events(raw: bytes, expected: list[tuple[str, str]]):
    """Line ends, comments, names, several data lines, a byte order mark, a cut: as the standard says."""
    assert pairs(raw) == expected


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text("data:\r\n :x{}", max_size=200).map(str.encode))
def test_any_bytes_are_read(raw: bytes):
    """No bytes make it raise, and a longer stream never has other events before its end."""
    whole = pairs(raw)
    for cut in range(0, len(raw), 3):
        part = pairs(raw[:cut])
        assert whole[: len(part)] == part
