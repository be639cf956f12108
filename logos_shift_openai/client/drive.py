"""The two drivers, sync and async: they make the attempts that `core.flow` decides, through the SDK.

What the SDK raises goes on as it is, raised by no statement of ours; the next attempt begins outside of the handler, so
that no other attempt's error becomes the context of the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import openai
from openai import NotGiven
from pydantic import BaseModel

from logos_shift_openai.core.examples import with_examples
from logos_shift_openai.core.flow import BASELINE, Outcome, Try

from .call import WRITERS, Call, changed, described, encode, tag
from .endpoints import copied
from .gated import gated
from .guard import guarded
from .raw_answers import ANSWER_IN, NoAnswerError, judging
from .streams import adopt, watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from logos_shift_openai.core.config import Examples, Fallback

    from .logos_shift import LogosShift

_clock = time.perf_counter
_RAW = "x-stainless-raw-response"
_STREAMS = (openai.Stream, openai.AsyncStream)


def drive(
    call: Call, shift: LogosShift, plain: Callable[..., Any], options: Any, cast_to: Any, args: Any, kwargs: Any
) -> Any:
    """Make the attempts of a call, synchronously.

    Args:
        call: The call, begun.
        shift: The client's providers and settings.
        plain: The SDK's own `request` of the caller's client.
        options: The SDK's request options, ours to change.
        cast_to: Passed on.
        args: Passed on.
        kwargs: Passed on.
    """
    attempt = BASELINE if call.flow is None else guarded(call.runtime, next, call.flow) or BASELINE
    while True:
        if attempt.variant == "candidate":
            attempt, send, sent = _prepared(call, attempt, shift, plain, options, False, (cast_to, args, kwargs))
        else:
            send, sent = plain, _for_baseline(call, options)
        since = _clock()
        try:
            answer = send(cast_to, sent, *args, **kwargs)
        except BaseException as problem:
            following = _next(call, attempt, since, problem)
            if following is None:
                raise
            attempt = following
        else:
            try:  # as `guarded` does, without its price
                _answered(call, attempt, since, answer)
            except Exception as error:  # noqa: BLE001
                call.runtime.broken(_answered, error)
            return answer


async def drive_async(
    call: Call, shift: LogosShift, plain: Callable[..., Any], options: Any, cast_to: Any, args: Any, kwargs: Any
) -> Any:
    """Make the attempts of a call, asynchronously; see `drive`."""
    attempt = BASELINE if call.flow is None else guarded(call.runtime, next, call.flow) or BASELINE
    while True:
        if attempt.variant == "candidate":
            attempt, send, sent = _prepared(call, attempt, shift, plain, options, True, (cast_to, args, kwargs))
        else:
            send, sent = plain, _for_baseline(call, options)
        since = _clock()
        try:
            answer = await send(cast_to, sent, *args, **kwargs)
        except BaseException as problem:
            following = _next(call, attempt, since, problem)
            if following is None:
                raise
            attempt = following
        else:
            try:  # as `guarded` does, without its price
                _answered(call, attempt, since, answer)
            except Exception as error:  # noqa: BLE001
                call.runtime.broken(_answered, error)
            return answer


def _prepared(
    call: Call, attempt: Try, shift: LogosShift, plain: Callable[..., Any], options: Any, in_loop: bool, rest: Any
) -> tuple[Try, Callable[..., Any], Any]:
    """Choose the client and make the options of an attempt at the candidate; the caller's options stay as they are.

    An attempt at the candidate that cannot even be prepared becomes one at the baseline.
    """
    ready = guarded(call.runtime, _for_candidate, call, shift, plain, options, in_loop, rest)
    if ready is not None:
        return attempt, *ready
    call.flow = call.resend = None
    guarded(call.runtime, call.held_back, "the attempt could not be prepared")
    return BASELINE, plain, _for_baseline(call, options)


def _for_baseline(call: Call, options: Any) -> Any:
    sent = copied(options)
    sent.__dict__["post_parser"] = _parser(call, options.post_parser)  # what an assignment does, without its checks
    return sent


def _for_candidate(
    call: Call, shift: LogosShift, plain: Callable[..., Any], options: Any, in_loop: bool, rest: Any
) -> tuple[Callable[..., Any], Any]:
    experiment = call.route.experiment
    assert experiment is not None
    sent = copied(options)
    body = changed(call.body, call.route)
    if experiment.candidate.examples is not None:
        _add_examples(call, body, experiment.candidate.examples)
    sent.json_data = body
    sent.extra_json = None
    send = plain
    provider = experiment.candidate.provider
    if provider is not None:
        clients = shift.provider(provider)
        client = clients.for_loop() if in_loop else clients.sync()
        send = (openai.AsyncOpenAI if in_loop else openai.OpenAI).request.__get__(client)
        _strip(sent)
    caller = plain.__self__  # type: ignore[attr-defined]  # a bound method of the caller's client
    sent.max_retries = 0 if experiment.fallback.enabled else options.get_max_retries(caller.max_retries)
    sent.timeout = _time_for(
        caller.timeout if isinstance(sent.timeout, NotGiven) else sent.timeout, experiment.fallback
    )
    if call.stream:
        resend = _resend_async if in_loop else _resend
        call.resend = resend(call, plain, options, rest)
    sent.post_parser = _parser(call, options.post_parser)
    if experiment.candidate.gate is not None:
        sent.post_parser = gated(call, experiment.candidate.gate, sent.post_parser)
    if experiment.fallback.enabled and is_raw(sent.headers):
        send = judging(call.endpoint, send, in_loop)
    elif experiment.fallback.enabled and rest[0] is not str:
        sent.post_parser = _judge(call.endpoint, sent.post_parser)
    return send, sent


def _add_examples(call: Call, body: dict[str, Any], asked: Examples) -> None:
    index = call.runtime.examples.get(asked.index)
    if index is None:
        raise LookupError("the examples are gone")
    body["messages"] = with_examples(body["messages"], index, asked.count)


def is_raw(headers: Any) -> bool:
    """Tell whether the caller asked for the raw response, which he parses himself when it is his already."""
    return bool(headers) and isinstance(headers, Mapping) and any(name.lower() == _RAW for name in headers)


def _strip(sent: Any) -> None:
    """Leave nothing of the caller's own headers and query in a request to another provider; a key might be there."""
    given = sent.headers
    if isinstance(given, dict):
        sent.headers = {name: value for name, value in given.items() if name.lower().startswith("x-stainless-")}
    sent.params = {}
    sent.idempotency_key = None


