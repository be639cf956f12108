"""Where tuning jobs are: in a store that this process opens, where a look takes a job a step on, or on a server.

Keys are those of whoever does the step: of this process at home and at a database, of the server's environment there.
At a database, a job whose edition's files are not here is left to the servers that have them.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from logos_shift_openai.cli.output import CommandError, now_ms
from logos_shift_openai.cli.remote import Remote, SaidNoError, server_of
from logos_shift_openai.cli.session import Place, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.server.tuners.jobs import TuningJob
    from logos_shift_openai.server.tuners.machine import Workshop
    from logos_shift_openai.server.tuners.protocol import Settings

_HOUR_MS: Final = 3_600_000
_FORBIDDEN: Final = 403
_REST_SECONDS: Final = 2.0
_LEAST_SECONDS: Final = 0.05
_NAMES: Final = frozenset({"id", "tuner", "edition", "settings", "state", "fraction", "said", "points", "next_step"})
Shown = dict[str, Any]
"""As `server.tuners.jobs.TuningJob.to_json` gives it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A job that is to be started.

    Args:
        tuner: Name of the tuner.
        edition: Id of the edition.
        settings: What to train.
        deadline: Hours in which it should have ended.
        again: Even where the same has succeeded.
    """

    tuner: str
    edition: str
    settings: Settings
    deadline: float
    again: bool


class Jobs(Protocol):
    """What the commands ask of a place."""

    def start(self, asked: Asked) -> tuple[Shown, bool]:
        """Start a job; tells whether it is a new one."""

    def look(self, job_id: str, *, again: bool = False) -> Shown:
        """Look at a job now, and give it; `again` also at one that rests."""

    def all(self) -> list[Shown]:
        """List them as they were last seen."""

    def cancel(self, job_id: str) -> Shown:
        """Ask for a job's end."""

    def rest(self, job_id: str) -> float:
        """Give the seconds until another look is worth it."""


class Here:
    """The jobs of a store.

    Args:
        shop: What the work on jobs needs.
        ours: Whether all of them are this process's to do.
    """

    def __init__(self, shop: Workshop, *, ours: bool) -> None:
        self._shop, self._ours = shop, ours

    def start(self, asked: Asked) -> tuple[Shown, bool]:
        """As `Jobs`."""
        from logos_shift_openai.server.evaluation.asked import elsewhere  # noqa: PLC0415
        from logos_shift_openai.server.tuners.jobs import open_job  # noqa: PLC0415
        from logos_shift_openai.server.tuners.machine import check  # noqa: PLC0415

        shop = self._shop
        problems = check(shop, asked.tuner, asked.edition, asked.settings)
        if problems:
            with shop.store.reading() as connection:
                raise CommandError(elsewhere(connection, shop.home, asked.edition) or "; ".join(problems))
        until = now_ms() + int(asked.deadline * _HOUR_MS)
        job, fresh = open_job(
            shop.store, asked.tuner, asked.edition, asked.settings, now_ms(), until, again=asked.again
        )
        shown = self.look(job.id)
        if asked.tuner == "none" and shown["state"] == "running":
            shown = self.look(job.id)  # there is nothing to wait for
        return shown, fresh

    def look(self, job_id: str, *, again: bool = False) -> Shown:
        """As `Jobs`."""
        from logos_shift_openai.server.holding import BusyError  # noqa: PLC0415
        from logos_shift_openai.server.tuners.machine import advance  # noqa: PLC0415

        job = self._find(job_id)
        if self._may(job):
            with suppress(BusyError):
                return advance(self._shop, job_id, look_again=again).to_json()
        return self._find(job_id).to_json()

    def all(self) -> list[Shown]:
        """As `Jobs`."""
        from logos_shift_openai.server.tuners.jobs import list_jobs  # noqa: PLC0415

        with self._shop.store.reading() as connection:
            return [one.to_json() for one in list_jobs(connection)]

    def cancel(self, job_id: str) -> Shown:
        """As `Jobs`."""
        from logos_shift_openai.server.tuners.jobs import ask_to_cancel  # noqa: PLC0415

        with self._shop.store.writing() as connection:
            ask_to_cancel(connection, job_id, now_ms())
        return self.look(job_id)

    def rest(self, job_id: str) -> float:
        """As `Jobs`."""
        return min(_REST_SECONDS, max(_LEAST_SECONDS, (self._find(job_id).due - now_ms()) / 1000))

    def _find(self, job_id: str) -> TuningJob:
        from logos_shift_openai.server.tuners.jobs import find_job  # noqa: PLC0415

        with self._shop.store.reading() as connection:
            return find_job(connection, job_id)

    def _may(self, job: TuningJob) -> bool:
        """Tell whether a step is this process's to take: one without the edition would only fail it."""
        from logos_shift_openai.server.store.errors import StoreError  # noqa: PLC0415
        from logos_shift_openai.server.tuners.edition import EditionError, edition_of  # noqa: PLC0415

        if self._ours:
            return True
        try:
            edition_of(self._shop.store, self._shop.home, job.edition)
        except (EditionError, StoreError):
            return False
        return True


