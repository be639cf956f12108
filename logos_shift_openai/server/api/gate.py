"""What every request passes: who asks and whether they may, the rate, the headers, the count, and every fault.

Its rule: nothing of a request is looked at before its key is, and whatever happens becomes an answer of ours.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.core.rollout_by_hand import RolloutError
from logos_shift_openai.core.strict import ConfigError
from logos_shift_openai.server.config_versions import StaleError
from logos_shift_openai.server.experiments import ExperimentError, NoExperimentError
from logos_shift_openai.server.rollout_keeping import ChangedError
from logos_shift_openai.server.rollout_reading import NoRolloutError
from logos_shift_openai.server.service import BusyError
from logos_shift_openai.server.store.database import StoreError, StoreFullError

from .browser import cookie_of, require_own_page
from .exchange import Answer, ApiError, Ask, Caller, ClientGoneError, Endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from logos_shift_openai.server.keys import Scope
    from logos_shift_openai.server.service import Service
    from logos_shift_openai.server.sessions import Session

    Send = Callable[[dict[str, Any]], Awaitable[None]]

_logger = logging.getLogger("logos_shift_openai.server")
_SECURITY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NO_STORE: Final = (b"cache-control", b"no-store")
_ALLOWED: Final[Mapping[Scope, frozenset[str]]] = {
    "ingest": frozenset({"ingest"}),
    "read": frozenset({"read"}),
    "admin": frozenset({"ingest", "read", "admin"}),
}
_LOOPBACK: Final = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})
_LINES_AT_ONCE: Final = 16
_PREFLIGHT_SECONDS: Final = b"600"


class Gate:
    """An endpoint as an ASGI application."""

    def __init__(self, service: Service, endpoint: Endpoint) -> None:
        self._service = service
        self._endpoint = endpoint

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        """Serve one request."""
        started = perf_counter()
        service, endpoint = self._service, self._endpoint
        ask = Ask(service, scope, receive, None)
        try:
            answer = await self._answer(ask)
        except ClientGoneError:
            service.metrics.add("logos_clients_gone_total")
            return
        headers = [*answer.headers]
        if endpoint.open_to_browsers:
            headers += _cors(service, ask)
        await send_answer(send, answer, headers)
        service.metrics.answered(endpoint.method, endpoint.path, answer.status, perf_counter() - started)

    async def _answer(self, ask: Ask) -> Answer:
        service = self._service
        try:
            if service.no_auth:
                _require_loopback(ask)
            if self._endpoint.scope is not None:
                ask.caller = await admit(ask, self._endpoint.scope)
            _require_served_config(ask)
            return await self._endpoint.handler(ask)
        except ApiError as error:
            return error.answer()
        except (ConfigError, ExperimentError, RolloutError, ChangedError) as error:
            return _refused(error).answer()
        except StoreError as error:
            _logger.error("%s %s: %s", self._endpoint.method, self._endpoint.path, error)  # noqa: TRY400 - no trace
            service.metrics.add("logos_errors_total", "store")
            return _unwritten(error).answer()
        except BusyError:
            return ApiError(503, "busy", "too many requests at once", retry_after=1.0).answer()
        except ClientGoneError:
            raise
        except Exception:  # the last fence: an answer all the same, and the trace in the log
            _logger.exception("%s %s failed", self._endpoint.method, self._endpoint.path)
            service.metrics.add("logos_errors_total", "internal")
            return ApiError(500, "internal", "a fault of the server, written to its log").answer()


class Preflight:
    """The answer to a browser that asks whether it may."""

    def __init__(self, service: Service, endpoint: Endpoint) -> None:
        self._service = service
        self._endpoint = endpoint

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        """Serve one OPTIONS request."""
        headers = _cors(self._service, Ask(self._service, scope, receive, None))
        if len(headers) > 1:
            headers += [
                (b"access-control-allow-methods", self._endpoint.method.encode()),
                (b"access-control-allow-headers", b"authorization, content-type"),
                (b"access-control-max-age", _PREFLIGHT_SECONDS),
            ]
        await send_answer(send, Answer(b"", 204, content_type=None), headers)


async def send_answer(send: Send, answer: Answer, headers: list[tuple[bytes, bytes]]) -> None:
    """Send an answer with the headers that all have."""
    headers += _SECURITY
    if not any(name == b"cache-control" for name, _ in headers):
        headers.append(_NO_STORE)
    if answer.content_type is not None:
        headers.append((b"content-type", answer.content_type))
    size = len(answer.body) if answer.stream is None else answer.size
    if answer.status not in {204, 304} and size is not None:
        headers.append((b"content-length", str(size).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.stream is not None:
        await _send_parts(send, answer.stream)
    await send({"type": "http.response.body", "body": answer.body})


async def _send_parts(send: Send, parts: Iterator[bytes]) -> None:
    """Send parts that may be many; each is read in a thread, and sent before the next one is read."""
    loop = asyncio.get_running_loop()

    def some() -> bytes:
        return b"".join(islice(parts, _LINES_AT_ONCE))

    while part := await loop.run_in_executor(None, some):
        await send({"type": "http.response.body", "body": part, "more_body": True})


async def admit(ask: Ask, needed: Scope, *, also: frozenset[str] = frozenset()) -> Caller:
    """Find out who asks.

    Args:
        ask: The request.
        needed: The scope that its endpoint needs.
        also: Scopes that may, too.

    Raises:
        ApiError: 401 without a good key, 403 with one that may not, 429 beyond its rate.
    """
    service = ask.service
    if service.no_auth:
        return Caller(None, "admin")
    scheme, _, presented = (ask.header(b"authorization") or b"").partition(b" ")
    known = None
    if scheme.lower() == b"bearer":
        known = await service.keys.check(presented.strip())
    elif not scheme:
        session = await session_of(ask)
        if session is not None:
            require_own_page(ask)
            if session.key_id is None:
                return Caller(None, "admin")
            known = await service.keys.find(session.key_id)
    now = service.clock()
    if known is None:
        raise unauthorized(ask)
    wait = service.rates.take(known.id, now)
    if wait:
        service.metrics.add("logos_rate_limited_total", "key")
        raise ApiError(429, "too_many_requests", "this key asks too often", retry_after=wait)
    if needed not in _ALLOWED[known.scope] and known.scope not in also:
        raise ApiError(403, "forbidden", "this key may not do that")
    service.note_use(known.id)
    return Caller(known.id, known.scope)


async def session_of(ask: Ask) -> Session | None:
    """Find the session of the request's cookie."""
    token = cookie_of(ask) if ask.service.dashboard else None
    return None if token is None else await ask.service.sessions.check(token)


