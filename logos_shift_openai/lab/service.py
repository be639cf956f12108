"""The lab without its socket: a request comes in, a reply goes out.

Owns the parts (models, files, jobs, faults, log), the order in which a request meets them, and simulated
latency. Faults strike before the route is asked, save those that break an answer half-way.
"""

from __future__ import annotations

import json
import logging
import threading
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .errors import ApiError, invalid
from .exchange import HangUp, Reply, Request, RequestLog, Stream, json_reply
from .faults import HEADER, Fault, Faults, fault_from_header
from .routes import Route, find_route

if TYPE_CHECKING:
    from .catalogue import Catalogue
    from .files import FileStore
    from .stored import StoredCompletions
    from .tuning import Tuning

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """The parts of one lab.

    Attributes:
        latency: Mean seconds that ``oracle-large`` takes for an answer.
        seed: Where draws start from.
        stopping: Set once the lab stops; ends every wait.
    """

    catalogue: Catalogue
    files: FileStore
    tuning: Tuning
    faults: Faults
    stored: StoredCompletions
    requests: RequestLog
    latency: float
    seed: int
    stopping: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: Request) -> Reply | Stream:
        """Answer a request; never raises, save ``HangUp``."""
        try:
            route, parameters = find_route(request.method, request.path)
            if route.on != "lab":
                self.requests.note(request)
                request = replace(request, faults=self._faults_for(request, route, parameters))
                self._strike(request)
            return route.answer(self, request, *parameters)
        except ApiError as error:
            return json_reply(error.body(), error.status, error.headers)
        except HangUp:
            raise
        except Exception:  # noqa: BLE001 - whatever it was, the client gets an answer
            _log.exception("%s %s", request.method, request.path)
            return json_reply(Fault("status").error().body(), 500)

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the lab's end.

        Raises:
            HangUp: The lab stops.
        """
        if seconds > 0 and self.stopping.wait(seconds):
            raise HangUp

    def thinking_time(self, slowness: float, text: str) -> float:
        """Seconds a model takes for an answer: two thirds to four thirds of the mean, by the text."""
        jitter = zlib.crc32(text.encode("utf-8", "replace")) % 1000 / 1000
        return self.latency * slowness * (2.0 + 2.0 * jitter) / 3.0

    def _faults_for(self, request: Request, route: Route, parameters: tuple[str, ...]) -> list[Fault]:
        model = _model_of(request, route, parameters)
        faults = self.faults.take(route.on, model)
        if HEADER in request.headers and request.local:
            try:
                faults.append(fault_from_header(request.headers[HEADER]))
            except ValueError as error:
                raise invalid(f"{HEADER}: {error}") from error
        return faults

    def _strike(self, request: Request) -> None:
        slow, drop, status = request.fault("slow"), request.fault("drop"), request.fault("status")
        if slow is not None:
            self.pause(slow.before)
        if drop is not None:
            raise HangUp
        if status is not None:
            raise status.error()


def _model_of(request: Request, route: Route, parameters: tuple[str, ...]) -> str:
    """Name the model a request is about, "" for none: in the path, else in the JSON body."""
    if route.on == "models":
        return parameters[0] if parameters else ""
    try:
        body = json.loads(request.body) if request.method == "POST" and route.on != "files" else None
    except (ValueError, RecursionError):
        return ""
    model = body.get("model") if isinstance(body, dict) else None
    return model if isinstance(model, str) else ""
