"""The way of a record into rows and back.

A record that was read is not yet one that can be kept: here every value is held against its column, so that
no line, whatever it holds, makes an insert fail and takes its neighbours with it.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from itertools import product
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from logos_shift_openai.core.checking import Checks
from logos_shift_openai.core.records import Attempt, CallRecord, FeedbackRecord, RecordError
from logos_shift_openai.core.usage import tokens_in

from .schema import ID_LENGTH

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

Row = dict[str, Any]
Chance: TypeAlias = Annotated[float, Meta(ge=0, le=1)]


class Head(Struct):
    """A call's head as it is inserted: the columns of `calls` in their order, without the score."""

    id: str
    at: int
    received: int
    endpoint: str
    dataset: str
    parent: str | None
    requested_model: str | None
    served_model: str | None
    experiment: str | None
    assigned: str | None
    served: str | None
    stream: bool
    complete: bool
    duration_ms: float
    first_token_ms: float | None
    error_type: str | None
    provider_id: str | None
    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int | None
    rest: bytes


_NOTHING: Final = b"{}"
NO_METADATA: Final = Raw(_NOTHING)


class GateSaid(Struct, omit_defaults=True):
    """What a candidate's confidence gate said of its answer; see `core.records.CallRecord`."""

    passed: bool
    sequence: Chance | None = None
    mean: Chance | None = None
    least: Chance | None = None
    model: str | None = None
    provider: str | None = None
    usage: dict[str, int] | None = None


class Spent(Struct, omit_defaults=True):
    """What an attempt used that failed all the same: whose, and the tokens as in a head."""

    model: str | None
    provider: str | None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None


class Rest(Struct, omit_defaults=True):
    """What of a head nobody filters or counts by: one JSON text, which takes a fifth of the columns it stands for."""

    name: str | None = None
    unit_kind: str | None = None
    unit_id: str | None = None
    user_id: str | None = None
    conversation_id: str | None = None
    metadata: Raw = NO_METADATA
    served_provider: str | None = None
    share: int | None = None
    bucket: int | None = None
    why: str = ""
    config_version: int | None = None
    error_status: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    sdk: str = ""
    gate: GateSaid | None = None
    checks: str = ""  # as `letters_of` writes them
    fingerprint: str | None = None
    question: str | None = None
    bodies: bool = True  # false where its client left them behind
    spent: list[Spent] | None = None  # by the attempts that failed


class FeedbackRow(Struct):
    """A feedback as it is inserted: the columns of `feedback` in their order."""

    id: str
    at: int
    received: int
    call_id: str
    value: float | None
    label: str | None
    comment: str | None
    correction: str | None
    by: str | None


_WHOLE_MAX: Final = 2**53  # whole numbers that every reader of JSON holds exactly
_INTEGER_MAX: Final = 2**31 - 1
_DIGITS_MAX: Final = 4_000  # Python reads no longer whole numbers
_STATUSES: Final = range(1000)
NO_BODIES: Final = b'{"request":null,"response":null,"attempts":[],"truncated":[],"media":[]}'
LEFT_BEHIND: Final = b',"bodies":false}'
"""How a pack ends whose bodies its client left behind."""

_encode: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_TEXTS: Final = ("parent", "requested_model", "experiment", "provider_id")
_AS_IT_IS: Final = ("endpoint", "assigned", "served", "duration_ms", "first_token_ms")
_HEAD: Final = (
    *("id", "at", "endpoint", "dataset", "parent", "name", "unit", "user_id", "conversation_id", "metadata"),
    *("requested_model", "served_model", "served_provider", "experiment", "assigned", "served", "share"),
    *("bucket", "why", "config_version", "stream", "complete", "duration_ms", "first_token_ms", "error"),
    *("provider_id", "tokens_in", "tokens_out", "tokens_cached", "sdk", "fingerprint", "question"),
)
_IN_ROW: Final = tuple(name for name in _HEAD if name in Head.__struct_fields__)
_IN_REST: Final = tuple(name for name in _HEAD if name in Rest.__struct_fields__)
_SOURCES: Final = (*_IN_ROW, *_IN_REST)
# A head is put together for each line of an export; so without a step of Python for each of its values.
_from_row: Final = itemgetter(*_IN_ROW)
_from_rest: Final = attrgetter(*_IN_REST)
_in_order: Final = itemgetter(*(_SOURCES.index(name) if name in _SOURCES else len(_SOURCES) for name in _HEAD))
encode_rest: Final = msgspec.json.Encoder().encode
_decode_rest: Final = msgspec.json.Decoder(Rest).decode
_TOKENS: Final = {
    "tokens_in": ("prompt_tokens", "input_tokens"),
    "tokens_out": ("completion_tokens", "output_tokens"),
}