def _time_for(callers: Any, fallback: Fallback) -> Any:
    """Choose the shorter of the caller's own timeout and the candidate's budget."""
    longest = getattr(callers, "read", callers)
    if fallback.timeout_seconds is None or (longest is not None and longest <= fallback.timeout_seconds):
        return callers
    return fallback.timeout_seconds


def _resend(call: Call, plain: Callable[..., Any], options: Any, rest: Any) -> Callable[[], Any]:
    cast_to, args, kwargs = rest

    def resend() -> Any:
        call.trying = ("baseline", call.requested_model, _clock())
        try:
            return plain(cast_to, copied(options), *args, **kwargs)
        except BaseException as problem:
            guarded(call.runtime, _resend_failed, call, problem)
            raise

    return resend


def _resend_async(call: Call, plain: Callable[..., Any], options: Any, rest: Any) -> Callable[[], Any]:
    cast_to, args, kwargs = rest

    async def resend() -> Any:
        call.trying = ("baseline", call.requested_model, _clock())
        try:
            return await plain(cast_to, copied(options), *args, **kwargs)
        except BaseException as problem:
            guarded(call.runtime, _resend_failed, call, problem)
            raise

    return resend


def _resend_failed(call: Call, problem: BaseException) -> None:
    error = described(problem)
    call.settled(error)
    call.note_error(problem, error)


