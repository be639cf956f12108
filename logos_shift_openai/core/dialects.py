"""The dialects of training files: what a line of each must be. A line is checked alone; every fault has its path.

`openai-chat` and `openai-preference` are OpenAI's (`FineTuneChatRequestInput`, `FineTunePreferenceRequestInput` of its
OpenAPI document); `together` and `fireworks` take much the same with rules of their own; `trl` is the conversational
format of the TRL library, where a call's arguments are an object. Rule: whatever the bytes are, nothing raises.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .chat_messages import Fault, MessageRules, message_faults, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_LINE: Final = 64 * 2**20
"""Bytes of a line that is looked at."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A kind of training file.

    Args:
        keys: Keys that may stand at the top of a line.
        least: Rows under which its owner takes no file.
    """

    name: str
    keys: frozenset[str]
    least: int
    rules: MessageRules = field(default_factory=MessageRules)


_OPEN: Final = frozenset({"system", "user", "assistant", "tool"})
_CHAT: Final = frozenset({"messages", "tools", "parallel_tool_calls"})
_PAIR: Final = frozenset({"input", "preferred_output", "non_preferred_output"})
DIALECTS: Final[Mapping[str, Dialect]] = {
    one.name: one
    for one in (
        Dialect("openai-chat", _CHAT | {"functions"}, 10),
        Dialect("openai-preference", _PAIR, 10),
        Dialect(
            "together",
            _CHAT | _PAIR,
            1,
            MessageRules(roles=_OPEN, parts=False, system_first=True, alternate=True),
        ),
        Dialect("fireworks", _CHAT | _PAIR, 3, MessageRules(roles=_OPEN, parts=False, system_first=True)),
        Dialect(
            "trl",
            frozenset({"messages", "prompt", "completion", "chosen", "rejected", "tools"}),
            1,
            MessageRules(roles=_OPEN, weight=False, parts=False, objects=True),
        ),
    )
}
"""All there are, by name."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_PREFERENCE: Final = ("chosen", "rejected")


def line_faults(line: bytes, dialect: Dialect) -> list[Fault]:
    """Name the faults of one line.

    Args:
        line: Its bytes, with its end or without.
        dialect: What it is to be.
    """
    if len(line) > LONGEST_LINE:
        return [Fault("", f"is longer than {LONGEST_LINE} bytes")]
    value, fault = _read(line)
    return list(example_faults(value, dialect)) if fault is None else [Fault("", fault)]


def _read(line: bytes) -> tuple[Any, str | None]:
    """Read a line, or say why it cannot be."""
    fault = None
    try:
        value = json.loads(line.decode(), parse_constant=_no_constant)
        if b"\\u" in line and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
            fault = "holds half of a surrogate pair, which is no character"
    except UnicodeDecodeError as error:
        value, fault = None, f"is not UTF-8: byte {error.start + 1}"
    except json.JSONDecodeError as error:
        value, fault = None, f"is not JSON: {error.msg}, column {error.colno}"
    except RecursionError:
        value, fault = None, "is nested too deep"
    except ValueError as error:
        value, fault = None, f"is not JSON: {error}"
    return value, fault


def example_faults(value: object, dialect: Dialect) -> Iterator[Fault]:
    """Name the faults of a line that was read."""
    if not isinstance(value, dict):
        yield Fault("", "is not an object")
        return
    for key in value:
        if key not in dialect.keys:
            yield Fault(str(key), f"is no key of a line of {dialect.name}")
    if dialect.name == "trl":
        yield from _trl(value, dialect)
    elif "messages" in dialect.keys and ("messages" in value or "input" not in value or "input" not in dialect.keys):
        yield from _chat(value, "", dialect)
        for key in _PAIR & value.keys() & dialect.keys:
            yield Fault(key, "cannot stand beside messages")
    else:
        yield from _pair(value, dialect)


