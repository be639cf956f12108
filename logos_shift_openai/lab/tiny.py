"""``tiny-base``, before and after tuning.

Owns the two ways the small model answers: untuned it picks, among the functions on offer or the labels its system
prompt lists, the one that shares most words with the question, which is weak; tuned it asks what it has learnt, and
only where nothing of that is allowed it guesses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .features import Message, question, system_prompt, words
from .guess import NO_IDEA, guess, made_up_call, shared_words
from .odds import Odds
from .pointer import Pointer
from .softmax import softmax
from .wanted import ANYTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .answers import Answer
    from .learnt import Learnt
    from .wanted import Wanted

_SEPARATORS = re.compile(r"[,;|\n]|\s/\s")
_EDGES = " \t\r\"'`.*-•"
_LONGEST_LABEL = 6  # words


class Untuned:
    """The model nobody has tuned yet."""

    def odds(self, messages: Sequence[Message], wanted: Wanted = ANYTHING) -> Odds:
        """Weigh the functions on offer, and the labels of the system prompt, by the words they share with the question.

        After a tool's result it calls nothing.
        """
        text = question(messages)
        said: dict[Answer, float] = {NO_IDEA: 0.0}
        if messages and messages[-1].get("role") != "tool":
            for tool in wanted.tools.values():
                said[made_up_call(tool, text, Pointer()),] = float(shared_words(text, tool))
        labels = listed_labels(system_prompt(messages))
        if labels:
            del said[NO_IDEA]
            asked = set(words(text))
            said |= {label: float(len(asked.intersection(words(label.replace("_", " "))))) for label in labels}
        odds = wanted.narrow(Odds(list(said), softmax(list(said.values()))))
        return odds if odds is not None else Odds([guess(text, wanted, Pointer())], [1.0])


@dataclass(frozen=True)
class Tuned:
    """A tuned model: what it has learnt, behind the same questions."""

    model: Learnt

    def odds(self, messages: Sequence[Message], wanted: Wanted = ANYTHING) -> Odds:
        """Ask what it has learnt; one that was taught calls makes one up where it knows no function on offer."""
        found = self.model.odds(messages, wanted)
        if found is not None:
            return found
        text = question(messages)
        if wanted.tools and (wanted.must_call or self.model.calls):
            made_up = wanted.narrow(_odds(self.model.made_up(text, wanted)))
            if made_up is not None:
                return made_up
        must_call = wanted.must_call or (bool(wanted.tools) and self.model.calls)
        return Odds([guess(text, replace(wanted, must_call=must_call), self.model.pointer)], [1.0])


def _odds(found: Sequence[tuple[Answer, float]]) -> Odds:
    return Odds([answer for answer, _ in found], [p for _, p in found])


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
