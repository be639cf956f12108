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
_NOISY = '"obfuscation":'
_WINDOW = 256  # events looked at together: a run that soon ends costs no look at all the rest


class Run:
    """What chunks of one run begin and end with, as it stands in JSON, and the texts between, read."""

    __slots__ = ("head", "tail", "texts")

    def __init__(self, head: str, tail: str) -> None:
        self.head = head
        self.tail = tail
        self.texts: list[str] = []

    def take_from(self, datas: Sequence[str], start: int, stop: int) -> int:
        """Take events into the run as long as they are of it.

        Args:
            datas: their data.
            start: index of the first one that may be.
            stop: index behind the last one that may be.

        Returns:
            Index of the first that was not taken.
        """
        at = start
        while at < stop:
            window = self._window(datas, at, min(at + _WINDOW, stop))
            texts = self._all_of(window)
            if texts is None:
                texts = self._first_of(window)
            self.texts += texts
            at += len(texts)
            if len(texts) < _WINDOW:
                break
        return at

    def _window(self, datas: Sequence[str], start: int, stop: int) -> list[str]:
        """Give the data of some events, without those at their end that are not of the run."""
        while stop > start and not self._frames(quiet(datas[stop - 1])):
            stop -= 1
        return list(datas[start:stop])

    def _frames(self, data: str) -> bool:
        return data.startswith(self.head) and data.endswith(self.tail)

    def _all_of(self, window: list[str]) -> list[str] | None:
        """Give the texts where every event is of the run, which is the common case and looked at as a whole.

        Every step goes through all events in compiled code, but for one; to split by what stands between takes longer.
        """
        whole = "\n".join(window)
        if _NOISY in whole:
            whole = _NOISE.sub("", whole)
            count = len(window)
            window = whole.split("\n")
            if len(window) != count:
                return None
        skip, rest = len(self.head), -len(self.tail)
        texts = [data[skip:rest] for data in window]
        if self.head + f"{self.tail}\n{self.head}".join(texts) + self.tail != whole:
            return None
        try:  # no JSON string goes on over a line end, so each text is by itself what they are together
            said: list[str] = json.loads(f"[{_COMMA.join(texts)}]")
        except ValueError:
            return None
        return said if len(said) == len(texts) and set(map(type, said)) == {str} else None

    def _first_of(self, window: list[str]) -> list[str]:
        """Give the texts of as many events as are of the run, one by one."""
        texts: list[str] = []
        for data in map(quiet, window):
            text = data[len(self.head) : len(data) - len(self.tail)]
            if not self._frames(data) or _STRING.fullmatch(text) is None:
                break
            try:
                texts.append(json.loads(text))
            except ValueError:
                break
        return texts

    def chunk(self) -> str | None:
        """Give what was taken as one chunk; None where nothing was."""
        return f"{self.head}{json.dumps(''.join(self.texts))}{self.tail}" if self.texts else None


_COMMA = ",\n"


def quiet(data: str) -> str:
    """Leave out of a chunk what is nothing but padding against eavesdroppers."""
    return _NOISE.sub("", data) if _NOISY in data else data


def run_of(data: str, event: Object) -> Run | None:
    """Begin a run with a chunk that has been read.

    Args:
        data: its text.
        event: what it says.

    Returns:
        The run, None where the chunk holds more than one piece of content, or goes over several lines.
    """
    data = quiet(data)
    if "\n" in data:
        return None
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
