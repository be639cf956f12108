"""A provider inside the process: a transport that answers like the API, for whichever `httpx` the SDK runs on."""

from __future__ import annotations

import json
import time

import openai

import logos_shift_openai as ours

try:
    import httpx2 as httpx
except ImportError:
    import httpx

JSON = {"content-type": "application/json", "x-request-id": "req_1"}
SSE = {"content-type": "text/event-stream"}
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]


def completion(model="m", content="Hi there", **message):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None, **message},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def chunk(delta, finish=None, model="m", **more):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        **more,
    }


def chunks(model="m"):
    words = ["Hi", " ", "there"]
    yield chunk({"role": "assistant", "content": "", "refusal": None}, model=model)
    for word in words:
        yield chunk({"content": word}, model=model)
    yield chunk({}, "stop", model=model)


def sse(events, done=True):
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    return body + (b"data: [DONE]\n\n" if done else b"")


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer that arrives in pieces, and may be cut by an error at its end."""

    def __init__(self, pieces, error=None):
        self.pieces, self.error, self.closed = pieces, error, False

    def __iter__(self):
        yield from self.pieces
        if self.error is not None:
            raise self.error

    async def __aiter__(self):
        for piece in self.pieces:
            yield piece
        if self.error is not None:
            raise self.error

    def close(self):
        self.closed = True

    async def aclose(self):
        self.closed = True


class Provider:
    """Answers requests, remembers them, and misbehaves for the models it is told to."""

    def __init__(self):
        self.seen = []
        self.answers = {}
        self.streams = []
        self.raw = {}
        self.kinds = {}

    def body(self, index=-1):
        return json.loads(self.seen[index].content)

    def headers(self, index=-1):
        return dict(self.seen[index].headers)

    def models(self):
        return [json.loads(request.content)["model"] for request in self.seen]

    def answer(self, model, status=200, body=None, *, pieces=None, error=None, message="no"):
        """Say how a model answers from now on."""
        if body is None and status != 200:
            body = {"error": {"message": message, "type": "some_error", "code": None, "param": None}}
        self.answers[model] = (status, body, pieces, error)

    def __call__(self, request):
        request.read()
        self.seen.append(request)
        asked = json.loads(request.content or b"{}")
        status, body, pieces, error = self.answers.get(asked.get("model"), (200, None, None, None))
        if error is not None and pieces is None:
            raise error
        if pieces is None and body is None and asked.get("stream"):
            pieces = [*(sse([event], done=False) for event in chunks(asked["model"])), sse([])]
        if pieces is not None:
            stream = Pieces(pieces, error)
            self.streams.append(stream)
            return httpx.Response(status, headers=self.kinds.get(asked.get("model"), SSE), stream=stream)
        content = self.raw.get(asked.get("model")) or json.dumps(body or completion(asked["model"])).encode()
        return httpx.Response(status, headers=self.kinds.get(asked.get("model"), JSON), content=content)

    async def asynchronously(self, request):
        await request.aread()
        return self(request)

    def client(self, kind=ours.OpenAI, **more):
        more = {
            "api_key": "sk-secret-of-the-caller-000000",
            "base_url": "http://provider.test/v1",
            "max_retries": 0,
            **more,
        }
        if issubclass(kind, (openai.AzureOpenAI, openai.AsyncAzureOpenAI)):
            more.pop("base_url")
            more = {"azure_endpoint": "https://azure.test", "api_version": "2025-01-01", **more}
        return kind(http_client=self.http(kind), **more)

    def http(self, kind):
        if issubclass(kind, openai.AsyncOpenAI):
            return httpx.AsyncClient(transport=httpx.MockTransport(self.asynchronously))
        return httpx.Client(transport=httpx.MockTransport(self))


def experiment(home, *, share=10_000, model="m", candidate="cheap", **more):
    """Write the embedded config with one experiment."""
    provider = more.pop("provider", None)
    document = {
        "version": more.pop("version", 1),
        "experiments": [
            {
                "key": "exp",
                "match": {"model": [model]},
                "candidate": {"model": candidate, "provider": provider, **more.pop("change", {})},
                "share": share,
                "salt": "salt",
                **more,
            }
        ],
    }
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.json").write_text(json.dumps(document))


def records(home, kind="call"):
    """Flush, and read the records of the home's spool in order."""
    assert ours.flush(60)
    lines = []
    for path in sorted(home.glob("spool/local/*/*.ndjson")):
        lines += [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def wait_until(true, seconds=60.0):
    """Wait for something of another thread."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)
