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
    from collections.abc import Sequence

    from .deltas import Object


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
    reading = _Reading(state, delivered, runs=endpoint == "chat.completions")
    reading.take(raw)
    body = _result(state)
    error = reading.error or state.failed()
    complete = reading.readable and body is not None and error is None and state.finished(choices)
    provider_id = body.get("id") if body else None
    provider_id = provider_id if isinstance(provider_id, str) and provider_id else None
    return Folded(body, complete, provider_id, error, reading.events)


_DONE: Final = "[DONE]"


class _Reading:
    """A stream on its way into an answer, to its first `[DONE]` or error."""

    def __init__(self, state: Fold, delivered: int | None, *, runs: bool) -> None:
        self.readable = True
        self.error: Object | None = None
        self.events = 0
        self._state = state
        self._delivered = delivered
        self._runs = runs
        self._last: Object | None = None

    def take(self, raw: bytes) -> None:
        """Take what arrived."""
        parts = sse.parts(raw)
        at = 0
        while at < len(parts):
            self._last = None
            for name, text in sse.events(parts, at):
                if not self._event(name, text):
                    return
            at += 1
            if self._last is not None and self._runs:
                at += self._run(parts, at, self._last)

    def _event(self, name: str, text: str) -> bool:
        """Take an event; False where it is the last one."""
        if text.startswith(_DONE):
            return False
        if self.events == self._delivered:
            late = _read(text) if '"usage"' in text else None
            if late is not None:
                self._state.usage(late)
            return True
        data = _read(text)
        self.error = _error(name, text, data)
        if self.error is not None:
            return False
        self.events += 1
        self.readable = data is not None and _taken(self._state, data, name) and self.readable
        self._last = None if name else data
        return True

    def _run(self, parts: Sequence[bytes], start: int, event: Object) -> int:
        """Take the chunks that are as the one just read but for their text; give how many."""
        run = run_of(parts[start - 1], event)
        if run is None:
            return 0
        room = len(parts) - 1 - start  # the last part may still want its end
        if self._delivered is not None:
            room = min(room, self._delivered - self.events)
        taken = run.take_from(parts, start, room)
        self.events += taken
        chunk = run.chunk()
        data = None if chunk is None else _read(chunk)
        self.readable = (chunk is None or (data is not None and _taken(self._state, data, ""))) and self.readable
        return taken


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
