"""A provider inside the process: a mock transport of whichever `httpx` the SDK runs on, with an answer ready made."""

from __future__ import annotations

import json

import openai

try:
    import httpx2 as httpx
except ImportError:
    import httpx

MODEL = "gpt-6.1-sol"
MESSAGES = [{"role": "system", "content": "Be brief. " * 20}, {"role": "user", "content": "x y z " * 120}]
"""About 1 KB as a body."""
MESSAGES_4KB = [{"role": "system", "content": "Be brief. " * 20}, {"role": "user", "content": "x y z " * 620}]

_JSON = {"content-type": "application/json", "x-request-id": "req_1"}
_SSE = {"content-type": "text/event-stream"}


def answer(content: str = "h e l l o " * 60) -> bytes:
    """Give the body of a completion, about 1 KB unless told."""
    message = {"role": "assistant", "content": content, "refusal": None, "annotations": []}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 200,
                "completion_tokens": 150,
                "total_tokens": 350,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
            "system_fingerprint": "fp_1",
        }
    ).encode()


def events(chunks: int) -> list[bytes]:
    """Give a streamed completion, event by event, as the network would bring them."""

    def event(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
        return b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"

    first = event({"role": "assistant", "content": ""})
    return [
        first,
        *(event({"content": f" word{n}"}) for n in range(chunks - 2)),
        event({}, "stop"),
        b"data: [DONE]\n\n",
    ]


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer that arrives in pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def __iter__(self):
        return iter(self.pieces)

    async def __aiter__(self):
        for piece in self.pieces:
            yield piece


def client(kind: type, *, body: bytes | None = None, pieces: list[bytes] | None = None, **more):
    """Make a client whose every request is answered in the process.

    Args:
        kind: A client class of the SDK, or ours.
        body: The answer.
        pieces: The answer in pieces instead, as a stream of events.
        more: Further arguments of the client.
    """
    content = body or answer()

    def respond(_request):
        if pieces is not None:
            return httpx.Response(200, headers=_SSE, stream=Pieces(pieces))
        return httpx.Response(200, headers=_JSON, content=content)

    async def respond_later(request):
        return respond(request)

    if issubclass(kind, openai.AsyncOpenAI):
        http = httpx.AsyncClient(transport=httpx.MockTransport(respond_later))
    else:
        http = httpx.Client(transport=httpx.MockTransport(respond))
    return kind(api_key="k", base_url="http://provider.test/v1", http_client=http, max_retries=0, **more)
