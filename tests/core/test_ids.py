"""Ids: the layout of RFC 9562, and what can be read back from it."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.ids import fraction, is_call_id, unix_ms, uuid7


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_layout(ms, entropy):
    """Any time and entropy give a UUID of version 7 and variant RFC, from which the time can be read."""
    text = uuid7(ms, entropy)
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert unix_ms(text) == ms
    assert is_call_id(text)
    assert 0 <= fraction(text) < 1


@given(st.integers(0, 2**48 - 2), st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_order(ms, one, other):
    """A later id sorts after an earlier one."""
    assert uuid7(ms, one) < uuid7(ms + 1, other)


def test_not_ours():
    """A provider's own id is none of ours, nor is a UUID of another version."""
    assert not is_call_id("chatcmpl-123")
    assert not is_call_id(str(uuid.uuid4()))
