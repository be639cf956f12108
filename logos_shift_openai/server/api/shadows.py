"""`/v1/shadows`: what candidates answered to calls that somebody else answered, beside those answers."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from logos_shift_openai.server.shadow_pairs import shadow_pairs

from .exchange import Answer, Ask, Endpoint, tagged, to_json

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class ShadowsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which pairs: of an experiment, of a call, or only those that `differ`; `cursor` is the `next` before."""

    experiment: _Text | None = None
    call: _Text | None = None
    differ: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    cursor: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,15}\.[^\x00]{1,512}$")] | None = None


class ShadowPair(msgspec.Struct):
    """A pair. `score` is 1 where both say the same, null where it was not compared; `at` milliseconds since 1970.

    `baseline` and `candidate` are the answers: whole where a `call` was asked for, else an excerpt; null where there
    is none, or it is not kept any more.
    """

    id: str
    shadow_of: str
    at: int
    experiment: str | None
    model: str | None
    provider: str | None
    duration_ms: float
    error_type: str | None
    error_message: str | None
    tokens_in: int | None
    tokens_out: int | None
    compared: str | None
    score: float | None
    judged: float | None
    judge: str | None
    asked: str | None
    baseline: Any
    candidate: Any


class ShadowPairs(msgspec.Struct):
    """Pairs, the latest first; `next` is the cursor of the next page, null after the last."""

    pairs: list[ShadowPair]
    next: str | None


async def list_some(ask: Ask) -> Answer:
    """List pairs."""
    asked = ask.query(ShadowsAsked)
    at, _, last = (asked.cursor or "").partition(".")

    def page(connection: Any) -> bytes:
        found = shadow_pairs(
            connection,
            experiment=asked.experiment,
            call=asked.call,
            differ=asked.differ,
            before=(int(at), last) if asked.cursor else None,
            limit=asked.limit + 1,
        )
        told = [ShadowPair(**one) for one in found[: asked.limit]]
        more = len(found) > asked.limit
        return to_json(ShadowPairs(told, f"{told[-1].at}.{told[-1].id}" if more else None))

    return tagged(ask, await ask.service.read(page))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/shadows",
        "read",
        list_some,
        "List what candidates answered in the shadow, beside what the callers got, the latest first.",
        {200: (ShadowPairs, "A page."), 304: (None, "The one you have.")},
        query=ShadowsAsked,
        headers=("If-None-Match",),
    ),
)
