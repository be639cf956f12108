"""The socket side: HTTP/1.1 with keep-alive, on a thread for each connection.

Owns reading requests and writing replies; what they say is decided in ``service``. A connection is closed at
once on ``HangUp``, which is how a cut stream looks to a client.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import socketserver
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlsplit

from .errors import ApiError, invalid
from .exchange import HangUp, Reply, Request, Stream, json_reply

if TYPE_CHECKING:
    from .service import Service

MOST_BYTES = 512 * 1024 * 1024  # OpenAI's limit for a file


class LabServer(ThreadingHTTPServer):
    """The listening socket; knows its open connections so that ``close_all`` leaves no thread behind."""

    request_queue_size = 256
    daemon_threads = True

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        self.service = service
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without asking DNS for the host's full name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: clients that go away are part of the game."""

    def opened(self, connection: socket.socket) -> None:
        """Note a connection."""
        with self._lock:
            self._open[connection] = threading.current_thread()

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._open.pop(connection, None)

    def close_all(self) -> None:
        """Close every connection and wait for its thread."""
        with self._lock:
            pending = dict(self._open)
        for connection in pending:
            shut(connection)
        for thread in pending.values():
            thread.join(timeout=5)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "logos-shift-lab"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one piece

    def setup(self) -> None:
        """Open the connection."""
        super().setup()
        self._lab.opened(self.connection)

    def finish(self) -> None:
        """Close the connection."""
        try:
            super().finish()
        except OSError:
            pass  # the other side has gone
        finally:
            self._lab.closed(self.connection)

    def do_GET(self) -> None:
        """Answer whatever was asked."""
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - same

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the parent
        """Keep no access log."""

    @property
    def _lab(self) -> LabServer:
        return cast("LabServer", self.server)

    def _answer(self) -> None:
        started = time.perf_counter()
        service = self._lab.service
        try:
            reply = self._reply(service)
            if isinstance(reply, Stream):
                self._send_stream(reply, started)
            else:
                self._send(reply, started)
            self.wfile.flush()
        except (HangUp, OSError):
            self.close_connection = True
            shut(self.connection)

    def _reply(self, service: Service) -> Reply | Stream:
        try:
            request = self._read()
        except ApiError as error:
            self.close_connection = True  # what is left of the body cannot be told apart
            return json_reply(error.body(), error.status)
        return service.answer(request)

    def _read(self) -> Request:
        address = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(
            method=self.command,
            path=address.path,
            query=dict(parse_qsl(address.query)),
            headers=headers,
            body=self._read_body(headers),
            local=ipaddress.ip_address(self.client_address[0]).is_loopback,
        )

    def _read_body(self, headers: dict[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._read_chunks()
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            raise invalid(f"Invalid Content-Length: expected 0 to {MOST_BYTES}, but got '{length}'.")
        return self.rfile.read(int(length))

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            try:
                size = int(self.rfile.readline(256).split(b";")[0], 16)
            except ValueError:
                raise invalid("Invalid chunked body.") from None
            if size < 0 or len(body) + size > MOST_BYTES:
                raise invalid("The body is too large.")
            if size == 0:
                break
            body += self.rfile.read(size)
            self.rfile.readline(256)
        while self.rfile.readline(65536).strip():
            pass  # trailers
        return bytes(body)

    def _head(self, status: int, content_type: str, started: float) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("x-request-id", f"req_{secrets.token_hex(16)}")
        self.send_header("openai-processing-ms", str(round((time.perf_counter() - started) * 1000)))

    def _send(self, reply: Reply, started: float) -> None:
        self._head(reply.status, reply.content_type, started)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if reply.cut:
            self.wfile.write(reply.body[: len(reply.body) // 2])
            self.wfile.flush()
            raise HangUp
        self.wfile.write(reply.body)

    def _send_stream(self, stream: Stream, started: float) -> None:
        """Send the headers at once, then each event in a chunk of its own."""
        self._head(200, "text/event-stream; charset=utf-8", started)
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for event in stream.events:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def shut(connection: socket.socket) -> None:
    """Close a socket for both sides, so that whoever waits on it wakes up."""
    with suppress(OSError):  # it may be closed already
        connection.shutdown(socket.SHUT_RDWR)
