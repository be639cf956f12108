"""Functions as calls: `@logos_shift(...)` records what a function was asked and what it gave.

One `FunctionCall` decides what is called next and what is recorded; four short drivers act (sync, async, one
for each kind of generator). Value and error are the function's own; what is recorded is a copy in JSON, taken
without consuming, changing or keeping anything of the caller's. A call is the parent of the calls inside it;
of a generator only the body is inside, never its consumer. One dropped before its first step has no record.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from operator import attrgetter, methodcaller
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, ParamSpec, Protocol, TypeVar, overload
from uuid import UUID

from pydantic_core import SchemaSerializer

from logos_shift_openai.core.records import Attempt, CallError
from logos_shift_openai.core.routing import ROUTE_FALSE, ROUTING_OFF, Route, Units, route
from logos_shift_openai.errors import SettingsError

from .call import Call, described
from .context import EMPTY, CallContext, current, enter_parent, leave
from .encoding import NO_ROUTE
from .endpoints import new_id
from .guard import guarded

if TYPE_CHECKING:
    from contextvars import Token

    from logos_shift_openai.core.config import Config, Experiment
    from logos_shift_openai.core.records import Variant

    from .logos_shift import LogosShift

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Kind = Literal["sync", "async", "generator", "async generator"]

METADATA: Final = "logos_shift_metadata"
_PAIR: Final = "_logos_shift_pair"  # how `.call` asks for the id, past the binding that wrapt does
_ENDPOINT: Final = "function"
_clock = time.perf_counter


class InstrumentedStatic(Protocol[P, R_co]):
    """A decorated classmethod or staticmethod: its own parameters and value, and `call` beside it."""

    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function, recorded."""

    @overload
    def call(  # type: ignore[overload-overlap]  # the first is the asynchronous one, where both fit
        self: InstrumentedStatic[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, tuple[T, str]]: ...
    @overload
    def call(self, *args: P.args, **kwargs: P.kwargs) -> tuple[R_co, str]: ...


class InstrumentedFunction(InstrumentedStatic[P, R_co], Protocol[P, R_co]):
    """A decorated function: its own parameters and value, and `call` beside it; in a class, a method."""

    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> InstrumentedFunction[P, R_co]: ...
    @overload
    def __get__(
        self: InstrumentedFunction[Concatenate[Any, Q], R], instance: object, owner: type | None = None, /
    ) -> InstrumentedFunction[Q, R]: ...


class Instrumented:
    """Decorate functions of any kind, classmethods and staticmethods too; made by calling a `LogosShift`.

    Args:
        shift: Settings, and where records go.
        dataset: Dataset of the calls.
        name: Name in the records, the function's qualified name unless given.
        candidate: Function of the same kind and parameters that takes over an experiment's share of the
            calls: the experiment for the dataset that has `name`, letter for letter, in its `match.model`.
            Its name for the candidate is a label; its time budget holds for models only.
        metadata: Metadata of all its calls.

    A call may say `logos_shift_metadata={...}`: `dataset`, `user_id` and `conversation_id` in it are meant as
    such, the rest is metadata. The function gets the keyword only where it has a parameter of that name.
    """

    def __init__(
        self,
        shift: LogosShift,
        *,
        dataset: str | None = None,
        name: str | None = None,
        candidate: Callable[..., Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._shift = shift
        self._said = CallContext(dataset=dataset, metadata=dict(metadata or {}))
        self._name = name
        self._candidate = candidate

    @overload
    def __call__(self, function: classmethod[Any, P, R]) -> InstrumentedStatic[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first that fits is the one
        self, function: staticmethod[P, R]
    ) -> InstrumentedStatic[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> InstrumentedFunction[P, R]: ...
    def __call__(self, function: Any) -> Any:
        """Decorate one function.

        Raises:
            SettingsError: it cannot be called, or the candidate is of another kind.
        """
        if not (callable(function) or isinstance(function, (classmethod, staticmethod))):
            raise SettingsError(f"logos_shift(...) decorates functions, not {type(function).__name__}")
        recorded = _Recorded(self._shift, function, self._name, self._said, self._candidate)
        return _wrapper_class()(function, recorded.driver())


class _Recorded:
    """A decorated function: what is the same for all its calls."""

    def __init__(
        self, shift: LogosShift, function: Any, name: str | None, said: CallContext, candidate: Any
    ) -> None:
        # Late, for the seam is made of what stands above this module; and once, not for every call.
        from .seam import _logged  # noqa: PLC0415

        underlying = _underlying(function)
        parameters = _parameters(underlying)
        self.shift = shift
        self.shown = _qualname(underlying)
        self.name = name or self.shown
        self.kind = kind_of(function)
        self.candidate = candidate
        self._said = said
        self._alone = said.over(shift.said)
        self._logged = _logged
        self._passes_metadata = METADATA in parameters
        self._takes_self = parameters[:1] in (["self"], ["cls"])
        self._bound_before = getattr(function, "__self__", None) is not None
        self._mine: tuple[Config | None, Config | None] = (None, None)
        if candidate is not None and kind_of(candidate) != self.kind:
            raise SettingsError(
                f"candidate: {_qualname(candidate)} is a function of the {kind_of(candidate)} kind, "
                f"{self.shown} one of the {self.kind} kind; it takes one of the same kind"
            )

    def driver(self) -> Callable[..., Any]:
        """Give what `wrapt` calls in the function's place."""
        return self._awaited if self.kind == "async" else self._called

    def _called(self, wrapped: Any, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        pair = kwargs.pop(_PAIR, False)
        given = self._given(kwargs)
        call = guarded(self.shift.runtime, self._begin, wrapped, instance, args, kwargs, given)
        value = wrapped(*args, **kwargs) if call is None else drive(call, args, kwargs)
        return (value, self._id_of(call)) if pair else value

    def _awaited(
        self, wrapped: Any, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        return _named(self._called_async(wrapped, instance, args, kwargs), self.shown)

    async def _called_async(
        self, wrapped: Any, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        pair = kwargs.pop(_PAIR, False)
        given = self._given(kwargs)
        call = guarded(self.shift.runtime, self._begin, wrapped, instance, args, kwargs, given)
        value = await (wrapped(*args, **kwargs) if call is None else drive_async(call, args, kwargs))
        return (value, self._id_of(call)) if pair else value

    def _given(self, kwargs: dict[str, Any]) -> object:
        return kwargs.get(METADATA) if self._passes_metadata else kwargs.pop(METADATA, None)

    def _id_of(self, call: FunctionCall | None) -> str:
        return call.id if call is not None else guarded(self.shift.runtime, new_id) or ""

    def _begin(
        self, wrapped: Any, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any], given: object
    ) -> FunctionCall:
        shift, here, said, context = self.shift, current.get(), self._said, self._alone
        runtime = shift.runtime
        if not runtime.started:
            runtime.start()
        if given is not None:
            said = read_metadata(given).over(said)
        if here is not EMPTY or given is not None:
            context = said.over(here).over(shift.said)
        call_id = new_id()
        for ids in context.call_ids:
            ids.append(call_id)
        dataset = context.dataset or "default"
        call = FunctionCall(
            runtime,
            call_id,
            _ENDPOINT,
            context,
            dataset,
            NO_ROUTE if self.candidate is None else self._route(context, dataset, call_id),
            None if runtime.config is None else runtime.config.version,
            None if self.candidate is None else self.name,
            None,
            self.kind in {"generator", "async generator"},
            self._logged(shift, context, dataset, call_id),
        )
        call.prepare(self.name, self.shown, said, wrapped)
        if call.route.use_candidate:
            call.toward(self._bound_candidate(instance))
        if call.logged:
            skipped = self._takes_self and instance is None
            call.request = snapshot({"args": args[1:] if skipped else args, "kwargs": kwargs})
        return call

    def _route(self, context: CallContext, dataset: str, call_id: str) -> Route:
        settings = self.shift.settings
        if not (settings.routing and settings.enabled):
            return ROUTING_OFF
        if context.route is False:
            return ROUTE_FALSE
        return route(
            self._config(),
            dataset=dataset,
            model=self.name,
            units=Units(call_id, context.user_id, context.conversation_id),
            endpoint=_ENDPOINT,
            force=settings.force_variant,
        )

    def _config(self) -> Config | None:
        """Give the live config as it concerns this function: a model's `*` does not, nor do providers."""
        config = self.shift.runtime.config
        seen, mine = self._mine
        if config is not seen:
            mine = config and replace(config, experiments=tuple(map(self._about_me, config.experiments)))
            self._mine = (config, mine)
        return mine

    def _about_me(self, experiment: Experiment) -> Experiment:
        return replace(
            experiment,
            match=tuple(pattern for pattern in experiment.match if pattern == self.name),
            candidate=replace(experiment.candidate, provider=None, endpoints=(_ENDPOINT,)),
        )

    def _bound_candidate(self, instance: object) -> Any:
        candidate = self.candidate
        if isinstance(candidate, classmethod) and isinstance(instance, type):
            return candidate.__get__(None, instance)
        if instance is None or self._bound_before or not hasattr(candidate, "__get__"):
            return candidate
        return candidate.__get__(instance, type(instance))


class FunctionCall(Call):
    """A call of a decorated function: which function is called next, and what is recorded of it."""

    __slots__ = (
        "baseline",
        "function",
        "inside",
        "left_out",
        "outer",
        "parts",
        "parts_size",
        "said",
        "shown",
        "since",
        "variant",
    )

    def prepare(self, name: str, shown: str, said: CallContext, function: Any) -> None:
        """Set out for the function itself.

        Args:
            name: Name in the record.
            shown: Name of what runs, in warnings and task lists.
            said: What holds for the calls inside.
            function: The decorated function, bound.
        """
        self.name = name
        self.shown = shown
        self.said = said
        self.function = self.baseline = function
        self.variant: Variant = "baseline"
        self.outer: CallContext | None = None
        self.inside = said
        self.parts: list[bytes] = []
        self.parts_size = self.left_out = 0
        self.since = self.started

    def toward(self, candidate: Any) -> None:
        """Set out for the candidate, unless its breaker keeps the call away."""
        experiment = self.route.experiment
        assert experiment is not None
        breaker = self.runtime.breaker(experiment)
        if not breaker.allows(self.started):
            self.held_back("the breaker of the candidate is open")
            return
        self.breaker = breaker
        self.function = candidate
        self.variant = "candidate"

    def enter(self) -> Token[CallContext] | None:
        """Make this call the parent of those inside, until `leave` gets the token."""
        return guarded(self.runtime, self._enter)

    def _enter(self) -> Token[CallContext]:
        here = current.get()
        if here is self.outer:  # the next step of a generator, mostly
            return current.set(self.inside)
        token = enter_parent(self.id, self.said)
        self.outer, self.inside = here, current.get()
        return token

    @staticmethod
    def leave(token: Token[CallContext] | None) -> None:
        """Undo `enter`."""
        if token is not None:
            leave(token)

    def returned(self, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note what the function returned; gives what the caller gets: that, or its generator, driven."""
        if self.stream:
            if isinstance(value, Generator):
                return _named(generate(self, value, args, kwargs), self.shown)
            if isinstance(value, AsyncGenerator):
                return _named(generate_async(self, value, args, kwargs), self.shown)
        guarded(self.runtime, self._returned, value)
        return value

    def _returned(self, value: object) -> None:
        if self.logged:
            self.response = snapshot(value)
        self.stream = False
        self._tried(None)
        self.end()

    def yielded(self, item: object) -> None:
        """Note what a generator yielded, before its consumer gets it; from now on nothing falls back."""
        self.function = self.baseline = None  # an open call must not lead back to its generator, either
        guarded(self.runtime, self._yielded, item)

    def _yielded(self, item: object) -> None:
        if self.first_token is None:
            self.first_token = _clock() - self.started
            self.runtime.remember(self)
        if self.parts_size >= self.runtime.record_bytes:  # longer than any record
            self.left_out += 1
        elif self.logged:
            part = snapshot(item)
            self.parts.append(part)
            self.parts_size += len(part)

    def exhausted(self) -> None:
        """Note that a generator came to its end."""
        guarded(self.runtime, self._exhausted)

    def _exhausted(self) -> None:
        self._tried(None)
        self.end()

    def interrupted(self, problem: BaseException) -> BaseException:
        """Note what a consumer throws into a generator; one that is closed is not complete."""
        if isinstance(problem, GeneratorExit):
            self.complete = False
        return problem

    def failed(self, problem: BaseException) -> bool:
        """Note an error; gives whether the baseline is called now, else the caller gets the error."""
        again = self._falls_back(problem)
        guarded(self.runtime, self._failed, problem, again)
        if again:
            self.function, self.variant = self.baseline, "baseline"
        return again

    def _falls_back(self, problem: BaseException) -> bool:
        experiment = self.route.experiment
        return (
            self.variant == "candidate"
            and experiment is not None
            and experiment.fallback.enabled
            and self.baseline is not None
            and isinstance(problem, Exception)
        )

    def _failed(self, problem: BaseException, again: bool) -> None:
        error = None if isinstance(problem, GeneratorExit) else _described(problem)
        if not again:
            self.error = error
            self.complete = False
        self._tried(error, blamed=isinstance(problem, Exception))
        if not again:
            self.end()

    def _tried(self, error: CallError | None, *, blamed: bool = False) -> None:
        """Note one try at one of two functions, and tell the candidate's breaker."""
        experiment = self.route.experiment
        model = self.requested_model
        if model is None:
            return
        since, self.since = self.since, _clock()
        if self.variant == "candidate" and experiment is not None:
            model = experiment.candidate.model
            if self.breaker is not None and error is None:
                self.breaker.succeeded()
            elif self.breaker is not None and blamed:
                self.breaker.failed(self.since)
        duration_ms = (self.since - since) * 1e3
        self.attempts.append(Attempt(self.variant, model, None, error is None, duration_ms, error))

    def end(self) -> None:
        """End the call and hand it to the recorder, with nothing of the caller's left in it."""
        if not self.ended:
            if self.stream:
                self.runtime.forget(self)
                if self.left_out:
                    self.parts.append(snapshot(f"[{self.left_out} more left out]"))
                if self.complete or self.parts:
                    self.response = b"[" + b",".join(self.parts) + b"]"
            self.parts = []
            self.function = self.baseline = None
        super().end()


def drive(call: FunctionCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call what the call says, until an answer or an error is the caller's."""
    while True:
        token = call.enter()
        try:
            value = call.function(*args, **kwargs)
        except BaseException as problem:
            if not call.failed(problem):
                raise  # bare, and in here: raised anew it would get another `__context__`
            continue
        finally:
            call.leave(token)
        return call.returned(value, args, kwargs)


async def drive_async(call: FunctionCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call what the call says, asynchronously; see `drive`."""
    while True:
        token = call.enter()
        try:
            value = await call.function(*args, **kwargs)
        except BaseException as problem:
            if not call.failed(problem):
                raise
            continue
        finally:
            call.leave(token)
        return call.returned(value, args, kwargs)


def generate(
    call: FunctionCall, inner: Generator[Any, Any, Any] | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Generator[Any, Any, Any]:
    """Drive a generator step by step; the baseline's follows one of the candidate's that fails at once."""
    thrown: BaseException | None = None
    value: Any = None
    while True:
        token = call.enter()
        try:
            if inner is None:
                inner = call.function(*args, **kwargs)
            item = inner.send(value) if thrown is None else inner.throw(thrown)
        except StopIteration as stop:
            call.exhausted()
            return stop.value
        except BaseException as problem:
            if not call.failed(problem):
                raise
            inner = None
            continue
        finally:
            value = thrown = None  # an error kept here would keep this frame, which its own traceback keeps
            call.leave(token)
        call.yielded(item)
        try:
            value = yield item
        except BaseException as problem:  # noqa: BLE001 - thrown into the function's own generator
            thrown = call.interrupted(problem)


async def generate_async(
    call: FunctionCall, inner: AsyncGenerator[Any, Any] | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> AsyncGenerator[Any, Any]:
    """Drive an asynchronous generator step by step; see `generate`."""
    thrown: BaseException | None = None
    value: Any = None
    fresh = True
    while True:
        token = call.enter()
        try:
            if inner is None:
                inner, fresh = call.function(*args, **kwargs), True
            if fresh:
                step, fresh = _first_step(inner), False
            else:
                step = inner.asend(value) if thrown is None else inner.athrow(thrown)
            item = await step
        except StopAsyncIteration:
            call.exhausted()
            return
        except BaseException as problem:
            if not call.failed(problem):
                raise
            inner = None
            continue
        finally:
            value = thrown = None
            call.leave(token)
        call.yielded(item)
        try:
            value = yield item
        except BaseException as problem:  # noqa: BLE001 - thrown into the function's own generator
            thrown = call.interrupted(problem)


def _first_step(inner: AsyncGenerator[Any, Any]) -> Any:
    """Begin an asynchronous generator unknown to the event loop, which knows ours; ours closes this one.

    Known, the loop's shutdown would close both at once, and one of them would find the other running.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return inner.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def kind_of(function: Any) -> Kind:
    """Tell how a function is driven, by how it was written."""
    function = _underlying(function)
    for one in (function, getattr(type(function), "__call__", None)):  # noqa: B004 - it may be an async one
        if inspect.iscoroutinefunction(one):
            return "async"
        if inspect.isasyncgenfunction(one):
            return "async generator"
        if inspect.isgeneratorfunction(one):
            return "generator"
    return "sync"


def _underlying(function: Any) -> Any:
    return function.__func__ if isinstance(function, (classmethod, staticmethod)) else function


def _qualname(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)


def _parameters(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # some functions written in C tell nothing
        return []


def _named(running: T, name: str) -> T:
    """Let a coroutine or generator go by its function's name in task lists and warnings."""
    running.__qualname__ = name  # type: ignore[attr-defined]
    return running


def read_metadata(given: object) -> CallContext:
    """Read the `logos_shift_metadata` of one call, forgiving: what cannot be meant says nothing."""
    if not isinstance(given, Mapping):
        return EMPTY
    metadata = dict(given)
    dataset, user, conversation = (
        None if (said := metadata.pop(name, None)) is None else str(said)
        for name in ("dataset", "user_id", "conversation_id")
    )
    return CallContext(dataset, user, conversation, metadata)


def _described(problem: BaseException) -> CallError:
    try:
        return described(problem)
    except Exception:  # noqa: BLE001 - an error that cannot even be shown has a name
        return CallError(type(problem).__name__)


def snapshot(value: object) -> bytes:
    """Write a value as JSON now, for its owner may change it; what JSON cannot say becomes a short text.

    Nothing is consumed: an iterator, a generator or a stream is named, not read. Of an object whose class is
    not the standard library's only the class is named: its `repr` may do anything, as query a database.
    """
    for way in (_same, _plain, _short):
        try:
            return _encode(way(value)).encode("utf-8", "replace")
        except Exception:  # noqa: BLE001, PERF203, S112 - the next way is more forgiving
            continue
    return b'"?"'


def _same(value: object) -> object:
    return value


def _plain(value: object, above: frozenset[int] = frozenset()) -> object:
    """Make a value plain that JSON's own writer refuses: for its keys, or because it contains itself."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if id(value) in above:
        return "<itself>"
    inside = above | {id(value)}
    if isinstance(value, dict):
        keys = (key if isinstance(key, str) else _short(key) for key in value)
        return dict(zip(keys, (_plain(one, inside) for one in value.values()), strict=False))
    if isinstance(value, (list, tuple)):
        return [_plain(one, inside) for one in value]
    return _plain(_told(value), inside)


def _told(value: object) -> object:
    """Say in JSON's words what JSON's own writer does not know."""
    try:
        return _in_other_words(value)
    except Exception:  # noqa: BLE001 - values are anybody's code
        return _short(value)


_WORDS: Final[tuple[tuple[Any, Callable[[Any], object]], ...]] = (
    ((set, frozenset, deque), list),
    (Enum, attrgetter("value")),
    ((date, time_of_day), methodcaller("isoformat")),
    ((Decimal, UUID, PurePath), str),
    (Integral, int),
    (Real, float),
)


def _in_other_words(value: Any) -> object:
    serializer = getattr(type(value), "__pydantic_serializer__", None)
    if isinstance(serializer, SchemaSerializer):
        # As values of Python: the JSON mode would read iterators to their end.
        return serializer.to_python(value, warnings=False)
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in fields(value) if one.repr}
    for types, say in _WORDS:
        if isinstance(value, types):
            return say(value)
    return _short(value)


_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
_SHORT: Final = 200


def _short(value: object) -> str:
    kind = type(value)
    named = f"<{kind.__module__}.{kind.__qualname__}>"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if kind.__module__.partition(".")[0] not in sys.stdlib_module_names:
        return named
    try:
        text = _ADDRESS.sub("", repr(value))
    except Exception:  # noqa: BLE001 - what it holds may be of any class
        return named
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_told).encode


@functools.cache
def _wrapper_class() -> Callable[[Any, Callable[..., Any]], Any]:
    """Make the class of decorated functions, on first use: `wrapt` costs an import."""
    import wrapt  # noqa: PLC0415

    bound: Any = wrapt.BoundFunctionWrapper
    unbound: Any = wrapt.FunctionWrapper

    class Bound(bound):  # type: ignore[misc]  # older releases of wrapt have no types
        def call(self, /, *args: Any, **kwargs: Any) -> Any:
            return self(*args, **kwargs, **{_PAIR: True})

        def __reduce_ex__(self, _protocol: Any) -> Any:
            owner = getattr(self.__wrapped__, "__self__", None)
            return self.__wrapped__.__qualname__ if owner is None else (getattr, (owner, self.__name__))

    class Wrapper(unbound):  # type: ignore[misc]
        __bound_function_wrapper__ = Bound

        def call(self, /, *args: Any, **kwargs: Any) -> Any:
            return self(*args, **kwargs, **{_PAIR: True})

        # As with any function: pickled by its name, copied by not copying.
        def __reduce_ex__(self, _protocol: Any) -> Any:
            return self.__wrapped__.__qualname__

        def __copy__(self) -> Any:
            return self

        def __deepcopy__(self, _memo: Any) -> Any:
            return self

    return Wrapper
