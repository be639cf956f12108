"""A training file of chat examples, checked line by line.

Owns the rules of a line and the words of its faults; every fault names its line, and those of calls come from
``chat_file_calls``. What passes comes out as examples a model can learn from: each assistant message with a weight of 1
answers what stands before it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .answers import Answer, answer_in
from .chat_file_calls import call_faults, offered_tools, tool_faults
from .chat_request import ROLES
from .wanted import Tool, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .features import Message

LEAST_EXAMPLES = 10
_NAMED_FAULTS = 5
_CONTENT_OPTIONAL = ("tool_calls", "function_call")


class BadFileError(Exception):
    """A training or validation file that cannot be used."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code  # None: the caller's invalid_training_file or invalid_validation_file


@dataclass(frozen=True)
class ChatExample:
    """A prompt, the answer to learn, and what may be answered: the line's tools, else those it calls."""

    prompt: Sequence[Message]
    answer: Answer
    wanted: Wanted


def read_chat_file(data: bytes, *, least: int = LEAST_EXAMPLES, role: str = "training") -> list[ChatExample]:
    """Check a file and take out its examples.

    Args:
        data: The uploaded bytes.
        least: How many lines it must have.
        role: What the file is for, "training" or "validation".

    Raises:
        BadFileError: With the line numbers of the first faults.
    """
    faults: list[str] = []
    examples: list[ChatExample] = []
    lines = 0
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        lines += 1
        try:
            document = _parsed(line)
            examples.extend(_examples(_messages(document), offered_tools(document)))
        except _Fault as fault:
            faults.append(f"Line {number}{fault}")
    if faults:
        more = len(faults) - _NAMED_FAULTS
        tail = f"; and {more} more." if more > 0 else "."
        raise BadFileError("Invalid file format. " + "; ".join(faults[:_NAMED_FAULTS]) + tail)
    if lines < least:
        message = f"{role.capitalize()} file has {lines} example(s), but must have at least {least} examples"
        raise BadFileError(message, "invalid_n_examples")
    if not examples:
        raise BadFileError("Every assistant message has the weight 0, there is nothing to learn.")
    return examples


class _Fault(Exception):  # noqa: N818 - not an error of the program
    """What is wrong with one line; goes on from "Line 7"."""


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _Fault(f": not valid UTF-8 (byte {error.start + 1})") from None
    except json.JSONDecodeError as error:
        raise _Fault(f": not valid JSON ({error.msg}, column {error.colno})") from None
    except RecursionError:
        raise _Fault(": nested too deeply") from None


def _messages(document: object) -> list[dict[str, object]]:
    if not isinstance(document, dict):
        raise _Fault(": not a JSON object")
    messages = document.get("messages")
    if messages is None:
        raise _Fault(": key 'messages' is missing")
    if not isinstance(messages, list) or not messages:
        raise _Fault(": 'messages' is not a non-empty list")
    for place, message in enumerate(messages, start=1):
        _check_message(message, place)
    if not any(message["role"] == "assistant" for message in messages):
        raise _Fault(": no message has the role 'assistant'")
    if messages[-1]["role"] != "assistant":
        raise _Fault(": the last message is not from the assistant")
    for fault in tool_faults(document):
        raise _Fault(f": {fault}")
    for place, what in call_faults(messages, offered_tools(document)):
        raise _Fault(f", message {place}: {what}")
    return messages


def _check_message(message: object, place: int) -> None:
    where = f", message {place}"
    if not isinstance(message, dict):
        raise _Fault(f"{where}: not a JSON object")
    role = message.get("role")
    if role is None:
        raise _Fault(f"{where}: key 'role' is missing")
    if not isinstance(role, str) or role not in ROLES:
        raise _Fault(f"{where}: unknown role {role!r}")
    content = message.get("content")
    optional = role == "assistant" and any(message.get(name) for name in _CONTENT_OPTIONAL)
    if content is None and not optional:
        raise _Fault(f"{where}: key 'content' is missing")
    if content is not None and not isinstance(content, str | list):
        raise _Fault(f"{where}: 'content' is neither a text nor a list of parts")
    if "weight" in message:
        _check_weight(message["weight"], str(role), where)


def _check_weight(weight: object, role: str, where: str) -> None:
    if role != "assistant":
        raise _Fault(f"{where}: 'weight' is only for assistant messages")
    if isinstance(weight, bool) or weight not in (0, 1):
        raise _Fault(f"{where}: 'weight' is {weight!r}, must be 0 or 1")


def _examples(messages: Sequence[dict[str, object]], tools: dict[str, Tool]) -> Iterator[ChatExample]:
    for place, message in enumerate(messages):
        if message["role"] != "assistant" or message.get("weight", 1) == 0:
            continue
        if message.get("function_call"):
            raise _Fault(f", message {place + 1}: tiny-base learns texts and 'tool_calls', not 'function_call'")
        answer = answer_in(message)
        if not answer:
            raise _Fault(f", message {place + 1}: the answer is empty")
        called = {} if isinstance(answer, str) else {call.name: Tool(call.name) for call in answer}
        yield ChatExample(messages[:place], answer, Wanted(tools=tools or called))
