"""Runs of chunks that differ in nothing but a piece of text, read as one.

Most chunks of a chat stream are the one before with another text in `delta.content`. Once a chunk has been read, those
behind it that begin and end as it does, to the letter, need no JSON parser each: their texts are parsed together.
Rule: a run is taken only where that gives just what reading each chunk gives; all else goes the plain way.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .deltas import Object

_KEY = re.compile(r'"content":\s*')
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_NOISE = re.compile(r',\s*"obfuscation":\s*"[^"\\]*"')  # differs from chunk to chunk and is dropped by the fold anyway


class Run:
    """What chunks of one run begin and end with, and the texts between, as they stand in JSON."""

    __slots__ = ("head", "tail", "texts")

    def __init__(self, head: str, tail: str) -> None:
        self.head = head
        self.tail = tail
        self.texts: list[str] = []

    def take_from(self, events: Sequence[tuple[str, str]], start: int, stop: int) -> int:
        """Take events into the run as long as they are of it.

        Args:
            events: names and data.
            start: index of the first one that may be.
            stop: index behind the last one that may be.

        Returns:
            Index of the first that was not taken.
        """
        head, tail, is_text, add = self.head, self.tail, _STRING.fullmatch, self.texts.append
        skip, rest = len(head), len(tail)
        for index in range(start, stop):
            name, data = events[index]
            data = quiet(data)
            if name or not (data.startswith(head) and data.endswith(tail)):
                return index
            text = data[skip : len(data) - rest]
            if is_text(text) is None:
                return index
            add(text)
        return max(start, stop)

    def chunks(self) -> list[str]:
        """Give what was taken as one chunk, or chunk by chunk where the texts cannot be read together."""
        if not self.texts:
            return []
        try:
            whole = "".join(json.loads(f"[{','.join(self.texts)}]"))
        except ValueError:
            found = [f"{self.head}{text}{self.tail}" for text in self.texts]
        else:
            found = [f"{self.head}{json.dumps(whole)}{self.tail}"]
        self.texts = []
        return found


def quiet(data: str) -> str:
    """Leave out of a chunk what is nothing but padding against eavesdroppers."""
    return _NOISE.sub("", data, 1) if '"obfuscation":' in data else data


def run_of(data: str, event: Object) -> Run | None:
    """Begin a run with a chunk that has been read.

    Args:
        data: its text.
        event: what it says.

    Returns:
        The run, None where the chunk holds more than one piece of content.
    """
    data = quiet(data)
    choices = event.get("choices")
    keys = list(_KEY.finditer(data))
    if len(keys) != 1 or not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return None
    delta = choices[0].get("delta")
    if not isinstance(delta, dict) or len(delta) != 1 or not isinstance(delta.get("content"), str):
        return None
    start = keys[0].end()
    text = _STRING.match(data, start)
    if text is None or json.loads(text[0]) != delta["content"]:
        return None
    return Run(data[:start], data[text.end() :])
