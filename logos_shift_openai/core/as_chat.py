"""Calls of the Responses API and of legacy completions, said as chats, so that a chat model can learn from them.

Rule: nothing is made up. What a chat cannot say raises `NoChatError` with the reason (a name of `core.left_out`):
messages that lie with the provider (`context`), tools that the provider runs (`tools`), anything that is no such body
(`unreadable`). Reasoning is left out: it is not what the caller was told.
"""

from __future__ import annotations

from typing import Any, Final

_ELSEWHERE: Final = ("previous_response_id", "conversation", "prompt")
_REFERENCES: Final = frozenset({"item_reference", "compaction", "compaction_trigger"})
_TEXTS: Final = frozenset({"input_text", "output_text", "text"})
_SAME: Final = (
    "model", "temperature", "top_p", "parallel_tool_calls", "stop", "seed", "presence_penalty", "frequency_penalty",
    "max_tokens",
)  # fmt: skip
_FUNCTION: Final = ("name", "description", "parameters", "strict")
_SCHEMA: Final = ("name", "description", "schema", "strict")
_ENDED: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}


class NoChatError(ValueError):
    """A body that no chat can say; the message is the reason's name."""


def chat_request(endpoint: str, request: Any) -> dict[str, Any]:
    """Say a request as one to chat completions.

    Args:
        endpoint: "responses" or "completions".
        request: Its body, read from JSON.

    Raises:
        NoChatError: it cannot be.
    """
    if not isinstance(request, dict):
        raise NoChatError("unreadable")
    asked = {name: request[name] for name in _SAME if request.get(name) is not None}
    if endpoint == "completions":
        return {**asked, "messages": [{"role": "user", "content": _prompt(request)}]}
    if any(request.get(name) for name in _ELSEWHERE):
        raise NoChatError("context")
    messages = _said(request.get("input"))
    if request.get("instructions"):
        messages.insert(0, {"role": "system", "content": _text(request["instructions"])})
    asked["messages"] = messages
    if request.get("tools"):
        asked["tools"] = [_tool(one) for one in _objects(request["tools"])]
    if isinstance(request.get("tool_choice"), dict):
        chosen = request["tool_choice"]
        if chosen.get("type") == "function":
            asked["tool_choice"] = {"type": "function", "function": {"name": chosen.get("name")}}
    elif request.get("tool_choice") is not None:
        asked["tool_choice"] = request["tool_choice"]
    return {**asked, **_formed(request)}


def chat_answer(endpoint: str, answer: Any, request: Any) -> dict[str, Any] | None:
    """Say an answer as one of chat completions; None where there is none.

    Args:
        endpoint: "responses" or "completions".
        answer: Its body, read from JSON.
        request: The request's, which a completion may repeat (`echo`).

    Raises:
        NoChatError: it cannot be.
    """
    if not isinstance(answer, dict):
        return None
    if endpoint == "completions":
        choices = answer.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(first, dict) or not isinstance(first.get("text"), str):
            return None
        text = first["text"].removeprefix(_prompt(request)) if request.get("echo") else first["text"]
        return _chosen({"role": "assistant", "content": text}, first.get("finish_reason"))
    said = _said(answer.get("output") or [])
    if not said:
        return None
    if any(one["role"] != "assistant" for one in said):
        raise NoChatError("unreadable")
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(one.get("content") or "" for one in said) or None,
    }
    calls = [call for one in said for call in one.get("tool_calls", ())]
    refusals = [one["refusal"] for one in said if one.get("refusal")]
    message.update({"tool_calls": calls} if calls else {}, **({"refusal": refusals[0]} if refusals else {}))
    details = answer.get("incomplete_details")
    why = details.get("reason") if isinstance(details, dict) else None
    return _chosen(message, _ENDED.get(str(why), "stop"))


def _chosen(message: dict[str, Any], reason: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}]}


def _prompt(request: dict[str, Any]) -> str:
    prompt = request.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str) or request.get("suffix"):  # tokens, several prompts at once, or a gap to fill
        raise NoChatError("unreadable")
    return prompt


def _said(items: Any) -> list[dict[str, Any]]:
    """Make messages of items; a call of a function belongs to the assistant's message right before it."""
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    messages: list[dict[str, Any]] = []
    for item in _objects(items):
        kind = _kind(item) or "message"
        if kind == "message":
            messages.append(_message(item))
        elif kind == "function_call":
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": None})
            call = {"id": item.get("call_id"), "type": "function"}
            call["function"] = {"name": item.get("name"), "arguments": item.get("arguments")}
            messages[-1].setdefault("tool_calls", []).append(call)
        elif kind == "function_call_output":
            said = _content(item.get("output"))
            messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": said})
        elif kind in _REFERENCES:
            raise NoChatError("context")
        elif kind != "reasoning":
            raise NoChatError("tools")
    return messages


def _message(item: dict[str, Any]) -> dict[str, Any]:
    role, content = item.get("role"), item.get("content")
    if role != "assistant":
        return {"role": role, "content": _content(content)}
    message: dict[str, Any] = {"role": role, "content": content if isinstance(content, str) else None}
    for part in () if isinstance(content, str) else _objects(content):
        if _kind(part) == "refusal":
            message["refusal"] = _text(part.get("refusal"))
        elif _kind(part) in _TEXTS:
            message["content"] = (message["content"] or "") + _text(part.get("text"))
        else:
            raise NoChatError("unreadable")
    return message


def _content(content: Any) -> Any:
    """Give a text for one text, and parts for several; what is no text (a picture, a file) stays to be left out."""
    if isinstance(content, str):
        return content
    parts = [
        {"type": "text", "text": _text(one.get("text"))} if _kind(one) in _TEXTS else {"type": one.get("type")}
        for one in _objects(content)
    ]
    return parts[0]["text"] if len(parts) == 1 and "text" in parts[0] else parts


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return {"type": tool.get("type")}
    named = {name: tool[name] for name in _FUNCTION if tool.get(name) is not None}
    return {"type": "function", "function": named}


def _formed(request: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters that have another name there."""
    found: dict[str, Any] = {}
    if request.get("max_output_tokens") is not None:
        found["max_completion_tokens"] = request["max_output_tokens"]
    text, reasoning = request.get("text"), request.get("reasoning")
    if isinstance(reasoning, dict) and reasoning.get("effort"):
        found["reasoning_effort"] = reasoning["effort"]
    if not isinstance(text, dict):
        return found
    if text.get("verbosity"):
        found["verbosity"] = text["verbosity"]
    form = text.get("format")
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "json_schema" and isinstance(form, dict):
        schema = {name: form[name] for name in _SCHEMA if form.get(name) is not None}
        found["response_format"] = {"type": kind, "json_schema": schema}
    elif kind == "json_object":
        found["response_format"] = {"type": kind}
    return found


def _objects(items: Any) -> list[dict[str, Any]]:
    if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
        raise NoChatError("unreadable")
    return items


def _kind(item: dict[str, Any]) -> str:
    kind = item.get("type")
    return kind if isinstance(kind, str) else "" if kind is None else "?"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise NoChatError("unreadable")
    return value
