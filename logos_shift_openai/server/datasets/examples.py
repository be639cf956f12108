"""From a call to a training example, or to the one reason why not.

Theory of operation. A call is decoded in one pass into typed structs, so that of 4 KB only the texts become Python
objects; plain calls (texts alone) need no further look. What has tools or parts goes through `core.chat_messages`,
which checks whatever a line may hold. Redaction comes before anything is hashed: two prompts that differ in an address
alone are one prompt in the edition, and must not stand in both splits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from logos_shift_openai.core.chat_messages import MessageRules, message_faults
from logos_shift_openai.core.checking import check
from logos_shift_openai.core.fingerprint import conversation_hash, prompt_fingerprint

if TYPE_CHECKING:
    from .choosing import Choice
    from .reading import Source
    from .scrubbing import Scrubber


class Message(Struct, omit_defaults=True):
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


class Asked(Struct):
    """The part of a request that is looked at."""

    messages: list[Message]
    tools: Raw = ABSENT
    functions: Raw = ABSENT
    parallel_tool_calls: bool | None = None
    response_format: Raw = ABSENT


class ChoiceMade(Struct):
    """One of the answers."""

    message: Message | None = None
    finish_reason: str | None = None


class Answer(Struct):
    """The part of an answer that is looked at."""

    choices: list[ChoiceMade] = []


class Pack(Struct):
    """A call's bodies."""

    request: Asked
    response: Answer | None = None
    truncated: list[Any] = []
    media: list[Any] = []


class Line(Struct):
    """A line of `openai-chat`, or the `input` of a pair."""

    messages: list[Message]
    tools: Raw | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET


@dataclass(slots=True)
class Example:
    """What can be learnt from one call.

    Args:
        prompt: Messages before the answer, with the tools.
        answer: The one to learn.
        given: The answer that was corrected, where there was one.
        fingerprint: Of the prompt as the program wrote it.
        conversation: Hash of what the conversation begins with, letters made small: the split goes by it.
        texts: The texts of user, assistant and tools, in order, for comparing.
    """

    prompt: Line
    answer: Message
    given: Message | None
    fingerprint: str | None
    conversation: str
    texts: list[str]


class LeftOutError(Exception):
    """A call that is no example; the message is the reason's name."""


_decode: Final = msgspec.json.Decoder(Pack).decode
_correction: Final = msgspec.json.Decoder(Message).decode
_PROGRAM: Final = ("system", "developer")
_PLAIN: Final = frozenset({"system", "developer", "user", "assistant"})
_RULES: Final = MessageRules()
_REMEMBERED: Final = 4_096


class Maker:
    """Makes examples of calls.

    Args:
        choice: The rules.
        scrubber: Redacts.
        prune: System texts that are left out.
    """

    def __init__(self, choice: Choice, scrubber: Scrubber, prune: frozenset[str] = frozenset()) -> None:
        self._choice = choice
        self._scrub = scrubber
        self._prune = prune
        self._fingerprints: dict[tuple[Any, ...], str | None] = {}

    def example(self, source: Source) -> Example:
        """Make the example of a call.

        Raises:
            LeftOutError: it makes none.
        """
        if source.endpoint != "chat.completions":
            raise LeftOutError("endpoint")
        corrected = source.correction is not None
        if not corrected:
            self._refuse_end(source)
        pack = read_pack(source.pack)
        asked = pack.request
        if pack.truncated:
            raise LeftOutError("truncated")
        if pack.media:
            raise LeftOutError("media")
        if not asked.messages:
            raise LeftOutError("unreadable")
        if _there(asked.functions):
            raise LeftOutError("tools")
        given = pack.response.choices[0] if pack.response is not None and pack.response.choices else None
        answer = _answer(given) if source.correction is None else _corrected(source.correction)
        fingerprint = source.told.fingerprint or self._fingerprint(asked)
        if self._choice.fingerprint is not None and fingerprint != self._choice.fingerprint:
            raise LeftOutError("fingerprint")
        _check_asked(source, asked, answer)
        plain = _is_plain(asked.messages) and answer.tool_calls is None and not _there(asked.tools)
        if not plain:
            _refuse_broken(asked, answer)
        before = given.message if corrected and given is not None else None
        return self._scrubbed(asked, answer, before, fingerprint)

    def _refuse_end(self, source: Source) -> None:
        """Leave out what ended badly, as far as the head alone tells."""
        if source.failed:
            raise LeftOutError("error")
        if not source.complete:
            raise LeftOutError("incomplete")
        if source.served == "candidate" and self._choice.answers == "baseline":
            raise LeftOutError("candidate")
        checks = source.told.checks
        if checks:
            for name, reason in (("refused", "refused"), ("cut", "cut")):
                if checks.get(name):
                    raise LeftOutError(reason)
            if checks.get("valid") is False:
                raise LeftOutError("invalid")

    def _fingerprint(self, asked: Asked) -> str | None:
        """Hash the program's part of a prompt; most calls of a dataset share it."""
        program = [one for one in asked.messages if one.role in _PROGRAM]
        key = (
            *(one.content if isinstance(one.content, str) else repr(one.content) for one in program),
            bytes(asked.tools),
            bytes(asked.response_format),
        )
        if key not in self._fingerprints:
            if len(self._fingerprints) >= _REMEMBERED:
                self._fingerprints.clear()
            request: dict[str, Any] = {"messages": [_fields(one) for one in program]}
            for name in ("tools", "response_format"):
                request[name] = json.loads(bytes(getattr(asked, name)))
            self._fingerprints[key] = prompt_fingerprint(request)
        return self._fingerprints[key]

    def _scrubbed(self, asked: Asked, answer: Message, given: Message | None, fingerprint: str | None) -> Example:
        messages = [one for one in asked.messages if not self._pruned(one)]
        rest = [one for one in messages if not _is_program(one)]
        head = len(rest) < len(messages)
        spoken = self._scrub.messages([*rest, answer, *((given,) if given is not None else ())])
        if given is not None:
            given = _as_answer(spoken.pop())
        answer = _as_answer(spoken.pop())
        if head:
            others = iter(spoken)
            messages = [self._program(one) if _is_program(one) else next(others) for one in messages]
        else:
            messages = spoken
        for one in messages:
            if one.role == "assistant":
                one.weight = 0  # it is learnt from its own call
                one.refusal = None
        prompt = Line(messages)
        if _there(asked.tools):
            prompt.tools = self._scrub.raw(asked.tools)
            prompt.parallel_tool_calls = UNSET if asked.parallel_tool_calls is None else asked.parallel_tool_calls
        texts_said = [text_of(one) for one in messages if one.role not in _PROGRAM] or [text_of(o) for o in messages]
        return Example(prompt, answer, given, fingerprint, _conversation(messages, texts_said), texts_said)

    def _program(self, message: Message) -> Message:
        message.content = self._scrub.text(str(message.content))
        return message

    def _pruned(self, message: Message) -> bool:
        return message.role in _PROGRAM and message.content in self._prune if self._prune else False


