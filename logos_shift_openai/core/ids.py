"""Ids of calls and feedback: UUIDv7, so that they sort by time and can be made anywhere.

Clock and entropy are passed in; whoever makes an id in earnest is `client/endpoints.py`.
Format: RFC 9562, section 5.7.
"""

from __future__ import annotations

import re

ENTROPY_BYTES = 10
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def uuid7(unix_ms: int, entropy: bytes) -> str:
    """Lay out a UUIDv7.

    Args:
        unix_ms: Milliseconds since 1970, 48 bits of them are kept.
        entropy: `ENTROPY_BYTES` random bytes, 74 bits of them are kept.

    Returns:
        The lower-case text form, 36 characters.
    """
    text = ((unix_ms & 0xFFFFFFFFFFFF).to_bytes(6, "big") + entropy).hex()
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


_VARIANT = {digit: "89ab"[int(digit, 16) & 0b11] for digit in "0123456789abcdef"}  # its two upper bits are 10


def is_call_id(text: str) -> bool:
    """Tell whether a text is an id of ours, as against a provider's own completion id."""
    return _UUID7.fullmatch(text) is not None


def unix_ms(call_id: str) -> int:
    """Read the time out of an id made by `uuid7`, in milliseconds since 1970."""
    return int(call_id[:8] + call_id[9:13], 16)


def fraction(call_id: str) -> float:
    """Read a number in [0, 1) out of the random tail of an id; sampling compares it with its rate."""
    return int(call_id[-8:], 16) / 0x1_0000_0000
