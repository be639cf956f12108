"""Turn the bodies of a call into who said what, for each endpoint; what has no such shape is given as JSON.

Bodies are whatever a caller sent and a provider answered, so nothing is taken for granted about them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

Turn = tuple[str, str]
"""Who, and what."""


def conversation(call: dict[str, Any]) -> list[Turn]:
    """Give the turns of a call: what was asked, and what came back.

    Args:
        call: As `server.calls.find_call` gives it.
    """
    request, response = call["request"], call["response"]
    asked, answered = _SHAPES.get(call["endpoint"], (_as_json("request"), _as_json("response")))
    turns = list(asked(request)) if isinstance(request, dict) else [("request", _json(request))]
    if isinstance(response, dict) or (response is not None and call["endpoint"] == "function"):
        turns += answered(response)
    elif response is not None:
        turns.append(("response", _json(response)))
    return turns


def parameters(call: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters of a request that are neither its conversation nor its model."""
    request = call["request"]
    if not isinstance(request, dict) or call["endpoint"] == "function":
        return {}
    return {name: value for name, value in request.items() if name not in _SAID}


_SAID: Final = {"model", "messages", "input", "instructions", "prompt", "tools"}


def _chat_asked(request: dict[str, Any]) -> Iterator[Turn]:
    yield from _tools(request)
    for message in _list(request.get("messages")):
        yield from _message(message)


def _chat_answered(response: dict[str, Any]) -> Iterator[Turn]:
    choices = _list(response.get("choices"))
    for number, choice in enumerate(choices):
        if not isinstance(choice, dict):
            yield "answer", _json(choice)
            continue
        suffix = f" {number}" if len(choices) > 1 else ""
        for who, what in _message(choice.get("message"), default="assistant"):
            yield who + suffix, what
        finish = choice.get("finish_reason")
        if finish not in {None, "stop", "tool_calls"}:
            yield "finish", str(finish)
    if not choices:
        yield "response", _json(response)


def _message(message: Any, default: str = "message") -> Iterator[Turn]:
    if not isinstance(message, dict):
        yield default, _json(message)
        return
    who = str(message.get("role") or default)
    said = [_content(message.get("content"))] if message.get("content") is not None else []
    if message.get("refusal"):
        said.append(f"(refused) {message['refusal']}")
    said += map(_tool_call, _list(message.get("tool_calls")))
    if message.get("tool_call_id"):
        who = f"{who} {message['tool_call_id']}"
    yield who, "\n".join(said)


def _tool_call(call: Any) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return _json(call)
    return f"calls {function.get('name')}({function.get('arguments')})"


def _completion_asked(request: dict[str, Any]) -> Iterator[Turn]:
    yield "prompt", _content(request.get("prompt"))


def _completion_answered(response: dict[str, Any]) -> Iterator[Turn]:
    for choice in _list(response.get("choices")):
        yield "answer", str(choice.get("text")) if isinstance(choice, dict) else _json(choice)


def _responses_asked(request: dict[str, Any]) -> Iterator[Turn]:
    yield from _tools(request)
    if request.get("instructions"):
        yield "instructions", _content(request["instructions"])
    given = request.get("input")
    if isinstance(given, list):
        for item in given:
            yield from _item(item)
    elif given is not None:
        yield "user", _content(given)


def _responses_answered(response: dict[str, Any]) -> Iterator[Turn]:
    for item in _list(response.get("output")):
        yield from _item(item)
    if response.get("status") not in {None, "completed"}:
        yield "status", str(response["status"])


def _item(item: Any) -> Iterator[Turn]:
    if isinstance(item, dict) and "content" in item and item.get("type", "message") == "message":
        yield from _message(item)
    elif isinstance(item, dict) and item.get("type") == "function_call":
        yield "assistant", f"calls {item.get('name')}({item.get('arguments')})"
    elif isinstance(item, dict) and item.get("type") == "function_call_output":
        yield f"tool {item.get('call_id')}", _content(item.get("output"))
    else:
        yield str(item.get("type", "item")) if isinstance(item, dict) else "item", _json(item)


def _embeddings_asked(request: dict[str, Any]) -> Iterator[Turn]:
    for text in _list(request.get("input")) or [request.get("input")]:
        yield "input", _content(text)


def _embeddings_answered(response: dict[str, Any]) -> Iterator[Turn]:
    data = _list(response.get("data"))
    vector = data[0].get("embedding") if data and isinstance(data[0], dict) else None
    size = f" of {len(vector)} numbers" if isinstance(vector, list) else ""
    yield "answer", f"{len(data)} vector{'' if len(data) == 1 else 's'}{size}"


def _tools(request: dict[str, Any]) -> Iterator[Turn]:
    names = []
    for tool in _list(request.get("tools")):
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        names.append(str(function.get("name") or function.get("type")) if isinstance(function, dict) else "?")
    if names:
        yield "tools", ", ".join(names)


def _content(content: Any) -> str:
    """Write content out: a text, or parts of which those that are no text are named by their kind."""
    if isinstance(content, str):
        return content
    parts = []
    for part in _list(content):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            parts.append(part["text"])
        elif isinstance(part, dict) and part.get("type") == "refusal":
            parts.append(f"(refused) {part.get('refusal')}")
        else:
            parts.append(f"[{part['type']}]" if isinstance(part, dict) and part.get("type") else _json(part))
    return "\n".join(parts) if isinstance(content, list) else _json(content)


def _as_json(who: str) -> Callable[[Any], Iterator[Turn]]:
    return lambda body: iter([(who, _json(body))])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


_Shape = tuple[Callable[[dict[str, Any]], Iterator[Turn]], Callable[[Any], Iterator[Turn]]]
_SHAPES: Final[dict[str, _Shape]] = {
    "chat.completions": (_chat_asked, _chat_answered),
    "completions": (_completion_asked, _completion_answered),
    "responses": (_responses_asked, _responses_answered),
    "embeddings": (_embeddings_asked, _embeddings_answered),
}
