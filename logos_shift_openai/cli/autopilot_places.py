"""Where autopilots are: in the home folder's store, where a look does what a server does by itself, or on a server.

In a database they are those of its servers, which go on by themselves: editions lie with them, and so do the keys.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from logos_shift_openai.cli.notify import named_channels
from logos_shift_openai.cli.output import CommandError, now_ms
from logos_shift_openai.cli.remote import server_of
from logos_shift_openai.cli.session import Place, opened, take_in_and_say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.cli.remote import Remote
    from logos_shift_openai.server.store.database import Store

_LOOKS = 8
_NAMES = frozenset({"dataset", "mode", "phase", "round", "why", "asks", "policy", "state", "spent"})
Shown = dict[str, Any]
"""As `server.autopilot.keeping.Autopilot.to_json` gives it."""


class Autopilots(Protocol):
    """What the commands ask of a place."""

    def look(self) -> None:
        """Go as far as it goes now."""

    def all(self) -> list[Shown]:
        """Show all."""

    def one(self, dataset: str) -> Shown:
        """Show one."""

    def switch(self, dataset: str, mode: str, asked: dict[str, Any]) -> None:
        """Set the mode, and of the policy what was asked for."""

    def approve(self, dataset: str) -> None:
        """Approve what is asked for."""

    def history(self, dataset: str, limit: int) -> list[Shown]:
        """Give the latest steps."""


class Here:
    """The autopilots of a store.

    Args:
        store: Open.
        place: The home folder; None for the store of servers.
    """

    def __init__(self, store: Store, place: Place | None) -> None:
        self._store, self._place = store, place

    def look(self) -> None:
        """Take the spool in, look at jobs and rollouts, and take a turn of each autopilot, until nothing changes."""
        from logos_shift_openai.server.autopilot.acts import Cockpit  # noqa: PLC0415
        from logos_shift_openai.server.autopilot.keeping import list_autopilots  # noqa: PLC0415
        from logos_shift_openai.server.autopilot.running import turn  # noqa: PLC0415
        from logos_shift_openai.server.config_place import embedded_home  # noqa: PLC0415
        from logos_shift_openai.server.evaluation.running import Bench  # noqa: PLC0415
        from logos_shift_openai.server.guards import guard  # noqa: PLC0415
        from logos_shift_openai.server.holding import BusyError  # noqa: PLC0415
        from logos_shift_openai.server.rollouts import tick  # noqa: PLC0415
        from logos_shift_openai.server.tuners.jobs import due_jobs  # noqa: PLC0415
        from logos_shift_openai.server.tuners.machine import advance  # noqa: PLC0415
        from logos_shift_openai.server.tuners.step import workshop  # noqa: PLC0415
        from logos_shift_openai.server.worker import holder_name  # noqa: PLC0415

        if self._place is None or not self._place.home.is_dir():
            return
        home, store = self._place.home, self._store
        take_in_and_say(store, self._place)
        config_home, holder = embedded_home(store, home), holder_name()
        cockpit = Cockpit(
            workshop(store, home, holder, now_ms), Bench(store, home, os.environ, holder, now_ms), config_home
        )
        guard(store, os.environ, now_ms(), config_home)
        for _ in range(_LOOKS):
            tick(store, now_ms(), config_home)
            with store.reading() as connection:
                before, due = list_autopilots(connection), due_jobs(connection, now_ms())
            for job in due:
                with suppress(BusyError):
                    advance(cockpit.shop, job)
            for one in before:
                with suppress(BusyError):
                    turn(cockpit, one.dataset)
            with store.reading() as connection:
                if list_autopilots(connection) == before:
                    break
        channels = named_channels() if config_home is not None else ()
        if channels:
            from logos_shift_openai.server.notifications.delivery import Delivery  # noqa: PLC0415

            Delivery(channels).step(store, now_ms())

    def all(self) -> list[Shown]:
        """As `Autopilots`."""
        from logos_shift_openai.server.autopilot.keeping import list_autopilots  # noqa: PLC0415

        with self._store.reading() as connection:
            return [one.to_json() for one in list_autopilots(connection)]

    def one(self, dataset: str) -> Shown:
        """As `Autopilots`."""
        from logos_shift_openai.server.autopilot.keeping import find_autopilot  # noqa: PLC0415

        with self._store.reading() as connection:
            return find_autopilot(connection, dataset).to_json()

    def switch(self, dataset: str, mode: str, asked: dict[str, Any]) -> None:
        """As `Autopilots`."""
        from logos_shift_openai.core.autopilot_policy import autopilot_from  # noqa: PLC0415
        from logos_shift_openai.server.autopilot.keeping import list_autopilots, set_policy  # noqa: PLC0415

        with self._store.writing() as connection:
            known = {one.dataset: one.policy.to_json() for one in list_autopilots(connection)}
            policy = autopilot_from(_joined(known.get(dataset), dataset, mode, asked))
            set_policy(connection, dataset, policy, now_ms())

    def approve(self, dataset: str) -> None:
        """As `Autopilots`."""
        from logos_shift_openai.server.autopilot.keeping import give_word  # noqa: PLC0415

        with self._store.writing() as connection:
            give_word(connection, dataset, now_ms())

    def history(self, dataset: str, limit: int) -> list[Shown]:
        """As `Autopilots`."""
        from logos_shift_openai.server.autopilot.keeping import history  # noqa: PLC0415

        with self._store.reading() as connection:
            return history(connection, dataset, limit)


class There:
    """The autopilots of a server, which go on by themselves."""

    def __init__(self, server: Remote) -> None:
        self._server = server

    def look(self) -> None:
        """Leave it to the server."""

    def all(self) -> list[Shown]:
        """As `Autopilots`."""
        return self._server.all("/v1/autopilot", "autopilots")

    def one(self, dataset: str) -> Shown:
        """As `Autopilots`."""
        return self._server.one("GET", _path(dataset), having=_NAMES)

    def switch(self, dataset: str, mode: str, asked: dict[str, Any]) -> None:
        """As `Autopilots`."""
        known = {one["dataset"]: one["policy"] for one in self.all()}
        policy = _joined(known.get(dataset), dataset, mode, asked)
        self._server.ask("PUT", _path(dataset), {"policy": policy})

    def approve(self, dataset: str) -> None:
        """As `Autopilots`."""
        self._server.ask("POST", f"{_path(dataset)}/approve")

    def history(self, dataset: str, limit: int) -> list[Shown]:
        """As `Autopilots`."""
        return self._server.all(f"{_path(dataset)}/history?limit={limit}", "steps")


@contextmanager
def autopilots_of(
    place: Place, url: str | None, database_url: str | None, *, create: bool = False
) -> Iterator[Autopilots]:
    """Give the autopilots that a command is about: of a database, else of a server, else of the home folder.

    Raises:
        CommandError: they cannot be reached, or what was asked for within the block cannot be.
    """
    from logos_shift_openai.server.autopilot.keeping import NoAutopilotError  # noqa: PLC0415

    server = None if database_url else server_of(url)
    if server is not None:
        yield There(server)
        return
    with opened(place, create=create and not database_url, address=database_url) as store:
        try:
            yield Here(store, None if database_url else place)
        except NoAutopilotError as error:
            raise CommandError(str(error)) from None


def _joined(known: dict[str, Any] | None, dataset: str, mode: str, asked: dict[str, Any]) -> dict[str, Any]:
    if known is None and not {"models", "base"} <= asked.keys():
        raise CommandError(
            f"{dataset} has no autopilot yet: say what it is about with --model, and what is trained with --base"
        )
    return {**(known or {}), **asked, "mode": mode}


def _path(dataset: str) -> str:
    return f"/v1/autopilot/{quote(dataset, safe='')}"
