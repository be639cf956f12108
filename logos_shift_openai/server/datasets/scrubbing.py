"""Secrets and personal data, taken out once more: what a client let through then may be known of now.

Rule: fails closed, as `core.redaction` does. A text that thousands of calls share (the system prompt, the tools) is
looked at once and remembered.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw

from logos_shift_openai.core.redaction import Unclean, clean

from .bodies import Message, is_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logos_shift_openai.core.redaction import Plan, Redaction

_REMEMBERED: Final = 4_096
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(list[Message]).decode


class UncleanError(Exception):
    """A text that cannot be redacted for sure, or holds what no text may."""


class Scrubber:
    """Redacts messages, texts and tools, and counts by rule.

    Args:
        redaction: The rules; none leaves all as it is.
    """

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._texts_alone = not (redaction.patterns or redaction.keys)
        self._known: dict[bytes, tuple[bytes, Mapping[str, int]]] = {}
        self.counts: Counter[str] = Counter()

    def suspected(self, groups: Sequence[Sequence[Message]]) -> Plan | None:
        """Look over the messages of several calls at once, which takes a third of the time of one after the other.

        Of a message that is a text alone only the text is looked at: built-in rules find nothing in the rest of it.

        Returns:
            What may be found in any of them, for `messages`; None where there is nothing to find.
        """
        texts = self._texts_alone
        try:
            every = _encode([one.content if texts and is_text(one) else one for group in groups for one in group])
        except UnicodeEncodeError:
            return self._redaction.plan  # one by one, so that it is the guilty one that is left out
        return self._redaction.plan.narrowed(every)

    def messages(self, messages: list[Message], plan: Plan | None) -> list[Message]:
        """Redact messages, which are given back as they are where nothing was found.

        Args:
            messages: Of one call.
            plan: What was suspected of it and others.

        Raises:
            UncleanError: it cannot be done for sure.
        """
        if plan is None:
            return messages
        text = self._encoded(messages)
        kept, counts = _clean(text, plan)
        if kept is text or kept == text:
            return messages
        self.counts.update(counts)
        return _decode(kept)

    def text(self, text: str) -> str:
        """Redact a text that comes again and again."""
        raw = self._encoded(text)
        return text if not self._redaction.rules else str(msgspec.json.decode(self._remembered(raw)))

    def raw(self, raw: Raw) -> Raw:
        """Redact JSON that comes again and again."""
        return Raw(self._remembered(bytes(raw)))

    def _remembered(self, text: bytes) -> bytes:
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[text] = _clean(text, self._redaction)
        kept, counts = found
        if counts:
            self.counts.update(counts)
        return kept

    def _encoded(self, value: object) -> bytes:
        try:
            return _encode(value)
        except UnicodeEncodeError:
            raise UncleanError("half of a surrogate pair") from None


def _clean(text: bytes, redaction: Redaction | Plan) -> tuple[bytes, Mapping[str, int]]:
    try:
        cleaned = clean(text, root="request", redaction=redaction, limit=None)
    except Unclean as error:
        raise UncleanError(str(error)) from None
    return cleaned.body, cleaned.redacted
