"""What whoever runs the server asks it: whether it lives, whether it is ready, what it counted, what it offers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import msgspec
from sqlalchemy import select

from logos_shift_openai.server.metrics import CONTENT_TYPE
from logos_shift_openai.server.store.database import StoreError
from logos_shift_openai.version import __version__

from .exchange import Answer, ApiError, Ask, Endpoint, to_json

if TYPE_CHECKING:
    from logos_shift_openai.server.service import Service

_READY_SECONDS = 2.0


class StepHealth(msgspec.Struct):
    """How a background step does in this process. `last_ok` is milliseconds since 1970."""

    name: str
    last_ok: int | None
    failures: int
    fault: str | None


class WorkerHealth(msgspec.Struct):
    """The background work: whether this process does it, and how its steps do here."""

    alive: bool
    leader: bool
    lease_fault: str | None
    steps: list[StepHealth]


class Health(msgspec.Struct):
    """A process that answers. `degraded` where a background step fails; the records are taken all the same."""

    status: Literal["ok", "degraded", "closing"]
    version: str
    uptime_seconds: float
    config_version: int
    queue_batches: int
    worker: WorkerHealth | None


class Ready(msgspec.Struct):
    """A process that can serve."""

    ready: bool


async def health(ask: Ask) -> Answer:
    """Tell that the process lives, and how its background work does."""
    service = ask.service
    worker = _worker(service)
    ill = worker is not None and (not worker.alive or worker.lease_fault or any(step.failures for step in worker.steps))
    status: Literal["ok", "degraded", "closing"] = "closing" if service.closing else "degraded" if ill else "ok"
    uptime = (service.now() - service.started) / 1000
    current = service.config.current.version
    return Answer(to_json(Health(status, __version__, uptime, current, service.intake.batches, worker)))


def _worker(service: Service) -> WorkerHealth | None:
    worker = service.worker
    if worker is None:
        return None
    steps = [StepHealth(one.name, one.last_ok, one.failures, one.fault) for one in worker.states]
    return WorkerHealth(worker.alive, worker.leader, worker.lease_fault, steps)


async def ready(ask: Ask) -> Answer:
    """Tell whether a balancer may send requests here."""
    service = ask.service
    if service.closing:
        raise ApiError(503, "closing", "this process is about to end", retry_after=1.0)
    try:
        asking = service.read(lambda connection: connection.scalar(select(1)), always=True)
        await asyncio.wait_for(asking, _READY_SECONDS)
    except (StoreError, asyncio.TimeoutError):
        raise ApiError(503, "store_unavailable", "the store does not answer", retry_after=1.0) from None
    if not service.config.known:
        raise ApiError(503, "starting", "the config has not been read yet", retry_after=1.0)
    return Answer(to_json(Ready(ready=True)))


async def metrics(ask: Ask) -> Answer:
    """Write the metrics out."""
    service = ask.service
    steps = [] if service.worker is None else service.worker.states
    gauges = {
        "logos_queue_batches": service.intake.batches,
        "logos_queue_bytes": service.intake.size,
        "logos_config_version": service.config.current.version,
        "logos_config_waiting": service.config.waiting,
        "logos_leader": float(service.worker is not None and service.worker.leader),
        "logos_step_failures": sum(step.failures > 0 for step in steps),
        "logos_start_time_seconds": service.started / 1000,
    }
    return Answer(service.metrics.text(gauges), content_type=CONTENT_TYPE)


async def openapi(ask: Ask) -> Answer:
    """Give the OpenAPI document."""
    return Answer(ask.service.openapi)


ENDPOINTS = (
    Endpoint("GET", "/health", None, health, "Whether the process lives.", {200: (Health, "It does.")}),
    Endpoint("GET", "/ready", None, ready, "Whether it can serve now.", {200: (Ready, "It can.")}),
    Endpoint(
        "GET", "/metrics", "read", metrics, "Metrics in the text format of Prometheus.", {200: (str, "The metrics.")}
    ),
    Endpoint("GET", "/openapi.json", None, openapi, "This document.", {200: (dict, "OpenAPI 3.1.")}),
)
