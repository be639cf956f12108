"""`/v1/evaluations`: candidates put to an edition's held-out questions, by the providers of the server's environment.

A request names a model and a provider; addresses and keys are the server's own, and none of them is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from sqlalchemy import func, select

from logos_shift_openai.core.held_out import rules_from
from logos_shift_openai.server.evaluation.asked import NotAskableError
from logos_shift_openai.server.evaluation.desk import DeskFullError, at_work
from logos_shift_openai.server.evaluation.keeping import NoEvaluationError, find_evaluation, list_evaluations
from logos_shift_openai.server.store.schema import evaluation_answers

from .exchange import Answer, ApiError, Ask, Endpoint, to_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from logos_shift_openai.server.evaluation.keeping import Evaluation

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class EvaluationWanted(msgspec.Struct, forbid_unknown_fields=True):
    """A tuning job, or a candidate as an experiment has it; `edition` is the job's where none is named.

    `rules` are what it must reach. See the page on the autopilot.
    """

    job: _Text | None = None
    candidate: dict[str, Any] | None = None
    edition: _Text | None = None
    rules: dict[str, Any] = {}


class EvaluationsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """How many."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class EvaluationListed(msgspec.Struct):
    """A candidate on the held-out questions of an edition. `report` is null until all is asked.

    `said` is what happened last; times are milliseconds since 1970.
    """

    id: str
    edition: str
    candidate: dict[str, Any]
    rules: dict[str, Any]
    state: Literal["open", "passed", "failed"]
    said: str
    report: dict[str, Any] | None
    created: int
    updated: int


class EvaluationShown(EvaluationListed):
    """The same, with the rows that are answered, and whether somebody asks now.

    One that is open and that nobody is at was broken off, and goes on when it is asked for again.
    """

    answered: int
    asking: bool


class Evaluations(msgspec.Struct):
    """Evaluations, the latest first."""

    evaluations: list[EvaluationListed]


async def list_all(ask: Ask) -> Answer:
    """List them."""
    limit = ask.query(EvaluationsAsked).limit
    found = await ask.service.read(lambda connection: list_evaluations(connection, limit))
    return Answer(to_json(Evaluations([EvaluationListed(**one.to_json()) for one in found])))


async def show(ask: Ask) -> Answer:
    """Show one."""
    name, now = ask.path["id"], ask.service.now()
    try:
        return Answer(await ask.service.read(lambda connection: _shown(connection, name, now)))
    except NoEvaluationError as error:
        raise ApiError(404, "not_found", str(error)) from None


async def begin(ask: Ask) -> Answer:
    """Begin one, or go on with it."""
    asked = await ask.read_json(EvaluationWanted)
    desk, now = ask.service.evaluations, ask.service.now()
    if desk is None:
        raise ApiError(409, "no_home", "this server has no folder of editions")
    rules = rules_from(asked.rules, "rules")

    def run() -> Evaluation:
        return desk.begin(asked.job, asked.edition, asked.candidate, rules)

    try:
        one = await ask.service.intake.change(run)
    except NotAskableError as error:
        raise ApiError(422, "cannot_start", str(error)) from None
    except DeskFullError:
        raise ApiError(503, "busy", "enough candidates are asked at this moment", retry_after=5.0) from None
    return Answer(await ask.service.read(lambda connection: _shown(connection, one.id, now)))


def _shown(connection: Connection, name: str, now: int) -> bytes:
    one = find_evaluation(connection, name)
    count = select(func.count()).where(evaluation_answers.c.evaluation == name)
    answered = connection.scalar(count) or 0
    return to_json(EvaluationShown(**one.to_json(), answered=answered, asking=at_work(connection, name, now)))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/evaluations",
        "read",
        list_all,
        "List the evaluations of candidates, the latest first.",
        {200: (Evaluations, "The latest.")},
        query=EvaluationsAsked,
    ),
    Endpoint(
        "POST",
        "/v1/evaluations",
        "admin",
        begin,
        "Ask a candidate what is held out, by the server's own providers; the same again goes on where it was.",
        {
            200: (EvaluationShown, "Begun, under way, or at its end already."),
            409: (None, "This server has no folder of editions."),
            422: (None, "It cannot begin; the message says what is missing."),
        },
        body=EvaluationWanted,
    ),
    Endpoint(
        "GET",
        "/v1/evaluations/{id}",
        "read",
        show,
        "Show what came of a candidate's held-out questions.",
        {200: (EvaluationShown, "The evaluation."), 404: (None, "There is none.")},
    ),
)
