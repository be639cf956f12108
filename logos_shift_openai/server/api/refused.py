"""`/v1/refused`: how many lines were no records, by the part at fault. The lines themselves are not kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from logos_shift_openai.server.refusals import list_refused

from .exchange import Answer, Ask, Endpoint, tagged, to_json

if TYPE_CHECKING:
    from sqlalchemy import Connection


class RefusedLines(msgspec.Struct):
    """Lines with one part at fault; `reason` names the part, `last_at` is milliseconds since 1970."""

    reason: str
    lines: int
    last_at: int


class RefusedList(msgspec.Struct):
    """All lines that were refused so far, by the part at fault, the latest first."""

    lines: int
    reasons: list[RefusedLines]


async def list_all(ask: Ask) -> Answer:
    """List them."""

    def look(connection: Connection) -> bytes:
        found = [RefusedLines(*one) for one in list_refused(connection)]
        return to_json(RefusedList(sum(one.lines for one in found), found))

    return tagged(ask, await ask.service.read(look))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/refused",
        "read",
        list_all,
        "Count the lines that were no records, by the part at fault; the lines themselves are not kept.",
        {200: (RefusedList, "The counts."), 304: (None, "The ones you have.")},
        headers=("If-None-Match",),
    ),
)
