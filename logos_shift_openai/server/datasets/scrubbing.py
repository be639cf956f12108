"""Secrets and personal data, taken out once more: what a client let through then may be known of now.

Rule: fails closed, as `core.redaction` does. A text that thousands of calls share (the system prompt, the tools) is
looked at once and remembered.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw

from logos_shift_openai.core.redaction import Redaction, Unclean, clean

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEMBERED: Final = 4_096
_SECRETS: Final = "secrets"
_TELLING: Final = b"0123456789@"
_encode: Final = msgspec.json.Encoder().encode


class UncleanError(Exception):
    """A text that cannot be redacted for sure, or holds what no text may."""


class Scrubber:
    """Redacts messages, texts and tools, and counts by rule.

    Args:
        redaction: The rules; none leaves all as it is.
    """

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        own = redaction.patterns or redaction.keys
        self._of_words = redaction if own else Redaction.build([name for name in redaction.rules if name == _SECRETS])
        self._known: dict[bytes, tuple[bytes, Mapping[str, int]]] = {}
        self.counts: Counter[str] = Counter()
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def messages(self, messages: list[Any]) -> list[Any]:
        """Redact messages, which are given back as they are where nothing was found.

        Raises:
            UncleanError: it cannot be done for sure.
        """
        text = self._encoded(messages)
        kept, counts = self._clean(text)
        if kept is text or kept == text:
            return list(messages)
        self.counts.update(counts)
        if self._decoder is None:
            self._decoder = msgspec.json.Decoder(list[type(messages[0])])  # type: ignore[misc]  # known when it runs
        return list(self._decoder.decode(kept))

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
            found = self._known[text] = self._clean(text)
        kept, counts = found
        if counts:
            self.counts.update(counts)
        return kept

    def _encoded(self, value: object) -> bytes:
        try:
            return _encode(value)
        except UnicodeEncodeError:
            raise UncleanError("half of a surrogate pair") from None

    def _clean(self, text: bytes) -> tuple[bytes, Mapping[str, int]]:
        redaction = self._of_words if _is_words_alone(text) else self._redaction
        try:
            cleaned = clean(text, root="request", redaction=redaction, limit=None)
        except Unclean as error:
            raise UncleanError(str(error)) from None
        return cleaned.body, cleaned.redacted


def _is_words_alone(text: bytes) -> bool:
    """Tell whether only a secret may stand in a text.

    Every other rule needs a digit, an @ or a `::`; where characters are escaped or beyond ASCII they may be written
    otherwise. Two thirds of the time that prose without a number takes is saved.
    """
    if not text.isascii() or b"\\u" in text or b"::" in text:
        return False
    return len(text.translate(None, _TELLING)) == len(text)
