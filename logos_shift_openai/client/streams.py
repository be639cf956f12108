"""Streams and unread responses: noted as they pass, ended however they end.

Two touches make it whole. The HTTP response of an answer that is not read yet gets its reading and closing watched on
the instance: that sees every way of reading (chunks, lines, bytes) and every way of closing (exhaustion, `close()`, the
helper's own close, an error), and it gives the bytes that are folded into the answer later, on our own thread. The
SDK's stream keeps its type; its inner iterator is wrapped so that chunks carry the call's id, are counted as the caller
takes them, and a candidate that fails before its first chunk is answered by the baseline.

No call holds a stream or a response: a dropped stream still closes its connection when it is collected, and a sentinel
on the response ends the call then. (What is set on a response holds that response, as its own `stream` does already: a
weak reference would be dead by the time the collector runs the SDK's `finally`.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

import openai

from logos_shift_openai.core.flow import Outcome

from .call import Call, described
from .guard import guarded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_set = object.__setattr__


class EmptyStreamError(Exception):
    """A candidate's stream that ended before it began; recorded, never raised."""


class Sentinel:
    """Ends the call when the response that holds it is collected."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call: Call | None = call

    def __del__(self) -> None:
        if self.call is not None:
            guarded(self.call.runtime, self.call.end)


def watch(call: Call, response: Any) -> None:
    """Watch an HTTP response that has not been read yet (`httpx` or `httpx2`, sync or async)."""
    call.begin_watching()
    response.logos_shift_sentinel = Sentinel(call)
    response.iter_bytes = _reading(call, response)
    response.aiter_bytes = _async_reading(call, response)
    response.close = _closing(call, response)
    response.aclose = _async_closing(call, response)
    call.runtime.remember(call)  # last: what could not be watched to its end must not be kept for ever


def _reading(call: Call, response: Any) -> Callable[..., Iterator[bytes]]:
    def iter_bytes(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        guarded(call.runtime, call.begin_reading)
        kept, limit = bytearray(), call.runtime.stream_bytes
        try:
            for data in type(response).iter_bytes(response, *args, **kwargs):
                if len(kept) < limit:  # written out: this is done for every chunk of every stream
                    if not kept:
                        guarded(call.runtime, call.keep, kept)
                    kept += data
                call.reading = False
                yield data
                call.reading = True
            guarded(call.runtime, call.read_whole)
        finally:
            call.reading = False
            guarded(call.runtime, _end_if_closed, call)

    return iter_bytes


def _async_reading(call: Call, response: Any) -> Callable[..., AsyncIterator[bytes]]:
    async def aiter_bytes(*args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        guarded(call.runtime, call.begin_reading)
        kept, limit = bytearray(), call.runtime.stream_bytes
        try:
            async for data in type(response).aiter_bytes(response, *args, **kwargs):
                if len(kept) < limit:  # written out: this is done for every chunk of every stream
                    if not kept:
                        guarded(call.runtime, call.keep, kept)
                    kept += data
                call.reading = False
                yield data
                call.reading = True
            guarded(call.runtime, call.read_whole)
        finally:
            call.reading = False
            guarded(call.runtime, _end_if_closed, call)

    return aiter_bytes


def _end_if_closed(call: Call) -> None:
    """End the call when its response is closed, unless the close came from within a read that is still to be noted."""
    if call.closed and not (call.pulling or call.reading):
        call.end()


def _closed(call: Call, response: Any) -> None:
    call.closed = True
    if not (call.stream or call.whole or call.pulling or call.reading) and hasattr(response, "_content"):
        call.keep(bytearray(response.content))  # read at a stroke, or there from the beginning
        call.read_whole()
    _end_if_closed(call)
    for name in ("close", "aclose", "iter_bytes", "aiter_bytes"):
        response.__dict__.pop(name, None)


def _closing(call: Call, response: Any) -> Callable[[], None]:
    def close() -> None:
        try:
            type(response).close(response)
        finally:
            guarded(call.runtime, _closed, call, response)

    return close


def _async_closing(call: Call, response: Any) -> Callable[[], Any]:
    async def aclose() -> None:
        try:
            await type(response).aclose(response)
        finally:
            guarded(call.runtime, _closed, call, response)

    return aclose


def adopt(call: Call, stream: Any) -> None:
    """Make a stream of the SDK carry the call's id, on itself and on its chunks, and count what the caller takes."""
    stream.logos_shift_id = call.id
    call.delivered = 0
    if call.raw is None:
        guarded(call.runtime, watch, call, stream.response)
    wrap = _async_chunks if isinstance(stream, openai.AsyncStream) else _chunks
    stream._iterator = wrap(call, ref(stream), stream._iterator)  # noqa: SLF001 - the one place a stream can be joined


