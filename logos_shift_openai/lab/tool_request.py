"""``tools``, ``tool_choice``, ``parallel_tool_calls`` and ``response_format`` of a request, read strictly.

Owns how the four become a ``Wanted`` and how wrong ones are refused, in OpenAI's words where they are known. Tools of
another type than function are taken and never called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .errors import invalid, missing, wrong_type
from .features import text_of
from .wanted import JSON_OBJECT, Tool, Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .features import Message

_NAME = "^[a-zA-Z0-9_-]+$"
_MOST_TOOLS, _LONGEST_NAME = 128, 64


def read_wanted(body: Mapping[str, object], messages: Sequence[Message]) -> Wanted:
    """Read what a request allows.

    Raises:
        ApiError: 400 with the field at fault in ``param``.
    """
    tools = _tools(body.get("tools"))
    allowed, mode = _choice(body.get("tool_choice"), tools, offered=body.get("tools") is not None)
    parallel = body.get("parallel_tool_calls")
    if parallel is not None and not isinstance(parallel, bool):
        raise wrong_type("parallel_tool_calls", "a boolean", parallel)
    if parallel is not None and body.get("tools") is None:
        raise _without_tools("parallel_tool_calls")
    return Wanted(
        tools=allowed,
        must_call=mode in ("required", "named"),
        named=mode == "named",
        parallel=parallel is not False,
        schema=_schema(body.get("response_format"), messages),
    )


def _tools(value: object) -> dict[str, Tool]:
    if value is None:
        return {}
    if not isinstance(value, list):
        raise wrong_type("tools", "an array of objects", value)
    if not value or len(value) > _MOST_TOOLS:
        code = "array_above_max_length" if value else "empty_array"
        raise invalid(f"Invalid 'tools': expected 1 to {_MOST_TOOLS} tools, but got {len(value)}.", "tools", code)
    found = [_tool(tool, f"tools[{place}]") for place, tool in enumerate(value)]
    return {tool.name: tool for tool in found if tool is not None}


def _tool(tool: object, where: str) -> Tool | None:
    if not isinstance(tool, Mapping):
        raise wrong_type(where, "an object", tool)
    if tool.get("type") is None:
        raise missing(f"{where}.type")
    if tool["type"] == "custom":
        return None
    if tool["type"] != "function":
        message = f"Invalid value: '{tool['type']}'. Supported values are: 'function' and 'custom'."
        raise invalid(message, f"{where}.type", "invalid_value")
    function = tool.get("function")
    if function is None:
        raise missing(f"{where}.function")
    if not isinstance(function, Mapping):
        raise wrong_type(f"{where}.function", "an object", function)
    name = _name(function.get("name"), f"{where}.function.name")
    parameters = function.get("parameters", {})
    if not isinstance(parameters, Mapping):
        raise wrong_type(f"{where}.function.parameters", "an object", parameters)
    if parameters and parameters.get("type") != "object":
        kind = parameters.get("type")
        message = f"Invalid schema for function '{name}': expected the type 'object', got {kind!r}."
        raise invalid(message, f"{where}.function.parameters", "invalid_function_parameters")
    return Tool(name, text_of(function.get("description")), parameters)


def _name(value: object, where: str) -> str:
    if value is None:
        raise missing(where)
    if not isinstance(value, str):
        raise wrong_type(where, "a string", value)
    if not re.fullmatch(_NAME, value):
        message = f"Invalid '{where}': string does not match pattern. Expected a match of '{_NAME}'."
        raise invalid(message, where, "invalid_value")
    if len(value) > _LONGEST_NAME:
        message = f"Invalid '{where}': string too long. Expected a string with maximum length {_LONGEST_NAME}."
        raise invalid(message, where, "string_above_max_length")
    return value


def _choice(value: object, tools: dict[str, Tool], *, offered: bool) -> tuple[dict[str, Tool], str]:
    """Give the tools that may be called, and auto, none, required or named."""
    if value is None:
        return tools, "auto"
    if not offered and value != "none":
        raise _without_tools("tool_choice")
    if value in ("auto", "required", "none"):
        return ({}, "none") if value == "none" else (tools, str(value))
    if isinstance(value, str) or not isinstance(value, Mapping):
        message = f"Invalid value: {value!r}. Supported values are: 'none', 'auto', and 'required'."
        raise invalid(message, "tool_choice", "invalid_value")
    if value.get("type") == "allowed_tools":
        inner = value.get("allowed_tools")
        inner = inner if isinstance(inner, Mapping) else {}
        listed = inner.get("tools")
        names = [_chosen(one, tools) for one in listed] if isinstance(listed, list) else []
        if inner.get("mode") not in ("auto", "required") or not names:
            raise invalid("Invalid 'tool_choice.allowed_tools': expected a mode and tools.", "tool_choice")
        return {name: tools[name] for name in names}, str(inner["mode"])
    name = _chosen(value, tools)
    return {name: tools[name]}, "named"


def _chosen(value: object, tools: dict[str, Tool]) -> str:
    function = value.get("function") if isinstance(value, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str):
        raise missing("tool_choice.function.name")
    if name not in tools:
        message = f"Invalid value for 'tool_choice': no tool in 'tools' has the name '{name}'."
        raise invalid(message, "tool_choice")
    return name


def _without_tools(param: str) -> Exception:
    return invalid(f"Invalid value for '{param}': '{param}' is only allowed when 'tools' are specified.", param)


def _schema(value: object, messages: Sequence[Message]) -> object:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise wrong_type("response_format", "an object", value)
    kind = value.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        if not any("json" in text_of(message.get("content")).lower() for message in messages):
            message = (
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
            )
            raise invalid(message, "messages")
        return JSON_OBJECT
    if kind != "json_schema":
        message = f"Invalid value: {kind!r}. Supported values are: 'json_object', 'json_schema', and 'text'."
        raise invalid(message, "response_format.type", "invalid_value")
    inner = value.get("json_schema")
    if not isinstance(inner, Mapping):
        raise missing("response_format.json_schema")
    _name(inner.get("name"), "response_format.json_schema.name")
    schema = inner.get("schema")
    if schema is None:
        return JSON_OBJECT
    if not isinstance(schema, Mapping):
        raise wrong_type("response_format.json_schema.schema", "an object", schema)
    return schema
