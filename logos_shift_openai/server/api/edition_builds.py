"""`/v1/edition-builds`: editions made beside the requests, with how far each has come."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

import msgspec

from logos_shift_openai.server.datasets.builds import NoBuildError, find_build, list_builds
from logos_shift_openai.server.datasets.choosing import EditionError
from logos_shift_openai.server.datasets.desk import DeskBusyError

from .datasets import EditionWanted, choice_of, desk_of
from .exchange import Answer, ApiError, Ask, Endpoint, to_json


class BuildShown(msgspec.Struct):
    """An edition in the making. `read` counts the calls that were looked at, `said` is why it failed.

    `lost` is one whose process has ended before; times are milliseconds since 1970.
    """

    id: str
    dataset: str
    state: Literal["running", "made", "failed", "lost"]
    read: int
    edition: str | None
    said: str
    created: int
    updated: int


class Builds(msgspec.Struct):
    """Builds, the latest first."""

    builds: list[BuildShown]


async def begin(ask: Ask) -> Answer:
    """Begin to make an edition."""
    wanted = await ask.read_json(EditionWanted)
    desk = desk_of(ask)
    try:
        choice = choice_of(wanted)
        build = await ask.service.intake.change(lambda: desk.begin(choice))
    except DeskBusyError:
        raise ApiError(409, "busy", "another edition is being made", retry_after=5.0) from None
    except EditionError as error:
        raise ApiError(409, "no_edition", str(error)) from None
    return Answer(to_json(BuildShown(**asdict(build))))


async def list_all(ask: Ask) -> Answer:
    """List the latest builds."""
    now = ask.service.now()
    found = await ask.service.read(lambda connection: list_builds(connection, now))
    return Answer(to_json(Builds([BuildShown(**asdict(one)) for one in found])))


async def show(ask: Ask) -> Answer:
    """Show one."""
    name, now = ask.path["id"], ask.service.now()
    try:
        build = await ask.service.read(lambda connection: find_build(connection, name, now))
    except NoBuildError as error:
        raise ApiError(404, "not_found", str(error)) from None
    return Answer(to_json(BuildShown(**asdict(build))))


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/edition-builds",
        "admin",
        begin,
        "Begin to cut an edition, and answer at once; the same choice joins the build that is under way.",
        {200: (BuildShown, "Begun, or under way."), 409: (None, "Another is being made, or there can be none.")},
        body=EditionWanted,
    ),
    Endpoint(
        "GET", "/v1/edition-builds", "read", list_all, "List the latest builds of editions.", {200: (Builds, "Latest.")}
    ),
    Endpoint(
        "GET",
        "/v1/edition-builds/{id}",
        "read",
        show,
        "Show how far the build of an edition has come.",
        {200: (BuildShown, "The build."), 404: (None, "There is none.")},
    ),
)
