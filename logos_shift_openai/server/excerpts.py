"""Short texts out of the bodies of a call: what was asked last, what was answered, and where a text was found.

Bodies are whatever a caller sent and a provider answered, so nothing is taken for granted about them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

LENGTH: Final = 160
"""The longest excerpt, in characters."""

_BEFORE: Final = 40
_DEEPEST: Final = 40


def asked(request: Any) -> str | None:
    """Say what a request asks: its last message or input, shortened."""
    if not isinstance(request, dict):
        return _short(request)
    for name in ("messages", "input", "prompt"):
        if name in request:
            return _short(_last(request[name]))
    return _short(request)


def answered(response: Any) -> str | None:
    """Say what an answer says: its first choice, shortened; of a call of a tool its name and arguments."""
    if not isinstance(response, dict):
        return _short(response)
    for choice in _list(response.get("choices")):
        if isinstance(choice, dict):
            message = choice.get("message")
            return _short(_message(message) if isinstance(message, dict) else choice.get("text"))
    said = [_message(item) for item in _list(response.get("output")) if isinstance(item, dict)]
    found = [text for text in said if text]
    return _short(found[-1]) if found else None


def found_in(value: Any, wanted: str) -> str | None:
    """Find a text in the texts of a JSON value, and give what stands around it; None where it is in none.

    Args:
        value: As read from JSON.
        wanted: In folded case.
    """
    for text in _texts(value, 0):
        at = text.casefold().find(wanted)
        if at >= 0:
            start = max(0, at - _BEFORE)
            return ("…" if start else "") + (_short(text[start:]) or "")
    return None


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < _DEEPEST and isinstance(value, dict):
        for one in value.values():
            yield from _texts(one, depth + 1)
    elif depth < _DEEPEST and isinstance(value, list):
        for one in value:
            yield from _texts(one, depth + 1)


def _last(said: Any) -> Any:
    items = _list(said)
    if not items:
        return said
    last = items[-1]
    return _message(last) if isinstance(last, dict) else last


def _message(message: dict[str, Any]) -> Any:
    content = message.get("content")
    if content:
        texts = [
            part["text"] for part in _list(content) if isinstance(part, dict) and isinstance(part.get("text"), str)
        ]
        return " ".join(texts) if texts else content
    for call in [*_list(message.get("tool_calls")), message]:
        function = call.get("function", call) if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            return f"{function['name']}({function.get('arguments') or ''})"
    return message.get("refusal") or message.get("output")


def _short(value: Any) -> str | None:
    if value is None:
        return None
    text = value[: 4 * LENGTH] if isinstance(value, str) else repr(value)[: 4 * LENGTH]
    text = " ".join(text.split())
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
