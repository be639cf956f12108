"""The second redaction: the short way gives what the long one gives, whatever the text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.redaction import Redaction, clean
from logos_shift_openai.core.redaction_rules import RULES
from logos_shift_openai.server.datasets.bodies import Message
from logos_shift_openai.server.datasets.scrubbing import Scrubber

ALL = Redaction.build(RULES)
PIECES = st.sampled_from(
    [
        "write to ", "jo@example.com", "dead::beef", "fe80::1", "10.0.0.7", "4111 1111 1111 1111", "+44 20 7946 0958",
        "078-05-1120", "DE89 3704 0044 0532 0130 00", "password=hunterhunter", "Bearer abcdefghijklmnopqrstuvwx",
        "sk-proj-abcdefghijklmnopqrstuvwxyz", "jo\uff20example.com", "\u00e9", "\u0001", '"', "\\u0040", " ", "٣٤", "a:b:c",
    ]
)  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=5).filter(str.isprintable), max_size=8).map("".join))
def test_the_short_way_finds_what_the_long_one_finds(text: str) -> None:
    """Several calls looked over at once skip the rules that find nothing in any; nothing is lost by it."""
    import msgspec

    scrubber = Scrubber(ALL)
    messages = [Message("user", text)]
    (found,) = scrubber.messages(messages, scrubber.suspected([messages, [Message("user", "nothing")]]))
    raw = msgspec.json.encode([Message("user", text)])
    cleaned = clean(raw, root="request", redaction=ALL, limit=None)
    assert found.content == msgspec.json.decode(cleaned.body)[0]["content"]
    assert dict(scrubber.counts) == dict(cleaned.redacted)
    assert scrubber.text(text) == found.content
