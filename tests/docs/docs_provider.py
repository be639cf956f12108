"""A provider that knows the models of the pages: a real lab, behind a door that turns their names into its own."""

from __future__ import annotations

import http.client
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from logos_shift_openai.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPENSIVE, CHEAP = "oracle-large", "tiny-base"
NAMES = {
    b"gpt-6.1-sol": EXPENSIVE,
    b"my-deployment": EXPENSIVE,
    b"gpt-6.1-mini": CHEAP,
    b"gpt-5.4-nano": CHEAP,
}
_ASKED = re.compile(rb'("model": ?"|/deployments/)(' + b"|".join(map(re.escape, NAMES)) + rb')(?=["/])')


def _renamed(text: bytes) -> bytes:
    return _ASKED.sub(lambda found: found[1] + NAMES[found[2]].encode(), text)


@contextmanager
def provider() -> Iterator[str]:
    """Run it; the value is its address without `/v1`. It also takes whatever is posted to `/hooks/`."""
    with Lab(latency=0) as lab:
        behind = urlsplit(lab.url).netloc

        class Door(BaseHTTPRequestHandler):
            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.path.startswith("/hooks/"):
                    self._answer(200, "text/plain", b"ok")
                    return
                asked = http.client.HTTPConnection(behind, timeout=90)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
                asked.request(self.command, _renamed(self.path.encode()).decode(), _renamed(body), headers)
                answer = asked.getresponse()
                self._answer(answer.status, answer.headers["content-type"], answer.read())
                asked.close()

            do_GET = do_POST = do_DELETE = _pass_on  # noqa: N815 - the names that are called

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        door = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        thread = Thread(target=door.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{door.server_port}"
        finally:
            door.shutdown()
            thread.join()
            door.server_close()
