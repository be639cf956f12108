"""The pieces of streamed tool calls become whole calls.

Rule: two calls are never taken for one, whatever numbers and ids their provider puts on the pieces.
"""

from __future__ import annotations

import json
from typing import Any

from .deltas import Object, Pieces, finished, merge


class ToolCalls:
    """The tool calls of one message, told apart however their provider numbers them.

    A piece belongs to the call of its `index`, unless it brings another `id` and a name: some providers send every
    call as number 0. Without an index it belongs to the call of its `id`, and without that to the call that came
    last. An `id` or a name is often repeated in each piece, some invent an `id` for each piece, and at times the
    whole call comes once more at the end.
    """

    def __init__(self) -> None:
        """Begin with no call."""
        self._calls: list[Object] = []
        self._numbers: list[int | None] = []
        self._by_number: dict[int, Object] = {}
        self._by_id: dict[str, Object] = {}
        self._last: Object | None = None

    def add(self, items: list[Any]) -> None:
        """Take the pieces of one chunk."""
        for item in items:
            if isinstance(item, dict):
                self._add(item)

    def finished(self) -> list[Object]:
        """Give the calls as an unstreamed message has them, ordered by number where all have one."""
        calls = self._calls
        if None not in self._numbers:
            order = sorted(range(len(calls)), key=lambda place: self._numbers[place] or 0)
            calls = [calls[place] for place in order]
        return [_call(finished(call)) for call in calls]

    def _add(self, piece: Object) -> None:
        number = piece.pop("index", None)
        if isinstance(number, bool) or not isinstance(number, int):
            number = None
        name = piece.get("id")
        name = name if isinstance(name, str) and name else None
        call = self._call_of(number, name, named=bool(_name(piece)))
        if call is not None and _begins_anew(call, piece, same_id=name is not None):
            call = None
        if call is None:
            call = {}
            self._calls.append(call)
            self._numbers.append(number)
        if number is not None:
            self._by_number[number] = call
        if name is not None:
            self._by_id.setdefault(name, call)
        self._last = call
        merge(call, piece)

    def _call_of(self, number: int | None, name: str | None, *, named: bool) -> Object | None:
        known = self._by_id.get(name) if name is not None else None
        if number is None:
            if name is None:
                return self._last
            return known
        call = self._by_number.get(number)
        if call is None or name is None or call.get("id") in (None, "", name):
            return call
        return known if known is not None or named else call


def _name(piece: Object) -> str:
    """Give the name of the function a piece or a call is of, empty where it says none."""
    function = piece.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""


def _begins_anew(call: Object, piece: Object, *, same_id: bool) -> bool:
    """Look whether a piece begins another call, or brings the whole call once more.

    Returns:
        Whether it is another call. Where it is a repetition, the repeated arguments are taken out of the piece;
        where it corrects them (same id), those of the call are.
    """
    function, before = piece.get("function"), call.get("function")
    if not isinstance(function, dict) or not isinstance(before, dict):
        return False
    name = _name(piece)
    if name and not same_id and name != (_name(call) or name):
        return True
    new, old = function.get("arguments"), before.get("arguments")
    whole = _whole_object(old) if isinstance(new, str) and new.startswith("{") else ""
    if not whole:
        return False
    if new == whole != "{}":
        del function["arguments"]
        return False
    if name and same_id:
        del before["arguments"]
    return bool(name) and not same_id


def _whole_object(pieces: object) -> str:
    """Give the arguments so far if they are one JSON object, else nothing."""
    if not isinstance(pieces, Pieces) or not pieces[-1].rstrip().endswith("}"):
        return ""
    text = "".join(pieces)
    try:
        return text if isinstance(json.loads(text), dict) else ""
    except (ValueError, RecursionError):
        return ""


def _call(call: Object) -> Object:
    """Give a call all that the unstreamed one has, in the order it has it."""
    function = call.get("function")
    if isinstance(function, dict):
        function.setdefault("arguments", "")
        call.setdefault("type", "function")
    first: Object = {key: call[key] for key in ("id", "type", "function") if key in call}
    return {**first, **call}
