"""Media in bodies: pictures, sound and files that came as base64 are replaced by their hash and size.

Rule: the same bytes give the same hash, wherever and however they were written; addresses of media (`https://…`) and
whatever is not clean base64 stay as they are.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .json_text import Json

_SHORTEST_INSIDE = 128
"""A data URL in the middle of a text is media from so many letters of base64 on; one on its own always is."""


class Media(NamedTuple):
    """One piece of media taken out of a body.

    Args:
        path: Where it stood, for instance `request.messages[0].content[1].image_url.url`.
        sha256: Hash of the decoded bytes, in hex.
        bytes: Number of decoded bytes.
    """

    path: str
    sha256: str
    bytes: int


class Found(NamedTuple):
    """A stretch of base64 in a text: `text[start:end]`, and what it decodes to."""

    start: int
    end: int
    sha256: str
    bytes: int

    @property
    def marker(self) -> str:
        """The text that takes its place."""
        return f"[media sha256={self.sha256} bytes={self.bytes}]"


_HEADER = r"data:[A-Za-z0-9.+*-]{0,64}/?[A-Za-z0-9.+*-]{0,100}(?:;[A-Za-z0-9._-]{1,64}=[^;,\s\"]{0,100}){0,4};base64,"
_ALONE = re.compile(_HEADER)
_INSIDE = re.compile(_HEADER + r"(?P<data>[A-Za-z0-9+/_-]*={0,2})")
_WHOLE = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_SPACE = re.compile(r"\s+")
_URLSAFE = str.maketrans("-_", "+/")

_PLACES = re.compile(
    rb"_(?:audio(?<=input_audio)|data(?<=file_data)|json(?<=b64_json)|generation_call(?<=image_generation_call))"
)
_SPACES = rb"(?:\s|\\+[ntr])*"
_AUDIO = re.compile(rb'"(?=audio)audio\\*"' + _SPACES + rb":" + _SPACES + rb'(?:\\*"' + _SPACES + rb")?\{")
HOLDERS = frozenset({"input_audio", "audio"})
"""Keys of objects whose `data` is media."""

_BY_KEY = frozenset({"file_data", "b64_json"})


def sieve(body: bytes) -> bool:
    """Say whether a body may hold media; no is sure, as long as no ASCII letter in it is escaped."""
    if (b";" in body and b";base64," in body) or (b"_" in body and _PLACES.search(body)):
        return True
    return _AUDIO.search(body) is not None


def is_place(above: str | int | None, key: str | int, siblings: dict[str, Json]) -> bool:
    """Say whether a member is one that holds bare base64 by the API's definition.

    Args:
        above: the key of the object the member stands in.
        key: the key of the member.
        siblings: that object.
    """
    if (key == "data" and above in HOLDERS) or key in _BY_KEY:
        return True
    return key == "result" and siblings.get("type") == "image_generation_call"


def in_place(text: str) -> Found | None:
    """Read the value of a member `is_place` names: bare base64, with line ends or without, or None."""
    return None if text.startswith("data:") else _decoded(text, 0, len(text))


def in_text(text: str) -> Iterator[Found]:
    """Give the base64 of each data URL in a text, in order."""
    header = _ALONE.match(text)
    alone = _decoded(text, header.end(), len(text)) if header else None
    if alone is not None:
        yield alone
        return
    for match in _INSIDE.finditer(text):
        start, end = match.span("data")
        found = _decoded(text, start, end) if end - start >= _SHORTEST_INSIDE else None
        if found is not None:
            yield found


def _decoded(text: str, start: int, end: int) -> Found | None:
    data = text[start:end]
    if not _WHOLE.fullmatch(data):
        data = _SPACE.sub("", data)
        if not _WHOLE.fullmatch(data):
            return None
    bare = data.rstrip("=")
    try:
        decoded = base64.b64decode(bare.translate(_URLSAFE) + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        return None
    return Found(start, end, hashlib.sha256(decoded).hexdigest(), len(decoded))
