"""`/v1/overview`: what one looks at first."""

from __future__ import annotations

from typing import Any

from logos_shift_openai.server.overview import Overview, overview

from .exchange import Answer, Ask, Endpoint, tagged, to_json

_STEADY_MS = 60_000


async def show(ask: Ask) -> Answer:
    """Look at everything."""
    service = ask.service
    now = service.now()
    now -= now % _STEADY_MS  # so that an answer in which nothing changed has the same ETag for a while

    def look(connection: Any) -> bytes:
        return to_json(overview(connection, now, dict(service.followers), service.embedded))

    return tagged(ask, await service.read(look))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/overview",
        "read",
        show,
        "Say what one looks at first: counts, costs, savings, health, and what waits for a person.",
        {200: (Overview, "The overview."), 304: (None, "The one you have.")},
        headers=("If-None-Match",),
    ),
)
