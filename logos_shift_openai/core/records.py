"""Records: what leaves the process, a line of JSON each (wire format 1).

A line is made by `call_line` or `feedback_line` and read back by `read_line`; both bodies of a call
are spliced in as they are, so the hot path never parses them. Readers ignore keys they do not know
and take a missing optional key for null, so that old spools and old servers go on working.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from .checking import Checks
from .usage import counts_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WIRE_VERSION: Final = 1
HASH_LENGTH: Final = 64
"""Longest text of a hash in a record, in characters."""

Variant = Literal["baseline", "candidate"]
UnitKind = Literal["user", "conversation", "call"]
JSON = Any  # a JSON value: the free-form parts of a record have no narrower type

ENDPOINTS: Final = frozenset({"chat.completions", "responses", "embeddings", "completions", "function"})


class RecordError(ValueError):
    """A line that is no record of wire format 1; the message names the part at fault."""


@dataclass(frozen=True, slots=True)
class CallError:
    """How an attempt or a call failed: the exception's name, and what the API said of it."""

    type: str
    status: int | None = None
    code: str | None = None
    message: str = ""


@dataclass(slots=True)  # not frozen, which would double the time to make one in the caller's thread
class Attempt:
    """One try at one model.

    Args:
        duration_ms: Wall time of the try, in milliseconds.
        usage: Of a try that failed, what it used all the same, where it said so (see `core.usage`). Not of one that a
            confidence gate held back: that stands in the call's `gate`.
    """

    variant: Variant
    model: str | None
    provider: str | None
    ok: bool
    duration_ms: float
    error: CallError | None = None
    usage: Mapping[str, JSON] | None = None


