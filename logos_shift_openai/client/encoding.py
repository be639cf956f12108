"""From a call that has ended to its line in the spool, on our own thread: fold, redact, cap, write.

Redaction fails closed: what cannot be cleaned for sure is not recorded, and counted. Never in a record: headers, keys,
the client's configuration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import openai
from pydantic_core import to_json

from logos_shift_openai.core.body_sampling import keeps_bodies, usage_alone
from logos_shift_openai.core.config import Sampling
from logos_shift_openai.core.folding import fold
from logos_shift_openai.core.ids import unix_ms
from logos_shift_openai.core.records import (
    Attempt,
    CallError,
    CallRecord,
    FeedbackRecord,
    call_line,
    feedback_line,
    write_json,
)
from logos_shift_openai.core.redaction import Cleaned, Redaction, clean
from logos_shift_openai.core.routing import Route
from logos_shift_openai.core.usage import counts_in
from logos_shift_openai.version import __version__

from .noting import note

if TYPE_CHECKING:
    from .call import Call

SDK = f"openai/{openai.__version__} logos_shift_openai/{__version__}"
_HEAD_BYTES = 4_096
_LEADING_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*"([^"\\]{1,200})"')
_VECTOR = re.compile(rb'"embedding"\s*:')

Redact = Callable[[dict[str, Any]], "dict[str, Any] | None"]


class RefusedRecord(Exception):  # noqa: N818 - no error of the program: somebody's redaction said no
    """The caller's own redaction wants nothing kept of a record."""


