"""Two small HTTP servers on loopback for the programs of this folder: a provider of models and a collector of records.

Both are real servers with a thread for each connection; what they got is read by the test, how they misbehave is set
by it.
"""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = ("Hi", " ", "there")


class Listener:
    """A listening HTTP server that can go away and come back on the same port."""

    def __init__(self) -> None:
        self.port = 0
        self.leaving = threading.Event()
        self._server: http.server.ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self):
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Listen, on the port of last time if there was one."""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            # HTTP/1.0: no connection outlives its answer, so none is shared by a process and its forked child.
            def do_POST(self) -> None:
                outer.answer(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            def do_GET(self) -> None:
                outer.answer(self, b"")

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # clients that are killed hang up early

        self.leaving.clear()
        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Go away: from now on nobody listens on the port, and requests that hang are let go."""
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            self.leaving.set()
            server.shutdown()
            self._thread.join()
            server.server_close()

    def answer(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def send(request: http.server.BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "application/json") -> None:
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


class Provider(Listener):
    """Answers `/v1/chat/completions`, whole and streamed; a model `status-500` is answered with that status."""

    def __init__(self) -> None:
        super().__init__()
        self.models: Counter[str] = Counter()
        self.delay = 0.0

    def answer(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        asked = json.loads(body or b"{}")
        model = asked.get("model", "")
        self.models[model] += 1
        if self.delay:
            time.sleep(self.delay)
        if model.startswith("status-"):
            error = {"error": {"message": "no", "type": "some_error", "code": None, "param": None}}
            send(request, int(model.partition("-")[2]), json.dumps(error).encode())
        elif asked.get("stream"):
            self._stream(request, model)
        else:
            send(request, 200, json.dumps(completion(model)).encode())

    def _stream(self, request: http.server.BaseHTTPRequestHandler, model: str) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.end_headers()
        for event in chunks(model):
            request.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
            request.wfile.flush()
        request.wfile.write(b"data: [DONE]\n\n")


def completion(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(WORDS), "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def chunks(model: str) -> Iterator[dict[str, Any]]:
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in WORDS), {}]
    for delta in deltas:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None if delta else "stop"}
        yield {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}


class Collector(Listener):
    """Takes each record once by its id, counts every line that arrives, and misbehaves as it is told.

    `fault` is None, an HTTP status, "hang" (no answer at all), "swallow" (the records are kept, the answer never
    comes) or "garbage" (a page that is no receipt). What a process says of itself is kept in `reports` and answered with
    `to_reports`: by default as by a server that knows nothing of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.arrived: Counter[str] = Counter()
        self.records: dict[str, dict[str, Any]] = {}
        self.posts = 0
        self.fault: int | str | None = None
        self.config: bytes | None = None
        self.reports: list[dict[str, Any]] = []
        self.to_reports: int | str = 404

    def answer(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        if self.fault == "hang":
            self.leaving.wait(120.0)
        elif request.command == "GET":
            send(request, 404 if self.config is None else 200, self.config or b"{}")
        elif isinstance(self.fault, int):
            send(request, self.fault, b"{}")
        elif request.path == "/v1/clients":
            self._said(request, body)
        elif self.fault == "garbage":
            send(request, 200, b"<html>welcome to the hotel</html>", "text/html")
        else:
            receipt = self._taken(gzip.decompress(body))
            if self.fault == "swallow":
                self.leaving.wait(120.0)
            else:
                send(request, 200, json.dumps(receipt).encode())

    def _said(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        with self.lock:
            self.reports.append(json.loads(body))
        if self.to_reports == "hang":
            self.leaving.wait(120.0)
        elif self.to_reports == "garbage":
            send(request, 200, b"<html>welcome to the hotel</html>", "text/html")
        else:
            send(request, int(self.to_reports), b"{}")

    def _taken(self, data: bytes) -> dict[str, Any]:
        lines = [json.loads(line) for line in data.decode().split("\n") if line]
        with self.lock:
            self.posts += 1
            new = {line["id"] for line in lines} - self.arrived.keys()
            self.arrived.update(line["id"] for line in lines)
            self.records.update((line["id"], line) for line in lines if line["id"] in new)
        return {"new": len(new), "seen": len(lines) - len(new), "refused": []}

    def texts(self) -> Counter[str]:
        """Count the records by what their call asked."""
        with self.lock:
            return Counter(one["request"]["messages"][0]["content"] for one in self.records.values())

    def again(self) -> set[str]:
        """Give what was asked in the calls whose records arrived more than once.

        A process that is ended while it sends does not hear the server's yes, and the next one sends the same again.
        """
        with self.lock:
            twice = (self.records[one] for one, times in self.arrived.items() if times > 1)
            return {one["request"]["messages"][0]["content"] for one in twice}

    def wait_for(self, number: int, seconds: float = 90.0) -> None:
        """Wait until so many records have arrived."""
        end = time.monotonic() + seconds
        while len(self.arrived) < number:
            assert time.monotonic() < end, f"{len(self.arrived)} of {number} records arrived in {seconds} s"
            time.sleep(0.01)


@contextlib.contextmanager
def away(listener: Listener) -> Iterator[None]:
    """Let nobody listen on a server's port for the block."""
    listener.close()
    try:
        yield
    finally:
        listener.open()
