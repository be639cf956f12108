"""What may stand for an argument: pieces of the question, numbers in words, what its schema lists, or nothing.

Owns the candidates of one property of a function and what they look like to ``arguments``, which learns which of them
is right. A candidate is a JSON value; those taken from the question remember the letters, since no letter is used
twice. What was left out has the value ``LEFT_OUT``. Pure functions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .features import words
from .pointer import Slot, stems_of
from .spans import Question, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

LEFT_OUT: Final = "\0left out"
_NUMBER_WORDS: Final = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
    )
}
_QUOTED: Final = re.compile(r"['\"\u2018\u201c]([^'\"\u2019\u201d]{1,40})['\"\u2019\u201d]")
_DEFAULT: Final = re.compile(r"(?i)\bdefaults?\b(?: value)?(?: is| to|:)? ?['\"]?([\w.-]+)")
_JOINED: Final = re.compile(r"[\s,;&\[\]()]*(?:\band\b|\bor\b)?[\s,;&\[\]()]*")
_GAPS: Final = {"string": "text", "integer": "integer", "number": "number"}


class Property(NamedTuple):
    """A property of a function.

    Attributes:
        slot: Where its value goes, as the pointer means it; of a list, its items' kind.
        kind: Its type in the schema: "string", "integer", "number", "boolean", "array", or "" for another.
        required: Whether it must be said.
        listed: The values that its schema or description lists.
        usual: What its schema or description gives as the default, as text; "" for none.
    """

    name: str
    slot: Slot
    kind: str
    required: bool
    listed: tuple[str, ...]
    strict: bool
    usual: str


class Value(NamedTuple):
    """A candidate: its JSON, the pieces it is made of, and where it comes from."""

    json: str
    spans: tuple[Span, ...]
    origin: str


def properties_of(name: str, parameters: Mapping[str, object]) -> list[Property]:
    """Read the properties of a function out of its schema, in their order."""
    found = []
    ranks = {"text": 0, "number": 0}
    required = parameters.get("required")
    needed = required if isinstance(required, list) else []
    for key, said in _mapping(parameters.get("properties")).items():
        schema = _mapping(said)
        kind = str(schema.get("type", ""))
        inner = _mapping(schema.get("items")) if kind == "array" else schema
        gap = _GAPS.get(str(inner.get("type")), "")
        sort = "text" if gap in ("text", "") else "number"
        about = str(schema.get("description", ""))
        enum = inner.get("enum")
        listed = [one for one in enum if isinstance(one, str)] if isinstance(enum, list) else _QUOTED.findall(about)
        usual = schema.get("default")
        told = _DEFAULT.search(about)
        usual = str(usual) if usual is not None else told.group(1) if told else ""
        slot = Slot(f"{name}.{key}", gap or "text", ranks[sort], about)
        ranks[sort] += kind != "boolean"
        found.append(
            Property(key, slot, kind if gap or kind == "boolean" else "", key in needed, tuple(dict.fromkeys(listed)),
                     isinstance(enum, list), usual)
        )  # fmt: skip
    return found


def candidates(one: Property, question: Question) -> list[Value]:
    """List what may stand for a property."""
    found = [] if one.required else [Value(LEFT_OUT, (), "left out")]
    if one.kind == "boolean":
        return [*found, Value("true", (), "true"), Value("false", (), "false")]
    single = list(_single(one, question))
    if one.kind == "array":
        found += [Value(f"[{value.json}]", value.spans, f"one {value.origin}") for value in single]
        found += _several(one, question, single)
    elif one.kind:
        found += single
    seen: set[tuple[str, tuple[Span, ...]]] = set()
    return [value for value in found if (value[:2] not in seen and not seen.add(value[:2]))]  # type: ignore[func-returns-value]


def _single(one: Property, question: Question) -> Iterator[Value]:
    if one.slot.kind == "text":
        for text in one.listed:
            yield Value(json.dumps(text), (), "listed")
        if not one.strict:
            for run in question.runs:
                yield Value(json.dumps(run.text), (run,), "text")
        return
    for span in numbers_of(question):
        if one.slot.kind == "number" or isinstance(span.number, int):
            yield Value(json.dumps(span.number), (span,), "number")


def _several(one: Property, question: Question, single: Sequence[Value]) -> Iterator[Value]:
    """List rows of neighbours ("A, B and C"), all numbers, and all listed values that the question names."""
    if one.slot.kind == "text":
        asked = set(words(question.text))
        named = [text for text in one.listed if words(text) and asked.issuperset(words(text))]
        if len(named) > 1:
            yield Value(json.dumps(named), (), "all listed")
        if not one.strict:
            for row in _rows(question):
                yield Value(json.dumps([span.text for span in row]), row, f"row of {min(len(row), 4)}")
        return
    spans = [value.spans[0] for value in single if value.spans]
    plain = [span for place, span in enumerate(spans) if place == 0 or span.start >= spans[place - 1].end]
    for first in range(len(plain)):
        for last in range(first + 1, min(len(plain), first + 8)):
            row = tuple(plain[first : last + 1])
            near = all(_JOINED.fullmatch(question.text[a.end : b.start]) for a, b in pairwise(row))
            whole = first == 0 and last == len(plain) - 1
            if near or whole:
                edge = last == len(plain) - 1 or not _JOINED.fullmatch(
                    question.text[plain[last].end : plain[last + 1].start]
                )
                start = first == 0 or not _JOINED.fullmatch(question.text[plain[first - 1].end : plain[first].start])
                kind = f"near={near:d} whole={whole:d} edges={edge and start:d}"
                yield Value(json.dumps([span.number for span in row]), row, f"numbers {kind}")


def _rows(question: Question) -> Iterator[tuple[Span, ...]]:
    """Give the rows of runs that only commas and "and" part, two to five, each of at most four words."""
    by_start: dict[int, list[Span]] = {}
    for run in question.runs:
        if run.last - run.first < 4:  # noqa: PLR2004 - words of an item
            by_start.setdefault(run.start, []).append(run)
    text = question.text
    for run in question.runs:
        if run.last - run.first < 4:  # noqa: PLR2004
            yield from _longer((run,), by_start, text)


def _longer(row: tuple[Span, ...], by_start: Mapping[int, list[Span]], text: str) -> Iterator[tuple[Span, ...]]:
    joint = re.compile(r"['\"]?(?:, and |, | and )['\"]?").match(text, row[-1].end)
    if joint is None or len(row) == 5:  # noqa: PLR2004 - items of a row
        return
    for run in by_start.get(joint.end(), ()):
        longer = (*row, run)
        if re.match(r"['\"]?(?:,? and )", text[run.end :]) is None:
            yield longer
        if "and" not in joint.group():
            yield from _longer(longer, by_start, text)


@lru_cache(maxsize=256)
def numbers_of(question: Question) -> tuple[Span, ...]:
    """Give the numbers of a question, those in words ("three") too, by their place."""
    found = list(question.numbers)
    place = 0
    for number, word in enumerate(question.words):
        at = question.text.lower().find(word, place)
        place = max(place, at + len(word))
        if word in _NUMBER_WORDS and at >= 0:
            found.append(
                Span(at, at + len(word), question.text[at : at + len(word)], number, number, _NUMBER_WORDS[word])
            )
    return tuple(sorted(found, key=lambda span: (span.start, span.end)))


def named_share(text: str, question: Question) -> float:
    """Give the share of a listed value's stems that stand in the question, 0 to 1."""
    wanted = stems_of(text)
    asked = {word[:4] for word in question.words}
    return len(wanted & asked) / len(wanted) if wanted else 0.0


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
