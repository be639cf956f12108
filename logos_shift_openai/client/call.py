"""One call in flight: what was asked, where it went, what came back; then a parcel for the recorder.

Everything here runs on the caller's thread, so it takes snapshots and notes times and no more; redacting, folding and
encoding happen in `client/encoding.py` on ours. A call never holds the client or the stream once it has ended.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import openai
from pydantic import BaseModel
from pydantic_core import to_json

from logos_shift_openai.core.candidate_body import changed_for
from logos_shift_openai.core.flow import NOT_SURE_TYPE, falls_back
from logos_shift_openai.core.records import CallError

from .guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logos_shift_openai.core.breaker import Breaker
    from logos_shift_openai.core.flow import Flow
    from logos_shift_openai.core.records import Variant
    from logos_shift_openai.core.routing import Route

    from .context import CallContext
    from .providers import Provider
    from .runtime import Runtime

    Tried = tuple[Variant, str | None, str | None, float, CallError | None]
    """One try: variant, model, provider, seconds, error; as a plain tuple, which is made five times as fast."""

_HEAD_BYTES = 1_024
_MESSAGE_LETTERS, _CODE_LETTERS = 2_000, 200
_TRANSPORTS = frozenset({"httpx", "httpx2", "httpcore", "httpcore2"})
_clock = time.perf_counter


class Call:
    """A call from its start to its record. Its fields are read by `client/encoding.py` after it has ended."""

    # Defaults stand on the class: most calls change few of them, and setting each one costs the caller's time.
    request: bytes | None = None
    response: bytes | None = None
    error: CallError | None = None
    flow: Flow | None = None
    breaker: Breaker | None = None
    gate: dict[str, Any] | None = None  # how sure the candidate was, where it has a gate
    hides_logprobs = False  # those that only the gate asked for
    name: str | None = None
    paid: Any = None  # what the failed attempt said that the baseline answered for: its usage, or bytes with it
    complete = True
    ended = False
    duration = 0.0
    first_token: float | None = None
    # Of an answer read later: its bytes as they arrived, the choices asked for, the events the caller took (-1: it
    # takes none), what is going on just now, the try under way, and the way to the baseline.
    raw: bytearray | None = None
    choices = 1
    delivered = -1
    pulling = False
    reading = False
    closed = False
    whole = False
    trying: tuple[Variant, str | None, float] | None = None
    resend: Callable[[], Any] | None = None
    # Where it is mirrored to when it has ended; and of a mirrored one, the call that it is the shadow of.
    mirror: Provider | None = None
    shadow_of: str | None = None

    def __init__(
        self,
        runtime: Runtime,
        call_id: str,
        endpoint: str,
        context: CallContext,
        dataset: str,
        route: Route,
        version: int | None,
        requested_model: str | None,
        body: Any,
        stream: bool,
        logged: bool,
    ) -> None:
        self.runtime = runtime
        self.id = call_id
        self.endpoint = endpoint
        self.context = context
        self.dataset = dataset
        self.route = route
        self.version = version
        self.requested_model = requested_model
        self.stream = stream
        self.logged = logged
        self.body = body
        self.attempts: list[Tried] = []
        self.started = _clock()

    def snapshot_request(self) -> None:
        """Encode the request now: its free-form parts are shared with the caller."""
        self.request = to_json(self.body, inf_nan_mode="constants", serialize_unknown=True, bytes_mode="base64")

    def snapshot_answer(self, answer: object) -> None:
        """Encode a parsed answer before the caller gets it."""
        if self.logged and self.response is None:
            write = WRITERS.get(type(answer)) or _writer(answer)
            if write is not None:
                self.response = write(answer, exclude_unset=True, warnings=False, fallback=repr)
            elif isinstance(answer, (dict, list, str)):
                self.response = encode(answer)

    def held_back(self, why: str) -> None:
        """Send a call of the candidate's to the baseline all the same; it stays assigned to the candidate."""
        self.route = self.route._replace(use_candidate=False, reason=f"{self.route.why}; {why}")

    def begin_watching(self) -> None:
        """Begin to note an answer that is read later."""
        self.raw = bytearray()
        self.whole = self.closed = False
        if not self.stream:
            self.complete = False

    def begin_reading(self) -> None:
        """Note that the answer is being read; its first bytes are still to come."""
        self.reading = True

    def keep(self, raw: bytearray) -> None:
        """Keep what a reading puts in here; a second reading starts over unless the first was whole."""
        if self.whole:
            return
        self.raw = raw
        if self.first_token is None:
            self.first_token = _clock() - self.started

    def released(self) -> None:
        """Note that a stream which was held back comes to the caller now."""
        self.first_token = _clock() - self.started

    def read_whole(self) -> None:
        """Note that the answer has been read to its end."""
        self.whole = True
        if not self.stream:
            self.complete = True

    def attempt_ended(self, variant: Variant, model: str | None, since: float, error: CallError | None) -> None:
        """Note one try, and tell the candidate's breaker."""
        now = _clock()
        if variant == "baseline":
            self.attempts.append((variant, model, None, now - since, error))
            return
        experiment = self.route.experiment
        provider = experiment.candidate.provider if experiment is not None else None
        self.attempts.append((variant, model, provider, now - since, error))
        if self.breaker is not None:
            if error is None or error.type == NOT_SURE_TYPE:
                self.breaker.succeeded()
            elif falls_back(error):
                self.breaker.failed(now)

    def gave_way(self, error: CallError, said: Any) -> None:
        """Note that the baseline answers for an attempt that failed, which may have used tokens all the same.

        Args:
            error: How it failed.
            said: Its usage; or the bytes that came of it.
        """
        said, self.response = said or self.response, None  # an answer that the SDK could not read is not the caller's
        if error.type == NOT_SURE_TYPE:
            return  # its usage stands with the gate
        if isinstance(said, bytearray):
            said = bytes(said)
        if not isinstance(said, bytes) or b'"usage"' in said:
            self.paid = said

    def settled(self, error: CallError | None) -> None:
        """Note how the try of a stream ended, known with its first chunk."""
        if self.trying is not None:
            variant, model, since = self.trying
            self.trying = None
            self.attempt_ended(variant, model, since, error)

    def note_error(self, problem: BaseException, error: CallError) -> None:
        """Note the error that the caller gets, and put the call's id on it."""
        self.error = error
        self.complete = False
        tag(problem, self.id)

    def end(self) -> None:
        """End the call and hand it to the recorder; only the first end counts."""
        if self.ended:
            return
        self.ended = True
        if self.raw is not None:
            self.runtime.forget(self)
        if self.trying is not None:
            guarded(self.runtime, self.settled, None)
        self.duration = _clock() - self.started
        self.body = None
        if self.flow is not None:
            self.resend = self.flow = self.breaker = None
        if self.logged:
            size = _HEAD_BYTES
            if self.raw is not None:
                size += len(self.raw)
            if self.request is not None:
                size += len(self.request)
            if self.response is not None:
                size += len(self.response)
            if isinstance(self.paid, bytes):
                size += len(self.paid)
            self.runtime.recorder.put(self, size)

    def fail(self, problem: BaseException, error: CallError) -> None:
        """End the call with an error, which gets the call's id."""
        self.note_error(problem, error)
        self.end()


