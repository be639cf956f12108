"""Messages as other tools write them down, as the chat API has them.

Known are the API's own form, LangChain's serialised messages (`{"lc": 1, "kwargs": ...}`, `{"type": "human", "data":
...}` and `{"type": "human", "content": ...}`) and a bare text, which is what a user said, or the answer.
"""

from __future__ import annotations

import json
from typing import Any, Final

from .imported import NotImportableError

ROLES: Final = {"human": "user", "ai": "assistant", "generic": "user", "chat": "user"}
"""LangChain's names of roles that are not the API's."""

_KEPT: Final = ("content", "name", "tool_calls", "tool_call_id", "refusal", "function_call", "audio")
_API_ROLES: Final = {"system", "developer", "user", "assistant", "tool", "function"}


def messages_of(value: Any, where: str) -> list[dict[str, Any]]:
    """Read a conversation.

    Args:
        value: A list of messages, a list in a list (a batch of one), one message, or a text.
        where: What it is called in an error.

    Raises:
        NotImportableError: it is none.
    """
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if isinstance(value, (str, dict)):
        value = [value]
    if not isinstance(value, list) or not value:
        raise NotImportableError(f"{where}: no messages")
    return [message_of(one, f"{where}[{number}]", "user") for number, one in enumerate(value)]


def message_of(value: Any, where: str, role: str) -> dict[str, Any]:
    """Read one message.

    Args:
        value: See the module.
        where: What it is called in an error.
        role: Whose a bare text is.

    Raises:
        NotImportableError: it is none.
    """
    if isinstance(value, str):
        return {"role": role, "content": value}
    if not isinstance(value, dict):
        raise NotImportableError(f"{where}: {type(value).__name__} is no message")
    said, kind = _opened(value)
    role = said.get("role") or ROLES.get(kind, kind) or role
    if role not in _API_ROLES:
        raise NotImportableError(f"{where}: {role!r} is no role")
    extra = said.get("additional_kwargs")
    message = {"role": role, "content": None, **{name: said[name] for name in _KEPT if said.get(name) is not None}}
    if isinstance(extra, dict):
        message.update({name: extra[name] for name in ("tool_calls", "function_call", "refusal") if extra.get(name)})
    if "tool_calls" in message:
        message["tool_calls"] = [_tool_call(one, where) for one in _list(message["tool_calls"], where)]
        if not message["tool_calls"]:
            del message["tool_calls"]
    if message["content"] == "" and message.get("tool_calls"):
        message["content"] = None
    if message["content"] is not None and not isinstance(message["content"], (str, list)):
        raise NotImportableError(f"{where}.content: {type(message['content']).__name__} is neither a text nor parts")
    return message


def _opened(value: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Give what a message holds and LangChain's name of its role, "" in the API's own form."""
    if "kwargs" in value and isinstance(value.get("id"), list) and value["id"]:
        name = str(value["id"][-1]).removesuffix("Chunk").removesuffix("Message").lower()
        return (value["kwargs"] if isinstance(value["kwargs"], dict) else {}), name
    kind = value.get("type")
    if isinstance(kind, str) and isinstance(value.get("data"), dict):
        return value["data"], kind.lower()
    if isinstance(kind, str) and "role" not in value:
        return value, kind.removesuffix("MessageChunk").removesuffix("Message").lower()
    return value, ""


def _tool_call(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotImportableError(f"{where}.tool_calls: {type(value).__name__} is no tool call")
    if isinstance(value.get("function"), dict):
        return {"id": value.get("id"), "type": "function", "function": value["function"]}
    if not isinstance(value.get("name"), str):
        raise NotImportableError(f"{where}.tool_calls: a call without a name")
    arguments = value.get("args", value.get("arguments"))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    return {"id": value.get("id"), "type": "function", "function": {"name": value["name"], "arguments": text}}


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise NotImportableError(f"{where}.tool_calls: {type(value).__name__} is no list")
    return value
