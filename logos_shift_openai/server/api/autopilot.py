"""`/v1/autopilot`: of each dataset its policy, where it stands, what it did, and a word for its next step.

A policy names a tuner, a model and a provider; addresses, keys and commands are the server's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from logos_shift_openai.core.autopilot_policy import autopilot_from
from logos_shift_openai.server.autopilot.keeping import (
    NoAutopilotError,
    OtherStepError,
    find_autopilot,
    give_word,
    history,
    list_autopilots,
    set_mode,
    set_policy,
)

from .exchange import Answer, ApiError, Ask, Endpoint, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from logos_shift_openai.server.autopilot.keeping import Autopilot


class PolicyAsked(msgspec.Struct, forbid_unknown_fields=True):
    """The policy of a dataset's autopilot. See the page on the autopilot."""

    policy: dict[str, Any]


class ModeAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Whether it rests, asks before each step that costs or serves, or asks nobody."""

    mode: Literal["off", "notify", "on"]


class WordAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which step is approved: the one that was seen to wait; left out, whatever waits now."""

    step: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] | None = None


class StepsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """How many steps."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class AutopilotShown(msgspec.Struct):
    """An autopilot. `asks` is the step that waits for a word; times are milliseconds since 1970, months are of UTC."""

    dataset: str
    mode: Literal["off", "notify", "on"]
    phase: Literal["waiting", "building", "built", "tuning", "tuned", "evaluating", "evaluated", "rolling"]
    round: int
    why: str
    asks: str | None
    policy: dict[str, Any]
    state: dict[str, Any]
    spent: dict[str, dict[str, float]]
    updated: int


class Autopilots(msgspec.Struct):
    """All autopilots, by dataset."""

    autopilots: list[AutopilotShown]


class StepShown(msgspec.Struct):
    """A step that was taken."""

    id: int
    dataset: str
    at: int
    round: int
    step: str
    why: str
    data: dict[str, Any]


class Steps(msgspec.Struct):
    """Steps, the latest first."""

    steps: list[StepShown]


async def list_all(ask: Ask) -> Answer:
    """List them."""
    found = await ask.service.read(list_autopilots)
    return Answer(to_json(Autopilots([AutopilotShown(**one.to_json()) for one in found])))


async def show(ask: Ask) -> Answer:
    """Show one."""
    dataset = ask.path["dataset"]
    try:
        return _one(await ask.service.read(lambda connection: find_autopilot(connection, dataset)))
    except NoAutopilotError as error:
        raise ApiError(404, "not_found", str(error)) from None


async def put(ask: Ask) -> Answer:
    """Give a dataset an autopilot, or its autopilot another policy."""
    dataset, now = ask.path["dataset"], ask.service.now()
    if ask.service.shop is None:
        raise ApiError(409, "no_home", "this server has no folder of editions")
    policy = autopilot_from((await ask.read_json(PolicyAsked)).policy, "policy")
    return await _written(ask, lambda connection: set_policy(connection, dataset, policy, now))


async def mode(ask: Ask) -> Answer:
    """Switch one."""
    dataset, now = ask.path["dataset"], ask.service.now()
    asked = await ask.read_json(ModeAsked)
    return await _written(ask, lambda connection: set_mode(connection, dataset, asked.mode, now))


async def approve(ask: Ask) -> Answer:
    """Approve what is asked for."""
    dataset, now, step = ask.path["dataset"], ask.service.now(), ask.query(WordAsked).step
    try:
        return await _written(ask, lambda connection: give_word(connection, dataset, now, step))
    except OtherStepError as error:
        raise ApiError(409, "other_step", str(error), where="step") from None


async def steps(ask: Ask) -> Answer:
    """List the steps of one."""
    dataset, limit = ask.path["dataset"], ask.query(StepsAsked).limit
    found = await ask.service.read(lambda connection: history(connection, dataset, limit))
    return Answer(to_json(Steps([StepShown(**one) for one in found])))


async def _written(ask: Ask, do: Callable[[Connection], Autopilot]) -> Answer:
    try:
        return _one(await ask.service.write(do))
    except NoAutopilotError as error:
        raise ApiError(404, "not_found", str(error)) from None


def _one(one: Autopilot) -> Answer:
    return Answer(to_json(AutopilotShown(**one.to_json())))


_PATH = "/v1/autopilot/{dataset}"
ENDPOINTS = (
    Endpoint("GET", "/v1/autopilot", "read", list_all, "List the autopilots.", {200: (Autopilots, "By dataset.")}),
    Endpoint(
        "GET",
        _PATH,
        "read",
        show,
        "Show where the autopilot of a dataset stands, and why.",
        {200: (AutopilotShown, "The autopilot."), 404: (None, "There is none.")},
    ),
    Endpoint(
        "PUT",
        _PATH,
        "admin",
        put,
        "Give a dataset an autopilot, or its autopilot another policy; a round under way goes on by it.",
        {200: (AutopilotShown, "The autopilot."), 409: (None, "This server has no folder of editions.")},
        body=PolicyAsked,
    ),
    Endpoint(
        "POST",
        f"{_PATH}/mode",
        "admin",
        mode,
        "Switch an autopilot off, on, or to asking.",
        {200: (AutopilotShown, "The autopilot."), 404: (None, "There is none.")},
        body=ModeAsked,
    ),
    Endpoint(
        "POST",
        f"{_PATH}/approve",
        "admin",
        approve,
        "Approve the step that an autopilot asks for.",
        {
            200: (AutopilotShown, "The autopilot."),
            404: (None, "There is none, or it asks for nothing."),
            409: (None, "It asks for another step than the one that is named."),
        },
        query=WordAsked,
    ),
    Endpoint(
        "GET",
        f"{_PATH}/history",
        "read",
        steps,
        "List the steps that an autopilot took.",
        {200: (Steps, "The latest first.")},
        query=StepsAsked,
    ),
)
