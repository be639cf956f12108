"""Runs of chunks that differ in nothing but a piece of text, read as one.

Most chunks of a chat stream are the one before with another text in `delta.content`. Once a chunk has been read, those
behind it that begin and end as it does, to the byte, need no JSON parser each: their texts are read together.
Rule: a run is taken only where that gives just what reading each chunk gives; all else goes the plain way.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from . import sse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .deltas import Object

_KEY = re.compile(rb'"content":\s*')
_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\.)*"')
_NOT_AS_IT_STANDS = re.compile(rb'[\x00-\x1f"\\]')  # what a JSON string writes in another way
_NOISE = re.compile(rb',\s*"obfuscation":\s*"[^"\\\n]*"')  # differs from chunk to chunk, and the fold drops it anyway
_NOISY = b'"obfuscation":'
_WINDOW = 256  # chunks looked at together: a run that soon ends costs no look at all the rest


class Run:
    """What chunks of one run begin and end with, quotes of the text included, and the texts between, read."""

    __slots__ = ("head", "noisy", "tail", "texts")

    def __init__(self, head: bytes, tail: bytes, *, noisy: bool) -> None:
        self.head = head
        self.tail = tail
        self.noisy = noisy
        self.texts: list[str] = []

    def take_from(self, parts: Sequence[bytes], start: int, room: int) -> int:
        """Take chunks into the run as long as they are of it.

        Args:
            parts: the stream (`sse.parts`).
            start: index of the first one that may be.
            room: how many at most.

        Returns:
            How many were taken.
        """
        taken = 0
        while taken < room:
            window = self._window(parts[start + taken : start + min(taken + _WINDOW, room)])
            count = len(window)
            text = self._all_of(window) if count else None
            if text is None:
                count, text = self._first_of(window)
            self.texts.append(text)
            taken += count
            if count < _WINDOW:
                break
        return taken

    def _window(self, parts: Sequence[bytes]) -> Sequence[bytes]:
        """Leave out the parts at their end that are not of the run."""
        stop = len(parts)
        while stop and not self._frames(quiet(parts[stop - 1])):
            stop -= 1
        return parts[:stop]

    def _frames(self, part: bytes) -> bool:
        return part.startswith(self.head) and part.endswith(self.tail)

    def _all_of(self, window: Sequence[bytes]) -> str | None:
        """Give the text where every part is a chunk of the run, which is the common case and looked at as a whole.

        Every step goes through all parts in compiled code, but for one; to split by what stands between takes longer.
        """
        whole, count = sse.GLUE.join(window), len(window)
        if self.noisy:
            whole = _NOISE.sub(b"", whole)
            window = whole.split(sse.GLUE)
            if len(window) != count:
                return None
        skip, rest = len(self.head), -len(self.tail)
        texts = [part[skip:rest] for part in window]
        if self.head + (self.tail + sse.GLUE + self.head).join(texts) + self.tail != whole:
            return None
        text = b"".join(texts)
        try:
            if _NOT_AS_IT_STANDS.search(text) is None:
                return text.decode()
            # No JSON string goes on over a line end, so each text is by itself what they are together.
            said: list[str] = json.loads((b'["' + b'",\n"'.join(texts) + b'"]').decode())
        except ValueError:
            return None
        return "".join(said) if len(said) == count and set(map(type, said)) == {str} else None

    def _first_of(self, window: Sequence[bytes]) -> tuple[int, str]:
        """Give how many parts are of the run, looked at one by one, and their text."""
        texts: list[str] = []
        for part in map(quiet, window):
            text = part[len(self.head) - 1 : len(part) - len(self.tail) + 1]
            if not self._frames(part) or _STRING.fullmatch(text) is None:
                break
            try:
                texts.append(json.loads(text.decode("utf-8", "replace")))
            except ValueError:
                break
        return len(texts), "".join(texts)

    def chunk(self) -> str | None:
        """Give the data of what was taken as that of one chunk; None where nothing was."""
        text = "".join(self.texts)
        if not text:
            return None
        head, tail = self.head[:-1], self.tail[1:]
        return f"{head.decode('utf-8', 'replace')}{json.dumps(text)}{tail.decode('utf-8', 'replace')}"


def quiet(part: bytes) -> bytes:
    """Leave out of a chunk what is nothing but padding against eavesdroppers."""
    return _NOISE.sub(b"", part) if _NOISY in part else part


def run_of(part: bytes, event: Object) -> Run | None:
    """Begin a run with a chunk that has been read.

    Args:
        part: the part of the stream that it was the last one of.
        event: what it says.

    Returns:
        The run, None where the chunk holds more than one piece of content, or is more than one line.
    """
    data = quiet(part)
    if b"\n" in data:
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
    return Run(data[: start + 1], data[text.end() - 1 :], noisy=data is not part)