def _there(raw: Raw) -> bool:
    return bytes(raw) not in {b"null", b"[]"}


def _is_program(message: Message) -> bool:
    return message.role in _PROGRAM and type(message.content) is str


def text_of(message: Message) -> str:
    """Give what a message says as one text, calls of tools included."""
    content = message.content
    text = content if isinstance(content, str) else "" if content is None else "\n".join(p["text"] for p in content)
    if message.tool_calls:
        text += msgspec.json.encode([one["function"] for one in message.tool_calls]).decode()
    return text


def _check_asked(source: Source, asked: Asked, answer: Message) -> None:
    """Hold the answer against the JSON that was asked for, unless the client has done so."""
    if not _there(asked.response_format) and not _there(asked.tools):
        return
    if source.told.checks is not None and "valid" in source.told.checks and source.correction is None:
        return
    request = {
        "response_format": json.loads(bytes(asked.response_format)),
        "tools": json.loads(bytes(asked.tools)),
    }
    message = {"content": answer.content, "tool_calls": answer.tool_calls}
    if check(request, {"choices": [{"message": message}]}).valid is False:
        raise LeftOutError("invalid")


def read_pack(packed: bytes | None) -> Pack:
    """Read the bodies of a call.

    Raises:
        LeftOutError: they are not kept, or no chat.
    """
    if packed is None:
        raise LeftOutError("no_body")
    if packed.startswith(b'{"request":null'):
        raise LeftOutError("no_body")
    try:
        return _decode(packed)
    except UnicodeDecodeError:
        raise LeftOutError("bad_text") from None
    except msgspec.ValidationError:
        raise LeftOutError("unreadable") from None
    except (msgspec.DecodeError, RecursionError):
        raise LeftOutError("bad_text" if b"\\ud" in packed.lower() else "unreadable") from None


def _answer(given: ChoiceMade | None) -> Message:
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
        _refuse_media([message])
    return text_of(message)


def _corrected(text: str) -> Message:
    """Read a correction: a message of the assistant, a text, or the JSON that the answer should have been."""
    value = json.loads(text)
    if isinstance(value, dict) and value.get("role") == "assistant":
        try:
            return _with_something(_as_answer(_correction(text)))
        except msgspec.MsgspecError:
            raise LeftOutError("unreadable") from None
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _with_something(Message("assistant", said))


def _as_answer(message: Message) -> Message:
    return Message("assistant", message.content, tool_calls=message.tool_calls or None)


def _is_plain(messages: list[Message]) -> bool:
    return all(one.role in _PLAIN and type(one.content) is str and not one.tool_calls for one in messages)


def _refuse_media(messages: list[Message]) -> None:
    for one in messages:
        for part in one.content if isinstance(one.content, list) else ():
            if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
                raise LeftOutError("media")


def _refuse_broken(asked: Asked, answer: Message) -> None:
    """Hold messages with tools or parts against everything a line must be."""
    _refuse_media([*asked.messages, answer])
    offered = None
    if _there(asked.tools):
        tools = json.loads(bytes(asked.tools))
        if not isinstance(tools, list):
            raise LeftOutError("tools")
        functions = [one.get("function") for one in tools if isinstance(one, dict) and one.get("type") == "function"]
        named = [str(one.get("name")) for one in functions if isinstance(one, dict)]
        if len(named) != len(tools):
            raise LeftOutError("tools")
        offered = frozenset(named)
    messages = [_fields(one) for one in (*asked.messages, answer)]
    if any(one.get("function_call") or one["role"] == "function" for one in messages):
        raise LeftOutError("tools")
    for fault in message_faults(messages, "messages", _RULES, offered):
        raise LeftOutError("broken_tools" if "tool" in fault.path else "unreadable")


def _fields(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role}
    for name in ("content", "name", "tool_calls", "tool_call_id", "function_call"):
        value = getattr(message, name)
        if value is not None:
            fields[name] = value
    return fields


def _conversation(messages: list[Message], texts: list[str]) -> str:
    """Hash what a conversation begins with; letters made small, so that a prompt shouted is the same prompt."""
    first = next((text_of(one) for one in messages if one.role == "user"), None)
    said = first if first is not None else "\n".join(texts)
    found = conversation_hash({"messages": [{"role": "user", "content": said.lower()}]})
    if found is None:
        raise LeftOutError("unreadable")
    return found
