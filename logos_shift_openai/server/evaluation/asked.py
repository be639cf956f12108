"""What an evaluation is asked to be about: whose candidate, which edition, and whether this process can do it.

Rule: nothing is written down that this process could not begin; each refusal says what is missing and where it goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.core.strict import ConfigError
from logos_shift_openai.server.datasets.register import find_edition
from logos_shift_openai.server.tuners.edition import EditionError, edition_of
from logos_shift_openai.server.tuners.jobs import NoJobError, find_job
from logos_shift_openai.server.tuners.named import sdk_client
from logos_shift_openai.server.tuners.problems import RefusedError

from .asking import candidate_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from .running import Bench

_AS_READ: Final = "experiments[0].candidate"


class NotAskableError(Exception):
    """An evaluation that cannot begin; the message says why and what helps."""


def what_is_asked(
    connection: Connection, job: str | None, edition: str | None, candidate: Mapping[str, Any] | None
) -> tuple[dict[str, Any], str]:
    """Find the candidate and the edition that are meant.

    Args:
        connection: A reader's connection.
        job: The tuning job that made the candidate; None where it is told.
        edition: Id of an edition, or how it begins; None for the job's.
        candidate: As an experiment's `candidate`; None where a job made it.

    Raises:
        NotAskableError: there is no such job, it has made none yet, or no edition is named.
        ConfigError: the candidate is none.
    """
    if (job is None) == (candidate is None):
        raise NotAskableError("name a tuning job, or a candidate")
    found = dict(candidate or {})
    if job is not None:
        try:
            made = find_job(connection, job)
        except NoJobError as error:
            raise NotAskableError(str(error)) from None
        if made.candidate is None:
            raise NotAskableError(f"{job} is {made.state}, and has made no candidate yet")
        found, edition = dict(made.candidate), edition or made.edition
    if edition is None:
        raise NotAskableError("name the edition whose held-out part is asked")
    try:
        candidate_of(found)
    except ConfigError as error:
        raise ConfigError(str(error).replace(_AS_READ, "candidate")) from None
    known = find_edition(connection, edition)
    return found, edition if known is None else known.id


def require_askable(bench: Bench, candidate: Mapping[str, Any], edition: str) -> None:
    """Make sure that this process has the edition's files and knows the candidate's provider.

    Raises:
        NotAskableError: it has not, or does not.
    """
    try:
        edition_of(bench.store, bench.home, edition)
    except EditionError as error:
        with bench.store.reading() as connection:
            raise NotAskableError(elsewhere(connection, bench.home, edition) or str(error)) from None
    try:
        sdk_client(candidate.get("provider"), bench.environ).close()
    except RefusedError as error:
        raise NotAskableError(f"{candidate['model']} cannot be asked: {error.message}") from None


def elsewhere(connection: Connection, home: Path, edition: str) -> str | None:
    """Say where an edition lies that is known, and whose files are not in this home folder; None for any other."""
    known = find_edition(connection, edition)
    if known is None or (home / "editions" / known.id / "manifest.json").is_file():
        return None
    return f"the files of edition {known.id} are not in {home / 'editions'}: they lie at {known.place}"
