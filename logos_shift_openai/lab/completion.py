"""A finished chat completion in its two shapes: whole, or as a stream of chunks.

Owns the JSON of both, calls of functions included. A call's head (index, id, name) comes in a chunk of its own, its
arguments follow in pieces, as OpenAI streams them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .odds import TokenOdds

Json = dict[str, object]


@dataclass(frozen=True)
class MadeCall:
    """A call as it is sent: its arguments in tokens."""

    id: str
    name: str
    tokens: tuple[str, ...]

    def whole(self) -> Json:
        """Write the call as it stands in a message."""
        return {
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": "".join(self.tokens)},
        }

    def deltas(self, index: int) -> Iterator[Json]:
        """Write the call as it is streamed."""
        head: Json = {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": ""}}
        yield {"tool_calls": [{"index": index, **head}]}
        for token in self.tokens:
            yield {"tool_calls": [{"index": index, "function": {"arguments": token}}]}


@dataclass(frozen=True)
class Choice:
    """One finished answer: the tokens of a text, or calls."""

    tokens: tuple[str, ...]
    calls: tuple[MadeCall, ...]
    finish: str
    logprobs: Sequence[TokenOdds] | None

    @property
    def size(self) -> int:
        """How many tokens it takes; a function's name counts as one."""
        return len(self.tokens) + sum(1 + len(call.tokens) for call in self.calls)

    def message(self) -> Json:
        """Write the answer as a message."""
        content = None if self.calls else "".join(self.tokens)
        calls: Json = {"tool_calls": [call.whole() for call in self.calls]} if self.calls else {}
        return {"role": "assistant", "content": content, "refusal": None, "annotations": [], **calls}


@dataclass(frozen=True)
class Completion:
    """A finished completion; ``whole()`` and ``chunks()`` write it down."""

    id: str
    created: int
    model: str
    choices: Sequence[Choice]
    prompt_tokens: int
    include_usage: bool

    def whole(self) -> Json:
        """Write the completion as one JSON object."""
        choices: list[Json] = [
            {
                "index": index,
                "message": choice.message(),
                "logprobs": _logprobs(choice.logprobs),
                "finish_reason": choice.finish,
            }
            for index, choice in enumerate(self.choices)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": self._usage()}

    def chunks(self) -> Iterator[Json]:
        """Write the completion as chunks: per choice role, tokens or calls, and end; then the usage if asked."""
        for index, choice in enumerate(self.choices):
            first: Json = {"role": "assistant", "content": None if choice.calls else "", "refusal": None}
            yield self._chunk(index, first, None, None)
            for place, token in enumerate(choice.tokens):
                logprobs = None if choice.logprobs is None else choice.logprobs[place : place + 1]
                yield self._chunk(index, {"content": token}, logprobs, None)
            for place, call in enumerate(choice.calls):
                for delta in call.deltas(place):
                    yield self._chunk(index, delta, None, None)
            yield self._chunk(index, {}, None, choice.finish)
        if self.include_usage:
            yield {**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()}

    def _chunk(self, index: int, delta: Json, logprobs: Sequence[TokenOdds] | None, finish: str | None) -> Json:
        choice: Json = {
            "index": index,
            "delta": delta,
            "logprobs": _logprobs(logprobs),
            "finish_reason": finish,
        }
        usage: Json = {"usage": None} if self.include_usage else {}
        return {**self._head("chat.completion.chunk"), "choices": [choice], **usage}

    def _head(self, kind: str) -> Json:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_lab",
        }

    def _usage(self) -> Json:
        answered = sum(choice.size for choice in self.choices)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": answered,
            "total_tokens": self.prompt_tokens + answered,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


def _logprobs(found: Sequence[TokenOdds] | None) -> Json | None:
    if found is None:
        return None
    content = [
        {
            **_token(one.token, one.logprob),
            "top_logprobs": [_token(token, logprob) for token, logprob in one.likeliest],
        }
        for one in found
    ]
    return {"content": content, "refusal": None}


def _token(token: str, logprob: float) -> Json:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