WRITERS: dict[type, Callable[..., bytes]] = {}
"""The compiled writers of the models that answers came in; whose type is here need not be asked what it is."""
_WRITERS_KEPT = 256


def _writer(answer: object) -> Callable[..., bytes] | None:
    """Find a model's own compiled writer; looking it up on an answer goes through the model's `__getattr__`."""
    if not isinstance(answer, BaseModel):
        return None
    if len(WRITERS) >= _WRITERS_KEPT:
        WRITERS.clear()  # a program that makes classes as it goes
    found: Callable[..., bytes] = type(answer).__pydantic_serializer__.to_json
    WRITERS[type(answer)] = found
    return found


def encode(value: object) -> bytes:
    """Write any value of a request as JSON, as the SDK would, forgiving what JSON cannot say."""
    return to_json(value, inf_nan_mode="constants", serialize_unknown=True, bytes_mode="base64")


def tag(answer: object, call_id: str) -> None:
    """Put the call's id on an answer without changing its dump, its equality or its type."""
    try:
        object.__setattr__(answer, "logos_shift_id", call_id)
    except (AttributeError, TypeError):
        return  # a str, bytes or dict, asked for with `cast_to`, takes no attribute


def described(error: BaseException) -> CallError:
    """Describe an exception of the SDK in the record's words."""
    status = getattr(error, "status_code", None)
    code = getattr(error, "code", None)
    message = error.message if isinstance(error, openai.APIError) else str(error)
    if type(error).__module__.partition(".")[0] in _TRANSPORTS:  # older SDKs let these through in a stream
        code = "connection_error"
    return CallError(
        type=type(error).__name__,
        status=status if isinstance(status, int) else None,
        code=_cut(code, _CODE_LETTERS) if isinstance(code, str) else None,
        message=_cut(message, _MESSAGE_LETTERS),
    )


def _cut(text: str, most: int) -> str:
    """Shorten what a provider said, which may be a whole page, so that the cut is seen."""
    return text if len(text) <= most else f"{text[:most]}… [{len(text) - most:,} letters more]"


def changed(body: Mapping[str, Any], route: Route) -> dict[str, Any]:
    """Make the candidate's body: its model, its parameters, its prompt. The baseline's body stays as it is."""
    experiment = route.experiment
    assert experiment is not None
    return changed_for(experiment.candidate, body)
