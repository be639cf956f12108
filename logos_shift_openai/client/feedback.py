"""Feedback: what somebody says of an answer, from any process that has its id; it may come before the call itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from logos_shift_openai.core.ids import unix_ms
from logos_shift_openai.core.records import FeedbackRecord
from logos_shift_openai.errors import FeedbackError

from .call import encode
from .endpoints import new_id
from .guard import guarded

if TYPE_CHECKING:
    from .runtime import Runtime

Value: TypeAlias = Literal["success", "failure"] | bool | float | None


def id_of(answer: object) -> str | None:
    """Read the id of a call off whatever the SDK gave back: an answer, a stream, a chunk, a raw response, an error.

    The stream helper's own stream and its events have it too. A text is taken for an id. None when there is no id.
    """
    if isinstance(answer, str):
        return answer or None
    for holder in (answer, getattr(answer, "_raw_stream", None), getattr(answer, "chunk", None)):
        try:
            found = object.__getattribute__(holder, "logos_shift_id")
        except AttributeError:
            continue
        if isinstance(found, str):
            return found
    return None


def record(
    runtime: Runtime, call: object, value: Value, *, comment: str | None, correction: Any, by: str | None
) -> str:
    """Record a feedback; gives the feedback's own id.

    Args:
        runtime: Where it is recorded.
        call: The answer, its `logos_shift_id`, or the provider's own id of it.
        value: "success" or "failure", a bool, or a number in [0, 1].
        comment: Free text.
        correction: The right answer: a text, or any JSON value.
        by: Who says it.

    Raises:
        FeedbackError: there is no id, nothing is said, or the value is out of range.
    """
    call_id = id_of(call)
    if call_id is None:
        raise FeedbackError(f"feedback: {type(call).__name__} carries no id of a call")
    number, label = _read(value)
    if number is None and comment is None and correction is None:
        raise FeedbackError("feedback: give a value, a comment or a correction")
    said_id = new_id()
    said = FeedbackRecord(said_id, unix_ms(said_id), call_id, number, label, comment, correction, by)
    guarded(runtime, _hand_over, runtime, said)
    return said_id


def _hand_over(runtime: Runtime, said: FeedbackRecord) -> None:
    if not runtime.started:
        runtime.start()
    runtime.recorder.put(said, 512 + len(encode([said.comment, said.correction])))


def _read(value: Value) -> tuple[float | None, Literal["success", "failure"] | None]:
    if value is None:
        return None, None
    if value == "success" or value is True:
        return 1.0, "success"
    if value == "failure" or value is False:
        return 0.0, "failure"
    if isinstance(value, str) or not isinstance(value, (int, float)) or not math.isfinite(value) or not 0 <= value <= 1:
        raise FeedbackError(f"feedback: {value!r} is neither 'success', 'failure', a bool nor a number in [0, 1]")
    return float(value), None
