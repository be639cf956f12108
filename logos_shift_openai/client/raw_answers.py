"""Raw responses of a candidate: one that cannot be an answer is the candidate's failure, before the caller has it.

Its rule: nothing is parsed and nothing is read that is not there already. A whole body must hold the beginning of the
endpoint's member and end as JSON does; of a body that is still to be read only the type that its header names is known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER_IN: Final = {"chat.completions": "choices", "responses": "output"}
# As most servers spell it, which is found in a third of the time; and in any spelling of JSON.
_BEGINS: Final = {
    "chat.completions": (b'"choices":[{', re.compile(rb'"choices"\s*:\s*\[\s*\{').search),
    "responses": (b'"output":[', re.compile(rb'"output"\s*:\s*\[').search),
}
_ENDS: Final = frozenset({b"}", b"\n", b" ", b"\r", b"\t"})


class NoAnswerError(Exception):
    """A candidate's 200 that holds no answer; recorded, and answered by the baseline.

    Args:
        message: What is missing.
        said: What it said that it used: a usage of the SDK's, or the bytes of the body.
    """

    def __init__(self, message: str, said: Any = None) -> None:
        super().__init__(message)
        self.said = said


def judging(endpoint: str, send: Callable[..., Any], in_loop: bool) -> Callable[..., Any]:
    """Make a `request` of the SDK's raise where the raw response it gives back cannot be an answer.

    Args:
        endpoint: "chat.completions" or "responses".
        send: The SDK's own `request`, of the candidate's client.
        in_loop: It is the asynchronous one.
    """
    plain, begins = _BEGINS[endpoint]

    def judged(*args: Any, **kwargs: Any) -> Any:
        answer = send(*args, **kwargs)
        response = _empty(plain, begins, answer)
        if response is None:
            return answer
        response.close()
        raise NoAnswerError(_said(endpoint), _content(response))

    async def judged_async(*args: Any, **kwargs: Any) -> Any:
        answer = await send(*args, **kwargs)
        response = _empty(plain, begins, answer)
        if response is None:
            return answer
        await response.aclose()
        raise NoAnswerError(_said(endpoint), _content(response))

    return judged_async if in_loop else judged


def _empty(plain: bytes, begins: Callable[[bytes], Any], answer: Any) -> Any | None:
    """Give the HTTP response of an answer that is none, else None."""
    response = getattr(answer, "http_response", None)
    if response is None:
        return None
    if response.is_closed:
        body: bytes = response.content
        return None if body[-1:] in _ENDS and (plain in body or begins(body)) else response
    # The body is the caller's to read.
    return response if response.headers.get("content-type", "").startswith("text/html") else None


def _content(response: Any) -> bytes | None:
    """Give the body if it was read; it is never read for this."""
    content: bytes | None = getattr(response, "_content", None)
    return content


def _said(endpoint: str) -> str:
    return f"the candidate's answer has no {ANSWER_IN[endpoint]}"
