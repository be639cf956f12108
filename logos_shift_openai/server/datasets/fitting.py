"""Which answer is learnt, and whether it and the messages before it fit together.

A correction takes the answer's place. What has tools or parts is held against everything that a line must be.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import msgspec

from logos_shift_openai.core.chat_messages import MessageRules, message_faults
from logos_shift_openai.core.checking import check

from .bodies import Asked, ChoiceMade, LeftOutError, Message, fields_of, text_of, there

if TYPE_CHECKING:
    from .reading import Source

_correction: Final = msgspec.json.Decoder(Message).decode
_PLAIN: Final = frozenset({"system", "developer", "user", "assistant"})
_RULES: Final = MessageRules()


def answer_of(given: ChoiceMade | None) -> Message:
    """Take the answer that was given.

    Raises:
        LeftOutError: there is none that can be learnt.
    """
    if given is None or given.message is None:
        raise LeftOutError("no_answer")
    message = given.message
    if message.refusal or given.finish_reason == "content_filter":
        raise LeftOutError("refused")
    if given.finish_reason == "length":
        raise LeftOutError("cut")
    if message.function_call:
        raise LeftOutError("tools")
    message.role = "assistant"
    return _with_something(message)


def _with_something(message: Message) -> Message:
    if not message.tool_calls:
        message.tool_calls = None
        if message.content is None or message.content in ("", []) or not _text(message).strip():
            raise LeftOutError("no_answer")
    return message


def _text(message: Message) -> str:
    """Give a message's text, once its parts are known to be texts."""
    if isinstance(message.content, list):
        refuse_media([message])
    return text_of(message)


def answer_in(text: str) -> Message:
    """Read a correction: a message of the assistant, a text, or the JSON that the answer should have been.

    Raises:
        LeftOutError: it says nothing.
    """
    value = json.loads(text)
    if isinstance(value, dict) and value.get("role") == "assistant":
        try:
            return _with_something(as_answer(_correction(text)))
        except msgspec.MsgspecError:
            raise LeftOutError("unreadable") from None
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _with_something(Message("assistant", said))


def as_answer(message: Message) -> Message:
    """Give of a message what an answer may have."""
    return Message("assistant", message.content, tool_calls=message.tool_calls or None)


def check_asked(source: Source, asked: Asked, answer: Message) -> None:
    """Hold the answer against the JSON that was asked for, unless the client has done so."""
    if not there(asked.response_format) and not there(asked.tools):
        return
    if "v" in source.told.checks.lower() and source.correction is None:
        return
    request = {
        "response_format": json.loads(bytes(asked.response_format)),
        "tools": json.loads(bytes(asked.tools)),
    }
    message = {"content": answer.content, "tool_calls": answer.tool_calls}
    if check(request, {"choices": [{"message": message}]}).valid is False:
        raise LeftOutError("invalid")


def is_plain(messages: list[Message]) -> bool:
    """Tell whether messages are texts alone."""
    return all(one.role in _PLAIN and type(one.content) is str and not one.tool_calls for one in messages)


def refuse_media(messages: list[Message]) -> None:
    """Leave out what is no text.

    Raises:
        LeftOutError: there is some.
    """
    for one in messages:
        for part in one.content if isinstance(one.content, list) else ():
            if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
                raise LeftOutError("media")


def refuse_broken(asked: Asked, answer: Message) -> None:
    """Hold messages with tools or parts against everything a line must be."""
    refuse_media([*asked.messages, answer])
    offered = None
    if there(asked.tools):
        tools = json.loads(bytes(asked.tools))
        if not isinstance(tools, list):
            raise LeftOutError("tools")
        functions = [one.get("function") for one in tools if isinstance(one, dict) and one.get("type") == "function"]
        named = [str(one.get("name")) for one in functions if isinstance(one, dict)]
        if len(named) != len(tools):
            raise LeftOutError("tools")
        offered = frozenset(named)
    messages = [fields_of(one) for one in (*asked.messages, answer)]
    if any(one.get("function_call") or one["role"] == "function" for one in messages):
        raise LeftOutError("tools")
    for fault in message_faults(messages, "messages", _RULES, offered):
        raise LeftOutError("broken_tools" if "tool" in fault.path else "unreadable")
