"""Fingerprints of prompts on the caller's thread: a prompt that was seen before costs about a microsecond.

A program says the same in each of its calls. What it said is kept as a copy of our own, for the caller may change his
tools in place, and compared by value, which is quick where the texts are the same objects. Rule: a fingerprint is that
of `core.fingerprint`, whatever the cache holds; the cache is bounded and has no lock, for losing a race costs a hash.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.core.fingerprint import prompt_fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST: Final = 256
_EACH: Final = 8
_PROGRAM: Final = ("system", "developer")


class Prompts:
    """See the module."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[tuple[Any, str | None], ...]] = {}

    def fingerprint(self, body: Mapping[str, Any]) -> str | None:
        """Give the fingerprint of a request's prompt.

        Args:
            body: The request as the caller wrote it; it is not changed.
        """
        get = body.get
        spoken = get("messages") or get("input")
        said = []
        if spoken.__class__ is list:
            said = [one.get("content") for one in spoken if one.__class__ is dict and one.get("role") in _PROGRAM]
        rest = (said, get("instructions"), get("tools"), get("functions"), get("response_format"), get("text"))
        first = said[0] if said else None
        key = first if first.__class__ is str else None
        for told, found in self._known.get(key, ()):
            if told == rest:
                return found
        found = prompt_fingerprint(body if body.__class__ is dict else dict(body))
        self._keep(key, rest, found)
        return found

    def _keep(self, key: Any, rest: Any, found: str | None) -> None:
        if len(self._known) >= _MOST:
            self._known = {}
        kept = (copy.deepcopy(rest), found)
        self._known[key] = (kept, *self._known.get(key, ())[: _EACH - 1])
