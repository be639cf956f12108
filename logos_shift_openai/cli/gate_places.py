"""Where the gates of experiments are: in a store that this process opens, or on a server. Both do the same.

Choosing asks no provider: it reads answers that are kept, and the questions in the edition's files.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote, urlencode

from logos_shift_openai.cli.output import CommandError, now_ms
from logos_shift_openai.cli.remote import Remote, server_of
from logos_shift_openai.cli.session import Place, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from logos_shift_openai.core.config import Config
    from logos_shift_openai.core.gate import Gate
    from logos_shift_openai.server.store.database import Store

_NAMES: Final = frozenset({"experiment", "gate", "answers", "differing", "bound", "coverage"})
Shown = dict[str, Any]


class Gates(Protocol):
    """What the commands ask of a place."""

    def choose(self, experiment: str, agreement: float, chance: float) -> Shown:
        """Choose a gate, with what it does."""

    def change(self, experiment: str, gate: Gate | None) -> None:
        """Set one, or take it away."""


class Here:
    """The gates of a store's experiments.

    Args:
        store: Open.
        home: Where editions lie.
        config_home: The home of the embedded config; None where the config is in the store.
    """

    def __init__(self, store: Store, home: Path, config_home: Path | None) -> None:
        self._store, self._home, self._config_home = store, home, config_home

    def choose(self, experiment: str, agreement: float, chance: float) -> Shown:
        """As `Gates`."""
        from logos_shift_openai.server.config_place import config_of  # noqa: PLC0415
        from logos_shift_openai.server.gates import gate_for  # noqa: PLC0415

        with self._store.reading() as connection:
            config = config_of(connection, self._config_home)
        found = gate_for(self._store, self._home, experiment, config, agreement, chance)
        return {"experiment": experiment, **asdict(found), "coverage": found.coverage}

    def change(self, experiment: str, gate: Gate | None) -> None:
        """As `Gates`."""
        from logos_shift_openai.server.config_versions import change_config  # noqa: PLC0415
        from logos_shift_openai.server.experiments import change_file  # noqa: PLC0415
        from logos_shift_openai.server.gates import gate_in  # noqa: PLC0415
        from logos_shift_openai.server.rollout_guard import refuse_under_way  # noqa: PLC0415

        def check(before: Config, after: Config) -> None:
            with self._store.reading() as connection:
                refuse_under_way(connection, before, after)

        if self._config_home is not None:
            change_file(self._config_home, lambda fresh: gate_in(fresh, experiment, gate), check)
            return
        why = f"the gate of {experiment} was {'taken away' if gate is None else 'set'} by hand"
        change_config(self._store, lambda fresh: gate_in(fresh, experiment, gate), why=why, now=now_ms())


class There:
    """The gates of a server's experiments."""

    def __init__(self, server: Remote) -> None:
        self._server = server

    def choose(self, experiment: str, agreement: float, chance: float) -> Shown:
        """As `Gates`."""
        asked = urlencode({"agreement": agreement, "chance": chance})
        return self._server.one("GET", f"{_path(experiment)}/choice?{asked}", having=_NAMES)

    def change(self, experiment: str, gate: Gate | None) -> None:
        """As `Gates`."""
        if gate is None:
            self._server.ask("DELETE", _path(experiment))
        else:
            self._server.ask("PUT", _path(experiment), {"least": gate.least, "by": gate.by})


@contextmanager
def gates_of(place: Place, url: str | None, database_url: str | None) -> Iterator[Gates]:
    """Give the gates that a command is about: of a database, else of a server, else of the home folder.

    Raises:
        CommandError: they cannot be reached, or what was asked for within the block cannot be.
    """
    from logos_shift_openai.server.config_place import embedded_home  # noqa: PLC0415
    from logos_shift_openai.server.experiments import ExperimentError  # noqa: PLC0415
    from logos_shift_openai.server.gates import NoGateError  # noqa: PLC0415

    server = None if database_url else server_of(url)
    if server is not None:
        yield There(server)
        return
    with opened(place, address=database_url) as store:
        try:
            yield Here(store, place.home, None if database_url else embedded_home(store, place.home))
        except (ExperimentError, NoGateError) as error:
            raise CommandError(str(error)) from None


def _path(experiment: str) -> str:
    return f"/v1/experiments/{quote(experiment, safe='')}/gate"
