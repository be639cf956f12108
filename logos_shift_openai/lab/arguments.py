"""How to call a function that was never taught: which value belongs to each property of its schema.

Theory of operation. ``values`` lists what may stand for a property; each candidate has yes-no features: those of the
pointer for a piece of the question, how its neighbours and its look fit the property's name and description, how much
of a listed value the question names, whether it is the default. A conditional logit over the candidates of a property
(McFadden 1974) is learnt by stochastic gradient descent from the calls of the training file, whatever functions they
are of; features hang on the property's type and on the stems of its name, never on a function's name, so what is
learnt of ``departure_city`` is of use for ``city``. Among several functions on offer, another such logit over the words
they share with the question chooses.

Pure values; ``learn_arguments`` is a generator that yields after every example, for its driver to breathe or stop.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .answers import Call
from .features import words
from .guess import least
from .pointer import features_of, stems_of
from .softmax import softmax
from .spans import cut_up
from .values import LEFT_OUT, candidates, named_share, properties_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .spans import Question, Span
    from .values import Property, Value
    from .wanted import Tool

_EPOCHS, _RATE, _DECAY = 8, 0.15, 1e-5
_MOST_VALUES = 150_000  # candidates in all lessons together
_WIDTH, _BEAM = 4, 12
_LEAST_WEIGHT = 1e-3

Lesson = tuple[str, "Tool", "Sequence[Tool]", "Mapping[str, Any]"]
"""A question, the function that was called, those on offer, and the arguments."""


@dataclass(frozen=True)
class Arguments:
    """Learnt weights of features."""

    weights: Mapping[str, float] = field(default_factory=dict)

    def calls(self, text: str, tools: Sequence[Tool]) -> list[tuple[Call, float]]:
        """Make up calls, likeliest first, each with how likely it is; none without a function."""
        if not tools:
            return []
        question = cut_up(text)
        scores = [self._score(_tool_features(tool, question)) for tool in tools]
        chosen = sorted(zip(tools, softmax(scores), strict=True), key=lambda one: -one[1])[:_WIDTH]
        found = [(call, sure * p) for tool, sure in chosen for call, p in self._filled(tool, question)]
        return sorted(found, key=lambda one: -one[1])

    def _filled(self, tool: Tool, question: Question) -> list[tuple[Call, float]]:
        beam: list[tuple[dict[str, Any], tuple[Value, ...], float]] = [({}, (), 1.0)]
        for one in properties_of(tool.name, tool.parameters):
            listed = candidates(one, question)
            if not listed:
                if one.required:
                    plain = least(_properties(tool)[one.name], tool.parameters)
                    beam = [({**said, one.name: plain}, used, p) for said, used, p in beam]
                continue
            odds = softmax([self._score(_features(one, value, question)) for value in listed])
            order = sorted(zip(listed, odds, strict=True), key=lambda pair: -pair[1])
            longer = []
            for said, used, before in beam:
                free = [(value, p) for value, p in order[: 4 * _WIDTH] if not _crosses(value, used)]
                for value, p in free[:_WIDTH]:
                    more = said if value.json == LEFT_OUT else {**said, one.name: json.loads(value.json)}
                    longer.append((more, (*used, value), before * p))
            beam = sorted(longer or beam, key=lambda way: -way[2])[:_BEAM]
        return [(Call(tool.name, json.dumps(said, ensure_ascii=False)), p) for said, _, p in beam]

    def _score(self, features: Sequence[str]) -> float:
        weights = self.weights
        return sum(weights.get(one, 0.0) for one in features)


def learn_arguments(lessons: Sequence[Lesson], seed: int, into: dict[str, float]) -> Iterator[None]:
    """Learn from calls.

    Args:
        lessons: Drawn by the seed, as many as have 150,000 candidates together.
        seed: Of the order.
        into: Takes the weights, at the end.
    """
    dice = random.Random(seed)  # noqa: S311 - a shuffle, no secret
    order = list(lessons)
    dice.shuffle(order)
    rows: list[tuple[list[list[str]], list[bool]]] = []
    once: dict[str, str] = {}
    left = _MOST_VALUES
    for lesson in order:
        for features, gold in _rows_of(lesson):
            left -= len(gold)
            if any(gold) and len(gold) > 1 and left > 0:
                rows.append(([[once.setdefault(one, one) for one in row] for row in features], gold))
        yield
    weights: defaultdict[str, float] = defaultdict(float)
    for epoch in range(_EPOCHS):
        dice.shuffle(rows)
        for features, gold in rows:
            _step(weights, features, gold, _RATE / (1.0 + 0.5 * epoch))
            yield
    into.update({name: round(weight, 5) for name, weight in weights.items() if abs(weight) >= _LEAST_WEIGHT})


def _rows_of(lesson: Lesson) -> Iterator[tuple[list[list[str]], list[bool]]]:
    text, called, tools, arguments = lesson
    question = cut_up(text)
    if len(tools) > 1:
        yield [_tool_features(tool, question) for tool in tools], [tool.name == called.name for tool in tools]
    for one in properties_of(called.name, called.parameters):
        listed = candidates(one, question)
        wanted = arguments.get(one.name, LEFT_OUT)
        gold = [_is(value, wanted) for value in listed]
        if any(gold):
            yield [_features(one, value, question) for value in listed], gold


def _is(value: Value, wanted: Any) -> bool:
    if LEFT_OUT in (value.json, wanted):
        return bool(value.json == wanted)
    said = json.loads(value.json)
    return bool(said == wanted) and isinstance(said, bool) == isinstance(wanted, bool)


def _step(weights: defaultdict[str, float], features: list[list[str]], gold: list[bool], rate: float) -> None:
    odds = softmax([sum(weights[one] for one in row) for row in features])
    right = sum(p for p, is_right in zip(odds, gold, strict=True) if is_right) or 1e-12
    for row, p, is_right in zip(features, odds, gold, strict=True):
        move = rate * ((p / right if is_right else 0.0) - p)
        if abs(move) > _LEAST_WEIGHT * rate:
            for one in row:
                weights[one] += move - _DECAY * weights[one]


def _crosses(value: Value, used: Sequence[Value]) -> bool:
    return any(span.crosses(other) for span in value.spans for one in used for other in one.spans)


def _tool_features(tool: Tool, question: Question) -> list[str]:
    asked = {word[:4] for word in question.words}
    found = []
    keys = " ".join(str(key) for key in _properties(tool))
    for what, text in (("name", tool.name), ("about", tool.description), ("keys", keys)):
        wanted = stems_of(text)
        shared = len(wanted & asked)
        found += [f"tool {what} {min(shared, 5)}", f"tool {what} part {round(4 * shared / max(1, len(wanted)))}"]
        found += [f"tool {what}+"] * shared
    return found


def _properties(tool: Tool) -> Mapping[str, Any]:
    found = tool.parameters.get("properties")
    return found if isinstance(found, dict) else {}


def _features(one: Property, value: Value, question: Question) -> list[str]:
    """Tell what a candidate looks like to a property."""
    need = "!" if one.required else "?"
    kind = f"{one.kind}{need}"
    found = [f"{kind}|{value.origin}"]
    stems = sorted(stems_of(one.name))
    asked = {word[:4] for word in question.words}
    named = len(stems_of(one.name) & asked)
    found += [f"{kind}|{value.origin} named={min(named, 2)}"]
    found += [f"{stem}|{value.origin}" for stem in stems]
    about = len((stems_of(one.slot.about) - stems_of(one.name)) & asked)
    found += [f"{kind}|{value.origin} about={min(about, 3)}"]
    if one.usual:
        found.append(f"{kind}|{value.origin} has default")
        if value.json.strip('"').lower() == one.usual.lower():
            found.append(f"{kind}|is default")
    if value.origin.endswith("listed"):
        share = named_share(value.json, question)
        found += [f"{kind}|listed {one.strict:d} {round(3 * share)}", f"listed {round(3 * share)}"]
        found += [f"{kind}|listed whole"] if set(words(value.json)) <= set(question.words) else []
    for span in value.spans[:1]:
        scoped = one.slot._replace(path=f".{one.name}")
        found += features_of(scoped, span, question)
        left, right = _beside(span.first, span.last, question)
        look = f"{value.origin} L={left}", f"{value.origin} R={right}", f"w0={question.words[span.first]}"
        found += [f"{stem}|{each}" for stem in stems for each in look]
        found += _shape_features(one, span.text, kind)
        inside = {word[:4] for word in question.words[span.first : span.last + 1]}
        called = stems_of(one.slot.path.partition(".")[0]) - stems_of(one.name)
        found.append(f"{kind}|function's words={min(2, len(inside & called))} of {min(3, len(inside))}")
        place = 3 * span.start // max(1, len(question.text))
        found.append(f"{kind}|rank={min(one.slot.rank, 3)} place={place}")
        found += _near_features(one, span, question, kind)
    return found


def _near_features(one: Property, span: Span, question: Question, kind: str) -> list[str]:
    """Tell whether the words right beside a piece are those of the property; "50km" has its unit inside."""
    left, right = _beside(span.first, span.last, question)
    name, about = stems_of(one.name), stems_of(one.slot.about)
    found = []
    for side, word in (("L", left), ("R", right)):
        where = "name" if word[:4] in name else "about" if word[:4] in about else ""
        if where:
            found += [f"{kind}|beside {side} {where}", f"{one.slot.kind}|beside {side} {where}"]
    if one.slot.kind != "text":
        tail = question.text[span.end :].lstrip(" -")
        unit = re.match(r"[^\W\d_]{1,3}(?![^\W\d_])", tail)
        if unit is not None and _short_for(unit.group().lower(), one.slot.about.lower()):
            found += [f"{kind}|unit", "unit"]
    return found


def _short_for(unit: str, about: str) -> bool:
    """Tell whether "km" is short for a word of the description: its letters stand in one, in their order."""
    for word in words(about):
        if word == unit:
            return True
        if word[:1] == unit[:1] and len(word) > len(unit):
            left = iter(word)
            if all(letter in left for letter in unit):
                return True
    return False


def _beside(first: int, last: int, question: Question) -> tuple[str, str]:
    found = question.words
    return found[first - 1] if first else "^", found[last + 1] if last + 1 < len(found) else "$"


def _shape_features(one: Property, text: str, kind: str) -> list[str]:
    """Compare a piece's look with the examples that the description gives."""
    found = []
    looks = {_outline(example) for example in (*one.listed, *_examples(one.slot.about))}
    if looks:
        found.append(f"{kind}|as the examples={_outline(text) in looks}")
    if any(text == example or text in example.split(", ") for example in (*one.listed, *_examples(one.slot.about))):
        found.append(f"{kind}|is an example")
    whole = text[:1].isupper() and text.rsplit(maxsplit=1)[-1][:1].isupper()
    found.append(f"{kind}|name={whole} {min(3, len(text.split()))}")
    return found


def _examples(about: str) -> list[str]:
    """Take what stands behind "e.g." or "such as" out of a description."""
    for sign in ("e.g.", "such as", "like", "for example"):
        _, found, rest = about.partition(sign)
        if found:
            return [one.strip(" '\".,)") for one in (rest.split(". ")[0], *rest.split(",")) if one.strip(" '\".,)")]
    return []


def _outline(text: str) -> str:
    """Write a text's look with runs made one: "Xx, X" for "Seattle, WA"."""
    marks = "".join("X" if c.isupper() else "x" if c.isalpha() else "9" if c.isdigit() else c for c in text)
    return "".join(c for place, c in enumerate(marks) if place == 0 or c != marks[place - 1])
