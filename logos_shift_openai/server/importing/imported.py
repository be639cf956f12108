"""One imported call, and its lines of wire format 1, cleaned as a client of ours would have cleaned it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.core.ids import ENTROPY_BYTES, uuid7
from logos_shift_openai.core.records import Attempt, CallError, CallRecord, FeedbackRecord, call_line, feedback_line
from logos_shift_openai.core.redaction import Redaction, clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LIMIT: Final = 2**20
_MS: Final = 1_000
_SECONDS_MAX: Final = 1e11  # what is larger counts in milliseconds


class NotImportableError(ValueError):
    """An entry that is no call of a model; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Said:
    """A feedback that came with a call.

    Args:
        value: Success in [0, 1].
    """

    value: float | None = None
    comment: str | None = None
    correction: Any = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """A call as a source has it, in the API's own words.

    Args:
        source_id: What the source calls it; a text that is its own alone there.
        at: When it began, milliseconds since 1970.
        request: The body of a chat completion's request.
        message: The answer's message; None where there was none.
        model: The model that answered.
        duration_ms: From the call to its end.
        first_token_ms: To the first token.
        usage: `prompt_tokens` and `completion_tokens`, as far as they are known.
        error: The error's text.
    """

    source_id: str
    at: int
    request: dict[str, Any]
    message: dict[str, Any] | None
    model: str | None = None
    finish_reason: str | None = None
    duration_ms: float = 0.0
    first_token_ms: float | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    user_id: str | None = None
    conversation_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    said: tuple[Said, ...] = ()


def lines_of(one: Imported, source: str, dataset: str, redaction: Redaction) -> Iterator[bytes]:
    """Write a call and what was said of it.

    Args:
        one: The call.
        source: Name of the source; it is part of the id, so that two sources never share one.
        dataset: Where it goes.
        redaction: What is taken out of its bodies.

    Raises:
        Unclean: a body cannot be cleaned for sure.
        ValueError: something in it cannot be said in JSON.
    """
    call_id = _id(one.at, f"{source}\0{one.source_id}")
    request = clean(_json(one.request), root="request", redaction=redaction, limit=_LIMIT)
    response = clean(_json(_answer(one)), root="response", redaction=redaction, limit=_LIMIT)
    metadata = json.loads(clean(_json(dict(one.metadata)), root="metadata", redaction=redaction, limit=_LIMIT).body)
    error = None
    if one.error is not None:
        message = json.loads(clean(_json(one.error), root="error", redaction=redaction, limit=_LIMIT).body)
        error = CallError("ImportedError", message=message)
    requested = one.request.get("model")
    record = CallRecord(
        id=call_id,
        at=one.at,
        endpoint="chat.completions",
        request=request.body,
        response=None if one.message is None else response.body,
        dataset=dataset,
        user_id=one.user_id or None,
        conversation_id=one.conversation_id or None,
        metadata=metadata,
        requested_model=requested if isinstance(requested, str) and requested else None,
        why=f"imported from {source}",
        attempts=(Attempt("baseline", one.model, None, error is None, one.duration_ms),),
        complete=one.message is not None and error is None,
        duration_ms=one.duration_ms,
        first_token_ms=one.first_token_ms,
        error=error,
        provider_id=one.source_id,
        truncated=request.truncated + response.truncated,
        sdk=f"import/{source}",
    )
    yield call_line(record)
    for number, said in enumerate(one.said):
        text = {"comment": said.comment, "correction": said.correction}
        cleaned = json.loads(clean(_json(text), root="feedback", redaction=redaction, limit=_LIMIT).body)
        feedback = FeedbackRecord(
            id=_id(one.at, f"{source}\0{one.source_id}\0{number}"),
            at=one.at,
            call_id=call_id,
            value=said.value,
            by=said.by,
        )
        yield feedback_line(replace(feedback, **cleaned))


def _answer(one: Imported) -> dict[str, Any]:
    """Give the answer as the API would have."""
    message = {"role": "assistant", "content": None, **(one.message or {})}
    finish = one.finish_reason or ("tool_calls" if message.get("tool_calls") else "stop")
    answer: dict[str, Any] = {
        "id": one.source_id,
        "object": "chat.completion",
        "created": one.at // _MS,
        "model": one.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
    }
    if one.usage:
        answer["usage"] = {**one.usage, "total_tokens": sum(one.usage.values())}
    return answer


def _id(at: int, name: str) -> str:
    """Make an id that the same entry always gets, and that sorts by the call's time like all others."""
    return uuid7(at, sha256(name.encode("utf-8", "surrogatepass")).digest()[:ENTROPY_BYTES])


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def moment(value: Any, name: str) -> int:
    """Read a time: seconds or milliseconds since 1970, or ISO 8601 (UTC where no zone stands).

    Returns:
        Milliseconds since 1970.

    Raises:
        NotImportableError: it is none; the message has the name.
    """
    found: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        found = value if value > _SECONDS_MAX else value * _MS
    elif isinstance(value, str):
        text = value.strip().replace("Z", "+00:00")
        try:
            then = datetime.fromisoformat(_padded(text))
            found = (then if then.tzinfo else then.replace(tzinfo=timezone.utc)).timestamp() * _MS
        except ValueError:
            found = None
    if found is None or not 0 < found < 2**47:
        raise NotImportableError(f"{name}: {value!r} is no time")
    return round(found)


def _padded(text: str) -> str:
    """Give the fraction of a second the six digits that older Pythons insist on."""
    head, dot, tail = text.partition(".")
    if not dot:
        return text
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[:digits][:6].ljust(6, '0')}{tail[digits:]}"


def duration(start: int, end: Any) -> float:
    """Give the milliseconds from a start to an end that may not be known, 0 then."""
    try:
        return max(0.0, float(moment(end, "end") - start))
    except NotImportableError:
        return 0.0


def text_of(value: Any) -> str | None:
    """Give a text that is not empty, None for everything else."""
    return value if isinstance(value, str) and value else None


def count_of(value: Any) -> int | None:
    """Give a count, None for everything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def usage_of(tokens_in: Any, tokens_out: Any) -> dict[str, int]:
    """Give the usage as far as it is counts."""
    found = {"prompt_tokens": count_of(tokens_in), "completion_tokens": count_of(tokens_out)}
    return {name: count for name, count in found.items() if count is not None}
