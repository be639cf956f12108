"""The ASGI application: the life of the process, and the endpoints of all resources, found by method and path.

A path without a variable part is a lookup; the others are tried in their order.
"""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

import msgspec

from .api import (
    autopilot,
    calls,
    clients,
    confidence,
    config,
    datasets,
    edition_builds,
    evaluations,
    experiments,
    feedback,
    held_out,
    keys,
    notifications,
    operation,
    overview,
    prices,
    records,
    redaction,
    refused,
    rollouts,
    session,
    shadows,
    tuning,
)
from .api.exchange import ApiError
from .api.gate import Gate, Preflight, send_answer
from .api.openapi import document
from .dashboard.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .service import Service

ENDPOINTS: Final = (
    *config.ENDPOINTS,
    *records.ENDPOINTS,
    *clients.ENDPOINTS,
    *feedback.ENDPOINTS,
    *calls.ENDPOINTS,
    *experiments.ENDPOINTS,
    *confidence.ENDPOINTS,
    *overview.ENDPOINTS,
    *refused.ENDPOINTS,
    *tuning.ENDPOINTS,
    *evaluations.ENDPOINTS,
    *held_out.ENDPOINTS,
    *rollouts.ENDPOINTS,
    *shadows.ENDPOINTS,
    *autopilot.ENDPOINTS,
    *datasets.ENDPOINTS,
    *edition_builds.ENDPOINTS,
    *prices.ENDPOINTS,
    *redaction.ENDPOINTS,
    *keys.ENDPOINTS,
    *notifications.ENDPOINTS,
    *session.ENDPOINTS,
    *operation.ENDPOINTS,
)
_NOT_FOUND: Final = ApiError(404, "not_found", "there is nothing here")


class LogosApp:
    """See the module.

    Args:
        service: What the endpoints work with; opened and closed with the application.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._fixed: dict[tuple[str, str], Gate | Preflight] = {}
        self._pages = Pages() if service.dashboard else None
        self._variable: list[tuple[str, re.Pattern[str], Gate | Preflight]] = []
        for one in ENDPOINTS:
            self._add(one.method, one.path, Gate(service, one))
            if one.open_to_browsers:
                self._add("OPTIONS", one.path, Preflight(service, one))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        method, path = scope["method"], scope["path"]
        endpoint = self._fixed.get((method, path))
        if endpoint is None:
            # Who asks for the head alone is answered as with GET; the HTTP server leaves the body out.
            wanted = "GET" if method == "HEAD" else method
            found = {name: (one, parts) for name, one, parts in reversed([*self._at(path, _as_sent(scope))])}
            if wanted not in found:
                page = self._pages.find(path) if self._pages is not None and wanted == "GET" else None
                if page is not None:
                    await page(scope, send)
                else:
                    await _refuse(send, found)
                return
            endpoint, scope["path_params"] = found[wanted]
        await endpoint(scope, receive, send)

    def _add(self, method: str, path: str, endpoint: Gate | Preflight) -> None:
        if "{" not in path:
            self._fixed[method, path] = endpoint
            return
        # Ids of calls are their providers' to choose, slashes included.
        pattern = path.replace("/calls/{id}", "/calls/(?P<id>.+)")
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", pattern)
        self._variable.append((method, re.compile(pattern, re.DOTALL), endpoint))

    def _at(self, path: str, sent: str) -> Iterator[tuple[str, Gate | Preflight, dict[str, str]]]:
        """Give what a path leads to, with its method and the variable parts of the path, which may hold `%2F`."""
        for (method, fixed), endpoint in self._fixed.items():
            if fixed == path:
                yield method, endpoint, {}
        for method, pattern, endpoint in self._variable:
            match = pattern.fullmatch(sent)
            if match:
                yield method, endpoint, {name: unquote(part) for name, part in match.groupdict().items()}

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        try:
            await self._service.open()
        except Exception:
            await send({"type": "lifespan.startup.failed", "message": traceback.format_exc()})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            await self._service.close()
        except Exception:
            await send({"type": "lifespan.shutdown.failed", "message": traceback.format_exc()})
            raise
        await send({"type": "lifespan.shutdown.complete"})


def _as_sent(scope: Any) -> str:
    """Give the path before it was decoded, so that a slash within a name does not part it."""
    raw: bytes | None = scope.get("raw_path")
    return quote(scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1")


def make_app(service: Service) -> LogosApp:
    """Make the application of one process.

    Args:
        service: What its endpoints work with; opened and closed with the application.
    """
    service.openapi = msgspec.json.encode(document(ENDPOINTS))
    return LogosApp(service)


async def _refuse(send: Any, found: dict[str, Any]) -> None:
    """Say that nothing is there, or that it takes other methods."""
    error = _NOT_FOUND
    if found:
        allowed = ", ".join(sorted({*found, *(("HEAD",) if "GET" in found else ())}))
        error = ApiError(405, "no_method", "not that method", headers=((b"allow", allowed.encode()),))
    answer = error.answer()
    await send_answer(send, answer, [*answer.headers])
