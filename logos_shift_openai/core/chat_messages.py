"""What a list of chat messages must be before a model can learn from it, each fault with its path.

Rule: nothing is changed or guessed here; whatever the message is, the faults are named and none raises. A dialect is
told by `MessageRules`. Source of the rules: OpenAI's schema of fine-tuning requests (`FineTuneChatRequestInput`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_KEYS: Final = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "function_call", "weight", "refusal", "audio"}
)
_SHOWN: Final = 40


class Fault(NamedTuple):
    """What is wrong, and where: a path such as `messages[2].content`, empty for the line itself."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class MessageRules:
    """What a dialect takes.

    Args:
        roles: The roles it knows.
        weight: Whether an assistant's message may carry `weight`, 0 or 1.
        parts: Whether a content may be a list of parts; otherwise it is a text.
        objects: Whether a call's arguments are an object (as chat templates of open models read them), not a text.
        system_first: Whether a system text may stand at the beginning only.
        alternate: Whether two turns of the same speaker may not follow each other.
    """

    roles: frozenset[str] = ROLES
    weight: bool = True
    parts: bool = True
    objects: bool = False
    system_first: bool = False
    alternate: bool = False


def message_faults(messages: object, path: str, rules: MessageRules, offered: frozenset[str] | None) -> Iterator[Fault]:
    """Name the faults of a list of messages.

    Args:
        messages: What stands in its place.
        path: Its path.
        rules: Of the dialect.
        offered: Names of the functions offered beside it; None where that is not known.
    """
    if not isinstance(messages, list) or not messages:
        yield Fault(path, "is not a list with messages in it")
        return
    open_calls: dict[str, str] = {}
    before = ""
    for number, message in enumerate(messages):
        at = f"{path}[{number}]"
        if not isinstance(message, dict):
            yield Fault(at, "is not an object")
            continue
        role = message.get("role")
        if not isinstance(role, str) or role not in rules.roles:
            yield Fault(f"{at}.role", f"{shown(role)} is not one of {', '.join(sorted(rules.roles))}")
            continue
        yield from _order(role, before, number, at, rules)
        yield from _keys(message, role, at, rules)
        yield from _content(message, role, at, rules)
        if role == "tool":
            name = message.get("tool_call_id")
            if not isinstance(name, str) or open_calls.pop(name, None) is None:
                yield Fault(f"{at}.tool_call_id", f"{shown(name)} is no open call of the assistant's message before")
        else:
            yield from _unanswered(open_calls)
            yield from _calls(message, at, rules, offered, open_calls)
        before = role
    if messages and isinstance(messages[-1], dict) and messages[-1].get("role") != "assistant":
        yield from _unanswered(open_calls)


def shown(value: object) -> str:
    """Show a value in a fault, cut short."""
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _order(role: str, before: str, number: int, at: str, rules: MessageRules) -> Iterator[Fault]:
    if rules.system_first and role in {"system", "developer"} and number:
        yield Fault(f"{at}.role", "a system text may only stand first")
    if rules.alternate and role == before and role in {"user", "assistant"}:
        yield Fault(f"{at}.role", f"follows another message of the {role}; they must take turns")


def _keys(message: dict[str, Any], role: str, at: str, rules: MessageRules) -> Iterator[Fault]:
    for key in message:
        if key not in _KEYS:
            yield Fault(f"{at}.{key}", "is no key of a message")
    if "name" in message and not isinstance(message["name"], (str, type(None))):
        yield Fault(f"{at}.name", "is not a text")
    if "weight" in message:
        weight = message["weight"]
        if not rules.weight:
            yield Fault(f"{at}.weight", "is not known in this dialect")
        elif role != "assistant":
            yield Fault(f"{at}.weight", "is only for messages of the assistant")
        elif isinstance(weight, bool) or weight not in (0, 1):
            yield Fault(f"{at}.weight", f"{shown(weight)} is neither 0 nor 1")


def _content(message: dict[str, Any], role: str, at: str, rules: MessageRules) -> Iterator[Fault]:
    content = message.get("content")
    optional = role == "assistant" and (message.get("tool_calls") or message.get("function_call"))
    if content is None:
        if not optional:
            yield Fault(f"{at}.content", "is missing")
    elif isinstance(content, list):
        if not rules.parts:
            yield Fault(f"{at}.content", "is a list of parts; this dialect takes a text")
        elif not content:
            yield Fault(f"{at}.content", "is an empty list")
        for number, part in enumerate(content if rules.parts else ()):
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(part, dict) and kind == "text" and isinstance(part.get("text"), str):
                continue
            if kind != "image_url" or role != "user":
                yield Fault(f"{at}.content[{number}]", "is not a part with a text")
    elif not isinstance(content, str):
        yield Fault(f"{at}.content", f"{shown(content)} is neither a text nor a list of parts")


def _calls(
    message: dict[str, Any], at: str, rules: MessageRules, offered: frozenset[str] | None, open_calls: dict[str, str]
) -> Iterator[Fault]:
    if message.get("tool_calls") is None:
        return
    calls, at = message["tool_calls"], f"{at}.tool_calls"
    if not isinstance(calls, list) or not calls:
        yield Fault(at, "is not a list with calls in it")
        return
    if message["role"] != "assistant":
        yield Fault(at, "is only for messages of the assistant")
    for number, call in enumerate(calls):
        here = f"{at}[{number}]"
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or call.get("type", "function") != "function":
            yield Fault(here, "is not a call of a function")
            continue
        yield from _named(call.get("id"), here, rules, open_calls)
        name = function.get("name")
        if not isinstance(name, str) or not name:
            yield Fault(f"{here}.function.name", "is missing")
        elif offered is not None and name not in offered:
            yield Fault(f"{here}.function.name", f"{shown(name)} is not among the tools of the line")
        yield from _arguments(function.get("arguments"), f"{here}.function.arguments", rules)


def _named(call_id: object, here: str, rules: MessageRules, open_calls: dict[str, str]) -> Iterator[Fault]:
    """Look at the id of a call, and note that it waits for its answer."""
    if isinstance(call_id, str) and call_id:
        if call_id in open_calls:
            yield Fault(f"{here}.id", f"{shown(call_id)} stands twice")
        open_calls[call_id] = here
    elif not rules.objects:
        yield Fault(f"{here}.id", "is missing")


def _arguments(value: object, at: str, rules: MessageRules) -> Iterator[Fault]:
    if rules.objects:
        if not isinstance(value, dict):
            yield Fault(at, f"{shown(value)} is not an object")
        return
    if not isinstance(value, str):
        yield Fault(at, f"{shown(value)} is not a text")
        return
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        yield Fault(at, "is not the JSON text of an object")


def _unanswered(open_calls: dict[str, str]) -> Iterator[Fault]:
    for here in open_calls.values():
        yield Fault(here, "has no answer of a tool behind it")
    open_calls.clear()
