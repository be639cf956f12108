"""Chunks of a legacy completion become a `text_completion`: texts are joined, log probabilities continued."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .folding_choices import Choice, ChoicesFold

if TYPE_CHECKING:
    from .deltas import Object


class TextChoice(Choice):
    """A choice of a legacy completion."""

    def __init__(self, index: int) -> None:
        """Begin the choice of that index."""
        super().__init__(index)
        self._text: list[str] = []

    def take(self, choice: Object) -> None:
        """Take a chunk's part of the choice."""
        super().take(choice)
        text = choice.get("text")
        if isinstance(text, str):
            self._text.append(text)

    def said(self) -> Object:
        """Give the text so far."""
        return {"text": "".join(self._text)}


class CompletionFold(ChoicesFold):
    """A legacy completion so far."""

    kind = "text_completion"
    choice = TextChoice
