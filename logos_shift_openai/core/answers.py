"""What of an answer is compared: the text and the tool calls of each of its choices, and when two of them are the same.

Reads the answers of chat completions and of `responses`; anything else has no choices.
"""

from __future__ import annotations

import json
import unicodedata
from decimal import Decimal
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """One choice of an answer.

    Args:
        text: What it says, a refusal included.
        tools: The tools it calls, each with its arguments as they came.
    """

    text: str
    tools: tuple[tuple[str, str], ...] = ()


def answers_of(body: Any) -> list[Answer]:
    """Give the choices of an answer by their index; none where it is no answer."""
    if not isinstance(body, dict):
        return []
    if isinstance(body.get("output"), list):
        return [_of_responses(body["output"])]
    choices = [one for one in body.get("choices") or () if isinstance(one, dict)]
    choices.sort(key=lambda one: index if isinstance(index := one.get("index"), int) else 0)
    return [_of_message(one["message"]) for one in choices if isinstance(one.get("message"), dict)]


def same_text(one: Answer, other: Answer) -> bool:
    """Tell whether two choices are the same but for case, width of characters and whitespace."""
    return _plain(one.text) == _plain(other.text) and _same_tools(one, other)


def same_json(one: Answer, other: Answer) -> bool:
    """Tell whether two choices are the same as JSON, or where they are none, but for the whitespace around them."""
    return _same_text_as_json(one.text, other.text) and _same_tools(one, other)


def _of_message(message: dict[str, Any]) -> Answer:
    calls = [one.get("function") or one.get("custom") for one in message.get("tool_calls") or () if _is_object(one)]
    calls.append(message.get("function_call"))
    return Answer(
        _text_of(message.get("content")) + _text_of(message.get("refusal")),
        tuple(_tool(one) for one in calls if isinstance(one, dict)),
    )


def _of_responses(output: list[Any]) -> Answer:
    items = [one for one in output if isinstance(one, dict)]
    texts = [_text_of(one.get("content")) for one in items if one.get("type") == "message"]
    calls = [one for one in items if one.get("type") in {"function_call", "custom_tool_call"}]
    return Answer("".join(texts), tuple(_tool(one) for one in calls))


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        parts = (one for one in content if isinstance(one, dict))
        return "".join(_text_of(one.get("text") or one.get("refusal")) for one in parts)
    return content if isinstance(content, str) else ""


def _tool(call: dict[str, Any]) -> tuple[str, str]:
    arguments = call.get("arguments", call.get("input"))
    return str(call.get("name")), arguments if isinstance(arguments, str) else json.dumps(arguments)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _same_tools(one: Answer, other: Answer) -> bool:
    """Match each tool call with one of the other's that was not matched yet."""
    left = list(other.tools)
    if len(left) != len(one.tools):
        return False
    for name, arguments in one.tools:
        found = next(
            (two for two in left if two[0] == name and _same_text_as_json(arguments, two[1])),
            None,
        )
        if found is None:
            return False
        left.remove(found)
    return True


def _same_text_as_json(one: str, other: str) -> bool:
    if one.strip() == other.strip():
        return True
    try:
        return _same(read_json(one), read_json(other))
    except (ValueError, ArithmeticError, RecursionError):
        return False


def read_json(text: str) -> Any:
    """Read JSON with its numbers as decimals, so that 1 is 1.0; not a number and infinity are refused.

    Raises:
        ValueError: it is none.
    """
    return json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _same(one: Any, other: Any) -> bool:
    # To Python true is 1 and equal to 1.0; to JSON a number is another thing.
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)
