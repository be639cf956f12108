"""Functions as calls: `@logos_shift(...)` records what a function was asked and what it gave.

This module holds what is the same for all calls of a decorated function: its name, its kind, its candidate, and the
object that `wrapt` puts in its place. One call is `client/function_call.py`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, ParamSpec, Protocol, TypeVar, overload

from logos_shift_openai.core.routing import ROUTE_FALSE, ROUTING_OFF, Route, Units, route
from logos_shift_openai.errors import SettingsError

from .context import EMPTY, CallContext, current
from .encoding import NO_ROUTE
from .endpoints import new_id
from .function_call import FunctionCall, drive, drive_async, named
from .guard import guarded
from .snapshot import snapshot

if TYPE_CHECKING:
    from logos_shift_openai.core.config import Config, Experiment

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


class InstrumentedFunction(Protocol[P, R_co]):
    """A decorated function: its own parameters and value, and `call` beside it; in a class, a method."""

    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function, recorded."""

    @overload
    def call(  # type: ignore[overload-overlap]  # the first is the asynchronous one, where both fit
        self: InstrumentedFunction[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, tuple[T, str]]: ...
    @overload
    def call(self, *args: P.args, **kwargs: P.kwargs) -> tuple[R_co, str]: ...

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

    def __call__(self, function: Callable[P, R]) -> InstrumentedFunction[P, R]:
        """Decorate one function.

        Raises:
            SettingsError: it cannot be called, or the candidate is of another kind.
        """
        if not (callable(function) or isinstance(function, (classmethod, staticmethod))):
            raise SettingsError(f"logos_shift(...) decorates functions, not {type(function).__name__}")
        recorded = _Recorded(self._shift, function, self._name, self._said, self._candidate)
        decorated: InstrumentedFunction[P, R] = _wrapper_class()(function, recorded.driver())
        return decorated


class _Recorded:
    """A decorated function: what is the same for all its calls."""

    def __init__(self, shift: LogosShift, function: Any, name: str | None, said: CallContext, candidate: Any) -> None:
        underlying = _underlying(function)
        parameters = _parameters(underlying)
        self.shift = shift
        self.shown = _qualname(underlying)
        self.name = name or self.shown
        self.kind = kind_of(function)
        self.candidate = candidate
        self._said = said
        self._alone = said.over(shift.said)
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
        return named(self._called_async(wrapped, instance, args, kwargs), self.shown)

    async def _called_async(self, wrapped: Any, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
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
            shift.records(call_id, context, dataset),
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
