"""One call of a decorated function, and the drivers of the four kinds of functions.

`FunctionCall` decides what is called next and what is recorded; the drivers act. Value and error are the function's
own. A call is the parent of the calls inside it; of a generator only the body is inside, never its consumer. One
dropped before its first step has done nothing and has no record.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from logos_shift_openai.core.records import CallError

from .call import Call, described
from .context import CallContext, current, enter_parent, leave
from .guard import guarded
from .snapshot import snapshot

if TYPE_CHECKING:
    from contextvars import Token

    from logos_shift_openai.core.records import Variant

T = TypeVar("T")
_clock = time.perf_counter


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
                return named(generate(self, value, args, kwargs), self.shown)
            if isinstance(value, AsyncGenerator):
                return named(generate_async(self, value, args, kwargs), self.shown)
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
        self.attempts.append((self.variant, model, None, self.since - since, error))

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


def named(running: T, name: str) -> T:
    """Let a coroutine or generator go by its function's name in task lists and warnings."""
    running.__qualname__ = name  # type: ignore[attr-defined]
    return running


def _described(problem: BaseException) -> CallError:
    try:
        return described(problem)
    except Exception:  # noqa: BLE001 - an error that cannot even be shown has a name
        return CallError(type(problem).__name__)
