"""The lines of an edition: an example with its answer as bytes of `openai-chat`, two answers as `openai-preference`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, Raw, Struct

from .bodies import Line, Message, text_of

if TYPE_CHECKING:
    from .examples import Example


class PairLine(Struct):
    """A line of `openai-preference`."""

    input: Line
    preferred_output: list[Message]
    non_preferred_output: list[Message]


_encode: Final = msgspec.json.Encoder().encode


def chat_line(example: Example) -> bytes:
    """Write an example with the answer to learn, its line end included."""
    prompt = example.prompt
    line = Line([*prompt.messages, example.answer], prompt.tools, prompt.parallel_tool_calls)
    return _encode(line) + b"\n"


def pair_line(prompt: Line, preferred: Message, other: Message) -> bytes:
    """Write a prompt with the better answer and the worse one; weights say nothing there."""
    messages = [msgspec.structs.replace(one, weight=UNSET) for one in prompt.messages]
    asked = Line(messages, prompt.tools, prompt.parallel_tool_calls)
    return _encode(PairLine(asked, [preferred], [other])) + b"\n"


def letters_of(example: Example) -> int:
    """Count the letters that are read and learnt, for the estimate of tokens."""
    prompt = example.prompt
    tools = len(bytes(prompt.tools)) if isinstance(prompt.tools, Raw) else 0
    return sum(len(text_of(one)) for one in prompt.messages) + len(text_of(example.answer)) + tools
