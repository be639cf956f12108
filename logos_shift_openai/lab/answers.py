"""What a model of the lab can say: a text (JSON is one), or calls of functions.

Owns these values and their way from and to the messages of a chat. A message that has calls and a text beside them
counts as its calls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .features import Message, text_of


@dataclass(frozen=True, order=True)
class Call:
    """One call of a function; ``arguments`` is the JSON text of an object."""

    name: str
    arguments: str = "{}"


Answer: TypeAlias = "str | tuple[Call, ...]"
"""A text, or the calls of one message in their order."""

Said: TypeAlias = "str | Call | Sequence[Call]"
"""What a caller may give for an answer; ``answer_of`` makes it one."""


def answer_of(said: Said) -> Answer:
    """Make an answer of a text, a call, or several.

    Raises:
        ValueError: No call, or something else.
    """
    if isinstance(said, str):
        return said
    calls = (said,) if isinstance(said, Call) else tuple(said)
    if not calls or not all(isinstance(call, Call) for call in calls):
        raise ValueError(f"an answer is a text or calls, not {said!r}")
    return calls


def answer_in(message: Message) -> Answer:
    """Read the answer out of an assistant's message; "" where it has none."""
    calls = message.get("tool_calls")
    if not isinstance(calls, Sequence) or not calls:
        return text_of(message.get("content"))
    functions = [call.get("function") for call in calls if isinstance(call, Mapping)]
    named = [function for function in functions if isinstance(function, Mapping)]
    return tuple(Call(str(function.get("name")), str(function.get("arguments"))) for function in named)


def as_text(answer: Answer) -> str:
    """Write an answer as one text: itself, or its calls as JSON; to sort, count and compare by."""
    if isinstance(answer, str):
        return answer
    return json.dumps([[call.name, call.arguments] for call in answer])


def same(one: Answer, other: Answer) -> bool:
    """Tell whether two answers say the same: texts to the letter, JSON and arguments by their values."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _same_json(one, other)
    if isinstance(one, str) or isinstance(other, str) or len(one) != len(other):
        return False
    return all(a.name == b.name and same(a.arguments, b.arguments) for a, b in zip(one, other, strict=True))


def _same_json(one: str, other: str) -> bool:
    try:
        values = json.loads(one), json.loads(other)
    except (ValueError, RecursionError):
        return False
    return isinstance(values[0], dict | list) and values[0] == values[1]