def call_rows(call: CallRecord, received: int) -> tuple[Head, bytes]:
    """Make what is kept of a call: its head, and its bodies packed into one JSON text.

    Args:
        call: The record.
        received: When it came in, milliseconds since 1970.

    Raises:
        RecordError: a part of it cannot be kept; the message names it.
    """
    head: Row = {name: getattr(call, name) for name in _AS_IT_IS}
    head.update({name: _text(name, getattr(call, name)) for name in _TEXTS})
    last = next((attempt for attempt in reversed(call.attempts) if attempt.ok), None)
    head.update(_tokens(call))
    head.update(
        id=_text("id", call.id),
        at=_whole("at", call.at),
        received=received,
        dataset=_text("dataset", call.dataset),
        served_model=_text("attempts.model", last and last.model),
        error_type=_text("error.type", call.error and call.error.type),
        stream=_flag("stream", call.stream),
        complete=_flag("complete", call.complete),
        rest=encode_rest(_rest(call, last)),
    )
    parts = (
        *("request", call.request, "response", call.response or b"null"),
        *("attempts", _json("attempts", [_attempt(attempt) for attempt in call.attempts]).encode()),
        *("truncated", _json("truncated", call.truncated).encode(), "media", _json("media", call.media).encode()),
    )
    pack = b'{"%s":%s,"%s":%s,"%s":%s,"%s":%s,"%s":%s%s' % (
        *(part.encode() if isinstance(part, str) else part for part in parts),
        b"}" if call.bodies else LEFT_BEHIND,
    )
    return Head(**head), pack


def feedback_row(feedback: FeedbackRecord, received: int) -> FeedbackRow:
    """Make the row of a feedback.

    Raises:
        RecordError: a part of it cannot be kept; the message names it.
    """
    return FeedbackRow(
        id=_text("id", feedback.id) or "",
        at=_whole("at", feedback.at) or 0,
        received=received,
        call_id=_text("call_id", feedback.call_id) or "",
        value=feedback.value,
        label=feedback.label,
        comment=_text("comment", feedback.comment),
        correction=None if feedback.correction is None else _json("correction", feedback.correction),
        by=_text("by", feedback.by),
    )


def head_of(row: RowMapping | Row, packed: bytes) -> Row:
    """Give a call's head as it stood in its record, without the parts that lie with the bodies.

    `bodies` is in it, and False, where the client left them behind as sampling asked it to.

    Args:
        row: Its columns.
        packed: Its `rest`, unpacked.
    """
    rest = _decode_rest(packed)
    values = (*_from_row(row), *_from_rest(rest), None)
    head: Row = dict(zip(_HEAD, _in_order(values), strict=True))
    metadata = bytes(rest.metadata)
    head["metadata"] = {} if metadata == _NOTHING else values_of(metadata)
    if rest.unit_kind is not None:
        head["unit"] = {"kind": rest.unit_kind, "id": rest.unit_id}
    head["checks"] = checks_in(rest.checks).known()
    if row["error_type"] is not None:
        said = {part: getattr(rest, f"error_{part}") for part in ("status", "code", "message")}
        head["error"] = {"type": row["error_type"], **said}
    if not rest.bodies:
        head["bodies"] = False
    if rest.gate is not None:
        head["gate"] = msgspec.to_builtins(rest.gate)
    if rest.spent is not None:
        head["spent"] = msgspec.to_builtins(rest.spent)
    return head


def bodies_of(pack: bytes) -> Row:
    """Give what lies apart from a call's head, read back into values; what JSON cannot say is null."""
    found = values_of(pack)
    bodies = {name: found.get(name) for name in ("attempts", "request", "response", "truncated", "media")}
    return bodies if found.get("bodies", True) else {**bodies, "response": None, "bodies": False}


def values_of(text: bytes) -> Any:
    """Read JSON into values; what JSON cannot say is null."""
    return _reader.decode(text.decode("utf-8", "surrogatepass"))


def letters_of(valid: bool | None, refused: bool | None, cut: bool | None) -> str:
    """Write checks in few bytes: the first letter of each that is known, a capital where it is true."""
    return _LETTERS[valid, refused, cut]


_LETTERS: Final = {
    found: "".join(
        name[0].upper() if value else name[0]
        for name, value in zip(Checks._fields, found, strict=True)
        if value is not None
    )
    for found in product((None, False, True), repeat=len(Checks._fields))
}


def checks_in(letters: str) -> Checks:
    """Read what `letters_of` wrote."""
    return Checks(*(True if one.upper() in letters else False if one in letters else None for one in "vrc"))


