"""Chat completions: one answer in two shapes, whole or as a stream of chunks.

Owns the JSON of both. The first choice is always the model's likeliest answer, whatever the temperature
(these models are classifiers, a draw would only add errors); further choices are drawn. Tokens and logprobs
are those of ``odds``. Tools and response formats are accepted and have no effect.
"""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .features import question, text_of
from .odds import Answerer, Odds, TokenOdds, token_odds, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .chat_request import ChatRequest

Json = dict[str, object]

_TOKENS_A_MESSAGE, _TOKENS_A_PROMPT = 4, 3


@dataclass(frozen=True)
class Choice:
    """One finished answer."""

    tokens: tuple[str, ...]
    finish: str
    logprobs: Sequence[TokenOdds] | None

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.tokens)


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
                "message": {
                    "role": "assistant",
                    "content": choice.text,
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": _logprobs(choice.logprobs),
                "finish_reason": choice.finish,
            }
            for index, choice in enumerate(self.choices)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": self._usage()}

    def chunks(self) -> Iterator[Json]:
        """Write the completion as chunks: per choice role, tokens and end; then the usage if asked."""
        for index, choice in enumerate(self.choices):
            first: Json = {"role": "assistant", "content": "", "refusal": None}
            yield self._chunk(index, first, None, None)
            for place, token in enumerate(choice.tokens):
                logprobs = None if choice.logprobs is None else choice.logprobs[place : place + 1]
                yield self._chunk(index, {"content": token}, logprobs, None)
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
        answered = sum(len(choice.tokens) for choice in self.choices)
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


def complete(request: ChatRequest, answerer: Answerer, seed: int) -> Completion:
    """Answer a request.

    Args:
        request: What is asked.
        answerer: The model.
        seed: Where draws start from if the request brings no seed.
    """
    odds = answerer.odds(request.messages)
    start = request.seed if request.seed is not None else seed
    choices = [_choice(request, odds, index, start) for index in range(request.n)]
    return Completion(
        id=f"chatcmpl-{secrets.token_hex(14)}",
        created=int(time.time()),
        model=request.model,
        choices=choices,
        prompt_tokens=count_tokens(request.messages),
        include_usage=request.include_usage,
    )


def count_tokens(messages: Sequence[object]) -> int:
    """Count the tokens of a prompt, a few for each message's frame included."""
    contents = [text_of(message.get("content")) for message in messages if isinstance(message, dict)]
    return _TOKENS_A_PROMPT + sum(_TOKENS_A_MESSAGE + len(tokens(text)) for text in contents)


def _choice(request: ChatRequest, odds: Odds, index: int, seed: int) -> Choice:
    dice = random.Random(f"{seed}|{index}|{question(request.messages)}")  # noqa: S311 - no secret
    answer = odds.best() if index == 0 else odds.draw(request.temperature, dice)
    pieces, finish = tokens(_until_stop(answer, request.stop)), "stop"
    if request.limit is not None and len(pieces) > request.limit:
        pieces, finish = pieces[: request.limit], "length"
    logprobs = token_odds(odds, answer, request.top_logprobs)[: len(pieces)] if request.logprobs else None
    return Choice(pieces, finish, logprobs)


def _until_stop(answer: str, stops: Sequence[str]) -> str:
    cuts = [place for place in (answer.find(stop) for stop in stops) if place >= 0]
    return answer[: min(cuts)] if cuts else answer


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
