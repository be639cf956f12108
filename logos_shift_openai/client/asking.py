"""One request to a provider beside every caller's calls: unstreamed, with a bound on its time and on its answer's size.

For the mirror, the replay of logged calls and the judge. It goes out by the SDK's own client of the provider, past our
seam, so that it is no call of anybody's: not routed, not recorded.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import openai
from openai._models import FinalRequestOptions

from logos_shift_openai.core.candidate_body import changed_for

from .call import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logos_shift_openai.core.config import Candidate

URLS: Final[Mapping[str, str]] = {"chat.completions": "/chat/completions", "responses": "/responses"}
_ANSWER_IN: Final = {"chat.completions": "choices", "responses": "output"}
_FOR_THE_CALLER: Final = frozenset({"stream", "stream_options", "store", "background"})
_STREAMED: Final = {"X-Stainless-Raw-Response": "stream"}  # how the SDK is asked to leave the body unread


class UnsendableError(ValueError):
    """A request that must not be sent a second time."""


class AnswerError(Exception):
    """What came is no answer that can be kept: too long, too slow, or no answer at all."""


def ask(
    client: Any,
    endpoint: str,
    body: Mapping[str, Any],
    *,
    seconds: float,
    most: int,
    retries: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> bytes:
    """Ask, and give the answer's JSON as it came.

    Args:
        client: A synchronous client of the SDK.
        endpoint: "chat.completions" or "responses".
        body: The request.
        seconds: For the whole of one try.
        most: Bytes that an answer may have.
        retries: How often the SDK may try again.
        clock: Seconds that never go back.

    Raises:
        openai.OpenAIError: as the SDK raises it.
        AnswerError: what came is no answer, is longer or takes longer than it may.
    """
    options = FinalRequestOptions.construct(
        method="post",
        url=URLS[endpoint],
        json_data=dict(body),
        headers=dict(_STREAMED),
        timeout=seconds,
        max_retries=retries,
    )
    end = clock() + seconds * (retries + 1)
    answer: Any = openai.OpenAI.request(client, object, options)
    parts: list[bytes] = []
    size = 0
    try:
        for part in answer.http_response.iter_bytes():
            size += len(part)
            if size > most:
                raise AnswerError(f"the answer is longer than {most} bytes")
            if clock() > end:
                raise AnswerError(f"the answer takes longer than {seconds:g} seconds")
            parts.append(part)
    finally:
        answer.http_response.close()
    return _checked(endpoint, b"".join(parts))


def _checked(endpoint: str, text: bytes) -> bytes:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise AnswerError("the answer is not JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get(_ANSWER_IN[endpoint]), list):
        raise AnswerError(f"the answer has no {_ANSWER_IN[endpoint]}")
    return text if b"\n" not in text else encode(found)


def body_for(candidate: Candidate, request: bytes) -> dict[str, Any]:
    """Make the candidate's unstreamed request of a recorded one, by its parameters and its pruned prompt.

    Raises:
        UnsendableError: asked twice it could do something twice, or the recorded request is no JSON object.
    """
    try:
        body = json.loads(request)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise UnsendableError("the request is no JSON object")
    if body.get("conversation") is not None or not all(map(_waits_for_us, body.get("tools") or ())):
        raise UnsendableError("the request writes into a conversation, or lets the provider run tools")
    return changed_for(candidate, {name: value for name, value in body.items() if name not in _FOR_THE_CALLER})


def _waits_for_us(tool: Any) -> bool:
    """Tell whether a tool is one that the caller runs; the provider's own may do anything, and would do it twice."""
    return isinstance(tool, dict) and tool.get("type", "function") in {"function", "custom"}
