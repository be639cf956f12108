"""One request and its answer: what an endpoint is given, what it gives back, and how it says no.

Bodies are read within their limits of size and time. A refusal is an `ApiError`, which becomes
`{"error": {"code", "message", "where"}}`; its message may name what was sent, never what is kept.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from logos_shift_openai.server.keys import Scope
    from logos_shift_openai.server.service import Service

    AsgiScope = Mapping[str, Any]
    Receive = Callable[[], Awaitable[Mapping[str, Any]]]
    Header = tuple[bytes, bytes]

_T = TypeVar("_T")
JSON_TYPE: Final = b"application/json"
_DRAIN_BYTES: Final = 64 * 2**20
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


class ApiError(Exception):
    """A request that is answered with a no.

    Args:
        status: The HTTP status.
        code: One word for programs.
        message: A sentence for people.
        where: The part of the request at fault.
        retry_after: Seconds after which it may be tried again.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        where: str | None = None,
        retry_after: float | None = None,
        headers: tuple[Header, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.where = where
        self.retry_after = retry_after
        self.headers = headers

    def answer(self) -> Answer:
        """Make the answer that says so."""
        said = {"code": self.code, "message": self.message, "where": self.where}
        headers = list(self.headers)
        if self.retry_after is not None:
            headers.append((b"retry-after", str(max(1, round(self.retry_after + 0.5))).encode()))
        return Answer(to_json({"error": said}), self.status, headers)


class ClientGoneError(Exception):
    """The client went away before its request was whole."""


@dataclass(slots=True)
class Answer:
    """What is sent back.

    Args:
        stream: Parts that are sent after each other in the place of `body`; they are read in a thread.
        size: Bytes of them all, where that is known.
    """

    body: bytes = b""
    status: int = 200
    headers: list[Header] = field(default_factory=list)
    content_type: bytes | None = JSON_TYPE
    stream: Iterator[bytes] | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the id of a key, or None where there is no need of one."""

    key_id: str | None
    scope: Scope


@dataclass(slots=True)
class Ask:
    """A request that may be served.

    Args:
        caller: None on an endpoint that is open to everybody.
    """

    service: Service
    scope: AsgiScope
    receive: Receive
    caller: Caller | None

    def header(self, name: bytes) -> bytes | None:
        """Give a header by its name in lower case."""
        return next((value for key, value in self.scope["headers"] if key == name), None)

    @property
    def path(self) -> Mapping[str, str]:
        """Give the variable parts of the path."""
        parts: Mapping[str, str] = self.scope["path_params"]
        for name, value in parts.items():
            _refuse_nul(value, name)
        return parts

    def query(self, of: type[_T]) -> _T:
        """Read the query into a struct.

        Raises:
            ApiError: a part of it is unknown, stands twice or cannot be meant.
        """
        values: dict[str, str] = {}
        with_faults = self.scope["query_string"].decode("latin-1")
        try:
            pairs = parse_qsl(with_faults, keep_blank_values=True, errors="strict", max_num_fields=100)
        except ValueError as error:
            raise ApiError(400, "bad_query", f"the query cannot be read: {error}") from None
        for name, value in pairs:
            if name in values:
                raise ApiError(400, "bad_query", f"{name} stands twice in the query", where=name)
            _refuse_nul(value, name)
            values[name] = value
        try:
            return msgspec.convert(values, of, strict=False)
        except _UNREADABLE as error:
            raise ApiError(400, "bad_query", str(error), where=_where(error)) from None

    async def read_json(self, of: type[_T]) -> _T:
        """Read a JSON body into a struct.

        Raises:
            ApiError: it is of another type, too long, too slow, or not what it should be.
            ClientGoneError: the client went away.
        """
        self.require_type(JSON_TYPE)
        body = await self.read_body(self.service.limits.small_body_bytes)
        try:
            return msgspec.json.decode(body, type=of)
        except _UNREADABLE as error:
            raise ApiError(400, "bad_body", f"the body: {error}", where=_where(error)) from None

    def require_type(self, *types: bytes) -> None:
        """Refuse a body of another type than these.

        Raises:
            ApiError: 415.
        """
        given = (self.header(b"content-type") or b"").split(b";")[0].strip().lower()
        if given not in types:
            names = b" or ".join(types).decode()
            raise ApiError(415, "unsupported_type", f"the Content-Type must be {names}", where="Content-Type")

    async def read_body(self, limit: int) -> bytes:
        """Read the body.

        Raises:
            ApiError: 413 where it is longer than `limit` bytes, 408 where it takes too long.
            ClientGoneError: the client went away.
        """
        try:
            return await asyncio.wait_for(self._read(limit), self.service.limits.body_seconds)
        except asyncio.TimeoutError:
            close = ((b"connection", b"close"),)
            raise ApiError(408, "too_slow", "the body did not come in time", headers=close) from None

    async def drain(self) -> None:
        """Read on and forget, so that the client hears the answer instead of a broken connection."""
        with suppress(asyncio.TimeoutError, ApiError, ClientGoneError):
            await asyncio.wait_for(self._read(0, at_once=False), self.service.limits.body_seconds)

    async def gone(self) -> None:
        """Wait until the client has gone away; a body that comes meanwhile is not looked at."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def _read(self, limit: int, *, at_once: bool = True) -> bytes:
        declared = self.header(b"content-length")
        too_long = at_once and declared is not None and declared.isdigit() and int(declared[:20]) > limit
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit or too_long:
                parts.clear()
            else:
                parts.append(part)
            if size > limit + _DRAIN_BYTES or not message.get("more_body", False):
                break
        if size > limit or too_long:
            raise ApiError(413, "too_large", f"the body is longer than {limit} bytes")
        return parts[0] if len(parts) == 1 else b"".join(parts)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method of a path, and all that is said of it in the OpenAPI document.

    Args:
        scope: What a key must be allowed; None for everybody.
        query: Struct of the query.
        body: Struct of the JSON body, or the media type of another one.
        answers: Status to the type of the body, None for none, and what it means.
        open_to_browsers: Whether the CORS setting is about it.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    scope: Scope | None
    handler: Callable[[Ask], Awaitable[Answer]]
    summary: str
    answers: Mapping[int, tuple[Any, str]]
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | tuple[str, ...] | None = None
    open_to_browsers: bool = False
    headers: tuple[str, ...] = ()


class Fault(msgspec.Struct):
    """What was wrong with a request."""

    code: str
    message: str
    where: str | None = None


class Faulty(msgspec.Struct):
    """The body of every refusal."""

    error: Fault


def to_json(value: object) -> bytes:
    """Write an answer. What msgspec cannot say (lone surrogates, huge integers) is escaped by the slower encoder."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(_finite(msgspec.to_builtins(value, builtin_types=(int,)))).encode()


def tagged(ask: Ask, body: bytes) -> Answer:
    """Answer with an ETag, or with 304 to who has this very body already."""
    etag = f'"{sha256(body).hexdigest()[:24]}"'.encode()
    headers = [(b"etag", etag), (b"cache-control", b"private, no-cache")]
    given = (ask.header(b"if-none-match") or b"").split(b",")
    if etag in {one.strip().removeprefix(b"W/") for one in given}:
        return Answer(b"", 304, headers, None)
    return Answer(body, 200, headers)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value


def _where(error: BaseException) -> str | None:
    """Take the path of the fault out of msgspec's message."""
    _, found, path = str(error).rpartition(" - at `")
    return path.rstrip("`") if found else "$" if isinstance(error, msgspec.ValidationError) else None


def _refuse_nul(value: str, name: str) -> None:
    if "\0" in value:
        raise ApiError(400, "bad_text", f"{name} holds a NUL, which no text may", where=name)
