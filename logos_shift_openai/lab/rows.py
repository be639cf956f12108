"""Rows of one's own for the oracle: a file of JSON lines.

Owns the format. A line is ``{"text": ..., "answer": ...}``, the answer a text, or a JSON object or list to be
answered as JSON text; or ``{"text": ..., "tool_calls": [{"name": ..., "arguments": {...}}]}``; or a line of a chat
training file, ``{"messages": [...]}``, whose last message is the answer to the last question.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .answers import Answer, Call, answer_in
from .features import question

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_rows(path: Path) -> list[tuple[str, Answer]]:
    """Read a file of rows.

    Raises:
        OSError: It cannot be read.
        ValueError: With the number of the first line that is no row, or there is none.
    """
    found: list[tuple[str, Answer]] = []
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            try:
                found.append(_row(json.loads(line)))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path.name}, line {number}: {error}") from error
    if not found:
        raise ValueError(f"{path.name}: no rows")
    return found


def _row(line: object) -> tuple[str, Answer]:
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - a bad file, not a bad call
    text, answer = _chat(line["messages"]) if "messages" in line else (line.get("text"), _answer(line))
    if not isinstance(text, str) or not text.strip():
        raise ValueError("there is no question: 'text' is missing or empty, or no message is the user's")
    if not answer:
        raise ValueError("there is no answer: 'answer', 'tool_calls', or a last message of the assistant")
    return text, answer


def _chat(messages: object) -> tuple[str, Answer]:
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise ValueError("'messages' is not a list of objects")
    said = messages[-1] if messages and messages[-1].get("role") == "assistant" else {}
    return question(messages), answer_in(said)


def _answer(line: Mapping[str, object]) -> Answer:
    calls, answer = line.get("tool_calls"), line.get("answer")
    if calls is not None:
        if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
            raise ValueError("'tool_calls' is not a list of objects")
        return tuple(_call(call) for call in calls)
    if answer is None or isinstance(answer, str):
        return answer or ""
    return json.dumps(answer, ensure_ascii=False)


def _call(call: Mapping[str, object]) -> Call:
    function = call.get("function", call)
    said = function if isinstance(function, dict) else {}
    name, arguments = said.get("name"), said.get("arguments", {})
    if not isinstance(name, str) or not name:
        raise ValueError("a call has no 'name'")
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of {name!r} are not an object")  # noqa: TRY004 - a bad file
    return Call(name, json.dumps(arguments, ensure_ascii=False))
