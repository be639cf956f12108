"""The fast way of a line into a head and a body.

A body is never parsed: it is checked to be JSON and kept as it came. What does not fit here, for whatever reason,
goes the careful way (`core.records`, `store.rows`), which alone says what is wrong with a line; so this way
may refuse anything, and may accept only what the careful one accepts too.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from logos_shift_openai.core.records import HASH_LENGTH, CallRecord, RecordError, read_line

from .rows import (
    LEFT_BEHIND,
    NO_METADATA,
    FeedbackRow,
    GateSaid,
    Head,
    Rest,
    Spent,
    call_rows,
    encode_rest,
    feedback_row,
    letters_of,
)
from .schema import ID_LENGTH
from .shadow_rows import ShadowRow, shadow_row

DEPTH_MAX: Final = 500
"""Deeper bodies could not be read back everywhere: readers of JSON stand on the stack."""

_Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH)]
_Text: TypeAlias = Annotated[str, Meta(min_length=1)]
_Whole: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
_Hash: TypeAlias = Annotated[str, Meta(min_length=1, max_length=HASH_LENGTH)]
_Variant: TypeAlias = Literal["baseline", "candidate"]
_Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1)]


_NULL: Final = Raw(b"null")


class _Details(Struct, omit_defaults=True):
    cached_tokens: _Count | None = None


class _Usage(Struct, omit_defaults=True):
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    prompt_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None


class _Unit(Struct):
    kind: Literal["user", "conversation", "call"]
    id: str


class _Error(Struct):
    type: str
    status: Annotated[int, Meta(ge=0, le=999)] | None = None
    code: str | None = None
    message: str = ""


class _Attempt(Struct):
    variant: _Variant
    model: str | None
    provider: str | None
    ok: bool
    duration_ms: float
    error: _Error | None = None
    usage: _Usage | UnsetType = UNSET


class _Checks(Struct):
    valid: bool | None = None
    refused: bool | None = None
    cut: bool | None = None


class _Call(Struct, tag_field="kind", tag="call"):
    v: Literal[1]
    id: _Key
    at: _Whole
    endpoint: Literal["chat.completions", "responses", "embeddings", "completions", "function"]
    request: Raw = _NULL
    response: Raw = _NULL
    dataset: _Key | None = None
    parent: _Key | None = None
    name: _Text | None = None
    unit: _Unit | None = None
    user_id: _Text | None = None
    conversation_id: _Text | None = None
    metadata: Raw = _NULL
    requested_model: _Text | None = None
    experiment: _Key | None = None
    assigned: _Variant | None = None
    served: _Variant | None = None
    share: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    bucket: Annotated[int, Meta(ge=0, le=9_999)] | None = None
    why: str | None = None
    config_version: _Whole | None = None
    attempts: list[_Attempt] | None = None
    stream: bool | None = None
    complete: bool | None = None
    duration_ms: float | None = None
    first_token_ms: float | None = None
    error: _Error | None = None
    provider_id: Annotated[str, Meta(max_length=ID_LENGTH)] | None = None
    truncated: list[str] | None = None
    media: list[dict[str, Raw]] | None = None
    sdk: str | None = None
    gate: GateSaid | None = None
    shadow_of: _Key | None = None
    bodies: bool | None = None
    checks: _Checks | None = None
    fingerprint: _Hash | None = None
    question: _Hash | None = None


class _Feedback(Struct, tag_field="kind", tag="feedback"):
    v: Literal[1]
    id: _Key
    at: _Whole
    call_id: _Key
    value: Annotated[float, Meta(ge=0, le=1)] | None = None
    label: Literal["success", "failure"] | None = None
    comment: _Text | None = None
    correction: Raw = _NULL
    by: _Text | None = None


class _Answer(Struct):
    usage: _Usage | None = None


_NO_TOKENS: Final = (None, None, None)
_decode: Final = msgspec.json.Decoder(_Call | _Feedback).decode
_usage: Final = msgspec.json.Decoder(_Answer).decode
_encode: Final = msgspec.json.Encoder().encode
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS: Final = bytes(set(range(256)) - set(_STEPS))


def read(line: bytes, received: int) -> tuple[Head, bytes] | FeedbackRow | ShadowRow:
    """Read a line into what is kept of it: a call's head and its packed body, a feedback, or a shadow.

    Args:
        line: With or without its newline.
        received: When it came in, milliseconds since 1970.

    Raises:
        RecordError: it is no record, or a part of it cannot be kept; the message names the part.
    """
    _check_depth(line)
    try:
        return _fast(line, received)
    except (msgspec.DecodeError, _CarefulError, UnicodeDecodeError, RecursionError):
        pass
    record = read_line(line)
    if not isinstance(record, CallRecord):
        return feedback_row(record, received)
    if record.shadow_of is None:
        return call_rows(record, received)
    if len(record.shadow_of) > ID_LENGTH or "\0" in record.shadow_of:
        raise RecordError(f"shadow_of: longer than {ID_LENGTH} characters, or with a NUL")
    return shadow_row(record.shadow_of, *call_rows(record, received))


class _CarefulError(Exception):
    """The line is one for the careful way."""


def _fast(line: bytes, received: int) -> tuple[Head, bytes] | FeedbackRow | ShadowRow:
    if not line.isascii():
        line.decode()  # what lies in a body unparsed must be UTF-8 too
    if b"\\u0000" in line:
        raise _CarefulError
    record = _decode(line)
    if isinstance(record, _Call):
        if record.shadow_of is not None:
            return shadow_row(record.shadow_of, _head(record, received), _pack(record))
        return _head(record, received), _pack(record)
    correction = bytes(record.correction).decode()
    return FeedbackRow(
        record.id, record.at, received, record.call_id, record.value, record.label,
        record.comment, None if correction == "null" else correction, record.by,
    )  # fmt: skip


def _head(call: _Call, received: int) -> Head:
    unit, error, checks = call.unit, call.error, call.checks
    metadata, first = call.metadata, bytes(call.metadata)[:2]
    if first in {b"nu", b"{}"}:
        metadata = NO_METADATA
    elif first[:1] != b"{":
        raise _CarefulError
    model = provider = None
    spent: list[Spent] | None = None
    for attempt in call.attempts or ():
        if attempt.ok:
            model, provider = attempt.model, attempt.provider
        if attempt.usage is not UNSET:
            counts = _counts(attempt.usage)
            if counts[0] is counts[1] is None:
                raise _CarefulError  # no usage
            if not attempt.ok:
                spent = [*(spent or ()), Spent(attempt.model, attempt.provider, *counts)]
    tokens = _tokens(bytes(call.response))
    rest = encode_rest(
        Rest(
            call.name, unit.kind if unit else None, unit.id if unit else None, call.user_id, call.conversation_id,
            metadata, provider, call.share, call.bucket, call.why or "", call.config_version,
            error.status if error else None, error.code if error else None, error.message if error else None,
            call.sdk or "", call.gate,
            letters_of(checks.valid, checks.refused, checks.cut) if checks else "",
            call.fingerprint, call.question, call.bodies is not False, spent,
        )
    )  # fmt: skip
    return Head(
        call.id, call.at, received, call.endpoint, call.dataset or "default", call.parent,
        call.requested_model, model, call.experiment, call.assigned, call.served,
        call.stream or False, call.complete is not False, call.duration_ms or 0.0, call.first_token_ms,
        error.type if error else None, call.provider_id, *tokens, rest,
    )  # fmt: skip


def _tokens(data: bytes) -> tuple[int | None, int | None, int | None]:
    if data[:1] != b"{" or b'"usage"' not in data:
        return _NO_TOKENS
    try:
        usage = _usage(data).usage
    except msgspec.DecodeError:
        raise _CarefulError from None
    return _NO_TOKENS if usage is None else _counts(usage)


def _counts(usage: _Usage) -> tuple[int | None, int | None, int | None]:
    details = usage.prompt_tokens_details or usage.input_tokens_details
    return (
        usage.input_tokens if usage.prompt_tokens is None else usage.prompt_tokens,
        usage.output_tokens if usage.completion_tokens is None else usage.completion_tokens,
        details.cached_tokens if details else None,
    )


def _pack(call: _Call) -> bytes:
    return b"".join(
        (
            b'{"request":',
            bytes(call.request),
            b',"response":',
            bytes(call.response),
            b',"attempts":',
            _encode(call.attempts or ()),
            b',"truncated":',
            _encode(call.truncated or ()),
            b',"media":',
            _encode(call.media or ()),
            b"}" if call.bodies is not False else LEFT_BEHIND,
        )
    )


def _check_depth(line: bytes) -> None:
    if line.count(b"[") + line.count(b"{") <= DEPTH_MAX:
        return
    brackets = _STRING.sub(b"", line).translate(None, _NO_BRACKETS)
    if brackets and max(accumulate(map(_STEPS.__getitem__, brackets))) > DEPTH_MAX:
        raise RecordError(f"not JSON: nested more than {DEPTH_MAX} deep")
