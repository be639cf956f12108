"""``Lab``: the provider as an object to start, ask and stop.

Owns the life of one lab: it puts the parts together, listens, and leaves no thread or socket behind.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from . import data
from .catalogue import Catalogue
from .exchange import RequestLog
from .faults import Faults
from .files import FileStore
from .handler import LabServer
from .oracle import Oracle
from .service import Service
from .stored import StoredCompletions
from .tuning import Tuning

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from types import TracebackType

    from .answers import Said

LATENCY = 0.045


class Lab:
    """An OpenAI-compatible provider on this machine.

    ``with Lab() as lab: OpenAI(base_url=lab.base_url, api_key="any")``. Any key is taken, none is kept.

    Args:
        host: Address to listen on; leave it on loopback, the lab asks nobody for a key.
        port: Port to listen on; 0 picks a free one.
        latency: Mean seconds ``oracle-large`` takes for an answer; the small models take a tenth.
        seed: Decides which texts the oracle gets wrong, what further choices say, and where rates strike.
        accuracy: Share of the texts the oracle answers as labelled, 0 to 1.
        rows: ``(text, answer)`` pairs the oracle knows; an answer is a text (a label, JSON), a ``Call`` or several
            calls. None means the shipped rows, both splits.
        state_dir: Folder that keeps files, jobs and tuned models over a restart; None keeps nothing.

    Raises:
        ValueError: A negative latency, an accuracy outside 0 to 1, or no rows.
        OSError: The port is taken.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        latency: float = LATENCY,
        seed: int = 0,
        accuracy: float = 0.95,
        rows: Iterable[tuple[str, Said]] | None = None,
        state_dir: str | Path | None = None,
    ) -> None:
        if latency < 0:
            raise ValueError(f"latency: {latency} is negative")
        oracle = _shipped_oracle(accuracy, seed) if rows is None else Oracle(rows, accuracy, seed)
        folder = None if state_dir is None else Path(state_dir)
        self._address = (host, port)
        self._server: LabServer | None = None
        self._thread: threading.Thread | None = None
        faults = Faults(seed)
        files = FileStore(folder / "files" if folder else None)
        catalogue = Catalogue(oracle, folder / "models" if folder else None)
        self._service = Service(
            catalogue=catalogue,
            files=files,
            tuning=Tuning(files, catalogue, faults, folder / "jobs" if folder else None),
            faults=faults,
            stored=StoredCompletions(),
            requests=RequestLog(),
            latency=latency,
            seed=seed,
        )

    @property
    def base_url(self) -> str:
        """What to give a client as ``base_url``; ends in /v1.

        Raises:
            RuntimeError: The lab is not started.
        """
        return f"{self.url}/v1"

    @property
    def url(self) -> str:
        """The address without /v1: what ``AzureOpenAI`` takes as ``azure_endpoint``, and where /lab/ lives.

        Raises:
            RuntimeError: The lab is not started.
        """
        if self._server is None:
            raise RuntimeError("the lab is not started")
        host = f"[{self._address[0]}]" if ":" in self._address[0] else self._address[0]
        return f"http://{host}:{self._server.server_port}"

    @property
    def faults(self) -> Faults:
        """What the lab is told to do wrong."""
        return self._service.faults

    @property
    def requests(self) -> RequestLog:
        """The last 1,000 requests, oldest first, without their credentials."""
        return self._service.requests

    def set_shutdown_date(self, model: str, day: date | None) -> None:
        """Announce in ``/v1/models`` the day on which a model ends; None takes it back.

        Raises:
            ApiError: There is no such model.
        """
        self._service.catalogue.set_shutdown(model, day)

    def start(self) -> Lab:
        """Listen, and serve in the background.

        Raises:
            RuntimeError: It has been started before; a stopped lab stays stopped.
        """
        if self._server is not None or self._service.stopping.is_set():
            raise RuntimeError("a lab starts once")
        self._server = LabServer(self._address, self._service)
        self._service.tuning.start()
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.02,), name="lab", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving and training; wait for every thread. Stopping twice does nothing."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        self._service.stopping.set()
        server.shutdown()
        self._thread.join()
        server.server_close()
        server.close_all()
        self._service.tuning.stop()

    def __enter__(self) -> Lab:  # noqa: PYI034 - Self is not in Python 3.10
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@lru_cache(maxsize=4)
def _shipped_oracle(accuracy: float, seed: int) -> Oracle:
    """Make the oracle of the shipped rows; it never changes, so labs may share it."""
    return Oracle(data.rows("train") + data.rows("test"), accuracy, seed)