class Unit(NamedTuple):
    """What was bucketed, and by which of its names."""

    kind: UnitKind
    id: str


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call and its end. `request` and `response` are JSON texts in UTF-8.

    Args:
        at: Start of the call, milliseconds since 1970.
        share: The candidate's part when the call was routed, in basis points (0 to 10,000).
        bucket: Where the hash put the unit, 0 to 9,999.
        duration_ms: From the caller's call to its end, milliseconds.
        first_token_ms: The same to the first bytes of a stream.
        gate: Where the candidate has a confidence gate: whether its answer `passed`, how sure it was (`sequence`,
            `mean`, `least`, probabilities), and of an answer that was held back its `model`, `provider` and `usage`.
        shadow_of: Id of the call that this one mirrors to the candidate; nobody got its answer.
        bodies: False where the config asked to leave the bodies behind; of the answer its usage alone is kept then.
        checks: What is known of the answer: `valid`, `refused`, `cut` (see `core.checking`).
        fingerprint: Hash of what the program says in each of its calls (see `core.fingerprint`).
        question: Hash of all that was asked, made with a key and the unit, so that it speaks of one unit only.
    """

    id: str
    at: int
    endpoint: str
    request: bytes
    response: bytes | None = None
    dataset: str = "default"
    parent: str | None = None
    name: str | None = None
    unit: Unit | None = None
    user_id: str | None = None
    conversation_id: str | None = None
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    requested_model: str | None = None
    experiment: str | None = None
    assigned: Variant | None = None
    served: Variant | None = None
    share: int | None = None
    bucket: int | None = None
    why: str = ""
    config_version: int | None = None
    attempts: tuple[Attempt, ...] = ()
    stream: bool = False
    complete: bool = True
    duration_ms: float = 0.0
    first_token_ms: float | None = None
    error: CallError | None = None
    provider_id: str | None = None
    truncated: tuple[str, ...] = ()
    media: tuple[Mapping[str, JSON], ...] = ()
    sdk: str = ""
    gate: Mapping[str, JSON] | None = None
    shadow_of: str | None = None
    bodies: bool = True
    checks: Mapping[str, bool] = field(default_factory=dict)
    fingerprint: str | None = None
    question: str | None = None


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """What somebody said of a call.

    Args:
        at: Milliseconds since 1970.
        call_id: Our id of the call, or the provider's own id of the answer.
        value: Success in [0, 1], where one was given.
        correction: The right answer: a text, or any JSON value.
        by: Who said it, free text.
    """

    id: str
    at: int
    call_id: str
    value: float | None = None
    label: Literal["success", "failure"] | None = None
    comment: str | None = None
    correction: JSON = None
    by: str | None = None


_HEAD_FIELDS: Final = tuple(
    name for name in CallRecord.__dataclass_fields__ if name not in {"request", "response", "bodies"}
)
_ATTEMPT_FIELDS: Final = tuple(name for name in Attempt.__dataclass_fields__ if name != "usage")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def write_json(head: dict[str, JSON]) -> bytes:
    """Write a JSON object in UTF-8; half letters, which UTF-8 has none for, become question marks.

    Raises:
        ValueError: it holds something that JSON cannot say.
    """
    return _encode(head).encode("utf-8", "replace")


def call_line(call: CallRecord, write: Callable[[dict[str, JSON]], bytes] = write_json) -> bytes:
    """Write a call as one line, newline included.

    Args:
        call: The call.
        write: Writes a JSON object without spaces and line ends, as a quicker writer than the standard library's does.

    Raises:
        ValueError: metadata holds something that JSON cannot say.
    """
    head: dict[str, JSON] = {"v": WIRE_VERSION, "kind": "call"}
    head |= {
        name: value
        for name, value in zip(_HEAD_FIELDS, _head_of(call), strict=True)
        if value or (value is not None and value.__class__ not in _MANY)
    }
    if call.unit is not None:
        head["unit"] = {"kind": call.unit.kind, "id": call.unit.id}
    if call.error is not None:
        head["error"] = asdict(call.error)
    if not call.bodies:
        head["bodies"] = False
    if call.attempts:
        head["attempts"] = [_attempt(one) for one in call.attempts]
    return b"".join(
        (write(head)[:-1], b',"request":', call.request or b"null", b',"response":', call.response or b"null", b"}\n")
    )


_MANY: Final = (tuple, dict)
_head_of: Final = attrgetter(*_HEAD_FIELDS)


def _attempt(one: Attempt) -> dict[str, JSON]:
    """Do as `asdict` does, which takes longer than all the rest of a line."""
    said: dict[str, JSON] = {name: getattr(one, name) for name in _ATTEMPT_FIELDS}
    said["error"] = None if one.error is None else asdict(one.error)
    if one.usage is not None:
        said["usage"] = one.usage
    return said


def feedback_line(feedback: FeedbackRecord) -> bytes:
    """Write a feedback as one line, newline included.

    Raises:
        ValueError: the correction holds something that JSON cannot say.
    """
    said = {key: value for key, value in asdict(feedback).items() if value is not None}
    return _encode({"v": WIRE_VERSION, "kind": "feedback", **said}).encode("utf-8", "replace") + b"\n"


def read_line(line: bytes) -> CallRecord | FeedbackRecord:
    """Read one line back.

    Raises:
        RecordError: it is not a record of wire format 1; the message says which part and why.
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise RecordError(f"a record is a JSON object, not {type(data).__name__}")
    if data.get("v") != WIRE_VERSION:
        raise RecordError(f"v: {data.get('v')!r} is not a wire version known here ({WIRE_VERSION})")
    kind = data.get("kind")
    if kind == "call":
        return _read_call(data)
    if kind == "feedback":
        return _read_feedback(data)
    raise RecordError(f"kind: {kind!r} is neither 'call' nor 'feedback'")


