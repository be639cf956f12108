"""Unpack the body of a batch, in bounded memory: a small body may say it is a large one.

Unpacking stops where the limit is reached, whatever the body holds; it runs in a thread and never waits.
"""

from __future__ import annotations

import zlib
from typing import Final

from . import zstd

ENCODINGS: Final = ("identity", "gzip", "zstd")
_GZIP: Final = 31  # zlib's window bits for the gzip format
_MOST_MEMBERS: Final = 1000
_WINDOW_LOG: Final = 27  # what a frame may ask for as its window: 128 MiB, as the reference decoder does


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
        size = zstd.get_frame_info(body).decompressed_size
        if size is not None and size > limit:
            raise TooLongError
        unpacker = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
        unpacked: bytes = unpacker.decompress(body, limit + 1)
    except zstd.ZstdError as error:
        raise InflateError(f"the body is no zstd: {error}") from None
    if len(unpacked) > limit:
        raise TooLongError
    if not unpacker.eof:
        raise InflateError("the zstd body is cut short")
    if unpacker.unused_data:
        raise InflateError("the zstd body goes on after its frame")
    return unpacked