def _parser(call: Call, inner: Any) -> Callable[[Any], Any]:
    """Chain the SDK's own parser: the answer is noted before it, what it gives back carries the id."""

    def parser(parsed: Any) -> Any:
        try:  # as `guarded` does, without its price
            write = WRITERS.get(type(parsed))
            if write is None:
                _note(call, parsed)
            else:  # an answer of a known kind: what `_note` does, without its price
                parsed.__dict__["logos_shift_id"] = call.id
                if call.logged and call.response is None:
                    call.response = write(parsed, exclude_unset=True, warnings=False, fallback=repr)
        except Exception as error:  # noqa: BLE001
            call.runtime.broken(_note, error)
        if not callable(inner):
            return parsed
        answer = inner(parsed)
        if answer is not parsed:
            guarded(call.runtime, tag, answer, call.id)
        return answer

    return parser


def _judge(endpoint: str, parser: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let nothing through to a parser but what can be an answer: a wrong address often says 200 and gives a page."""
    member = ANSWER_IN[endpoint]

    def judged(parsed: Any) -> Any:
        if isinstance(parsed, str) or (isinstance(parsed, BaseModel) and getattr(parsed, member, ()) is None):
            raise NoAnswerError(f"the candidate's answer has no {member}", getattr(parsed, "usage", None))
        return parser(parsed)

    return judged


def _note(call: Call, parsed: Any) -> None:
    tag(parsed, call.id)
    if isinstance(parsed, _STREAMS):
        adopt(call, parsed)
    else:
        call.snapshot_answer(parsed)


def _answered(call: Call, attempt: Try, since: float, answer: Any) -> None:
    """Note an answer: whole and read, a stream, or a raw response that may be unread."""
    model = call.requested_model if attempt is BASELINE else _model(call, attempt)
    if call.delivered >= 0:
        call.trying = (attempt.variant, model, since)
        return
    call.attempt_ended(attempt.variant, model, since, None)
    response = (
        None if type(answer) in WRITERS or isinstance(answer, BaseModel) else getattr(answer, "http_response", None)
    )
    if response is None:
        call.end()
        return
    tag(answer, call.id)
    call.resend = None
    if call.stream or not isinstance(answer, openai._legacy_response.LegacyAPIResponse):  # noqa: SLF001
        watch(call, response)
        return
    if call.logged and call.response is None:
        call.response = _body(response)
    call.end()


def _body(response: Any) -> bytes | None:
    content: bytes = response.content
    return content if content[:1] in {b"{", b"["} else encode(content.decode("utf-8", "replace"))


def _next(call: Call, attempt: Try, since: float, problem: BaseException) -> Try | None:
    """Give the next attempt after a failed one, or None when the caller gets the error.

    With an error of ours in between, the caller gets what the baseline says: the candidate's error is not the caller's.
    """
    try:
        return _failed(call, attempt, since, problem)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with us
        call.runtime.broken(_failed, error)
        return BASELINE if attempt.variant == "candidate" and isinstance(problem, Exception) else None


def _failed(call: Call, attempt: Try, since: float, problem: BaseException) -> Try | None:
    """Note a failed attempt; gives the next one, or None when the caller gets the error."""
    error = described(problem)
    call.attempt_ended(attempt.variant, _model(call, attempt), since, error)
    if call.flow is not None and isinstance(problem, Exception):
        try:
            following = call.flow.send(Outcome(error))
        except StopIteration:
            pass  # the flow has no further attempt: the error is the caller's
        else:
            guarded(call.runtime, call.gave_way, error, getattr(problem, "said", None))
            return following
    call.fail(problem, error)
    return None


def _model(call: Call, attempt: Try) -> str | None:
    experiment = call.route.experiment
    return experiment.candidate.model if attempt.variant == "candidate" and experiment else call.requested_model
