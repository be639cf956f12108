"""Where candidates are asked what is held out: by this process, for a store that it opens, or by a server.

Keys are those of whoever asks: of this process at home and at a database, of the server's environment there. None of
them travels.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from logos_shift_openai.cli.output import CommandError, now_ms
from logos_shift_openai.cli.remote import Remote, server_of
from logos_shift_openai.cli.session import Place, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logos_shift_openai.core.held_out import Rules
    from logos_shift_openai.server.store.database import Store

_LOOK_SECONDS: Final = 0.5
_NAMES: Final = frozenset({"id", "edition", "candidate", "rules", "state", "said", "report", "updated"})
Shown = dict[str, Any]
"""As `server.evaluation.keeping.Evaluation.to_json` gives it."""


class Evaluations(Protocol):
    """What the commands ask of a place."""

    stopped: str
    """What to say of one that Ctrl-C has ended."""

    def evaluate(
        self,
        job: str | None,
        edition: str | None,
        candidate: dict[str, Any] | None,
        rules: Rules,
        advance: Callable[..., None],
    ) -> Shown:
        """Ask a candidate, and wait; `advance` is called with the rows that are answered, and how many there are."""

    def one(self, name: str | None) -> Shown:
        """Show one, or the latest."""

    def all(self) -> list[Shown]:
        """List them."""


class Here:
    """The evaluations of a store.

    Args:
        store: Open.
        place: Where editions lie.
    """

    stopped = "stopped; what was answered is kept, and the same command goes on"

    def __init__(self, store: Store, place: Place) -> None:
        self._store, self._place = store, place

    def evaluate(
        self,
        job: str | None,
        edition: str | None,
        candidate: dict[str, Any] | None,
        rules: Rules,
        advance: Callable[..., None],
    ) -> Shown:
        """As `Evaluations`."""
        from logos_shift_openai.server.evaluation.asked import require_askable, what_is_asked  # noqa: PLC0415
        from logos_shift_openai.server.evaluation.keeping import open_evaluation  # noqa: PLC0415
        from logos_shift_openai.server.evaluation.running import Bench, evaluate  # noqa: PLC0415
        from logos_shift_openai.server.worker import holder_name  # noqa: PLC0415

        bench = Bench(self._store, self._place.home, os.environ, holder_name(), now_ms)
        with self._store.reading() as connection:
            told, of = what_is_asked(connection, job, edition, candidate)
        require_askable(bench, told, of)
        with self._store.writing() as connection:
            one = open_evaluation(connection, of, told, rules, now_ms())
        return evaluate(bench, one.id, advance).to_json()

    def one(self, name: str | None) -> Shown:
        """As `Evaluations`."""
        from logos_shift_openai.server.evaluation.keeping import find_evaluation, list_evaluations  # noqa: PLC0415

        with self._store.reading() as connection:
            if name is not None:
                return find_evaluation(connection, name).to_json()
            found = list_evaluations(connection, 1)
        return _latest([one.to_json() for one in found])

    def all(self) -> list[Shown]:
        """As `Evaluations`."""
        from logos_shift_openai.server.evaluation.keeping import list_evaluations  # noqa: PLC0415

        with self._store.reading() as connection:
            return [one.to_json() for one in list_evaluations(connection)]


class There:
    """The evaluations of a server, which asks by its own providers and keys."""

    stopped = "stopped waiting; the server goes on asking, and the same command waits for it again"

    def __init__(self, server: Remote) -> None:
        self._server = server

    def evaluate(
        self,
        job: str | None,
        edition: str | None,
        candidate: dict[str, Any] | None,
        rules: Rules,
        advance: Callable[..., None],
    ) -> Shown:
        """As `Evaluations`."""
        asked = {"job": job, "edition": edition, "candidate": candidate, "rules": rules.to_json()}
        one = self._server.one("POST", "/v1/evaluations", asked, having=_NAMES)
        while one["state"] == "open" and one.get("asking"):
            advance(int(one.get("answered") or 0))
            time.sleep(_LOOK_SECONDS)
            one = self._server.one("GET", _path(str(one["id"])), having=_NAMES)
        return _plain(one)

    def one(self, name: str | None) -> Shown:
        """As `Evaluations`."""
        if name is None:
            return _latest(self._server.all("/v1/evaluations?limit=1", "evaluations", _NAMES))
        return _plain(self._server.one("GET", _path(name), having=_NAMES))

    def all(self) -> list[Shown]:
        """As `Evaluations`."""
        return self._server.all("/v1/evaluations", "evaluations", _NAMES)


@contextmanager
def evaluations_of(
    place: Place, url: str | None, database_url: str | None, *, create: bool = False
) -> Iterator[Evaluations]:
    """Give the evaluations that a command is about: of a database, else of a server, else of the home folder.

    Raises:
        CommandError: they cannot be reached, or what was asked for within the block cannot be.
    """
    from logos_shift_openai.server.evaluation.asked import NotAskableError  # noqa: PLC0415
    from logos_shift_openai.server.evaluation.keeping import NoEvaluationError  # noqa: PLC0415
    from logos_shift_openai.server.holding import BusyError  # noqa: PLC0415

    server = None if database_url else server_of(url)
    if server is not None:
        yield There(server)
        return
    with opened(place, create=create and not database_url, address=database_url) as store:
        try:
            yield Here(store, place)
        except (NotAskableError, NoEvaluationError, BusyError) as error:
            raise CommandError(str(error)) from None


def _plain(told: Shown) -> Shown:
    """Leave out what only a server has to say: that it is at it."""
    return {name: value for name, value in told.items() if name not in {"answered", "asking"}}


def _latest(found: list[Shown]) -> Shown:
    if not found:
        raise CommandError("no candidate was evaluated yet")
    return found[0]


def _path(name: str) -> str:
    return f"/v1/evaluations/{quote(name, safe='')}"
