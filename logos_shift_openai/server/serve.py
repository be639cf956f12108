"""Run the server: the application on uvicorn, with the timeouts and the end that uvicorn leaves to others.

A connection that does not bring its headers in time is closed. A SIGTERM ends the process within a bound: no new
connections, long polls are answered, requests in flight finish, what was accepted is committed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .app import make_app
from .autopilot.acts import Cockpit
from .autopilot.running import AutopilotStep
from .config_versions import adopt_embedded
from .datasets.keeping import editions_of
from .dictionaries import train_due
from .embedded import take_in
from .evaluation.desk import EvaluationDesk
from .evaluation.running import Bench
from .fold import fold
from .guards import GuardStep
from .keys import create_first_key
from .notifications.delivery import Delivery
from .retention import retention
from .rollouts import TICK_SECONDS, tick, tick_step
from .service import Service
from .tuners.step import TuningStep, workshop
from .worker import StoreLease, Worker, holder_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import FrameType

    from .limits import Limits
    from .notifications.channels import Channel
    from .store.database import Store
    from .worker import Step

_BACKLOG: Final = 1024
_KEEP_ALIVE_SECONDS: Final = 75
_TELL_SECONDS: Final = 0.2
_SPOOL_SECONDS: Final = 2.0
_logger = logging.getLogger("logos_shift_openai.server")


class ServeError(Exception):
    """The server cannot be run like this; the message says why and what can."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 8787


class LogosServer(uvicorn.Server):
    """Uvicorn, telling the service of the end, and others of the beginning."""

    def __init__(self, config: uvicorn.Config, service: Service, started: Callable[[str], None]) -> None:
        super().__init__(config)
        self._service = service
        self._on_started = started

    async def startup(self, sockets: Any = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._on_started(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    async def shutdown(self, sockets: Any = None) -> None:
        """End: those who wait for a config are answered first, the rest is uvicorn's."""
        self._service.begin_closing()
        telling = asyncio.create_task(self._tell_late_ones())
        try:
            await super().shutdown(sockets)
        finally:
            telling.cancel()

    async def _tell_late_ones(self) -> None:
        """Tell connections of the end again and again: uvicorn does once, and one accepted just then would stay."""
        while True:
            await asyncio.sleep(_TELL_SECONDS)
            for connection in list(self.server_state.connections):
                if not connection.transport.is_closing():
                    connection.shutdown()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Hear a signal; readiness says no from here on."""
        self._service.closing = True
        super().handle_exit(sig, frame)
        self._captured_signals.clear()  # uvicorn would raise them again at the end, before the store is closed


class _Protocol(H11Protocol):
    """HTTP on a connection that must say what it wants in time."""

    header_seconds = 10.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._forget_timer()
        elif self._timer is None:  # a part of the headers of another request
            self._expect()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._forget_timer()  # from here uvicorn's own keep-alive counts

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_timer()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._timer = self.loop.call_later(self.header_seconds, self._too_slow)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()


def make_service(
    store: Store,
    *,
    limits: Limits | None = None,
    no_auth: bool = False,
    cors_origins: Sequence[str] = (),
    background: bool = True,
    home: Path | None = None,
    channels: Sequence[Channel] = (),
    dashboard: bool = True,
    embedded: Path | None = None,
) -> Service:
    """Put a service together.

    Args:
        store: Open and migrated.
        limits: How much is taken.
        no_auth: Whether everybody on this machine may do everything.
        cors_origins: Origins of web pages that may give feedback.
        background: Whether this process may do the background work.
        home: Where editions lie, where bodies do not lie in S3; None for a server that makes none and tunes nothing.
        channels: What notifications are told on.
        dashboard: Whether there are pages for people.
        embedded: The home folder that the store belongs to, where no server owns it: its spool is taken in, and its
            `config.json` is what counts.
    """
    holder = holder_name()
    shop = None if home is None else workshop(store, home, holder, lambda: time.time_ns() // 1_000_000)
    tuning: list[tuple[str, Step]] = []
    desk = None
    if shop is not None and home is not None:
        bench = Bench(store, home, os.environ, holder, shop.now)
        desk = EvaluationDesk(bench)
        cockpit = Cockpit(shop, bench, embedded)
        tuning = [
            ("tuning", TuningStep(shop)),
            ("autopilot", AutopilotStep(cockpit)),
            ("guards", GuardStep(store, os.environ)),
        ]
    work = [*steps(channels, embedded), *tuning]
    worker = Worker(store, work, StoreLease(store, holder)) if background else None
    return Service(
        store,
        limits=limits,
        no_auth=no_auth,
        cors_origins=cors_origins,
        worker=worker,
        shop=shop,
        channels=channels,
        editions=None if home is None else editions_of(store, home / "editions"),
        evaluations=desk,
        dashboard=dashboard,
        embedded=embedded,
    )


def steps(channels: Sequence[Channel] = (), embedded: Path | None = None) -> list[tuple[str, Step]]:
    """List the background steps; of an embedded home the spool and the config are seen to, too."""
    shared: list[tuple[str, Step]] = [
        ("fold", fold),
        ("dictionaries", train_due),
        ("retention", retention),
        ("notifications", Delivery(channels).step),
    ]
    if embedded is None:
        return [*shared, ("rollouts", tick_step)]

    def spool(store: Store, now: int) -> float:
        take_in(store, embedded, lambda: now)
        return _SPOOL_SECONDS

    def rollouts(store: Store, now: int) -> float:
        tick(store, now, embedded)
        return TICK_SECONDS

    return [("spool", spool), *shared, ("rollouts", rollouts)]


def prepare(store: Store, home: Path | None, now: int, *, no_auth: bool) -> str | None:
    """Make a store fit to be served: the embedded config taken over, the first key made.

    Args:
        store: The store.
        home: The home folder whose embedded config is meant; None for none.
        now: Milliseconds since 1970.
        no_auth: Whether keys are not needed.

    Returns:
        The text of the first admin key, if it was made now; nobody can ever show it again.
    """
    if home is not None:
        adopt_embedded(store, home, now)
    if no_auth:
        return None
    with store.writing() as connection:
        return create_first_key(connection, now)


def server_for(
    service: Service,
    address: Address,
    *,
    trusted_proxies: Sequence[str] = (),
    access_log: bool = False,
    started: Callable[[str], None] = lambda _url: None,
) -> LogosServer:
    """Make a server that is ready to run.

    Args:
        service: What it serves.
        address: Where.
        trusted_proxies: Addresses or networks whose X-Forwarded-For and -Proto are believed.
        access_log: Whether every request is written to the log.
        started: Called with the URL as soon as it listens.

    Raises:
        ServeError: without keys on an address that others can reach, or a proxy that is no address.
    """
    if service.no_auth and not is_loopback(address.host):
        raise ServeError(
            f"--no-auth serves this machine alone, and {address.host} can be reached by others; "
            "leave it out, or take --host 127.0.0.1"
        )
    for proxy in trusted_proxies:
        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            raise ServeError(f"--trusted-proxy: {proxy!r} is neither an address nor a network") from None
    limits = service.limits
    protocol = type("Protocol", (_Protocol,), {"header_seconds": limits.header_seconds})
    config = uvicorn.Config(
        make_app(service),
        host=address.host,
        port=address.port,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=access_log,
        server_header=False,
        date_header=True,
        backlog=_BACKLOG,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(limits.shutdown_seconds),
    )
    return LogosServer(config, service, started)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