@dataclass(frozen=True)
class Encoder:
    """Makes lines of calls and feedback.

    Args:
        redaction: The rules in force.
        redact: The caller's own redaction: gets `{"request", "response", "metadata"}`, gives what to keep of them, or
            None to record nothing. An exception in it drops the record, never the call.
        limit: Longest record, in bytes; what is longer is cut visibly.
        sampling: Of the config in force; calls whose bodies it leaves behind keep their head and usage.
        key: What questions are hashed with (`noting.key_of`).
        count: Hears "truncated" of a record that was cut, and "redaction_failed" of one that could not be cleaned.
    """

    redaction: Redaction
    redact: Redact | None
    limit: int
    sampling: Sampling = field(default_factory=Sampling)
    key: bytes = b""
    count: Callable[[str], object] = str  # which forgets it

    def __call__(self, item: Call | FeedbackRecord) -> bytes:
        """Write one line.

        Raises:
            Exception: whatever keeps it from being cleaned or written; the recorder drops and counts it.
        """
        return self._feedback(item) if isinstance(item, FeedbackRecord) else self._call(item)

    def _feedback(self, item: FeedbackRecord) -> bytes:
        said = {"comment": item.comment, "correction": item.correction}
        cleaned = json.loads(self._clean(encode(said), "feedback", self.limit).body)
        return feedback_line(replace(item, comment=cleaned["comment"], correction=cleaned["correction"]))

    def _call(self, call: Call) -> bytes:
        request = call.request or b"null"
        response, complete, provider_id, error = _answer(call)
        call.complete = complete and error is None  # of a stream it is known only now, and the mirror asks
        metadata: Mapping[str, Any] = call.context.metadata
        noted = note(
            call.endpoint, request, response,
            failed=error is not None, complete=complete, unit=call.route.unit, key=self.key,
        )  # fmt: skip
        if self.redact is not None:
            request, response, metadata = self._by_caller(self.redact, request, response, metadata)
        if call.shadow_of is not None:
            request = b"null"  # it is in the record of the call that was mirrored
        bodies = call.shadow_of is not None or keeps_bodies(self.sampling, call.dataset, call.id, call.context.parent)
        if not bodies:
            request, response = b"null", None if call.endpoint == "function" else usage_alone(response)
        room = max(self.limit - _HEAD_BYTES, 1_024)
        whole = len(request) + len(response or b"") <= room
        asked = self._clean(request, "request", None if whole else room // 2)
        answered = self._clean(response, "response", None if whole else room // 2) if response is not None else None
        if metadata:
            metadata = json.loads(self._clean(encode(metadata), "metadata", room // 2).body)
        attempts = tuple(
            Attempt(variant, model, provider, failed is None, seconds * 1e3, failed and self._cleaned(failed))
            for variant, model, provider, seconds, failed in call.attempts
        )
        if call.paid is not None and attempts:
            attempts[0].usage = _paid(call)
        route = call.route
        record = CallRecord(
            id=call.id,
            at=unix_ms(call.id),
            endpoint=call.endpoint,
            request=asked.body,
            response=None if answered is None else answered.body,
            dataset=call.dataset,
            parent=call.context.parent,
            name=call.name,
            unit=route.unit,
            user_id=call.context.user_id or (route.unit.id if route.unit and route.unit.kind == "user" else None),
            conversation_id=call.context.conversation_id,
            metadata=metadata,
            requested_model=call.requested_model,
            experiment=route.experiment.key if route.experiment is not None else None,
            assigned=route.assigned,
            served=attempts[-1].variant if attempts and (route.assigned or call.shadow_of) else None,
            share=route.experiment.share if route.experiment is not None else None,
            bucket=route.bucket,
            why=route.why,
            config_version=call.version,
            attempts=attempts,
            stream=call.stream,
            complete=complete,
            duration_ms=round(call.duration * 1e3, 3),
            first_token_ms=None if call.first_token is None else round(call.first_token * 1e3, 3),
            error=self._cleaned(error) if error is not None else None,
            provider_id=provider_id,
            truncated=asked.truncated + (answered.truncated if answered else ()),
            media=tuple(
                {"path": one.path, "sha256": one.sha256, "bytes": one.bytes}
                for one in asked.media + (answered.media if answered else ())
            ),
            sdk=SDK,
            gate=call.gate,
            shadow_of=call.shadow_of,
            bodies=bodies,
            checks=noted.checks,
            fingerprint=noted.fingerprint,
            question=noted.question,
        )
        if record.truncated:
            self.count("truncated")
        return call_line(record, _quickly)

    def _by_caller(self, redact: Redact, *parts: Any) -> tuple[bytes, bytes | None, Mapping[str, Any]]:
        try:
            return _by_caller(redact, *parts)
        except RefusedRecord:
            raise
        except BaseException:
            self.count("redaction_failed")
            raise

    def _cleaned(self, error: CallError) -> CallError:
        """A provider quotes keys and prompts in its errors."""
        return replace(error, message=json.loads(self._clean(encode(error.message), "error", None).body))

    def _clean(self, body: bytes, root: str, limit: int | None) -> Cleaned:
        try:
            return clean(body, root=root, redaction=self.redaction, limit=limit)
        except Exception:
            self.count("redaction_failed")
            raise


def encode(value: object) -> bytes:
    """Write a value as JSON, with what JSON cannot say made into text."""
    return to_json(value, inf_nan_mode="constants", serialize_unknown=True, bytes_mode="base64")


def _quickly(head: dict[str, Any]) -> bytes:
    """Do as `write_json`, in compiled code; the little that it does not write goes the plain way."""
    try:
        return to_json(head, inf_nan_mode="null")
    except ValueError:
        return write_json(head)


def _by_caller(
    redact: Redact, request: bytes, response: bytes | None, metadata: Mapping[str, Any]
) -> tuple[bytes, bytes | None, Mapping[str, Any]]:
    kept = redact(
        {
            "request": json.loads(request),
            "response": None if response is None else json.loads(response),
            "metadata": dict(metadata),
        }
    )
    if kept is None:
        raise RefusedRecord
    answer = kept.get("response")
    metadata = kept.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise TypeError("redact: metadata is no object")  # no reader would take the record
    return encode(kept.get("request")), None if answer is None else encode(answer), metadata


def _answer(call: Call) -> tuple[bytes | None, bool, str | None, CallError | None]:
    """Give the answer as the unstreamed call has it, whether it is whole, the provider's id of it, and the error."""
    response, complete, error = call.response, call.complete, call.error
    provider_id: str | None = None
    if call.raw is not None:
        raw = bytes(call.raw)
        if call.stream:
            taken = call.delivered if call.delivered >= 0 else None
            folded = fold(call.endpoint, raw, taken, choices=call.choices)
            complete = folded.complete and error is None
            provider_id = folded.provider_id
            if folded.body is not None:
                if call.hides_logprobs:
                    _without_logprobs(folded.body)
                response = encode(folded.body)
            if error is None and folded.error is not None:
                error = _stream_error(folded.error)
        elif raw and complete:
            response = raw if raw[:1] in {b"{", b"["} else encode(raw.decode("utf-8", "replace"))
    if response is not None and call.endpoint == "embeddings" and _VECTOR.search(response):
        response = _without_vectors(response)
    if response is not None and provider_id is None and call.endpoint != "function":
        provider_id = _id_of(response)
    return response, complete, provider_id, error


def _paid(call: Call) -> dict[str, Any] | None:
    """Give what the attempt used that failed; None where it cannot be read, which costs no record."""
    said = call.paid
    try:
        if not isinstance(said, bytes):
            return counts_in(json.loads(encode(said)))
        body = fold(call.endpoint, said).body if call.stream else json.loads(said)
        return counts_in(body.get("usage")) if isinstance(body, dict) else None
    except (ValueError, RecursionError):
        return None


def _stream_error(data: Mapping[str, Any]) -> CallError:
    code = data.get("code") or data.get("type")
    return CallError(
        "APIError", None, code if isinstance(code, str) else "stream_error", str(data.get("message") or "")
    )


def _id_of(response: bytes) -> str | None:
    match = _LEADING_ID.match(response)
    if match:
        return match[1].decode("utf-8", "replace")
    try:
        found = json.loads(response)
    except ValueError:
        return None
    found = found.get("id") if isinstance(found, dict) else None
    return found if isinstance(found, str) and found else None


def _without_logprobs(body: Mapping[str, Any]) -> None:
    """Leave out what only the gate asked for."""
    for choice in body.get("choices") or ():
        choice["logprobs"] = None


def _without_vectors(response: bytes) -> bytes:
    """Keep the size of each vector in place of its numbers: nobody trains on them."""
    data = json.loads(response)
    for one in data.get("data") or ():
        vector = one.get("embedding")
        size = len(vector) if isinstance(vector, list) else len(vector or "") * 3 // 16
        one["embedding"] = f"[embedding of {size} numbers]"
    return encode(data)


NO_ROUTE = Route("a function is called as it is")
