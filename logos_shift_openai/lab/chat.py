"""Chat completions: from a request to a finished answer.

Owns the choice of answers. The first choice is always the model's likeliest answer, whatever the temperature
(these models are classifiers, a draw would only add errors); further choices are drawn. Tokens and logprobs
are those of ``odds``; a call has no logprobs. What may be answered is the request's ``Wanted``.
"""

from __future__ import annotations

import random
import secrets
import time
from typing import TYPE_CHECKING

from .answers import answer_in, as_text
from .completion import Choice, Completion, MadeCall
from .features import question, text_of
from .odds import Answerer, Odds, token_odds, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .answers import Call
    from .chat_request import ChatRequest

_TOKENS_A_MESSAGE, _TOKENS_A_PROMPT = 4, 3


def complete(request: ChatRequest, answerer: Answerer, seed: int) -> Completion:
    """Answer a request.

    Args:
        request: What is asked.
        answerer: The model.
        seed: Where draws start from if the request brings no seed.
    """
    odds = answerer.odds(request.messages, request.wanted)
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
    """Count the tokens of a prompt, a few for each message's frame included; those of tools on offer are free."""
    found = _TOKENS_A_PROMPT
    for message in messages:
        if isinstance(message, dict):
            text = as_text(answer_in(message)) if message.get("tool_calls") else text_of(message.get("content"))
            found += _TOKENS_A_MESSAGE + len(tokens(text))
    return found


def _choice(request: ChatRequest, odds: Odds, index: int, seed: int) -> Choice:
    dice = random.Random(f"{seed}|{index}|{question(request.messages)}")  # noqa: S311 - no secret
    answer = odds.best() if index == 0 else odds.draw(request.temperature, dice)
    if not isinstance(answer, str):
        return _calls(request, answer)
    pieces, finish = tokens(_until_stop(answer, request.stop)), "stop"
    if request.limit is not None and len(pieces) > request.limit:
        pieces, finish = pieces[: request.limit], "length"
    logprobs = token_odds(odds, answer, request.top_logprobs)[: len(pieces)] if request.logprobs else None
    return Choice(pieces, (), finish, logprobs)


def _calls(request: ChatRequest, calls: Sequence[Call]) -> Choice:
    # A function that the caller has named himself ends with "stop" at OpenAI, too.
    finish = "stop" if request.wanted.named else "tool_calls"
    left = request.limit
    made: list[MadeCall] = []
    for call in calls:
        pieces = tokens(call.arguments)
        if left is not None:
            pieces, finish = pieces[: max(0, left - 1)], finish if left > len(pieces) else "length"
            left -= 1 + len(pieces)
        made.append(MadeCall(f"call_{secrets.token_hex(12)}", call.name, pieces))
        if finish == "length":
            break
    return Choice((), tuple(made), finish, None)


def _until_stop(answer: str, stops: Sequence[str]) -> str:
    cuts = [place for place in (answer.find(stop) for stop in stops) if place >= 0]
    return answer[: min(cuts)] if cuts else answer
