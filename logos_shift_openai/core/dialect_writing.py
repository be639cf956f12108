"""From our own lines (`openai-chat`, `openai-preference`) to those of the other dialects.

Rule: nothing that is learnt is lost. What a dialect cannot say at all (a weight in TRL) is said in its own way: the
turns before the answer become its prompt. A line that a dialect cannot hold raises `CannotWriteError`, and is counted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dialects import Dialect


class CannotWriteError(ValueError):
    """A line that the dialect cannot hold; the message says why."""


def written(example: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """Say a line of an edition in a dialect.

    Args:
        example: A line of `openai-chat` or `openai-preference`, read.
        dialect: The one it is to be in.

    Raises:
        CannotWriteError: the dialect has no way to say it.
    """
    pair = "input" in example
    if dialect.name == "openai-chat" and pair:
        raise CannotWriteError("a preference pair is no line of openai-chat")
    if dialect.name == "openai-preference" and not pair:
        raise CannotWriteError("a chat line is no preference pair")
    if dialect.name.startswith("openai"):
        return example
    if dialect.name == "trl":
        return _trl(example)
    if pair:
        asked = {**example["input"], "messages": _plain(example["input"]["messages"])}
        answers = {key: _plain(example[key]) for key in ("preferred_output", "non_preferred_output")}
        return {"input": asked, **answers}
    messages = _plain(example["messages"])
    if dialect.rules.alternate:
        messages = _in_turns(messages)
    return {**example, "messages": messages}


def _trl(example: dict[str, Any]) -> dict[str, Any]:
    asked = example.get("input", example)
    tools = {"tools": asked["tools"]} if asked.get("tools") else {}
    if "input" in example:
        chosen, rejected = (_objects(example[key]) for key in ("preferred_output", "non_preferred_output"))
        return {"prompt": _objects(asked["messages"]), "chosen": chosen, "rejected": rejected, **tools}
    messages = _objects(asked["messages"])
    return {"prompt": messages[:-1], "completion": messages[-1:], **tools}


def _objects(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give messages as chat templates read them: no weight, and the arguments of calls as objects."""
    found = []
    for message in _plain(messages):
        kept = {key: value for key, value in message.items() if key != "weight"}
        if "tool_calls" in kept:
            kept["tool_calls"] = [_call(one) for one in kept["tool_calls"]]
        found.append(kept)
    return found


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {**call, "function": {**function, "arguments": json.loads(function["arguments"])}}


def _plain(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each message a text for its content, and the role that open models know."""
    found = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            content = "\n".join(part["text"] for part in content)
        role = "system" if message["role"] == "developer" else message["role"]
        found.append({**message, "role": role, **({} if content is None else {"content": content})})
    return _system_first(found)


def _system_first(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make several system texts at the beginning one; one in the middle has no place anywhere else."""
    count = next((n for n, one in enumerate(messages) if one["role"] != "system"), len(messages))
    if any(one["role"] == "system" for one in messages[count:]):
        raise CannotWriteError("a system text stands in the middle")
    if count < 2:  # noqa: PLR2004 - one is as it should be
        return messages
    return [{"role": "system", "content": "\n\n".join(one["content"] for one in messages[:count])}, *messages[count:]]


def _in_turns(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make what one user said in several messages one turn."""
    found: list[dict[str, Any]] = []
    for message in messages:
        if found and message["role"] == "user" == found[-1]["role"]:
            found[-1] = {**found[-1], "content": f"{found[-1]['content']}\n{message['content']}"}
        elif found and message["role"] == "assistant" == found[-1]["role"]:
            raise CannotWriteError("two answers of the assistant follow each other")
        else:
            found.append(message)
    return found
