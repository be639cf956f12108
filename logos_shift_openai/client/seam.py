"""The seam: the one method of the SDK's clients that every request passes, overridden by a mixin.

`LogosShiftMixin` and `AsyncLogosShiftMixin` go in front of any client class of the SDK, sync and async:
`class MyClient(LogosShiftMixin, openai.OpenAI): ...`. What is no call to a model passes through untouched; our own
headers are taken off whatever happens.
"""

from __future__ import annotations

import copy as copying
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from openai import NotGiven

from logos_shift_openai.core.flow import flow
from logos_shift_openai.core.routing import (
    NO_CONFIG,
    PROMPT_CHANGED,
    ROUTE_FALSE,
    ROUTING_OFF,
    Route,
    Units,
    made,
    route,
)

from .call import Call
from .context import EMPTY, CallContext, current, is_ours, read_headers
from .drive import drive, drive_async, is_raw
from .endpoints import ENDPOINT_OF_URL, ROUTED, body_of, conversation_of, new_id, user_of
from .guard import guarded
from .logos_shift import LogosShift

if TYPE_CHECKING:
    from logos_shift_openai.core.config import Experiment


class _Joined:
    """What both mixins share: the `LogosShift` of a client, and what its default headers said."""

    _logos_shift: LogosShift
    _logos_shift_said: CallContext

    def __init__(self, *args: Any, logos_shift: LogosShift | None = None, **kwargs: Any) -> None:
        take(self, logos_shift)
        super().__init__(*args, **kwargs)
        custom = getattr(self, "_custom_headers", None) or {}
        if any(map(is_ours, custom)):
            self._logos_shift_said = read_headers(custom)
            self._custom_headers = {name: value for name, value in custom.items() if not is_ours(name)}

    def copy(self, *args: Any, **kwargs: Any) -> Any:
        """Make a new client with other options, as the SDK does; it keeps this one's `LogosShift`."""
        new: Any = super().copy(*args, **kwargs)  # type: ignore[misc]  # the client class behind the mixin has it
        new._logos_shift = self._logos_shift  # noqa: SLF001 - one of us
        if kwargs.get("set_default_headers") is None:
            new._logos_shift_said = new._logos_shift_said.over(self._logos_shift_said)  # noqa: SLF001
        return new

    with_options = copy


def take(client: Any, logos_shift: LogosShift | None) -> None:
    """Give a client its `LogosShift`; a class further down the line that was given none keeps it."""
    if not isinstance(logos_shift, LogosShift | None):
        raise TypeError(f"logos_shift: {type(logos_shift).__name__} is not a LogosShift")
    if logos_shift is not None or "_logos_shift" not in client.__dict__:
        client._logos_shift = LogosShift() if logos_shift is None else logos_shift  # noqa: SLF001 - one of us
        client._logos_shift_said = EMPTY  # noqa: SLF001


class LogosShiftMixin(_Joined):
    """Put in front of a synchronous client class of the SDK; its constructor then takes `logos_shift=` too."""

    if not TYPE_CHECKING:

        def request(self, cast_to, options, *args, **kwargs):  # noqa: ANN001, ANN002, ANN003, ANN201, D102
            options, call = begin(self, options, kwargs)
            if call is None:
                return super().request(cast_to, options, *args, **kwargs)
            return drive(call, self._logos_shift, super().request, options, cast_to, args, kwargs)


class AsyncLogosShiftMixin(_Joined):
    """Put in front of an asynchronous client class of the SDK; its constructor then takes `logos_shift=` too."""

    if not TYPE_CHECKING:

        async def request(self, cast_to, options, *args, **kwargs):  # noqa: ANN001, ANN002, ANN003, ANN201, D102
            options, call = begin(self, options, kwargs)
            if call is None:
                return await super().request(cast_to, options, *args, **kwargs)
            return await drive_async(call, self._logos_shift, super().request, options, cast_to, args, kwargs)