def unauthorized(ask: Ask, message: str = "a key of this server is needed: Authorization: Bearer ls_...") -> ApiError:
    """Count a request without a good key; say 401, or 429 to an address that has tried too often."""
    service = ask.service
    service.metrics.add("logos_unauthorized_total")
    client = ask.scope.get("client")
    wait = service.failures.take(str(client[0]) if client else "", service.clock())
    if wait:
        service.metrics.add("logos_rate_limited_total", "failures")
        return ApiError(429, "too_many_failures", "too many requests without a good key", retry_after=wait)
    return ApiError(401, "unauthorized", message, headers=((b"www-authenticate", b"Bearer"),))


def _unwritten(error: StoreError) -> ApiError:
    if isinstance(error, StoreFullError):
        return ApiError(503, "store_full", "the store's disk is full; nothing was changed", retry_after=10.0)
    away = "the store cannot be reached or written now; nothing was changed"
    return ApiError(503, "store_unavailable", away, retry_after=2.0)


def _refused(error: ConfigError | ExperimentError | RolloutError | ChangedError) -> ApiError:
    if isinstance(error, ConfigError):
        return ApiError(400, "bad_config", str(error), where=str(error).partition(":")[0])
    if isinstance(error, (NoExperimentError, NoRolloutError)):
        return ApiError(404, "not_found", str(error))
    if isinstance(error, StaleError):
        return ApiError(412, "stale", str(error))
    return ApiError(409, "conflict", str(error))


def _require_loopback(ask: Ask) -> None:
    """Refuse what a web page may have sent to a server without keys: another host's name, or a foreign origin."""
    host = (ask.header(b"host") or b"").lower()
    name = host[: host.rfind(b"]") + 1] if host.startswith(b"[") else host.partition(b":")[0]
    origin = ask.header(b"origin")
    foreign = origin is not None and origin.partition(b"://")[2].lower() != host
    if name not in _LOOPBACK or (foreign and origin not in ask.service.cors_origins):
        raise ApiError(403, "forbidden", "without keys this server answers its own machine alone")


def _require_served_config(ask: Ask) -> None:
    """Refuse a change of the config where the programs of this machine follow `config.json` instead of the store."""
    embedded = ask.service.embedded is not None and ask.scope["method"] != "GET"
    if embedded and ask.scope["path"].startswith(("/v1/config", "/v1/experiments")):
        what = "this machine's programs follow config.json; change it with `logos-shift experiment` or `rollout`"
        raise ApiError(409, "embedded_config", what)


def _cors(service: Service, ask: Ask) -> list[tuple[bytes, bytes]]:
    origin = ask.header(b"origin")
    allowed = service.cors_origins
    headers = [(b"vary", b"Origin")]
    if origin is not None and (origin in allowed or b"*" in allowed):
        headers.append((b"access-control-allow-origin", origin))
    return headers
