"""`/v1/tuning`: start, follow and cancel tuning jobs. `/v1/examples`: the files that candidates without training need.

A request names a tuner, a model and a provider; addresses, keys and commands are the server's own.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from logos_shift_openai.server.holding import BusyError
from logos_shift_openai.server.tuners.example_files import find_index
from logos_shift_openai.server.tuners.jobs import NoJobError, TuningJob, ask_to_cancel, find_job, list_jobs, open_job
from logos_shift_openai.server.tuners.machine import check, wake
from logos_shift_openai.server.tuners.protocol import Settings

from .exchange import Answer, ApiError, Ask, Endpoint, to_json

if TYPE_CHECKING:
    from logos_shift_openai.server.tuners.machine import Workshop

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_HOUR_MS: Final = 3_600_000
_LISTED: Final = 200


class StartTuning(msgspec.Struct, forbid_unknown_fields=True):
    """A job to be started. `provider` names an endpoint of the server's environment."""

    tuner: Literal["openai", "together", "fireworks", "command", "none"]
    edition: _Text
    model: _Text
    provider: _Text | None = None
    method: Literal["supervised", "dpo"] = "supervised"
    epochs: Annotated[int, msgspec.Meta(ge=1, le=50)] | None = None
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=4_096)] | None = None
    learning_rate: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None
    suffix: Annotated[str, msgspec.Meta(min_length=1, max_length=39)] | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, le=2_147_483_647)] | None = None
    examples: Annotated[int, msgspec.Meta(ge=0, le=32)] = 0
    deadline_hours: Annotated[float, msgspec.Meta(gt=0, le=720)] = 24.0
    again: bool = False


class Tuning(msgspec.Struct):
    """A tuning job. `next_step` says what to do, where anything is; times are milliseconds since 1970.

    `cost` is in dollars, by what the provider told; null where nobody can say.
    """

    id: str
    tuner: str
    edition: str
    settings: dict[str, Any]
    state: Literal[
        "new", "starting", "running", "deploying", "succeeded", "failed", "cancelled", "unsure", "overdue", "unserved"
    ]
    cancel_asked: bool
    fraction: float | None
    said: str
    next_step: str
    candidate: dict[str, Any] | None
    points: list[dict[str, float]]
    trained_tokens: int | None
    cost: float | None
    created: int
    updated: int
    deadline: int


class Tunings(msgspec.Struct):
    """Tuning jobs, the latest first."""

    jobs: list[Tuning]


async def start_tuning(ask: Ask) -> Answer:
    """Write a job down; the background work does it."""
    asked = await ask.read_json(StartTuning)
    shop = _shop(ask)
    settings = Settings(
        asked.model,
        asked.provider,
        asked.method,
        asked.epochs,
        asked.batch_size,
        asked.learning_rate,
        asked.suffix,
        asked.seed,
        asked.examples,
    )
    problems = await ask.service.look(lambda: check(shop, asked.tuner, asked.edition, settings))
    if problems:
        raise ApiError(422, "cannot_start", "; ".join(problems))
    now = ask.service.now()
    deadline = now + int(asked.deadline_hours * _HOUR_MS)
    job, _ = await ask.service.intake.change(
        lambda: open_job(ask.service.store, asked.tuner, asked.edition, settings, now, deadline, again=asked.again)
    )
    return _one(job)


async def list_tuning(ask: Ask) -> Answer:
    """List the latest jobs."""
    found = await ask.service.read(lambda connection: list_jobs(connection, _LISTED))
    return Answer(to_json(Tunings([Tuning(**one.to_json()) for one in found])))


async def get_tuning(ask: Ask) -> Answer:
    """Show a job."""
    job_id = ask.path["id"]
    try:
        return _one(await ask.service.read(lambda connection: find_job(connection, job_id)))
    except NoJobError as error:
        raise ApiError(404, "not_found", str(error)) from None


async def cancel_tuning(ask: Ask) -> Answer:
    """Ask for a job's end; the background work brings it about."""
    job_id, now = ask.path["id"], ask.service.now()
    try:
        return _one(await ask.service.write(lambda connection: ask_to_cancel(connection, job_id, now)))
    except NoJobError as error:
        raise ApiError(404, "not_found", str(error)) from None


async def look_again(ask: Ask) -> Answer:
    """Have a job that rests looked at again; the background work does it."""
    job_id, shop = ask.path["id"], _shop(ask)
    try:
        with suppress(BusyError):  # then somebody looks at it this moment
            return _one(await ask.service.intake.change(lambda: wake(shop, job_id)))
        return _one(await ask.service.read(lambda connection: find_job(connection, job_id)))
    except NoJobError as error:
        raise ApiError(404, "not_found", str(error)) from None


async def get_examples(ask: Ask) -> Answer:
    """Give the file of a candidate's examples."""
    name = ask.path["name"]
    found = await ask.service.read(lambda connection: find_index(connection, name))
    if found is None:
        raise ApiError(404, "not_found", "there are no examples of this name")
    return Answer(found, content_type=b"application/x-ndjson", headers=[(b"cache-control", b"private, immutable")])


def _shop(ask: Ask) -> Workshop:
    if ask.service.shop is None:
        raise ApiError(409, "no_home", "this server has no folder of editions")
    return ask.service.shop


def _one(job: TuningJob) -> Answer:
    return Answer(to_json(Tuning(**job.to_json())))


_JOB = "/v1/tuning/{id}"
ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/tuning",
        "admin",
        start_tuning,
        "Start a tuning job; the same again while it is open, or has succeeded, is the same job.",
        {
            200: (Tuning, "Written down; the background work takes it on."),
            409: (None, "This server has no folder of editions."),
            422: (None, "It cannot be started; the message says why."),
        },
        body=StartTuning,
    ),
    Endpoint("GET", "/v1/tuning", "read", list_tuning, "List the latest tuning jobs.", {200: (Tunings, "The jobs.")}),
    Endpoint(
        "GET",
        _JOB,
        "read",
        get_tuning,
        "Show a tuning job.",
        {200: (Tuning, "The job."), 404: (None, "There is none.")},
    ),
    Endpoint(
        "POST",
        f"{_JOB}/cancel",
        "admin",
        cancel_tuning,
        "End a tuning job; one at its end stays as it is.",
        {200: (Tuning, "Asked for."), 404: (None, "There is none.")},
    ),
    Endpoint(
        "POST",
        f"{_JOB}/look",
        "admin",
        look_again,
        "Look again at a tuning job that rests until somebody does; any other stays as it is.",
        {
            200: (Tuning, "The background work takes it on."),
            404: (None, "There is none."),
            409: (None, "This server has no folder of editions."),
        },
    ),
    Endpoint(
        "GET",
        "/v1/examples/{name}",
        "ingest",
        get_examples,
        "The file of a candidate's examples, for the client's background.",
        {200: (str, "Lines of JSON, named by their SHA-256."), 404: (None, "There are none of this name.")},
    ),
)
