"""Events of the responses API become a `response`.

Rule: the terminal event carries the whole response and is believed. Without it, the response is rebuilt from the last
snapshot and from the pieces of its output, and keeps the status that snapshot had. `response.completed` and
`response.incomplete` (a limit was reached, as `finish_reason` `length` of a chat) are finished answers;
`response.failed` and `response.cancelled` are none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .deltas import Entries, Object, Pieces, finished

_FINISHED = frozenset({"response.completed", "response.incomplete"})
_FAILED = frozenset({"response.failed", "response.cancelled"})


class Slot(NamedTuple):
    """Where in an output item an event's text belongs.

    Args:
        field: The member of the part, or of the item where `container` is None.
        container: The list of parts, and the member of the event that numbers them.
        number: That member.
        kind: The `type` of a part nobody announced.
    """

    field: str
    container: str | None = None
    number: str = ""
    kind: str = ""


_SLOTS = {
    "response.output_text": Slot("text", "content", "content_index", "output_text"),
    "response.refusal": Slot("refusal", "content", "content_index", "refusal"),
    "response.reasoning_text": Slot("text", "content", "content_index", "reasoning_text"),
    "response.reasoning_summary_text": Slot("text", "summary", "summary_index", "summary_text"),
    "response.function_call_arguments": Slot("arguments"),
    "response.mcp_call_arguments": Slot("arguments"),
    "response.custom_tool_call_input": Slot("input"),
    "response.code_interpreter_call_code": Slot("code"),
}
_PARTS = {
    "response.content_part": ("content", "content_index"),
    "response.reasoning_summary_part": ("summary", "summary_index"),
}


class ResponseFold:
    """A response so far."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._snapshot: Object | None = None
        self._items: dict[int, Object] = {}
        self._usage: Any = None
        self._end = ""

    def take(self, event: Object, name: str) -> None:
        """Take an event; `name` is its SSE name, for servers that leave `type` out."""
        kind = event.get("type")
        kind = kind if isinstance(kind, str) else name
        response = event.get("response")
        if isinstance(response, dict):
            self._snapshot = response
            if kind in _FINISHED or kind in _FAILED:
                self._end = kind
        number = _number(event, "output_index")
        if number is not None:
            self._take_piece(kind, event, number)

    def usage(self, event: Object) -> None:
        """Take the usage of the terminal event, which the caller did not get."""
        response = event.get("response")
        if isinstance(response, dict) and response.get("usage"):
            self._usage = response["usage"]

    def result(self) -> Object | None:
        """Give the response."""
        if self._snapshot is None and not self._items:
            return None
        response: Object = dict(self._snapshot or {"object": "response"})
        if not (self._end and response.get("output")) and (self._items or "output" not in response):
            response["output"] = [finished(self._items[number]) for number in sorted(self._items)]
        if self._usage is not None and not response.get("usage"):
            response["usage"] = self._usage
        return response

    def finished(self, choices: int) -> bool:  # noqa: ARG002 - a response is one
        """Say whether the response has ended well."""
        return self._end in _FINISHED

    def failed(self) -> Object | None:
        """Give the error of a failed response."""
        if self._end not in _FAILED:
            return None
        error = (self._snapshot or {}).get("error")
        return error if isinstance(error, dict) else {"message": self._end}

    def _take_piece(self, kind: str, event: Object, number: int) -> None:
        what, _, stage = kind.rpartition(".")
        if what == "response.output_item":
            item = event.get("item")
            if isinstance(item, dict):
                self._items[number] = item
        elif what in _PARTS:
            container, counter = _PARTS[what]
            part = event.get("part")
            if isinstance(part, dict):
                _put(_parts(self._item(number), container), _number(event, counter) or 0, part)
        elif what in _SLOTS and stage in ("delta", "done"):
            self._take_text(_SLOTS[what], stage, event, number)
        elif kind == "response.output_text.annotation.added":
            part = self._part(_SLOTS["response.output_text"], event, number)
            _list(part, "annotations").append(event.get("annotation"))

    def _take_text(self, slot: Slot, stage: str, event: Object, number: int) -> None:
        part = self._part(slot, event, number)
        if stage == "done":
            text = event.get(slot.field)
            if isinstance(text, str):
                part[slot.field] = text
            return
        delta = event.get("delta")
        if isinstance(delta, str):
            before = part.get(slot.field)
            if not isinstance(before, Pieces):
                part[slot.field] = before = Pieces((before,) if isinstance(before, str) and before else ())
            before.append(delta)
        logprobs = event.get("logprobs")
        if isinstance(logprobs, list) and logprobs:
            _list(part, "logprobs").extend(logprobs)

    def _item(self, number: int) -> Object:
        return self._items.setdefault(number, {})

    def _part(self, slot: Slot, event: Object, number: int) -> Object:
        item = self._item(number)
        if slot.container is None:
            return item
        parts = _parts(item, slot.container)
        place = _number(event, slot.number) or 0
        part = parts[parts.places[place]] if place in parts.places else None
        return part if isinstance(part, dict) else _put(parts, place, {"type": slot.kind})


def _number(event: Object, name: str) -> int | None:
    number = event.get(name)
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _parts(item: Object, container: str) -> Entries:
    """Give the parts of an item in the form that knows which number stands where."""
    before = item.get(container)
    if isinstance(before, Entries):
        return before
    item[container] = parts = Entries()
    for place, part in enumerate(before if isinstance(before, list) else ()):
        _put(parts, place, part)
    return parts


def _put(parts: Entries, place: int, part: Any) -> Any:
    if place in parts.places:
        parts[parts.places[place]] = part
    else:
        parts.places[place] = len(parts)
        parts.append(part)
    return part


def _list(part: Object, name: str) -> list[Any]:
    before = part.get(name)
    if not isinstance(before, list):
        part[name] = before = []
    return before
