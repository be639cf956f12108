"""A config that has not changed: our 304 against that of a bare ASGI application, on the same uvicorn, in turns.

By the CPU of the server process, which the clients on the same cores do not disturb as they do requests a second.
"""

from __future__ import annotations

import http.client
import socket
import statistics
import sys
import threading
from typing import TYPE_CHECKING

from benchmarks.measure import Row
from benchmarks.server.served import Process, folder, served

if TYPE_CHECKING:
    from benchmarks.server.sizes import Size

_CONNECTIONS = 4
_BARE = """
import uvicorn

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", b'"1"')]})
    await send({"type": "http.response.body", "body": b""})

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("http://127.0.0.1:%d" % self.servers[0].sockets[0].getsockname()[1], flush=True)

Server(uvicorn.Config(app, port=0, http="h11", log_level="error", access_log=False)).run()
"""


def rows(size: Size) -> list[Row]:
    """Measure."""
    with folder() as home, served(home) as ours:
        bare = Process([sys.executable, "-c", _BARE], home / "bare.log")
        try:
            headers = {"Authorization": f"Bearer {ours.key}", "If-None-Match": _etag(ours)}
            pairs = [(_load(bare, headers, size.requests), _load(ours, headers, size.requests)) for _ in range(3)]
        finally:
            bare.end()
    plain, own = (statistics.median(one[place] for one in pairs) for place in (0, 1))
    note = f"{size.requests:,} requests on {_CONNECTIONS} connections, three turns each"
    return [
        Row("config 304, share of a bare one's rate", plain / own * 100 if own else 100.0, "%", 60, True, note=note),
        Row("config 304: CPU a request", own * 1e6, "us", note=f"bare: {plain * 1e6:.0f} µs"),
    ]


def _etag(server: Process) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/v1/config", headers={"Authorization": f"Bearer {server.key}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.getheader("ETag") or ""


def _load(server: Process, headers: dict[str, str], requests: int) -> float:
    """Give the server's CPU for a request, in seconds."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET /v1/config HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode()
    faults: list[bytes] = []

    def work() -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            for _ in range(requests // _CONNECTIONS):
                connection.sendall(request)
                answer = connection.recv(65_536)
                if not answer.startswith(b"HTTP/1.1 304"):
                    faults.append(answer)
                    return

    began = server.cpu()
    threads = [threading.Thread(target=work) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults[0]
    return (server.cpu() - began) / requests
