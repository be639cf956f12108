"""A streamed answer becomes the JSON the same answer has unstreamed.

`fold` reads the bytes of the HTTP answer as far as they came, and only as much of them as the caller took. Rule: it
never raises; what cannot be read makes the answer incomplete.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from . import sse
from .folding_chat import ChatFold
from .folding_completions import CompletionFold
from .folding_responses import ResponseFold
from .folding_runs import run_of

if TYPE_CHECKING:
    from .deltas import Object
    from .folding_runs import Run


class Folded(NamedTuple):
    """What a stream came to.

    Args:
        body: The answer in the unstreamed shape, as far as it came; None where nothing of it did.
        complete: Whether the caller took a finished answer: each choice has its `finish_reason`, or the response its
            terminal event. An answer cut short by its token limit is finished; a failed one is not.
        provider_id: The answer's own id.
        error: The error the stream ended with, as the provider put it.
        events: Number of events taken into account.
    """

    body: Object | None
    complete: bool
    provider_id: str | None
    error: Object | None
    events: int


class Fold(Protocol):
    """The accumulation of one endpoint's events."""

    def take(self, event: Object, name: str) -> None:
        """Take an event the caller got; `name` is its SSE name."""

    def usage(self, event: Object) -> None:
        """Take no more than the usage from an event the caller did not get."""

    def result(self) -> Object | None:
        """Give the answer so far."""

    def finished(self, choices: int) -> bool:
        """Say whether it is a finished answer of that many choices at least."""

    def failed(self) -> Object | None:
        """Give the error a terminal event brought."""


_FOLDS: dict[str, type[ChatFold | CompletionFold | ResponseFold]] = {
    "chat.completions": ChatFold,
    "completions": CompletionFold,
    "responses": ResponseFold,
}


def fold(endpoint: str, raw: bytes, delivered: int | None = None, *, choices: int = 1) -> Folded:
    """Fold a stream.

    Args:
        endpoint: `chat.completions`, `completions` or `responses`; others have no streams, so nothing comes of them.
        raw: the bytes of the answer as far as they arrived, cut anywhere.
        delivered: number of events (data events before `[DONE]`) the caller took; None for all. Of later ones that
            arrived only the usage counts.
        choices: number of choices that were asked for (`n`), where that is known.

    Returns:
        The answer and how it ended.
    """
    kind = _FOLDS.get(endpoint)
    if kind is None:
        return Folded(None, complete=False, provider_id=None, error=None, events=0)
    state: Fold = kind()
    readable, error, at = True, None, 0
    datas, names = sse.events(raw)
    end = _end(datas)
    last = end if delivered is None else min(end, delivered)
    while at < last:
        name, text = "" if names is None else names[at], datas[at]
        data = _read(text)
        error = _error(name, text, data)
        if error is not None:
            break
        at += 1
        readable = data is not None and _taken(state, data, name) and readable
        if data is not None and names is None and endpoint == "chat.completions":
            run = run_of(text, data)
            if run is not None:
                at = run.take_from(datas, at, last)
                readable = _taken_run(state, run) and readable
    for text in datas[last:end] if error is None else ():
        late = _read(text) if '"usage"' in text else None
        if late is not None:
            state.usage(late)
    body = _result(state)
    error = error or state.failed()
    complete = readable and body is not None and error is None and state.finished(choices)
    provider_id = body.get("id") if body else None
    return Folded(body, complete, provider_id if isinstance(provider_id, str) and provider_id else None, error, at)


_DONE: Final = "[DONE]"
_BEHIND_DONE: Final = "[DONE^"  # whatever begins with `_DONE` sorts before it, and every JSON object behind it


def _end(datas: list[str]) -> int:
    """Find the first `[DONE]`, which mostly is the last event."""
    last = len(datas) - 1
    if last > 0 and datas[last] == _DONE and min(datas[:last]) > _BEHIND_DONE:
        return last
    return next((index for index, data in enumerate(datas) if data.startswith(_DONE)), len(datas))


def _number(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


# What JSON has no number for becomes null, so that the answer can be written as JSON again.
_DECODER = json.JSONDecoder(parse_float=_number, parse_constant=lambda _name: None)


def _read(data: str) -> Object | None:
    try:
        event: Any = _DECODER.decode(data)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _taken(state: Fold, data: Object, name: str) -> bool:
    try:
        state.take(data, name)
    except RecursionError:
        return False
    return True


def _taken_run(state: Fold, run: Run) -> bool:
    chunk = run.chunk()
    data = None if chunk is None else _read(chunk)
    return chunk is None or (data is not None and _taken(state, data, ""))


def _result(state: Fold) -> Object | None:
    try:
        return state.result()
    except RecursionError:
        return None


def _error(name: str, text: str, data: Object | None) -> Object | None:
    """Give the error an event brings: `{"error": …}`, an event named so, or what older servers call an object of it."""
    if data is None:
        return {"message": text} if name == "error" else None
    error = data.get("error")
    if error:
        return error if isinstance(error, dict) else {"message": str(error)}
    if "error" in (name, data.get("type"), data.get("object")):
        return {key: value for key, value in data.items() if key not in ("sequence_number", "object")}
    return None