def begin(client: Any, options: Any, kwargs: Mapping[str, Any]) -> tuple[Any, Call | None]:
    """Begin a call: give the options without our headers, and the call, or None where the request is none."""
    shift: LogosShift = client._logos_shift  # noqa: SLF001 - the mixin's own
    said = client._logos_shift_said  # noqa: SLF001
    given = options.headers
    if given.__class__ is not NotGiven and given and isinstance(given, Mapping):
        for name in given:
            if is_ours(name):
                said = guarded(shift.runtime, _said, given, said) or said
                options = copying.copy(options)
                options.headers = {name: value for name, value in given.items() if not is_ours(name)}
                break
    endpoint = ENDPOINT_OF_URL.get(options.url)
    if endpoint is None or (options.method != "post" and options.method.lower() != "post"):
        return options, None
    try:  # as `guarded` does, without its price
        return options, _begun(shift, client, options, endpoint, said, bool(kwargs.get("stream")))
    except Exception as error:  # noqa: BLE001
        shift.runtime.broken(_begun, error)
        return options, None


def _said(given: Mapping[str, Any], farther: CallContext) -> CallContext:
    return read_headers(given).over(farther)


def _begun(shift: LogosShift, client: Any, options: Any, endpoint: str, said: CallContext, stream: bool) -> Call | None:
    body = body_of(options)
    if body is None:
        return None
    runtime = shift.runtime
    if not runtime.started and shift.settings.enabled:
        runtime.start()
    context = current.get()
    if context is not EMPTY or said is not EMPTY:
        context = said.over(context)
    context = context.over(shift.said) if context is not EMPTY else shift.said
    call_id = new_id()
    for ids in context.call_ids:
        ids.append(call_id)
    dataset = context.dataset or "default"
    model = body.get("model")
    chosen = _route(shift, context, dataset, model, body, endpoint, call_id) if endpoint in ROUTED else _UNROUTED
    config = runtime.config
    call = Call(
        runtime,
        call_id,
        endpoint,
        context,
        dataset,
        chosen,
        None if config is None else config.version,
        model if isinstance(model, str) else None,
        body,
        stream,
        shift.records(call_id, context, dataset),
    )
    if stream and isinstance(body.get("n"), int):
        call.choices = body["n"]
    if chosen.use_candidate:
        _toward_candidate(call, client, options.headers)
    elif chosen.assigned == "baseline":
        experiment = chosen.experiment
        if experiment is not None and experiment.shadow is not None and shift.settings.shadow:
            call.mirror = shift.settings.providers.get(experiment.candidate.provider or "")
    if call.logged:
        call.snapshot_request()
    return call


_UNROUTED = Route("calls of this kind are not routed")


def _route(
    shift: LogosShift,
    context: CallContext,
    dataset: str,
    model: object,
    body: Mapping[str, Any],
    endpoint: str,
    call_id: str,
) -> Route:
    settings = shift.settings
    if not (settings.routing and settings.enabled):
        return ROUTING_OFF
    if context.route is False:
        return ROUTE_FALSE
    if not isinstance(model, str):
        return _UNROUTED
    config = shift.runtime.config
    if config is None or not config.experiments:
        return NO_CONFIG
    conversation = context.conversation_id
    if not conversation and endpoint == "responses":
        conversation = conversation_of(body)
    found = route(
        config,
        dataset,
        model,
        made(Units, (call_id, context.user_id or user_of(body), conversation)),
        endpoint,
        settings.providers,
        settings.force_variant,
        shift.runtime.prompts.fingerprint,
        body,
    )
    if found.reason is PROMPT_CHANGED:
        shift.runtime.counters.add("prompt_changed")
    return found


def _toward_candidate(call: Call, client: Any, given: Any) -> None:
    """Open the way to the candidate, unless its breaker or a client bound to one deployment keeps the call away."""
    experiment = call.route.experiment
    assert experiment is not None
    breaker = call.runtime.breaker(experiment)
    if experiment.candidate.provider is None and getattr(client, "_azure_deployment", None):
        call.held_back("this Azure client is bound to one deployment")
    elif experiment.candidate.gate is not None and (call.endpoint != "chat.completions" or is_raw(given)):
        call.gate = {"passed": False}
        call.held_back("the gate of the candidate cannot judge an answer of this kind")
    elif not _has_examples(call, experiment):
        call.runtime.counters.add("examples_missing")
        call.held_back("the examples of the candidate are not here yet")
    elif not breaker.allows(call.started):
        call.held_back("the breaker of the candidate is open")
    else:
        call.breaker = breaker
        call.flow = flow(candidate_first=True, fallback=experiment.fallback.enabled)


def _has_examples(call: Call, experiment: Experiment) -> bool:
    asked = experiment.candidate.examples
    return asked is None or call.runtime.examples.get(asked.index) is not None