def _read_call(data: dict[str, JSON]) -> CallRecord:  # noqa: C901, PLR0912 - one rule a field
    known = {name: data[name] for name in CallRecord.__dataclass_fields__ if data.get(name) is not None}
    call_id = _text(data, "id", required=True)
    endpoint = _text(data, "endpoint", required=True)
    if endpoint not in ENDPOINTS:
        raise RecordError(f"endpoint: {endpoint!r} is not one of {', '.join(sorted(ENDPOINTS))}")
    known["at"] = _whole(data, "at")
    for name in (
        "dataset",
        "parent",
        "name",
        "user_id",
        "conversation_id",
        "requested_model",
        "experiment",
        "shadow_of",
    ):
        _text(data, name)
    for name in ("assigned", "served"):
        if data.get(name) not in (None, "baseline", "candidate"):
            raise RecordError(f"{name}: {data[name]!r} is neither 'baseline' nor 'candidate'")
    for name in ("duration_ms", "first_token_ms"):
        _number(data, name)
    for name, size in (("share", 10_000), ("bucket", 9_999)):
        if name in known and not 0 <= _whole(data, name) <= size:
            raise RecordError(f"{name}: {data[name]!r} is not in 0..{size}")
    for name in ("metadata", "gate"):
        if not isinstance(data.get(name) or {}, dict):
            raise RecordError(f"{name}: not an object")
    if not isinstance(known.get("bodies", True), bool):
        raise RecordError(f"bodies: {data['bodies']!r} is neither true nor false")
    known.update(_noted(data))
    known["id"] = call_id
    known["request"] = _body(data.get("request")) or b"null"
    known["response"] = _body(data.get("response"))
    try:
        if "unit" in known:
            known["unit"] = Unit(kind=data["unit"]["kind"], id=data["unit"]["id"])
        if "error" in known:
            known["error"] = _error(data["error"])
        known["attempts"] = tuple(
            Attempt(
                **{
                    **_only(Attempt, one),
                    "error": one.get("error") and _error(one["error"]),
                    "usage": counts_in(one.get("usage")),
                }
            )
            for one in data.get("attempts") or ()
        )
        known["truncated"] = tuple(data.get("truncated") or ())
        known["media"] = tuple(data.get("media") or ())
    except (TypeError, KeyError, AttributeError) as error:
        raise RecordError(f"unit, error or attempts: {error!r}") from None
    return CallRecord(**known)


def _read_feedback(data: dict[str, JSON]) -> FeedbackRecord:
    value = _number(data, "value")
    if value is not None and not 0 <= value <= 1:
        raise RecordError(f"value: {value!r} is not in [0, 1]")
    if data.get("label") not in (None, "success", "failure"):
        raise RecordError(f"label: {data['label']!r} is neither 'success' nor 'failure'")
    return FeedbackRecord(
        id=_text(data, "id", required=True) or "",
        at=_whole(data, "at"),
        call_id=_text(data, "call_id", required=True) or "",
        value=value,
        label=data.get("label"),
        comment=_text(data, "comment"),
        correction=data.get("correction"),
        by=_text(data, "by"),
    )


def _error(data: dict[str, JSON]) -> CallError:
    return CallError(**_only(CallError, data))


def _noted(data: dict[str, JSON]) -> dict[str, JSON]:
    """Read what the client worked out; what else a later one may know of an answer is passed over."""
    noted: dict[str, JSON] = {}
    for name in ("fingerprint", "question"):
        found = _text(data, name)
        if found is not None:
            if len(found) > HASH_LENGTH:
                raise RecordError(f"{name}: longer than {HASH_LENGTH} characters")
            noted[name] = found
    checks = data.get("checks")
    if checks is not None:
        if not isinstance(checks, dict):
            raise RecordError("checks: not an object")
        noted["checks"] = {name: checks[name] for name in Checks._fields if checks.get(name) is not None}
        for name, value in noted["checks"].items():
            if not isinstance(value, bool):
                raise RecordError(f"checks.{name}: {value!r} is neither true nor false")
    return noted


def _only(of: type[Attempt | CallError], data: dict[str, JSON]) -> dict[str, JSON]:
    return {name: data[name] for name in of.__dataclass_fields__ if name in data}


def _body(value: JSON) -> bytes | None:
    return (
        None
        if value is None
        else json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    )


def _text(data: dict[str, JSON], name: str, *, required: bool = False) -> str | None:
    value = data.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value:
        raise RecordError(f"{name}: {value!r} is not a text")
    return value


def _whole(data: dict[str, JSON], name: str) -> int:
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RecordError(f"{name}: {value!r} is not a whole number")
    return value


def _number(data: dict[str, JSON], name: str) -> float | None:
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RecordError(f"{name}: {value!r} is not a finite number")
    return float(value)
