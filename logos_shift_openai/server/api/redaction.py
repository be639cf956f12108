"""`POST /v1/redaction`: try out what rules would take out of a text. Nothing of it is kept."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from logos_shift_openai.core.redaction import Redaction, Unclean, clean

from .exchange import Answer, ApiError, Ask, Endpoint, to_json

_Rules = Annotated[str, msgspec.Meta(max_length=4_000)]


class RedactionAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A body as JSON, or a plain text, and rules as `LOGOS_SHIFT_REDACT` takes them."""

    body: Any
    rules: _Rules = "secrets"


class Redacted(msgspec.Struct):
    """The body as it would be kept, and how often each rule took something out."""

    body: Any
    redacted: dict[str, int]


async def try_out(ask: Ask) -> Answer:
    """Take out of a body what the rules find."""
    asked = await ask.read_json(RedactionAsked)
    try:
        redaction = Redaction.parse(asked.rules)
    except ValueError as error:
        raise ApiError(400, "bad_rules", str(error), where="$.rules") from None
    try:
        cleaned = clean(to_json(asked.body), root="request", redaction=redaction, limit=None)
        body = msgspec.json.decode(cleaned.body)
    except (Unclean, msgspec.DecodeError) as error:
        raise ApiError(400, "bad_body", str(error), where="$.body") from None
    return Answer(to_json(Redacted(body, dict(cleaned.redacted))))


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/redaction",
        "read",
        try_out,
        "Try out what redaction rules would take out of a body; nothing of it is kept.",
        {200: (Redacted, "The body as it would be kept.")},
        body=RedactionAsked,
    ),
)