def _chunks(call: Call, stream: ref[Any], source: Any) -> Iterator[Any]:
    call_id = call.id
    try:
        while True:
            call.pulling = True
            try:
                chunk = next(source)
            except StopIteration:
                other = _instead_of_nothing(call)
                if other is None:
                    return
            except Exception as problem:
                other = _instead(call, problem)
                if other is None:
                    raise
            else:
                call.pulling = False
                call.delivered += 1
                if call.trying is not None:
                    guarded(call.runtime, call.settled, None)
                try:
                    _set(chunk, "logos_shift_id", call_id)
                except (AttributeError, TypeError):
                    pass  # a chunk of the caller's own type that takes no attribute
                yield chunk
                continue
            source = _moved(call, stream(), other())
    finally:
        call.pulling = False
        source.close()
        guarded(call.runtime, call.end)


async def _async_chunks(call: Call, stream: ref[Any], source: Any) -> AsyncIterator[Any]:
    call_id = call.id
    try:
        while True:
            call.pulling = True
            try:
                chunk = await source.__anext__()
            except StopAsyncIteration:
                other = _instead_of_nothing(call)
                if other is None:
                    return
            except Exception as problem:
                other = _instead(call, problem)
                if other is None:
                    raise
            else:
                call.pulling = False
                call.delivered += 1
                if call.trying is not None:
                    guarded(call.runtime, call.settled, None)
                try:
                    _set(chunk, "logos_shift_id", call_id)
                except (AttributeError, TypeError):
                    pass  # a chunk of the caller's own type that takes no attribute
                yield chunk
                continue
            source = _moved(call, stream(), await other())
    finally:
        call.pulling = False
        await source.aclose()
        guarded(call.runtime, call.end)


def _instead(call: Call, problem: BaseException) -> Callable[[], Any] | None:
    """Give the way to the baseline when the candidate failed before its first chunk, else note the error.

    With an error of ours in between, the caller gets what the baseline says, as in `drive`.
    """
    try:
        return _instead_of(call, problem)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with us
        call.runtime.broken(_instead_of, error)
        resend, call.resend = call.resend, None
        return resend if call.delivered == 0 else None


def _instead_of_nothing(call: Call) -> Callable[[], Any] | None:
    """Give the way to the baseline when the candidate's stream ended without a chunk."""
    if call.delivered or call.resend is None:
        return None
    return _instead(call, EmptyStreamError("the stream ended without a chunk"))


def _instead_of(call: Call, problem: BaseException) -> Callable[[], Any] | None:
    error = described(problem)
    resend, flow = call.resend, call.flow
    if call.delivered == 0:
        call.settled(error)
        if resend is not None and flow is not None:
            try:
                flow.send(Outcome(error))
            except StopIteration:
                pass  # this failure is the caller's to see
            else:
                call.resend = None
                guarded(call.runtime, call.gave_way, error, call.raw)
                return resend
    call.note_error(problem, error)
    return None


def _moved(call: Call, stream: Any, other: Any) -> Any:
    """Go on with the baseline's stream in place of the candidate's; `other` is a plain stream of the SDK."""
    guarded(call.runtime, _watch_instead, call, stream, other.response)
    call.delivered = 0
    return other._iterator  # noqa: SLF001 - its frame keeps `other` alive


def _watch_instead(call: Call, stream: Any, response: Any) -> None:
    if stream is not None:
        sentinel = getattr(stream.response, "logos_shift_sentinel", None)
        stream.response = response
        if sentinel is not None:
            sentinel.call = None
    watch(call, response)
