"""What goes in and out of the lab: requests, replies, and the log of requests seen.

Owns these values; ``handler`` moves them over the socket, ``routes`` makes replies of requests.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

from .errors import invalid

if TYPE_CHECKING:
    from .faults import Fault

_SECRET_HEADERS = frozenset({"authorization", "api-key", "x-api-key", "cookie", "proxy-authorization"})


class HangUp(Exception):  # noqa: N818 - an order, not an error
    """Close the connection at once, in the middle of whatever is being sent."""


@dataclass(frozen=True)
class Request:
    """One request; header names are in lower case, ``faults`` are those that hit it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    local: bool  # from this machine
    faults: Sequence[Fault] = ()

    def json(self) -> dict[str, object]:
        """Read the body as a JSON object.

        Raises:
            ApiError: 400, it is none.
        """
        try:
            document = json.loads(self.body or b"{}")
        except (ValueError, RecursionError):
            raise invalid("We could not parse the JSON body of your request. The API expects a JSON payload.") from None
        if not isinstance(document, dict):
            raise invalid("Invalid body: expected a JSON object.")
        return document

    def fault(self, kind: str) -> Fault | None:
        """Find the fault of a kind, if one hits this request."""
        return next((fault for fault in self.faults if fault.kind == kind), None)


@dataclass(frozen=True)
class Reply:
    """A whole answer; with ``cut`` only half of the body is sent before the connection is closed."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True)
class Stream:
    """An answer of server-sent events, each sent as it comes."""

    events: Iterator[bytes]


def json_reply(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Make a reply of a JSON document."""
    return Reply(status, json.dumps(document, separators=(",", ":")).encode(), headers=headers or {})


@dataclass(frozen=True)
class SeenRequest:
    """What the log keeps of a request: no credentials; of a body that is not JSON only the size.

    Attributes:
        at: Unix seconds.
        method: HTTP method.
        path: Path without the query.
        headers: Names in lower case; without authorization and cookies.
        body: The JSON body, or None.
        size: Bytes of the body.
    """

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: object
    size: int


class RequestLog(Sequence[SeenRequest]):
    """The last requests, oldest first; safe to use from any thread.

    Args:
        keep: How many.
    """

    def __init__(self, keep: int = 1_000) -> None:
        self._lock = threading.Lock()
        self._seen: deque[SeenRequest] = deque(maxlen=keep)

    def note(self, request: Request) -> None:
        """Take a request in."""
        headers = {name: value for name, value in request.headers.items() if name not in _SECRET_HEADERS}
        body: object = None
        if request.headers.get("content-type", "").startswith("application/json"):
            try:
                body = json.loads(request.body)
            except (ValueError, RecursionError):
                body = None
        entry = SeenRequest(time.time(), request.method, request.path, headers, body, len(request.body))
        with self._lock:
            self._seen.append(entry)

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._seen.clear()

    @overload
    def __getitem__(self, index: int) -> SeenRequest: ...
    @overload
    def __getitem__(self, index: slice) -> list[SeenRequest]: ...
    def __getitem__(self, index: int | slice) -> SeenRequest | list[SeenRequest]:
        with self._lock:
            return list(self._seen)[index]

    def __len__(self) -> int:
        return len(self._seen)
