"""The tuned model for answers in parts: its labels' odds, and a pointer for what is copied.

Owns how an answer is put together of what is likelier than not, and the next best ones: each with one or two of the
least certain decisions turned. The probability of an answer is the product of those of its decisions.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .features import features, question
from .label_training import ALWAYS
from .odds import Odds
from .parts import GAP, plan_from_json, put_together
from .pointer import Pointer, Slot
from .softmax import model_from_json
from .wanted import ANYTHING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .answers import Answer
    from .features import Message
    from .parts import Plan
    from .softmax import SoftmaxModel
    from .wanted import Wanted

_WRITTEN_OUT, _TURNED = 8, 4
_SURE = 30.0
_Option = tuple["str | None", float]


@dataclass(frozen=True)
class ComposedModel:
    """See the module; immutable.

    Attributes:
        plan: How answers are made.
        labels: Scores of the plan's labels.
        pointer: What goes into the gaps.
        summand: On all scores, fitted on held-out rows, as the scores' sharpness is.
    """

    plan: Plan
    labels: SoftmaxModel
    pointer: Pointer = field(default_factory=Pointer)
    summand: float = 0.0
    calls = False

    def odds(self, messages: Sequence[Message], wanted: Wanted = ANYTHING) -> Odds | None:
        """Judge a conversation; None where nothing that it can say is wanted."""
        found = self.answers(messages)
        return wanted.narrow(Odds([answer for answer, _ in found], [p for _, p in found])) if found else None

    def made_up(self, _text: str, _wanted: Wanted) -> list[tuple[Answer, float]]:
        """Call nothing: it was taught no calls."""
        return []

    def answers(self, messages: Sequence[Message]) -> list[tuple[str, float]]:
        """Give the likeliest answers, each with its probability; they add up to less than 1."""
        text = question(messages)
        decisions = list(self._decisions(messages))
        best = [options[0] for _, options in decisions]
        turns = sorted(
            (options[1][1] / options[0][1], place)
            for place, (_, options) in enumerate(decisions)
            if len(options) > 1 and options[0][1] > 0
        )[-_TURNED:]
        found: dict[str, float] = {}
        for chosen in _variants(best, decisions, [place for _, place in reversed(turns)]):
            probability = math.prod(p for _, p in chosen)
            for answer, sure in self._written(decisions, chosen, text):
                found[answer] = found.get(answer, 0.0) + probability * sure
        return sorted(found.items(), key=lambda one: -one[1])[:_WRITTEN_OUT]

    def to_json(self) -> dict[str, object]:
        """Describe the model as JSON."""
        return {"plan": self.plan.to_json(), "labels": self.labels.to_json(), "pointer": dict(self.pointer.weights),
                "summand": self.summand}  # fmt: skip

    def _decisions(self, messages: Sequence[Message]) -> Iterator[tuple[str, list[_Option]]]:
        """Give each decision's path and options, the likeliest first: a value as in the plan, or None for nothing."""
        scores = self.labels.scores({ALWAYS, *features_of_parts(messages)})
        by_path: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
        for (path, value), score in zip(self.plan.labels, scores, strict=True):
            odds = math.exp(max(-_SURE, min(_SURE, self.labels.sharpness * score + self.summand)))
            if path in self.plan.lists:
                p = odds / (1.0 + odds)
                yield path, sorted([(value, p), (None, 1.0 - p)], key=lambda one: -one[1])
            else:
                by_path[path].append((value, odds))
        for path, listed in by_path.items():
            nothing = 0.0 if path in self.plan.always else 1.0
            total = sum(odds for _, odds in listed) + nothing
            options: list[_Option] = [(value, odds / total) for value, odds in listed]
            options += [(None, nothing / total)] if nothing else []
            yield path, sorted(options, key=lambda one: -one[1])

    def _written(
        self, decisions: Sequence[tuple[str, Sequence[_Option]]], chosen: Sequence[_Option], text: str
    ) -> Iterator[tuple[str, float]]:
        said: list[tuple[str, Any]] = []
        gaps: list[Slot] = []
        for (path, _), (value, _) in zip(decisions, chosen, strict=True):
            if value is not None and value.startswith(GAP):
                gaps.append(Slot(path, value.removeprefix(GAP), 0))
            elif value is not None:
                said.append((path, json.loads(value)))
        for filling in self.pointer.fillings(gaps, text)[:2]:
            copied = [
                (slot.path, span.text if slot.kind == "text" or span.number is None else span.number)
                for slot, span in zip(gaps, filling.spans, strict=True)
            ]
            yield put_together(self.plan, [*said, *copied]), filling.probability


def features_of_parts(messages: Sequence[Message]) -> set[str]:
    """Give the features of a conversation; numbers look alike, since what matters is mostly that one is there."""
    plain = features(messages)
    looks = re.sub(r"\d+", "9", question(messages).lower())
    return plain | {f"look:{one}" for one in features([{"role": "user", "content": looks}]) if "9" in one}


def composed_from_json(stored: Any) -> ComposedModel:
    """Read what ``to_json`` wrote."""
    weights = {str(name): float(weight) for name, weight in stored["pointer"].items()}
    labels, summand = model_from_json(stored["labels"]), float(stored["summand"])
    return ComposedModel(plan_from_json(stored["plan"]), labels, Pointer(weights), summand)


def _variants(
    best: Sequence[_Option], decisions: Sequence[tuple[str, Sequence[_Option]]], turns: Sequence[int]
) -> Iterator[list[_Option]]:
    yield list(best)
    for number, place in enumerate(turns):
        turned = [*best]
        turned[place] = decisions[place][1][1]
        yield turned
        for other in turns[:number]:
            twice = [*turned]
            twice[other] = decisions[other][1][1]
            yield twice
