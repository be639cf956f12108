"""Unpack the body of a batch, in bounded memory: a small body may say it is a large one.

Unpacking stops where the limit is reached, whatever the body holds; it runs in a thread and never waits.
"""

from __future__ import annotations

import zlib
from typing import Final

import zstandard

ENCODINGS: Final = ("identity", "gzip", "zstd")
_GZIP: Final = 31  # zlib's window bits for the gzip format
_MOST_MEMBERS: Final = 1000
_WINDOW: Final = 2**27
_PART: Final = 2**20


class InflateError(ValueError):
    """The body is not what its Content-Encoding says; the message says how."""


class TooLongError(Exception):
    """Unpacked, it is longer than it may be."""


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """Unpack a body.

    Args:
        body: As it was sent.
        encoding: One of `ENCODINGS`.
        limit: Bytes it may have unpacked.

    Raises:
        InflateError: it is broken or cut.
        TooLongError: it is longer than the limit.
    """
    if encoding == "gzip":
        return _gunzip(body, limit)
    if encoding == "zstd":
        return _unzstd(body, limit)
    if len(body) > limit:
        raise TooLongError
    return body


def _gunzip(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    for _ in range(_MOST_MEMBERS):
        unpacker = zlib.decompressobj(_GZIP)
        try:
            part = unpacker.decompress(body, left + 1)
        except zlib.error as error:
            raise InflateError(f"the body is no gzip: {error}") from None
        left -= len(part)
        if left < 0:
            raise TooLongError
        parts.append(part)
        if not unpacker.eof:
            raise InflateError("the gzip body is cut short")
        body = unpacker.unused_data
        if not body:
            return b"".join(parts)
    raise InflateError("the gzip body has too many members")


def _unzstd(body: bytes, limit: int) -> bytes:
    try:
        size = zstandard.frame_content_size(body)
        if size > limit:
            raise TooLongError
        if size == 0:
            return b""
        # A frame that does not say its size is unpacked into a buffer of the limit's size, which costs what it fills.
        return zstandard.ZstdDecompressor().decompress(body, max_output_size=limit, allow_extra_data=False)
    except zstandard.ZstdError as error:
        if _fills(body, limit):
            raise TooLongError from None
        raise InflateError(f"the body is no zstd, or no whole one: {error}") from None


def _fills(body: bytes, limit: int) -> bool:
    """Tell whether what can be unpacked of a broken or a long body is more than the limit."""
    left = limit
    try:
        with zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(body) as reader:
            while left >= 0 and (part := reader.read(min(_PART, left + 1))):
                left -= len(part)
    except zstandard.ZstdError:
        return False
    return left < 0
