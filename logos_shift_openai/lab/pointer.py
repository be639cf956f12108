"""Which piece of the question belongs into which gap of an answer: a conditional logit over the pieces.

Theory of operation. A gap (``Slot``) has a name, the path to it in the JSON, and a kind. Every piece of the question of
that kind is a candidate with a handful of yes-no features: the words around it and at its edges, its look, whether the
gap's name or description stands near it, whether it is the n-th number for the n-th gap. A candidate's probability is
the softmax of its features' summed weights over all candidates of the same gap (McFadden 1974), learnt by stochastic
gradient descent. Features come with the gap's full name, with the last part of it, and with its kind alone, so that
what is learnt of one function is of some use for another that was never seen.

Pure values; ``learn`` is a generator that yields after every example, for its driver to breathe or stop.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .softmax import softmax
from .spans import Question, Span, cut_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .spans import Span as Piece

_EPOCHS, _RATE = 6, 0.3
_MOST_PIECES = 100_000  # in all gaps together, some 50 MB while learning
_WIDTH = 3  # pieces tried for each gap
_NEAR = 3  # words
_LEAST_WEIGHT = 1e-3
_QUOTES = frozenset("\"'`\u201c\u201d\u2018\u2019")
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_PLAIN = frozenset(
    "a an and are at be by can do for from has have how i if in is it its me my of on or please that the there this to "  # noqa: SIM905
    "was what when where which who will with you your".split()
)


class Slot(NamedTuple):
    """A gap of an answer.

    Attributes:
        path: Function and keys, such as "book.guests" or "slots.date"; items of a list are "[]".
        kind: "text", "integer" or "number".
        rank: How many gaps of the same sort (texts, or numbers) stand before it.
        about: What is said of it elsewhere, as a schema's description.
    """

    path: str
    kind: str
    rank: int
    about: str = ""


class Filling(NamedTuple):
    """A piece for each gap, and how likely that is."""

    spans: tuple[Span, ...]
    probability: float


@dataclass(frozen=True)
class Pointer:
    """Learnt weights of features; without any, the first piece that fits is taken."""

    weights: Mapping[str, float] = field(default_factory=dict)

    def fillings(self, slots: Sequence[Slot], text: str) -> list[Filling]:
        """Fill gaps from a question, likeliest first; none where a gap has no piece left. No letter is used twice."""
        if not slots:
            return [Filling((), 1.0)]
        question = cut_up(text)
        open_ones = [Filling((), 1.0)]
        for slot in slots:
            found = self._candidates(slot, question)
            longer: list[Filling] = []
            for before in open_ones:
                free = [one for one in found if not any(one[0].crosses(used) for used in before.spans)]
                longer += [Filling((*before.spans, span), before.probability * p) for span, p in free[:_WIDTH]]
            open_ones = sorted(longer, key=lambda filling: -filling.probability)[: 2 * _WIDTH]
        return open_ones

    def _candidates(self, slot: Slot, question: Question) -> list[tuple[Span, float]]:
        spans = candidates(slot, question)
        if not spans:
            return []
        weights = self.weights
        scores = [sum(weights.get(one, 0.0) for one in features_of(slot, span, question)) for span in spans]
        found = list(zip(spans, softmax(scores), strict=True))
        return sorted(found, key=lambda one: -one[1])


def candidates(slot: Slot, question: Question) -> Sequence[Piece]:
    """List the pieces of the gap's kind."""
    if slot.kind == "text":
        return question.runs
    if slot.kind == "integer":
        return [span for span in question.numbers if isinstance(span.number, int)]
    return question.numbers


def learn(examples: Sequence[tuple[Slot, str, frozenset[Span]]], seed: int, into: dict[str, float]) -> Iterator[None]:
    """Learn from gaps, the question each stood to, and the pieces that were right for it.

    Args:
        examples: Drawn by the seed, as many as have 100,000 candidates together.
        seed: Of the order.
        into: Takes the weights, at the end.
    """
    dice = random.Random(seed)  # noqa: S311 - a shuffle, no secret
    chosen = list(examples)
    dice.shuffle(chosen)
    rows: list[tuple[list[list[str]], list[bool]]] = []
    once: dict[str, str] = {}  # the same feature is kept once
    left = _MOST_PIECES
    for slot, text, right in chosen:
        question = cut_up(text)
        spans = candidates(slot, question)
        left -= len(spans)
        if left < 0:
            break
        if len(spans) > 1 and right:
            features = [[once.setdefault(one, one) for one in features_of(slot, span, question)] for span in spans]
            rows.append((features, [span in right for span in spans]))
        yield
    weights: defaultdict[str, float] = defaultdict(float)
    for epoch in range(_EPOCHS):
        dice.shuffle(rows)
        for features, gold in rows:
            _step(weights, features, gold, _RATE / (1.0 + epoch))
            yield
    into.update({name: round(weight, 5) for name, weight in weights.items() if abs(weight) >= _LEAST_WEIGHT})


