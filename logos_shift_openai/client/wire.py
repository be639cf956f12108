"""Owns the HTTP between this process and the server: records up, config down.

Its rule: an answer is believed only when it has the shape of one, in bounded time and memory, and the key
goes to the one configured address and nowhere else: no redirect is followed.

`POST {url}/v1/records` carries gzipped NDJSON, to which the server says
`{"new":n,"seen":m,"refused":[{"line":k,"id":..,"why":".."}]}`, where `line` counts from 1. `GET
{url}/v1/config` answers a document with an ETag, or 304; asked with `?wait=25`, the 304 may come only then.
`POST {url}/v1/clients` carries what the process says of itself; of the answer only the status counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import zlib
from typing import TYPE_CHECKING, NamedTuple

from logos_shift_openai.client.periodic import reset_in_child
from logos_shift_openai.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Protocol

    class _Raw(Protocol):
        def read(self, amt: int, *, decode_content: bool) -> bytes: ...

    class Answer(Protocol):
        """What we use of `requests.Response`."""

        @property
        def status_code(self) -> int: ...  # noqa: D102
        @property
        def headers(self) -> Mapping[str, str]: ...  # noqa: D102
        @property
        def raw(self) -> _Raw: ...  # noqa: D102
        def close(self) -> None: ...  # noqa: D102

    class Session(Protocol):
        """What we use of `requests.Session`."""

        def request(self, method: str, url: str, **options: object) -> Answer: ...  # noqa: D102

    class _Signable(Protocol):
        @property
        def headers(self) -> dict[str, str]: ...


_MAX_ANSWER = 4 * 2**20
_GZIP = 31  # zlib's window bits for the gzip format
_LEVEL = 1
_OK, _LAST_OK, _NOT_MODIFIED = 200, 299, 304
_REFUSED_BATCH = frozenset({400, 415, 422})
_UNAUTHORIZED = frozenset({401, 403})
_TOO_LARGE, _SLOW_DOWN = 413, 429
_CONNECT_SECONDS = 5.0


class WireError(Exception):
    """What went wrong between us and the server, in names only."""


class UnauthorizedError(WireError):
    """The server does not accept the key."""


class TooLargeError(WireError):
    """The batch is more than the server takes in one go."""


class BadBatchError(WireError):
    """The server cannot read the batch and would not tomorrow."""


class UnavailableError(WireError):
    """The server did not answer, or not as one of ours; `retry_after` is its wish in seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RetryLaterError(UnavailableError):
    """The server asks to wait (429, or a Retry-After)."""


class RefusedLine(NamedTuple):
    """A line the server would not take: its place from 1, its record's id if readable, and why."""

    line: int
    id: str | None
    why: str


class Receipt(NamedTuple):
    """The server's answer to a batch: how many lines were new, how many it had already, which it refused."""

    new: int
    seen: int
    refused: tuple[RefusedLine, ...] = ()


class ConfigAnswer(NamedTuple):
    """A config document, or `body` None where it is still the one known by its `etag`."""

    body: bytes | None
    etag: str | None


# Forking while another thread is in the middle of an import leaves that module locked for ever in the child.
# Ours is a long import in a background thread, so a fork waits for it.
_importing = threading.Lock()


def _before_fork() -> None:
    _importing.acquire(timeout=5.0)


def _after_fork() -> None:
    with contextlib.suppress(RuntimeError):  # never acquired: the import took longer than we wait
        _importing.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def requests_session() -> Session:
    """Make a `requests` session; imports the library, and all that it imports in its first request."""
    with _importing:
        import encodings.idna  # noqa: F401, PLC0415
        import netrc  # noqa: F401, PLC0415

        import requests  # noqa: PLC0415
    session: Session = requests.Session()  # type: ignore[assignment]  # narrower than its own signature
    return session