def feedback_of(row: RowMapping) -> Row:
    """Give a feedback as it stood in its record."""
    said = {name: row[name] for name in ("id", "at", "call_id", "value", "label", "comment")}
    return {**said, "correction": row["correction"] and json.loads(row["correction"]), "by": row["by"]}


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _integer(text: str) -> int | None:
    return int(text) if len(text) <= _DIGITS_MAX else None


_reader: Final = json.JSONDecoder(parse_constant=lambda _name: None, parse_float=_finite, parse_int=_integer)


def _rest(call: CallRecord, last: Attempt | None) -> Rest:
    """Make what is kept of a head in one text; `last` is the attempt that went well."""
    unit, error = call.unit, call.error
    status = error.status if error else None
    if status is not None and (isinstance(status, bool) or status not in _STATUSES):
        raise RecordError(f"error.status: {_shown(status)} is no HTTP status")
    return Rest(
        name=_text("name", call.name),
        user_id=_text("user_id", call.user_id),
        conversation_id=_text("conversation_id", call.conversation_id),
        why=_text("why", call.why) or "",
        sdk=_text("sdk", call.sdk) or "",
        unit_kind=_one_of("unit.kind", unit and unit.kind, ("user", "conversation", "call")),
        unit_id=_text("unit.id", unit and unit.id),
        metadata=Raw(_json("metadata", call.metadata).encode()) if call.metadata else NO_METADATA,
        served_provider=_text("attempts.provider", last and last.provider),
        share=call.share,
        bucket=call.bucket,
        config_version=_whole("config_version", call.config_version),
        error_status=status,
        error_code=_text("error.code", error and error.code),
        error_message=_text("error.message", error and error.message),
        gate=None if call.gate is None else _gate(call.gate),
        checks=letters_of(*(call.checks.get(name) for name in Checks._fields)),
        fingerprint=_text("fingerprint", call.fingerprint),
        question=_text("question", call.question),
        bodies=call.bodies,
        spent=[
            Spent(_text("attempts.model", one.model), _text("attempts.provider", one.provider), *tokens_in(one.usage))
            for one in call.attempts
            if one.usage and not one.ok
        ]
        or None,
    )


def _gate(said: Any) -> GateSaid:
    try:
        return msgspec.convert(said, GateSaid)
    except msgspec.ValidationError as error:
        raise RecordError(f"gate: {error}") from None


def _attempt(attempt: Attempt) -> Row:
    row = {name: getattr(attempt, name) for name in ("variant", "model", "provider", "ok", "duration_ms")}
    row["error"] = attempt.error and asdict(attempt.error)
    return row if attempt.usage is None else {**row, "usage": attempt.usage}


def _tokens(call: CallRecord) -> Row:
    """Read the usage out of the answer; what is not there, or no count, is null."""
    tokens: Row = dict.fromkeys(("tokens_in", "tokens_out", "tokens_cached"))
    if call.response is None or b'"usage"' not in call.response:
        return tokens
    answer = json.loads(call.response)
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return tokens
    for column, names in _TOKENS.items():
        counts = (_count(usage.get(name)) for name in names)
        tokens[column] = next((count for count in counts if count is not None), None)
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    if isinstance(details, dict):
        tokens["tokens_cached"] = _count(details.get("cached_tokens"))
    return tokens


def _count(value: object) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _INTEGER_MAX
    return value if fits and isinstance(value, int) else None


def _text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise RecordError(f"{name}: {_shown(value)} is not a text")
    if name in _INDEXED and len(value) > ID_LENGTH:
        raise RecordError(f"{name}: longer than {ID_LENGTH} characters")
    if value.isascii() and "\0" not in value:
        return value
    # Neither engine keeps a lone surrogate, and PostgreSQL no NUL; both stand for a character that was lost.
    return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


_INDEXED: Final = frozenset({"id", "call_id", "parent", "dataset", "experiment", "provider_id"})


def _whole(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _WHOLE_MAX:
        raise RecordError(f"{name}: {_shown(value)} is not a whole number in 0..2^53")
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise RecordError(f"{name}: {_shown(value)} is neither true nor false")
    return value


def _one_of(name: str, value: object, choices: tuple[str, ...]) -> str | None:
    if value is not None and value not in choices:
        raise RecordError(f"{name}: {_shown(value)} is not one of {', '.join(choices)}")
    return value if isinstance(value, str) else None


def _json(name: str, value: object) -> str:
    try:
        return _encode(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise RecordError(f"{name}: {error}") from None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - as core.strict shows values
