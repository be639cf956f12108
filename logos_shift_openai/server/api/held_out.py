"""What came of held-out questions: the reports of a tuning job's candidate, and its answers beside the teacher's.

Nothing is asked here and no provider is needed; what was answered is read from the store, and the questions from the
edition's files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from logos_shift_openai.server.evaluation.keeping import NoEvaluationError, find_evaluation
from logos_shift_openai.server.evaluation.looking import evaluations_of, pairs_of
from logos_shift_openai.server.tuners.edition import EditionError
from logos_shift_openai.server.tuners.jobs import NoJobError, find_job

from .evaluations import EvaluationListed
from .exchange import Answer, ApiError, Ask, Endpoint, tagged, to_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from logos_shift_openai.server.evaluation.keeping import Evaluation
    from logos_shift_openai.server.evaluation.looking import Pair

_ROW = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Reports(msgspec.Struct):
    """The evaluations of a job's candidate, those on the job's own edition first, then the latest."""

    evaluations: list[EvaluationListed]


class PairsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which answers: those that differ, or all; `after` is the `next` of the page before."""

    after: _ROW = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=50)] = 10
    differ: bool = True


class PairShown(msgspec.Struct):
    """A held-out question with the teacher's answer and the candidate's; `agreement` is from 0 to 1.

    `row` is the line of the held-out file, `error` what came in the place of an answer, `valid` whether it is the JSON
    that was asked for, null where none was.
    """

    row: int
    question: dict[str, Any]
    expected: dict[str, Any]
    answer: dict[str, Any] | None
    error: str | None
    agreement: float
    valid: bool | None


class Pairs(msgspec.Struct):
    """A page of answers. `fault` says why there is nothing to show; `next` is null behind the last one."""

    evaluation: EvaluationListed
    pairs: list[PairShown]
    next: int | None
    fault: str | None


async def list_reports(ask: Ask) -> Answer:
    """List the evaluations of a job's candidate."""
    job_id = ask.path["id"]

    def look(connection: Connection) -> bytes:
        job = find_job(connection, job_id)
        found = [] if job.candidate is None else evaluations_of(connection, job.edition, dict(job.candidate))
        return to_json(Reports([_shown(one) for one in found]))

    try:
        return tagged(ask, await ask.service.read(look))
    except NoJobError as error:
        raise ApiError(404, "not_found", str(error)) from None


async def list_pairs(ask: Ask) -> Answer:
    """List answers of an evaluation beside the teacher's."""
    name, asked, shop = ask.path["id"], ask.query(PairsAsked), ask.service.shop

    def look(connection: Connection) -> bytes:
        one = find_evaluation(connection, name)
        fault = None if shop is not None else "this server has no folder of editions, so the questions are not here"
        pairs: list[Pair] = []
        following = None
        if shop is not None:
            try:
                pairs, following = pairs_of(connection, shop.home, one, asked.after, asked.limit, differ=asked.differ)
            except EditionError as error:
                fault = f"the questions cannot be read: {error}"
        told = [PairShown(*(getattr(pair, part) for part in PairShown.__struct_fields__)) for pair in pairs]
        return to_json(Pairs(_shown(one), told, following, fault))

    try:
        return tagged(ask, await ask.service.read(look))
    except NoEvaluationError as error:
        raise ApiError(404, "not_found", str(error)) from None


def _shown(one: Evaluation) -> EvaluationListed:
    return EvaluationListed(**one.to_json())


_SAME = (None, "The one you have.")
ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/tuning/{id}/evaluations",
        "read",
        list_reports,
        "List what came of the held-out questions of a tuning job's candidate.",
        {200: (Reports, "The evaluations."), 304: _SAME, 404: (None, "There is no such job.")},
        headers=("If-None-Match",),
    ),
    Endpoint(
        "GET",
        "/v1/evaluations/{id}/answers",
        "read",
        list_pairs,
        "List answers to held-out questions beside the teacher's: those that differ, or all.",
        {200: (Pairs, "A page."), 304: _SAME, 404: (None, "There is no such evaluation.")},
        query=PairsAsked,
        headers=("If-None-Match",),
    ),
)
