"""``tiny-base``, before and after tuning.

Owns the two ways the small model answers: untuned it picks, among the labels its system prompt lists, the one
that shares most words with the question, which is weak; tuned it asks its trained weights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .features import Message, features, question, system_prompt, words
from .odds import Odds
from .softmax import SoftmaxModel, softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_IDEA = "I am not sure."

_SEPARATORS = re.compile(r"[,;|\n]|\s/\s")
_EDGES = " \t\r\"'`.*-•"
_LONGEST_LABEL = 6  # words


class Untuned:
    """The model nobody has tuned yet."""

    def odds(self, messages: Sequence[Message]) -> Odds:
        """Weigh the labels of the system prompt by the words they share with the question."""
        labels = listed_labels(system_prompt(messages))
        if not labels:
            return Odds([NO_IDEA], [1.0])
        asked = set(words(question(messages)))
        shared = [float(len(asked.intersection(words(label.replace("_", " "))))) for label in labels]
        return Odds(labels, softmax(shared))


@dataclass(frozen=True)
class Tuned:
    """A tuned model: trained weights behind the same questions."""

    model: SoftmaxModel

    def odds(self, messages: Sequence[Message]) -> Odds:
        """Ask the weights."""
        return Odds(self.model.answers, self.model.probabilities(features(messages)))


def listed_labels(prompt: str) -> list[str]:
    """Find the labels a system prompt lists: what stands after its last colon, or in its whole last list.

    Items are separated by commas, semicolons, bars or line ends; a list has two items at least, an item
    six words at most.
    """
    tail = prompt.rpartition(":")[2]
    items = [item.strip(_EDGES) for item in _SEPARATORS.split(tail)]
    short = [item for item in items if item and len(item.split()) <= _LONGEST_LABEL]
    labels = list(dict.fromkeys(short))
    return labels if len(labels) > 1 else []
