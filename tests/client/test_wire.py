"""HTTP with the server, over real sockets on loopback."""

from __future__ import annotations

import gzip
import http.server
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logos_shift_openai.client import wire as wire_module
from logos_shift_openai.client.wire import (
    BadBatchError,
    ConfigAnswer,
    Receipt,
    RefusedLine,
    RetryLaterError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    Wire,
    WireError,
    _retry_after,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES = b'{"v":1,"id":"a"}\n{"v":1,"id":"b"}\n'
RECEIPT = b'{"new":1,"seen":1,"refused":[]}'


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Answers every request alike and keeps what was asked."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = RECEIPT
    asked: list[Asked] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)
    close_early: bool = False


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            state.connections.add(self.client_address)
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            if state.status != 304:
                self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            if state.status != 304:
                self.wfile.write(state.body[: len(state.body) // 2] if state.close_early else state.body)
            self.close_connection = self.close_connection or state.close_early

        do_GET = do_POST = do  # noqa: N815  the names http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # clients that hang up early are what some tests are about

    with Quiet(("127.0.0.1", 0), Handler) as httpd:
        state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    made = Wire(server.url + "/", "key-1")
    yield made
    for session in made._sessions.values():
        session.close()  # type: ignore[attr-defined]


def test_records_go_up_as_gzipped_lines_with_the_key(server: Server, wire: Wire) -> None:
    """The one request of the protocol, as the server reads it."""
    assert wire.post_records(LINES, 5.0) == Receipt(1, 1)
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/v1/records")
    assert asked.headers["Content-Type"] == "application/x-ndjson"
    assert asked.headers["Content-Encoding"] == "gzip"
    assert asked.headers["Authorization"] == "Bearer key-1"
    assert asked.headers["User-Agent"].startswith("logos_shift_openai/")
    assert gzip.decompress(asked.body) == LINES


def test_one_connection_serves_many_requests(server: Server, wire: Wire) -> None:
    """Read to its end, an answer frees its connection for the next request."""
    for _ in range(3):
        wire.post_records(LINES, 5.0)
    assert len(server.connections) == 1
    server.status = 304
    for _ in range(3):
        wire.get_config("x", 5.0)
    assert len(server.connections) == 2  # one for each of the two threads that use a wire


def test_a_receipt_names_the_lines_refused(server: Server, wire: Wire) -> None:
    """Place, id and reason come back as values."""
    server.body = b'{"new":0,"seen":0,"refused":[{"line":1,"id":"a","why":"bad"},{"line":2,"id":null,"why":"worse"}]}'
    assert wire.post_records(LINES, 5.0).refused == (RefusedLine(1, "a", "bad"), RefusedLine(2, None, "worse"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Welcome to our hotel's network</html>",
        b"[]",
        b"null",
        b'{"ok":true}',
        b'{"new":1}',
        b'{"new":"1","seen":1}',
        b'{"new":-1,"seen":3}',
        b'{"new":true,"seen":1}',
        b'{"new":1,"seen":0,"refused":[1]}',
        b'{"new":1,"seen":0,"refused":7}',
        b'{"new":1,"seen":0,"refused":[{"id":"a"}]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_yes_without_a_receipt_is_no_yes(server: Server, wire: Wire, body: bytes) -> None:
    """A gateway's page with status 200 must not delete the spool."""
    server.body = body
    with pytest.raises(UnavailableError):
        wire.post_records(LINES, 5.0)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadBatchError),
        (401, UnauthorizedError),
        (403, UnauthorizedError),
        (404, UnavailableError),
        (413, TooLargeError),
        (422, BadBatchError),
        (429, RetryLaterError),
        (500, UnavailableError),
        (503, UnavailableError),
        (302, UnavailableError),
    ],
)
def test_each_status_has_its_error(server: Server, wire: Wire, status: int, error: type[WireError]) -> None:
    """Named by the status alone: neither address nor key is in the text."""
    server.status = status
    for ask in (lambda: wire.post_records(LINES, 5.0), lambda: wire.get_config(None, 5.0)):
        with pytest.raises(WireError) as caught:
            ask()
        assert type(caught.value) is error
        assert str(caught.value) == f"HTTP {status}"


def test_a_wish_to_wait_is_read(server: Server, wire: Wire) -> None:
    """With 429 and with 503."""
    server.headers = {"Retry-After": "7"}
    for status in (429, 503):
        server.status = status
        with pytest.raises(RetryLaterError) as caught:
            wire.post_records(LINES, 5.0)
        assert caught.value.retry_after == 7.0


def test_a_wish_to_wait_may_be_a_date_or_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    """A date counts from now, the past is now, and what cannot be read is no wish."""
    from datetime import datetime, timezone

    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    assert _retry_after(format_datetime(datetime.fromtimestamp(1_800_000_060, timezone.utc))) == 60.0
    assert _retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert [_retry_after(value) for value in ("soon", "-5", "nan", "", None)] == [None] * 5


def test_no_redirect_is_followed(server: Server, wire: Wire) -> None:
    """Neither key nor records move to an address nobody configured."""
    server.status = 307
    server.headers = {"Location": f"{server.url}/elsewhere"}
    with pytest.raises(UnavailableError):
        wire.post_records(LINES, 5.0)
    assert [asked.path for asked in server.asked] == ["/v1/records"]


def test_a_netrc_entry_does_not_replace_the_key(
    server: Server, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`requests` would put the machine's ~/.netrc before a header of ours."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    wire.post_records(LINES, 5.0)
    assert server.asked[0].headers["Authorization"] == "Bearer key-1"


def test_no_key_sends_none(server: Server) -> None:
    """A fixed config at some address is asked for without credentials."""
    server.body = b"{}"
    wire = Wire(server.url, None, config_url=f"{server.url}/team/config.json")
    assert wire.get_config(None, 5.0).body == b"{}"
    assert "Authorization" not in server.asked[0].headers
    assert server.asked[0].path == "/team/config.json"
    wire._sessions["GET"].close()  # type: ignore[attr-defined]


def test_config_comes_with_its_etag_and_once(server: Server, wire: Wire) -> None:
    """Asked again with the ETag, a server that has nothing new says so without a body."""
    server.body, server.headers = b'{"version":1}', {"ETag": '"one"'}
    assert wire.get_config(None, 5.0) == ConfigAnswer(b'{"version":1}', '"one"')
    assert "If-None-Match" not in server.asked[0].headers
    server.status = 304
    assert wire.get_config('"one"', 5.0) == ConfigAnswer(None, '"one"')
    assert server.asked[1].headers["If-None-Match"] == '"one"'


def test_an_answer_without_end_is_not_read(server: Server, wire: Wire) -> None:
    """Four megabytes are enough for any config."""
    server.body = b" " * (5 * 2**20)
    with pytest.raises(UnavailableError, match="answer too long"):
        wire.get_config(None, 5.0)


def test_a_small_answer_that_unpacks_without_end_is_not_read(server: Server, wire: Wire) -> None:
    """The bound holds for what it unpacks to."""
    server.body, server.headers = gzip.compress(b" " * (50 * 2**20)), {"Content-Encoding": "gzip"}
    with pytest.raises(UnavailableError, match="answer too long"):
        wire.get_config(None, 5.0)


def test_an_answer_that_never_ends_in_time_is_given_up(server: Server) -> None:
    """Each piece comes in time, all of them do not."""
    now = iter(range(0, 10_000, 3))
    server.body = b" " * 400_000
    wire = Wire(server.url, None, clock=lambda: float(next(now)))
    with pytest.raises(UnavailableError, match="answer too slow"):
        wire.get_config(None, 5.0)
    wire._sessions["GET"].close()  # type: ignore[attr-defined]


def test_an_answer_cut_short_is_no_answer(server: Server, wire: Wire) -> None:
    """Half a receipt confirms nothing."""
    server.close_early = True
    with pytest.raises(UnavailableError):
        wire.post_records(LINES, 5.0)


def test_nobody_there_is_unavailable_and_says_no_address(server: Server) -> None:
    """The name of the error is all that is told."""
    wire = Wire("http://user:secret@127.0.0.1:9", "key-1")
    with pytest.raises(UnavailableError) as caught:
        wire.post_records(LINES, 1.0)
    assert str(caught.value) == "ConnectionError"
    assert caught.value.__cause__ is None


def test_a_server_that_never_answers_times_out() -> None:
    """The time of a request is bounded by us."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        wire = Wire(f"http://127.0.0.1:{silent.getsockname()[1]}", None)
        with pytest.raises(UnavailableError, match="Timeout"):
            wire.post_records(LINES, 0.05)


def test_a_child_opens_connections_of_its_own(server: Server, wire: Wire) -> None:
    """A connection shared with the parent would mix two conversations."""
    wire.post_records(LINES, 5.0)
    inherited = wire._sessions["POST"]
    wire.after_fork()
    wire.post_records(LINES, 5.0)
    inherited.close()  # type: ignore[attr-defined]
    assert len(server.connections) == 2


def test_nothing_heavy_is_imported_before_the_first_request() -> None:
    """The HTTP library and all it brings come in a background thread, not with our import."""
    code = (
        "import sys, json\n"
        "before = set(sys.modules)\n"
        "import importlib.util, types\n"
        "for name in ('logos_shift_openai', 'logos_shift_openai.client'):\n"
        "    module = types.ModuleType(name); module.__path__ = []; sys.modules[name] = module\n"
        f"base = {str(Path(wire_module.__file__).parent)!r}\n"
        "sys.modules['logos_shift_openai'].__path__ = [base + '/..']\n"
        "sys.modules['logos_shift_openai.client'].__path__ = [base]\n"
        "import logos_shift_openai.client.uploader, logos_shift_openai.client.config_source\n"
        "import logos_shift_openai.client.recorder\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert {"requests", "urllib3", "http.client", "ssl", "email", "urllib.request"}.isdisjoint(json.loads(out))