def _step(weights: defaultdict[str, float], features: list[list[str]], gold: list[bool], rate: float) -> None:
    odds = softmax([sum(weights[one] for one in row) for row in features])
    right = sum(p for p, is_right in zip(odds, gold, strict=True) if is_right) or 1e-12
    for row, p, is_right in zip(features, odds, gold, strict=True):
        move = rate * ((p / right if is_right else 0.0) - p)
        if abs(move) > _LEAST_WEIGHT * rate:
            for one in row:
                weights[one] += move


def features_of(slot: Slot, span: Span, question: Question) -> list[str]:
    """Tell what a piece of the question looks like to a gap."""
    words, first, last = question.words, span.first, span.last
    left = words[first - 1] if first else "^"
    right = words[last + 1] if last + 1 < len(words) else "$"
    before = words[max(0, first - _NEAR) : first]
    after = words[last + 1 : last + 1 + _NEAR]
    length = str(min(last - first + 1, 6))
    look = _look(span.text)
    name = slot.path.rpartition(".")[2]
    own = [
        f"L={left}",
        f"LL={words[first - 2] if first > 1 else '^'} {left}",
        f"R={right}",
        f"f={words[first]}",
        f"l={words[last]}",
        f"#={length}",
        f"look={look}",
    ]
    own += [f"w={word}" for word in words[first : last + 1]]
    found = [f"{scope}|{one}" for scope in (slot.path, name, slot.kind) for one in own]
    named, about = stems_of(name), stems_of(slot.about) - stems_of(name)
    for label, wanted in (("name", named), ("about", about)):
        if wanted:
            found += [
                f"{slot.kind}|{label}-L={_share(wanted, before)}",
                f"{slot.kind}|{label}-R={_share(wanted, after)}",
                f"{slot.kind}|{label}-in={_share(wanted, words[first : last + 1])}",
            ]
    if slot.kind != "text":
        before_it = len({one.start for one in question.numbers if one.start < span.start})
        found.append(f"{slot.kind}|rank={before_it - slot.rank}")
    found.append(f"{slot.kind}|between={_between(span, question.text)}")
    edges = f"{words[first] in _PLAIN:d}{words[last] in _PLAIN:d}{left in _PLAIN:d}{right in _PLAIN:d}"
    found.append(f"{slot.kind}|edges={edges}")
    found.append(f"{slot.kind}|look={look} #={length}")
    found.append(f"{slot.kind}|end={span.text[-1:] if not span.text[-1:].isalnum() else ''}")
    return found


def _look(text: str) -> str:
    """Write a text's look: "Xx Xx" for two capitalised words, "9" for digits; at most three words of it."""
    marks = re.sub(r"[A-Z]+", "X", re.sub(r"[a-z]+", "x", re.sub(r"\d+", "9", text)))
    return " ".join(marks.split()[:3])


def _between(span: Span, text: str) -> str:
    """Tell what stands at both ends: quotes, capitals, digits; a name is mostly taken whole."""
    start, end = span.start, span.end
    if start and text[start - 1] in _QUOTES and text[end : end + 1] in _QUOTES:
        return "quotes"
    left, right = text[:start].split()[-1:], text[end:].split()[:1]
    near = [*(one[0] for one in left), "|", *(one[0] for one in right)]
    return "".join("X" if one.isupper() else "9" if one.isdigit() else one if one == "|" else "x" for one in near)


def stems_of(text: str) -> set[str]:
    """Give the beginnings of a text's telling words, in lower case; names are cut up at capitals and underscores."""
    return {part.lower()[:4] for part in _PARTS.findall(text) if part.lower() not in _PLAIN}


def _share(wanted: set[str], words: Sequence[str]) -> bool:
    return any(word[:4] in wanted for word in words)
