"""`/v1/clients`: what the processes that record say of themselves, and what all of them lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from logos_shift_openai.core.losses import LOST, kept
from logos_shift_openai.server.client_report import ClientReport
from logos_shift_openai.server.clients import Clients, read_clients, take_report

from .exchange import Answer, Ask, Endpoint, tagged, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logos_shift_openai.server.metrics import Metrics

_STEADY_MS = 60_000


class ReportTaken(msgspec.Struct):
    """Whether the report was kept: one that came before, or after a later one, is not."""

    taken: bool


async def take(ask: Ask) -> Answer:
    """Keep a report."""
    report = await ask.read_json(ClientReport)
    service = ask.service
    key_id = None if ask.caller is None else ask.caller.key_id
    now = service.now()
    fresh = await service.write(lambda connection: take_report(connection, report, now, "server", key_id))
    count(service.metrics, fresh or {})
    return Answer(to_json(ReportTaken(fresh is not None)))


def count(metrics: Metrics, fresh: Mapping[str, int]) -> None:
    """Count what a process counted since its last report."""
    metrics.add("logos_shift_client_records_kept_total", count=kept(fresh))
    for reason in LOST:
        if fresh.get(reason):
            metrics.add("logos_shift_client_records_lost_total", reason, count=fresh[reason])


async def show(ask: Ask) -> Answer:
    """Show the processes and the sums."""
    now = ask.service.now()
    now -= now % _STEADY_MS  # so that an answer in which nothing changed has the same ETag for a while

    def look(connection: Any) -> bytes:
        return to_json(read_clients(connection, now))

    return tagged(ask, await ask.service.read(look))


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/clients",
        "ingest",
        take,
        "Take what a process says of itself: what it lost, what waits in its spool, which config it has.",
        {200: (ReportTaken, "Heard.")},
        body=ClientReport,
    ),
    Endpoint(
        "GET",
        "/v1/clients",
        "read",
        show,
        "Show the processes that record, as they last said of themselves, and what all of them lost.",
        {200: (Clients, "The latest processes, and the sums."), 304: (None, "The one you have.")},
        headers=("If-None-Match",),
    ),
)