class There:
    """The jobs of a server, which takes them on by itself."""

    def __init__(self, server: Remote) -> None:
        self._server = server

    def start(self, asked: Asked) -> tuple[Shown, bool]:
        """As `Jobs`."""
        from dataclasses import asdict  # noqa: PLC0415

        known = {one.get("id") for one in self.all()}
        body = {
            "tuner": asked.tuner, "edition": asked.edition, **asdict(asked.settings),
            "deadline_hours": asked.deadline, "again": asked.again,
        }  # fmt: skip
        job = self._server.one("POST", "/v1/tuning", body, having=_NAMES)
        return job, job["id"] not in known

    def look(self, job_id: str, *, again: bool = False) -> Shown:
        """As `Jobs`; who may only read sees one that rests as it is."""
        from logos_shift_openai.server.tuners.jobs import STUCK  # noqa: PLC0415

        job = self._server.one("GET", _path(job_id), having=_NAMES)
        if again and job["state"] in STUCK:
            try:
                return self._server.one("POST", f"{_path(job_id)}/look", having=_NAMES)
            except SaidNoError as error:
                if error.status != _FORBIDDEN:
                    raise
        return job

    def all(self) -> list[Shown]:
        """As `Jobs`."""
        return self._server.all("/v1/tuning", "jobs", _NAMES)

    def cancel(self, job_id: str) -> Shown:
        """As `Jobs`; the server brings it about."""
        return self._server.one("POST", f"{_path(job_id)}/cancel", having=_NAMES)

    def rest(self, job_id: str) -> float:  # noqa: ARG002 - the server looks at its own pace
        """As `Jobs`."""
        return _REST_SECONDS


@contextmanager
def jobs_of(place: Place, url: str | None, database_url: str | None, *, create: bool = False) -> Iterator[Jobs]:
    """Give the tuning jobs that a command is about: of a database, else of a server, else of the home folder.

    Raises:
        CommandError: they cannot be reached, or what was asked for within the block cannot be.
    """
    from logos_shift_openai.server.tuners.jobs import NoJobError  # noqa: PLC0415
    from logos_shift_openai.server.tuners.step import workshop  # noqa: PLC0415
    from logos_shift_openai.server.worker import holder_name  # noqa: PLC0415

    server = None if database_url else server_of(url)
    if server is not None:
        yield There(server)
        return
    with opened(place, create=create and not database_url, address=database_url) as store:
        try:
            yield Here(workshop(store, place.home, holder_name(), now_ms), ours=not database_url)
        except NoJobError as error:
            raise CommandError(str(error)) from None


def _path(job_id: str) -> str:
    return f"/v1/tuning/{quote(job_id, safe='')}"
