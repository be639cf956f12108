"""`POST /v1/feedback` and the tokens with which a web page may give it without a key."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

import msgspec

from logos_shift_openai.core.feedback_tokens import LONGEST_SECONDS, is_genuine, mint_with_hash, read_token
from logos_shift_openai.core.ids import ENTROPY_BYTES, uuid7
from logos_shift_openai.core.records import FeedbackRecord, feedback_line
from logos_shift_openai.server.intake import QueueFullError

from .exchange import Answer, ApiError, Ask, Caller, Endpoint, to_json
from .gate import admit, session_of, unauthorized
from .records import count

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Word = Annotated[str, msgspec.Meta(max_length=200)]
_INGEST = frozenset({"ingest"})


class FeedbackBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is said of a call: a value or a label, a comment, the right answer; one of them at least."""

    call_id: _Id
    value: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    label: Literal["success", "failure"] | None = None
    comment: Annotated[str, msgspec.Meta(max_length=100_000)] | None = None
    correction: Any = None
    by: _Word | None = None
    id: _Id | None = None
    at: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None
    token: _Word | None = None


class FeedbackTaken(msgspec.Struct):
    """The feedback's id, and whether it is new: the same id twice is one feedback."""

    id: str
    call_id: str
    new: bool


class TokenAsked(msgspec.Struct, forbid_unknown_fields=True):
    """For which call, and for how long."""

    call_id: _Id
    seconds: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_SECONDS)] = 3600


class TokenMade(msgspec.Struct):
    """A token for one call. `expires` is in seconds since 1970."""

    token: str
    call_id: str
    expires: int


async def take_feedback(ask: Ask) -> Answer:
    """Take one feedback in, by a key or by a token for its call."""
    bearer = (ask.header(b"authorization") or b"").partition(b" ")[2].strip()
    by_session = not bearer and await session_of(ask) is not None
    by_token = bearer.startswith(b"lsf_") or (not bearer and not by_session and not ask.service.no_auth)
    if not by_token:
        await admit(ask, "ingest")
    said = await ask.read_json(FeedbackBody)
    if by_token:
        await _admit_token(ask, bearer.decode("latin-1") or said.token or "", said.call_id)
    if said.value is None and said.label is None and not said.comment and said.correction is None:
        raise ApiError(400, "bad_body", "give a value, a label, a comment or a correction", where="$")
    now = ask.service.now()
    record = FeedbackRecord(
        id=said.id or uuid7(now, os.urandom(ENTROPY_BYTES)),
        at=said.at if said.at is not None else now,
        call_id=said.call_id,
        value=said.value,
        label=said.label,
        comment=said.comment or None,
        correction=said.correction,
        by=said.by or None,
    )
    try:
        line = feedback_line(record)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "bad_body", f"the correction: {error}", where="$.correction") from None
    try:
        with ask.service.intake.admitted(len(line)):
            receipt = await ask.service.intake.take_lines([line])
    except QueueFullError:
        raise ApiError(503, "busy", "more records wait than can be kept waiting", retry_after=1.0) from None
    count(ask, receipt)
    if receipt.refused:
        raise ApiError(400, "bad_body", receipt.refused[0].why, where="$")
    return Answer(to_json(FeedbackTaken(record.id, record.call_id, receipt.new == 1)))


async def make_token(ask: Ask) -> Answer:
    """Make a token for one call, signed with the caller's key."""
    asked = await ask.read_json(TokenAsked)
    caller: Caller | None = ask.caller
    known = None if caller is None or caller.key_id is None else await ask.service.keys.find(caller.key_id)
    if known is None:
        raise ApiError(409, "conflict", "this server runs without keys: feedback needs no token")
    expires = ask.service.now() // 1000 + asked.seconds
    token = mint_with_hash(known.id, known.secret_hash, asked.call_id, expires)
    return Answer(to_json(TokenMade(token, asked.call_id, expires)), 201)


async def _admit_token(ask: Ask, text: str, call_id: str) -> None:
    token = read_token(text)
    known = None if token is None else await ask.service.keys.find(token.key_id)
    now = ask.service.now() // 1000
    if token is None or known is None or not is_genuine(token, known.secret_hash, call_id, now):
        raise unauthorized(
            ask, "a key of this server, or a feedback token for this call that has not run out, is needed"
        )
    if known.scope == "read":
        raise ApiError(403, "forbidden", "this key may not do that")
    wait = ask.service.rates.take(known.id, ask.service.clock())
    if wait:
        ask.service.metrics.add("logos_rate_limited_total", "key")
        raise ApiError(429, "too_many_requests", "this key asks too often", retry_after=wait)
    ask.service.note_use(known.id)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/feedback",
        None,
        take_feedback,
        "Say how good a call was. Of several feedbacks the latest counts. Needs an ingest key, or a token for the call "
        "as Bearer or in the body.",
        {
            200: (FeedbackTaken, "Committed."),
            401: (None, "Neither a good key nor a good token."),
            403: (None, "The key may not give feedback."),
            413: (None, "Too many bytes."),
            415: (None, "Another Content-Type."),
            408: (None, "Too slow."),
            429: (None, "Too often; wait for Retry-After seconds."),
        },
        body=FeedbackBody,
        open_to_browsers=True,
    ),
    Endpoint(
        "POST",
        "/v1/feedback-tokens",
        "ingest",
        make_token,
        "Make a short-lived token with which a front end may give feedback on one call, without a key.",
        {201: (TokenMade, "Made."), 409: (None, "The server runs without keys.")},
        body=TokenAsked,
    ),
)