def _chat(value: dict[str, Any], path: str, dialect: Dialect, *, answered: bool = True) -> Iterator[Fault]:
    """Look at messages with their tools; `answered` where the last one must be the assistant's, to be learnt."""
    messages = value.get("messages")
    if messages is None:
        yield Fault(f"{path}messages", "is missing")
        return
    offered: set[str] = set()
    yield from _tools(value, path, offered)
    known = frozenset(offered) if offered else None
    yield from message_faults(messages, f"{path}messages", dialect.rules, known)
    parallel = value.get("parallel_tool_calls")
    if not isinstance(parallel, (bool, type(None))):
        yield Fault(f"{path}parallel_tool_calls", f"{shown(parallel)} is neither true nor false")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        last = messages[-1].get("role")
        if answered and last != "assistant":
            yield Fault(f"{path}messages[{len(messages) - 1}].role", "the last message is not the assistant's")
        elif answered and dialect.rules.weight and not any(_learnt(one) for one in messages):
            yield Fault(f"{path}messages", "every message of the assistant has the weight 0: nothing is learnt")
        elif not answered and last == "assistant":
            yield Fault(f"{path}messages[{len(messages) - 1}].role", "the prompt ends with the assistant")


def _learnt(message: object) -> bool:
    return isinstance(message, dict) and message.get("role") == "assistant" and message.get("weight", 1) != 0


def _pair(value: dict[str, Any], dialect: Dialect) -> Iterator[Fault]:
    asked = value.get("input")
    if not isinstance(asked, dict):
        yield Fault("input", "is not an object" if "input" in value else "is missing")
    else:
        for key in asked.keys() - _CHAT:
            yield Fault(f"input.{key}", "is not known here")
        yield from _chat(asked, "input.", dialect, answered=False)
    for key in ("preferred_output", "non_preferred_output"):
        yield from _answer(value, key, dialect)
    if value.get("preferred_output") is not None and value.get("preferred_output") == value.get("non_preferred_output"):
        yield Fault("non_preferred_output", "is the same as preferred_output")


def _trl(value: dict[str, Any], dialect: Dialect) -> Iterator[Fault]:
    if "messages" in value:
        yield from _chat(value, "", dialect)
        for key in ("prompt", "completion", *_PREFERENCE):
            if key in value:
                yield Fault(key, "cannot stand beside messages")
        return
    yield from _tools(value, "", set())
    if "prompt" not in value:
        yield Fault("prompt", "is missing, and so are messages")
    else:
        yield from message_faults(value["prompt"], "prompt", dialect.rules, None)
    answers = _PREFERENCE if any(key in value for key in _PREFERENCE) else ("completion",)
    for key in answers:
        yield from _answer(value, key, dialect)
    if answers == _PREFERENCE and value.get("chosen") == value.get("rejected") is not None:
        yield Fault("rejected", "is the same as chosen")


def _answer(value: dict[str, Any], key: str, dialect: Dialect) -> Iterator[Fault]:
    if key not in value:
        yield Fault(key, "is missing")
        return
    answer = value[key]
    yield from message_faults(answer, key, dialect.rules, None)
    if isinstance(answer, list) and (len(answer) != 1 or not isinstance(answer[0], dict)):
        yield Fault(key, "is not one message of the assistant")
    elif isinstance(answer, list) and answer[0].get("role") != "assistant":
        yield Fault(f"{key}[0].role", "is not assistant")


def _tools(value: dict[str, Any], path: str, offered: set[str]) -> Iterator[Fault]:
    """Look at the functions offered, and note their names."""
    for key in ("tools", "functions"):
        tools = value.get(key)
        if tools is None:
            continue
        if not isinstance(tools, list) or not tools:
            yield Fault(f"{path}{key}", "is not a list with functions in it")
            continue
        for number, tool in enumerate(tools):
            here = f"{path}{key}[{number}]"
            function = tool.get("function") if key == "tools" and isinstance(tool, dict) else tool
            if not isinstance(function, dict) or (key == "tools" and tool.get("type") != "function"):
                yield Fault(here, "is not a function")
                continue
            name = function.get("name")
            if not isinstance(name, str) or not name:
                yield Fault(f"{here}{'.function' if key == 'tools' else ''}.name", "is missing")
            else:
                offered.add(name)
            if not isinstance(function.get("parameters", {}), dict):
                yield Fault(f"{here}{'.function' if key == 'tools' else ''}.parameters", "is not an object")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no value")
