"""The shape of an answer: what is left when the values that stand in the question are taken out of its JSON.

Theory of operation. ``{"intent": "book", "day": "next Monday"}`` to "a table next Monday, please" has the shape
``{"intent": "book", "day": <a text>}``. The small model learns which shape a question gets, and ``pointer`` learns
which piece of the question goes into each gap, so it can answer with a JSON text or a call that it has not seen,
made of a shape that it has seen. A value is taken out where the values at its path mostly (``MOSTLY``) stand in their
questions: a label that a question names by chance stays what it is, a label. A text that is no JSON is its own
shape, as is JSON that Python would not write back to the letter.

Owns the shape's key, a string that the softmax can learn and a file can keep. Pure functions.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .answers import Answer, Call
from .pointer import Slot
from .spans import Question, Span, cut_up, pieces_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MOSTLY = 0.6
MARK = "\0"
"""Begins a key that is not the answer itself, and names a gap in its JSON: ``{MARK: kind}``."""
BY_SCHEMA = MARK + "[]"
"""The key of a call whose function stood in too few rows to know it: it is made up by its schema."""
STYLES: tuple[dict[str, object], ...] = (
    {},
    {"ensure_ascii": False},
    {"separators": (",", ":")},
    {"separators": (",", ":"), "ensure_ascii": False},
    {"indent": 2},
    {"indent": 2, "ensure_ascii": False},
)
"""The ways of writing JSON that are told apart, as arguments of ``json.dumps``."""


class _Part(NamedTuple):
    """One JSON document of an answer: the arguments of a call, or (name "") the text itself."""

    name: str
    style: int  # a place in STYLES; -1 where the tree is the text itself
    tree: Json


class Shaped(NamedTuple):
    """An answer cut: its shape's key, and for each gap the pieces of the question that were right."""

    key: str
    gaps: tuple[tuple[Slot, frozenset[Span]], ...]


def copied_paths(examples: Sequence[tuple[str, Answer]]) -> frozenset[str]:
    """Find the paths whose values mostly stand in their questions, given ``(question, answer)`` pairs."""
    seen: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for text, answer in examples:
        for part in _parts(answer) or ():
            for path, value in _leaves(part.tree, part.name):
                seen[path] += 1
                found[path] += bool(pieces_for(value, cut_up(text)))
    return frozenset(path for path, times in found.items() if times and times >= MOSTLY * seen[path])


def shape(text: str, answer: Answer, copied: frozenset[str]) -> Shaped:
    """Cut an answer to a question.

    Args:
        text: The question.
        answer: The answer.
        copied: The paths whose values are taken out where they stand in the question.
    """
    parts = _parts(answer)
    if parts is None:
        return Shaped(str(answer), ())
    question = cut_up(text)
    right: list[frozenset[Span]] = []
    cut = [part._replace(tree=_cut(part.tree, part.name, question, copied, right)) for part in parts]
    if isinstance(answer, str) and not right:
        return Shaped(answer, ())
    key = MARK + json.dumps(cut)
    return Shaped(key, tuple(zip(slots_of(key), right, strict=True)))


@lru_cache(maxsize=4096)
def slots_of(key: str) -> tuple[Slot, ...]:
    """List the gaps of a shape in their order."""
    found: list[Slot] = []
    ranks: Counter[bool] = Counter()
    for part in _read(key):
        for path, value in _leaves(part.tree, part.name):
            if isinstance(value, dict):
                kind = str(value[MARK])
                found.append(Slot(path, kind, ranks[kind == "text"]))
                ranks[kind == "text"] += 1
    return tuple(found)


def call_key(name: str, arguments: Json) -> str:
    """Make the key of a call whose arguments have gaps."""
    return MARK + json.dumps([_Part(name, 0, arguments)])


def style_of(text: str) -> int:
    """Tell in which of the ``STYLES`` a JSON text is written; -1 for none, or where it is no object and no list."""
    part = _part("", text)
    return -1 if part is None else part.style


def names_of(key: str) -> tuple[str, ...]:
    """Name the functions that a shape calls; none for a text."""
    return tuple(part.name for part in _read(key) if part.name)


def filled(key: str, spans: Sequence[Span]) -> Answer:
    """Put pieces into the gaps of a shape, one for each."""
    if not key.startswith(MARK):
        return key
    left = iter(spans)
    written = []
    for part in _read(key):
        tree = _fill(part.tree, left)
        text = str(tree) if part.style < 0 else json.dumps(tree, **STYLES[part.style])  # type: ignore[arg-type]
        written.append((part.name, text))
    if not written[0][0]:
        return written[0][1]
    return tuple(Call(name, text) for name, text in written)


@lru_cache(maxsize=4096)
def _read(key: str) -> tuple[_Part, ...]:
    if not key.startswith(MARK):
        return ()
    return tuple(_Part(*part) for part in json.loads(key[1:]))


def _parts(answer: Answer) -> list[_Part] | None:
    """Read the JSON of an answer; None for a text that is none. Unreadable arguments stay a text."""
    if isinstance(answer, str):
        part = _part("", answer)
        return None if part is None else [part]
    return [_part(call.name, call.arguments) or _Part(call.name, -1, call.arguments) for call in answer]


def _part(name: str, text: str) -> _Part | None:
    try:
        tree = json.loads(text)
        if not isinstance(tree, dict | list) or MARK in text or "\\u0000" in text:
            return None
        for number, style in enumerate(STYLES):
            if json.dumps(tree, **style) == text:  # type: ignore[arg-type]
                return _Part(name, number, tree)
    except (ValueError, RecursionError):
        pass
    return None


def _leaves(tree: Json, path: str) -> Iterator[tuple[str, Json]]:
    if isinstance(tree, dict) and MARK not in tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{path}.{key}")
    elif isinstance(tree, list):
        for value in tree:
            yield from _leaves(value, f"{path}[]")
    else:
        yield path, tree


def _cut(tree: Json, path: str, question: Question, copied: frozenset[str], right: list[frozenset[Span]]) -> Json:
    if isinstance(tree, dict):
        return {key: _cut(value, f"{path}.{key}", question, copied, right) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_cut(value, f"{path}[]", question, copied, right) for value in tree]
    pieces = pieces_for(tree, question) if path in copied else ()
    if not pieces:
        return tree
    right.append(frozenset(pieces))
    return {MARK: "text" if isinstance(tree, str) else "integer" if isinstance(tree, int) else "number"}


def _fill(tree: Json, left: Iterator[Span]) -> Json:
    if isinstance(tree, list):
        return [_fill(value, left) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if MARK not in tree:
        return {key: _fill(value, left) for key, value in tree.items()}
    span = next(left)
    if tree[MARK] == "text" or span.number is None:
        return span.text
    return float(span.number) if tree[MARK] == "number" else span.number
