"""Chunks of a chat completion become a `chat.completion`.

Rule: every unstreamed message has `role` and `content`, so the folded one has; all else only where the stream had it.
"""

from __future__ import annotations

import base64
import binascii

from .deltas import Object, Pieces, finished, merge
from .folding_choices import Choice, ChoicesFold
from .folding_tools import ToolCalls


class ChatChoice(Choice):
    """A choice of a chat completion."""

    def __init__(self, index: int) -> None:
        """Begin the choice of that index."""
        super().__init__(index)
        self._message: Object = {}
        self._calls: ToolCalls | None = None

    def take(self, choice: Object) -> None:
        """Take a chunk's part of the choice; where a whole message comes instead of a delta, it replaces all before."""
        super().take(choice)
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice.get("message")
            if not isinstance(delta, dict):
                return
            self._message, self._calls = {}, None
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            self._calls = self._calls or ToolCalls()
            self._calls.add(calls)
            delta = {key: value for key, value in delta.items() if key != "tool_calls"}
        merge(self._message, delta)

    def said(self) -> Object:
        """Give the message so far."""
        audio = self._message.get("audio")
        if isinstance(audio, dict) and isinstance(audio.get("data"), Pieces):
            audio["data"] = _joined_base64(audio["data"])
        message: Object = {"role": "assistant", "content": None, **finished(self._message)}
        message["role"] = message["role"] or "assistant"
        if self._calls is not None:
            message["tool_calls"] = self._calls.finished()
        return {"message": message}


class ChatFold(ChoicesFold):
    """A chat completion so far."""

    kind = "chat.completion"
    choice = ChatChoice


def _joined_base64(pieces: Pieces) -> str:
    """Join base64 that was cut into pieces, each with a padding of its own or not."""
    texts = [piece for piece in pieces if piece]
    if not any(text.endswith("=") for text in texts[:-1]):
        return "".join(texts)
    try:
        return base64.b64encode(b"".join(base64.b64decode(text) for text in texts)).decode()
    except (binascii.Error, ValueError):
        return "".join(texts)