class Wire:
    """Speak to one server.

    Args:
        url: the server's address, to which `/v1/...` is added.
        api_key: the key for it; None sends none.
        session: makes the HTTP session, when the first request needs it.
        config_url: the address of the config where it is not the server's own.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None,
        *,
        session: Callable[[], Session] = requests_session,
        config_url: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url.rstrip("/")
        self._config_url = config_url or f"{self._url}/v1/config"
        self._key = api_key
        self._make_session = session
        self._clock = clock
        self._sessions: dict[str, Session] = {}  # one for each method: one thread posts, another gets
        reset_in_child(self)

    def post_records(self, ndjson: bytes, timeout: float) -> Receipt:
        """Send a batch of lines; return the server's receipt.

        Raises:
            WireError: one of its kinds above; the batch may or may not have arrived.
        """
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        body = packer.compress(ndjson) + packer.flush()
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        with self._answer("POST", f"{self._url}/v1/records", timeout, headers, body) as (answer, deadline):
            _check(answer)
            return _receipt(self._body(answer, deadline))

    def post_client(self, report: bytes, timeout: float) -> tuple[int, float | None]:
        """Send what this process says of itself; return the status of the answer and its Retry-After in seconds.

        Raises:
            UnavailableError: there was no whole answer in time.
        """
        headers = {"Content-Type": "application/json"}
        with self._answer("POST", f"{self._url}/v1/clients", timeout, headers, report) as (answer, deadline):
            self._body(answer, deadline)  # only a read to the end frees the connection
            return answer.status_code, _retry_after(answer.headers.get("Retry-After"))

    def get_config(self, etag: str | None, timeout: float, wait: float = 0.0) -> ConfigAnswer:
        """Fetch the config unless it is still the one with `etag`.

        Args:
            etag: the version that is known, None for none.
            timeout: seconds the answer may take.
            wait: seconds, on top of these, for which the server may wait for a newer version.

        Raises:
            WireError: one of its kinds above.
        """
        headers = {} if etag is None else {"If-None-Match": etag}
        url = f"{self._config_url}?wait={wait:g}" if wait else self._config_url
        with self._answer("GET", url, timeout + wait, headers, None) as (answer, deadline):
            if answer.status_code == _NOT_MODIFIED:
                self._body(answer, deadline)  # none, but only a read to the end frees the connection
                return ConfigAnswer(None, etag)
            _check(answer)
            return ConfigAnswer(self._body(answer, deadline), answer.headers.get("ETag"))

    def get_examples(self, name: str, timeout: float, most: int) -> bytes:
        """Fetch a file of examples.

        Args:
            name: its name, the SHA-256 of its content.
            timeout: seconds the answer may take.
            most: bytes it may have.

        Raises:
            WireError: one of its kinds above.
        """
        with self._answer("GET", f"{self._url}/v1/examples/{name}", timeout, {}, None) as (answer, deadline):
            _check(answer)
            return self._body(answer, deadline, most)

    def after_fork(self) -> None:
        """Open connections of our own; those we inherited are the parent's."""
        self._sessions = {}

    def _authorize(self, request: _Signable) -> _Signable:
        # As an `auth` callable: else `requests` would put what a ~/.netrc says for this host in its place.
        if self._key is not None:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    @contextlib.contextmanager
    def _answer(
        self, method: str, url: str, timeout: float, headers: dict[str, str], body: bytes | None
    ) -> Iterator[tuple[Answer, float]]:
        deadline = self._clock() + timeout
        try:
            session = self._sessions.get(method)
            if session is None:
                session = self._sessions[method] = self._make_session()
            answer = session.request(
                method,
                url,
                data=body,
                headers={
                    "User-Agent": f"logos_shift_openai/{__version__}",
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                    **headers,
                },
                auth=self._authorize,
                timeout=(min(_CONNECT_SECONDS, timeout), timeout),
                allow_redirects=False,
                stream=True,
            )
        except Exception as error:  # noqa: BLE001  any of requests', urllib3's or the socket's
            self._sessions.pop(method, None)  # its connections are not to be trusted
            raise UnavailableError(type(error).__name__) from None  # whose text may hold the address
        whole = False
        try:
            yield answer, deadline
            whole = True
        finally:
            if not whole:
                answer.close()

    def _body(self, answer: Answer, deadline: float, most: int = _MAX_ANSWER) -> bytes:
        """Read the answer whole, in bounded time and size."""
        parts: list[bytes] = []
        size = 0
        while True:
            try:
                part = answer.raw.read(2**16, decode_content=True)
            except Exception as error:  # noqa: BLE001  likewise
                raise UnavailableError(type(error).__name__) from None
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            if size > most:
                raise UnavailableError("answer too long")
            if self._clock() > deadline:
                raise UnavailableError("answer too slow")


def _check(answer: Answer) -> None:
    """Raise what the status says, unless it says yes."""
    status = answer.status_code
    if _OK <= status <= _LAST_OK:
        return
    said = f"HTTP {status}"
    if status in _UNAUTHORIZED:
        raise UnauthorizedError(said)
    if status == _TOO_LARGE:
        raise TooLargeError(said)
    if status in _REFUSED_BATCH:
        raise BadBatchError(said)
    wish = _retry_after(answer.headers.get("Retry-After"))
    if status == _SLOW_DOWN or wish is not None:
        raise RetryLaterError(said, wish)
    raise UnavailableError(said)


def _retry_after(value: str | None) -> float | None:
    """Read a Retry-After: seconds, or a date."""
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        seconds = float(value)
        return seconds if seconds >= 0 else None  # not a number compares as false
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  heavy, and rarely needed

    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _receipt(body: bytes) -> Receipt:
    """Read a receipt strictly: some gateway's page with status 200 must never pass for a yes."""
    try:
        answer = json.loads(body)
        refused = tuple(
            RefusedLine(_count(entry["line"]), _text_or_none(entry.get("id")), str(entry.get("why")))
            for entry in answer.get("refused") or ()
        )
        return Receipt(_count(answer["new"]), _count(answer["seen"]), refused)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UnavailableError("the answer is no receipt") from None


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("no count")
    return value


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None
