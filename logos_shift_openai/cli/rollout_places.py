"""Where rollouts are: in a store that this process opens, or on a server. Both do the same and show the same.

A store is looked at before anything is shown or done, as a server does by itself: its spool is taken in, and what the
calls prove is decided.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from logos_shift_openai.cli.notify import named_channels
from logos_shift_openai.cli.output import CommandError, now_ms
from logos_shift_openai.cli.remote import Remote, server_of
from logos_shift_openai.cli.session import Place, opened, take_in_and_say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from logos_shift_openai.core.policy import Policy
    from logos_shift_openai.server.experiments import Plan
    from logos_shift_openai.server.store.database import Store

_PAGE = 100
_NAMES = frozenset({"phase", "why", "trail", "policy"})
Shown = dict[str, Any]
"""As `server.rollout_view.rollout_json` gives it."""


class Rollouts(Protocol):
    """What the commands ask of a place."""

    def look(self) -> None:
        """Decide what there is to decide."""

    def all(self) -> list[Shown]:
        """Show all rollouts."""

    def one(self, key: str) -> Shown:
        """Show the rollout of an experiment."""

    def start(self, key: str, policy: Policy, plan: Plan | None, force: str | None = None) -> Shown:
        """Begin one."""

    def act(self, key: str, verb: str) -> Shown:
        """Do by hand: pause, resume, promote, rollback."""

    def history(self, key: str, limit: int) -> list[Shown]:
        """Give the latest decisions, the latest first."""

    def recount(self, key: str) -> Shown:
        """Count the calls of a run anew and compare."""


class Here:
    """The rollouts of a store.

    Args:
        store: Open.
        place: The home folder whose spool belongs to the store; None where it has none.
        home: The home of the embedded config; None where the config is in the store.
    """

    def __init__(self, store: Store, place: Place | None, home: Path | None) -> None:
        self._store, self._place, self._home = store, place, home

    def look(self) -> None:
        """Take the spool in and decide."""
        from logos_shift_openai.server.rollouts import tick  # noqa: PLC0415

        if self._place is not None:
            take_in_and_say(self._store, self._place)
        tick(self._store, now_ms(), self._home)
        _deliver(self._store, self._home)

    def all(self) -> list[Shown]:
        """As `Rollouts`."""
        from logos_shift_openai.server.config_place import config_of  # noqa: PLC0415
        from logos_shift_openai.server.rollout_reading import list_rollouts  # noqa: PLC0415
        from logos_shift_openai.server.rollout_view import rollout_json  # noqa: PLC0415

        with self._store.reading() as connection:
            config = config_of(connection, self._home)
            return [rollout_json(connection, one, config) for one in list_rollouts(connection)]

    def one(self, key: str) -> Shown:
        """As `Rollouts`."""
        from logos_shift_openai.server.config_place import config_of  # noqa: PLC0415
        from logos_shift_openai.server.rollout_reading import get_rollout  # noqa: PLC0415
        from logos_shift_openai.server.rollout_view import rollout_json  # noqa: PLC0415

        found = get_rollout(self._store, key)
        with self._store.reading() as connection:
            return rollout_json(connection, found, config_of(connection, self._home))

    def start(self, key: str, policy: Policy, plan: Plan | None, force: str | None = None) -> Shown:
        """As `Rollouts`."""
        from logos_shift_openai.server.rollouts import begin_rollout  # noqa: PLC0415

        begin_rollout(self._store, key, policy, now_ms(), self._home, plan=plan, force=force)
        return self.one(key)

    def act(self, key: str, verb: str) -> Shown:
        """As `Rollouts`."""
        from logos_shift_openai.server.rollouts import change_rollout  # noqa: PLC0415

        change_rollout(self._store, key, "roll_back" if verb == "rollback" else verb, now_ms(), self._home)
        return self.one(key)

    def history(self, key: str, limit: int) -> list[Shown]:
        """As `Rollouts`."""
        from logos_shift_openai.server.rollout_reading import get_rollout, history  # noqa: PLC0415

        get_rollout(self._store, key)
        with self._store.reading() as connection:
            return history(connection, key, limit)

    def recount(self, key: str) -> Shown:
        """As `Rollouts`."""
        from logos_shift_openai.core.rollout_state import ENDED  # noqa: PLC0415
        from logos_shift_openai.server.counting import compare  # noqa: PLC0415
        from logos_shift_openai.server.rollout_reading import get_rollout  # noqa: PLC0415

        one = get_rollout(self._store, key)
        if one.state.phase in ENDED:
            raise CommandError(f"the rollout of {key} has ended, and with it the counting")
        return {"experiment": key, **compare(self._store, key, one.policy, one.state)._asdict()}


class There:
    """The rollouts of a server, which looks by itself."""

    def __init__(self, server: Remote) -> None:
        self._server = server

    def look(self) -> None:
        """Leave it to the server, which looks by itself."""

    def all(self) -> list[Shown]:
        """As `Rollouts`."""
        return self._server.all("/v1/rollouts", "rollouts")

    def one(self, key: str) -> Shown:
        """As `Rollouts`."""
        return self._shown("GET", _path(key))

    def start(self, key: str, policy: Policy, plan: Plan | None, force: str | None = None) -> Shown:
        """As `Rollouts`."""
        body: dict[str, Any] = {"policy": policy.to_json()}
        if force is not None:
            body["force"] = force
        if plan is not None:
            body["plan"] = {
                "models": list(plan.models),
                "candidate": plan.candidate,
                "provider": plan.provider,
                "dataset": plan.dataset,
                "unit": plan.unit,
            }
        return self._shown("POST", _path(key), body)

    def act(self, key: str, verb: str) -> Shown:
        """As `Rollouts`."""
        return self._shown("POST", f"{_path(key)}/{verb}")

    def history(self, key: str, limit: int) -> list[Shown]:
        """As `Rollouts`."""
        told: list[Shown] = []
        while len(told) < limit:
            query = f"?limit={min(_PAGE, limit - len(told))}" + (f"&before={told[-1]['id']}" if told else "")
            part = self._server.all(f"{_path(key)}/decisions{query}", "decisions")
            told += part
            if not part:
                break
        return told

    def recount(self, key: str) -> Shown:
        """Refuse: it reads all calls of a run, which is for whoever has the store."""
        raise CommandError(f"the calls of {key} are counted anew where the store is: use --database-url, or its home")

    def _shown(self, method: str, path: str, body: object = None) -> Shown:
        return self._server.one(method, path, body, having=_NAMES)


@contextmanager
def rollouts_of(place: Place, url: str | None, database_url: str | None, *, create: bool = False) -> Iterator[Rollouts]:
    """Give the rollouts that a command is about: of a database, else of a server, else of the home folder.

    Raises:
        CommandError: they cannot be reached, or what was asked for within the block cannot be.
    """
    from logos_shift_openai.core.rollout_by_hand import RolloutError  # noqa: PLC0415
    from logos_shift_openai.server.config_place import embedded_home  # noqa: PLC0415
    from logos_shift_openai.server.experiments import ExperimentError  # noqa: PLC0415
    from logos_shift_openai.server.rollouts import tick  # noqa: PLC0415

    server = None if database_url else server_of(url)
    if server is not None:
        yield There(server)
        return
    with opened(place, create=create, address=database_url) as store:
        home = None if database_url else embedded_home(store, place.home)
        try:
            if database_url or place.home.is_dir():
                tick(store, now_ms(), home)
            yield Here(store, None if database_url else place, home)
            _deliver(store, home)
        except (RolloutError, ExperimentError) as error:
            raise CommandError(str(error)) from None


def _deliver(store: Store, home: Path | None) -> None:
    """Tell what was decided, where no server does."""
    from logos_shift_openai.server.notifications.delivery import Delivery  # noqa: PLC0415

    channels = named_channels() if home is not None and home.is_dir() else ()
    if channels:
        Delivery(channels).step(store, now_ms())


def _path(key: str) -> str:
    return f"/v1/rollouts/{quote(key, safe='')}"
