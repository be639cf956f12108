"""The bodies of a call as far as an edition looks at them, and the messages that its lines are made of.

Rule: a body is decoded in one pass, and only what can be learnt becomes Python objects; whatever else it is, one reason
is given (`core.left_out`) and nothing else raises.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from logos_shift_openai.server.store.rows import LEFT_BEHIND

PROGRAM: Final = ("system", "developer")
"""The roles in which the program speaks."""


class LeftOutError(Exception):
    """A call that is no example; the message is the reason's name."""


class Message(Struct, omit_defaults=True, gc=False):
    """A message; other keys that clients send along are not learnt."""

    role: str
    content: str | list[Any] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    function_call: dict[str, Any] | None = None
    refusal: str | None = None
    weight: int | UnsetType = UNSET


ABSENT: Final = Raw(b"null")
"""What a part of a request is that is not there; a Raw has no None beside it."""


class Asked(Struct, gc=False):
    """The part of a request that is looked at."""

    messages: list[Message]
    tools: Raw = ABSENT
    functions: Raw = ABSENT
    parallel_tool_calls: bool | None = None
    response_format: Raw = ABSENT


class ChoiceMade(Struct, gc=False):
    """One of the answers."""

    message: Message | None = None
    finish_reason: str | None = None


class Answer(Struct, gc=False):
    """The part of an answer that is looked at."""

    choices: list[ChoiceMade] = []


class Pack(Struct, gc=False):
    """A call's bodies."""

    request: Asked
    response: Answer | None = None
    truncated: list[Any] = []
    media: list[Any] = []


class Line(Struct, gc=False):
    """A line of `openai-chat`, or the `input` of a pair."""

    messages: list[Message]
    tools: Raw | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET


_decode: Final = msgspec.json.Decoder(Pack).decode


def read_pack(packed: bytes | None) -> Pack:
    """Read the bodies of a call.

    Raises:
        LeftOutError: they are not kept, or no chat.
    """
    if packed is None:
        raise LeftOutError("no_body")
    if packed.startswith(b'{"request":null'):
        raise LeftOutError("sampled" if packed.endswith(LEFT_BEHIND) else "no_body")
    try:
        return _decode(packed)
    except UnicodeDecodeError:
        raise LeftOutError("bad_text") from None
    except msgspec.ValidationError:
        raise LeftOutError("unreadable") from None
    except (msgspec.DecodeError, RecursionError):
        raise LeftOutError("bad_text" if b"\\ud" in packed.lower() else "unreadable") from None


def read_answer(answer: Any) -> Answer | None:
    """Read an answer that was decoded already; None where there is none.

    Raises:
        LeftOutError: it is none of a chat.
    """
    try:
        return None if answer is None else msgspec.convert(answer, Answer)
    except msgspec.ValidationError:
        raise LeftOutError("unreadable") from None


def there(raw: Raw) -> bool:
    """Tell whether a part of a request says something."""
    return bytes(raw) not in {b"null", b"[]"}


def is_program(message: Message) -> bool:
    """Tell whether it is a text of the program."""
    return message.role in PROGRAM and type(message.content) is str


def is_text(message: Message) -> bool:
    """Tell whether a message is a text of a role, and nothing besides."""
    return (
        type(message.content) is str
        and message.name is None
        and message.tool_calls is None
        and message.tool_call_id is None
        and message.function_call is None
        and message.refusal is None
    )


def text_of(message: Message) -> str:
    """Give what a message says as one text, calls of tools included."""
    content = message.content
    if isinstance(content, str):
        if not message.tool_calls:
            return content
        text = content
    else:
        text = "" if content is None else "\n".join(p["text"] for p in content)
    if message.tool_calls:
        text += msgspec.json.encode([one["function"] for one in message.tool_calls]).decode()
    return text


def fields_of(message: Message) -> dict[str, Any]:
    """Give a message as values, without what is not there."""
    fields: dict[str, Any] = {"role": message.role}
    for name in ("content", "name", "tool_calls", "tool_call_id", "function_call"):
        value = getattr(message, name)
        if value is not None:
            fields[name] = value
    return fields
