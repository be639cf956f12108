"""The ASGI application: the endpoints of all resources behind one gate, on Starlette's router."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.routing import Route

from .api import calls, config, experiments, feedback, keys, operation, records
from .api.exchange import ApiError
from .api.gate import Gate, Preflight, send_answer
from .api.openapi import document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from .service import Service

ENDPOINTS: Final = (
    # The two that are asked for most stand first: routes are tried in their order.
    *config.ENDPOINTS,
    *records.ENDPOINTS,
    *feedback.ENDPOINTS,
    *calls.ENDPOINTS,
    *experiments.ENDPOINTS,
    *keys.ENDPOINTS,
    *operation.ENDPOINTS,
)


class LogosApp(Starlette):
    """Starlette, with a short cut to the endpoints whose path has no variable part: a lookup instead of a search."""

    direct: Mapping[tuple[str, str], Gate]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request, or the life of the process."""
        gate = self.direct.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if gate is None:
            await super().__call__(scope, receive, send)
        else:
            await gate(scope, receive, send)


def make_app(service: Service) -> LogosApp:
    """Make the application of one process.

    Args:
        service: What its endpoints work with; opened and closed with the application.
    """
    service.openapi = msgspec.json.encode(document(ENDPOINTS))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await service.open()
        try:
            yield
        finally:
            await service.close()

    # Ids of providers are theirs to choose, slashes included.
    paths = {one.path: one.path.replace("/calls/{id}", "/calls/{id:path}") for one in ENDPOINTS}
    routes = [Route(paths[one.path], Gate(service, one), methods=[one.method]) for one in ENDPOINTS]
    routes += [
        Route(one.path, Preflight(service, one), methods=["OPTIONS"]) for one in ENDPOINTS if one.open_to_browsers
    ]
    handlers: Any = {
        404: _Refusal(404, "not_found", "there is nothing here"),
        405: _Refusal(405, "no_method", "not that method"),
    }
    app = LogosApp(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    app.direct = {(one.method, one.path): Gate(service, one) for one in ENDPOINTS if "{" not in one.path}
    app.router.redirect_slashes = False
    return app


class _Refusal:
    """What Starlette's router refuses, said as all refusals are."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self._answer = ApiError(status, code, message).answer()

    async def __call__(self, _request: Any, error: Any) -> Any:
        answer, more = (
            self._answer,
            [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()],
        )

        async def respond(_scope: Any, _receive: Any, send: Any) -> None:
            await send_answer(send, answer, more)

        return respond
