"""The rules of tools and calls in a line of a training file.

Owns what is wrong with ``tools``, ``parallel_tool_calls``, ``tool_calls`` and ``tool_call_id``, in words that go on
from the line's or the message's number. Source of the rules: OpenAI's schema of chat fine-tuning lines
(``FineTuneChatRequestInput``), and that each call is answered before anybody else speaks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from .features import text_of
from .wanted import Tool

Line = Mapping[str, object]


def offered_tools(line: object) -> dict[str, Tool]:
    """Read the functions that a line offers; what is no function is left to ``tool_faults``."""
    tools = line.get("tools") if isinstance(line, Mapping) else None
    found: dict[str, Tool] = {}
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            parameters = function.get("parameters")
            known = parameters if isinstance(parameters, Mapping) else {}
            name = str(function["name"])
            found[name] = Tool(name, text_of(function.get("description")), known)
    return found


def tool_faults(line: Line) -> Iterator[str]:
    """Name the faults of a line's ``tools`` and ``parallel_tool_calls``."""
    tools, parallel = line.get("tools"), line.get("parallel_tool_calls")
    if parallel is not None and not isinstance(parallel, bool):
        yield "'parallel_tool_calls' is neither true nor false"
    if tools is None:
        return
    if not isinstance(tools, list) or not tools:
        yield "'tools' is not a non-empty list"
        return
    for place, tool in enumerate(tools, start=1):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or tool.get("type") != "function":
            yield f"tool {place} is not a function"
        elif not isinstance(function.get("name"), str) or not function["name"]:
            yield f"tool {place} has no name"
        elif not isinstance(function.get("parameters", {}), Mapping):
            yield f"tool {place}: 'parameters' is not an object"


def call_faults(messages: Sequence[Line], offered: Mapping[str, Tool]) -> Iterator[tuple[int, str]]:
    """Name the faults of the calls of a conversation, each with its message's number.

    Args:
        messages: Whose roles and contents have been looked at.
        offered: The line's functions; where there are none, any may be called.
    """
    waiting: list[str] = []
    for place, message in enumerate(messages, start=1):
        if message["role"] == "tool":
            call_id = message.get("tool_call_id")
            if call_id not in waiting:
                yield place, f"'tool_call_id' {call_id!r} is no open call of the assistant's message before"
            else:
                waiting.remove(str(call_id))
            continue
        if waiting:
            yield place, f"the call {waiting[0]!r} has no answer of a tool"
            waiting = []
        calls = message.get("tool_calls")
        if calls is None:
            continue
        if message["role"] != "assistant":
            yield place, "'tool_calls' is only for assistant messages"
        if not isinstance(calls, list) or not calls:
            yield place, "'tool_calls' is not a non-empty list"
            continue
        for call in calls:
            fault = _call_fault(call, offered, waiting)
            if fault is not None:
                yield place, fault


def _call_fault(call: object, offered: Mapping[str, Tool], waiting: list[str]) -> str | None:
    """Say what is wrong with a call, and note that it waits for its answer."""
    if not isinstance(call, Mapping) or not isinstance(call.get("id"), str) or not call["id"]:
        return "a tool call has no 'id'"
    if call["id"] in waiting:
        return f"the tool call id {call['id']!r} stands twice"
    waiting.append(call["id"])
    function = call.get("function")
    if call.get("type") != "function" or not isinstance(function, Mapping):
        return f"the tool call {call['id']!r} is not of the type 'function'"
    return _function_fault(function, call["id"], offered)


def _function_fault(function: Line, call_id: str, offered: Mapping[str, Tool]) -> str | None:
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(name, str) or not name:
        return f"the tool call {call_id!r} has no function name"
    if offered and name not in offered:
        return f"the function {name!r} is not among the line's 'tools'"
    if not isinstance(arguments, str) or not _is_object(arguments):
        return f"the arguments of {name!r} are not the JSON text of an object"
    return None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
