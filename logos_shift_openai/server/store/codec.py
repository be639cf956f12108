"""Pack bodies with zstd and the newest dictionary of their dataset, and unpack whatever was ever packed.

A frame of zstd names its dictionary by number, so a body needs nothing beside it. It is kept without the four bytes
that all frames begin with. Older ones have them, and none is taken for another: a bit of a frame's descriptor is
always 0 (RFC 8878, section 3.1.1.1.1.4), and is 1 in the first of those bytes and in the `{` of a text not packed.
Dictionaries that another process trains are seen within a minute.
"""

from __future__ import annotations

import threading
import time
import zlib
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, func, select

from logos_shift_openai.server import zstd

from .schema import dictionaries

zstandard: Any
try:
    import zstandard
except ImportError:  # an extra of its own, which only saves time
    zstandard = None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LEVEL: Final = 3
ZSTD: Final = "zstd"
_REFRESH_SECONDS: Final = 60.0
_NONE: Final = 0
_MAGIC: Final = b"\x28\xb5\x2f\xfd"


class Codec:
    """The dictionaries of one store, and compressors for the threads that use them.

    Args:
        clock: Seconds of a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[int, zstd.ZstdDict] = {}
        self._newest: dict[str, int] = {}
        self._refresh_at = float("-inf")
        self._thread = threading.local()

    def forget(self) -> None:
        """Look for new dictionaries at the next turn."""
        self._refresh_at = float("-inf")

    def refresh(self, connection: Connection) -> None:
        """Learn of new dictionaries, if it is time to."""
        if self._clock() < self._refresh_at:
            return
        rank = func.row_number().over(partition_by=dictionaries.c.dataset, order_by=dictionaries.c.calls.desc())
        ranked = select(dictionaries.c.dataset, dictionaries.c.id, rank.label("rank")).subquery()
        newest = select(ranked.c.dataset, ranked.c.id).where(ranked.c.rank == 1)
        found = {row.dataset: row.id for row in connection.execute(newest)}
        for number in found.values():
            self._dictionary(connection, number)
        self._newest = found
        self._refresh_at = self._clock() + _REFRESH_SECONDS

    def pack(self, dataset: str, data: bytes) -> bytes:
        """Compress a body of this dataset; `refresh` says with which dictionary."""
        compressor = self._compressor(self._newest.get(dataset, _NONE))
        return compressor.compress(data, zstd.ZstdCompressor.FLUSH_FRAME)[len(_MAGIC) :]

    def pack_rest(self, dataset: str, data: bytes) -> bytes:
        """Compress a short text of this dataset; without a dictionary it stays as it is."""
        return self.pack(dataset, data) if self._newest.get(dataset) else data

    def unpack_rest(self, connection: Connection | None, data: bytes) -> bytes:
        """Give a short text back, which is JSON, or was before it was packed; see `unpack` for the connection.

        Raises:
            ValueError: its dictionary is gone.
        """
        return data if data[:1] == b"{" else self.unpack(connection, ZSTD, data)

    def dictionary_of(self, dataset: str) -> int | None:
        """Give the number of the newest dictionary of a dataset that is known of."""
        return self._newest.get(dataset)

    def learn(self, connection: Connection, packed: Iterable[bytes]) -> None:
        """Learn of the dictionaries of bodies or short texts, so that each can be unpacked without a connection."""
        frames = (data for data in packed if data[:1] != b"{")
        for number in {zstd.get_frame_info(_whole(data)).dictionary_id for data in frames} - {_NONE}:
            self._dictionary(connection, number)

    def unpack(self, connection: Connection | None, codec: str, data: bytes) -> bytes:
        """Give a body back.

        Args:
            connection: Where dictionaries that are not known yet are read; None after `learn`.
            codec: How it was packed.
            data: The packed body.

        Raises:
            ValueError: it was packed in a way that is not known here, or its dictionary is gone.
        """
        if codec == "zlib":
            return zlib.decompress(data)
        if codec != ZSTD:
            raise ValueError(f"a body packed with {codec!r}, which is not known here")
        data = _whole(data)
        number = zstd.get_frame_info(data).dictionary_id
        if number != _NONE:
            self._dictionary(connection, number)
        quickly = self._quickly(number, data)
        if quickly is not None:
            return quickly
        frame = zstd.ZstdDecompressor(self._known.get(number))  # one frame: quicker than `zstd.decompress`, which loops
        unpacked: bytes = frame.decompress(data)
        if not frame.eof or frame.unused_data:
            raise zstd.ZstdError("a packed body is cut off, or something stands behind it")
        return unpacked

    def _quickly(self, number: int, data: bytes) -> bytes | None:
        """Unpack with a decompressor that is kept; None where that cannot be done, or not at once.

        The standard library's is good for one frame, and to make one takes longer than to use it, most of all in a
        virtual machine: libzstd asks the processor what it can each time, which a hypervisor answers.
        """
        if zstandard is None:
            return None
        ready: dict[int, Any] = self._thread.__dict__.setdefault("decompressors", {})
        if number not in ready:
            known = self._known.get(number)
            ready[number] = zstandard.ZstdDecompressor(
                dict_data=None if known is None else zstandard.ZstdCompressionDict(known.dict_content)
            )
        try:
            return bytes(ready[number].decompress(data, allow_extra_data=False))
        except zstandard.ZstdError:
            return None  # the other one says what is wrong, or can do it

    def _dictionary(self, connection: Connection | None, number: int) -> None:
        if number in self._known:
            return
        found = select(dictionaries.c.data).where(dictionaries.c.id == number)
        data = None if connection is None else connection.scalar(found)
        if data is None:
            raise ValueError(f"the dictionary {number}, which a body was packed with, is not in the store")
        self._known[number] = zstd.ZstdDict(data)

    def _compressor(self, number: int) -> zstd.ZstdCompressor:
        ready: dict[int, zstd.ZstdCompressor] = self._thread.__dict__.setdefault("compressors", {})
        if number not in ready:
            dictionary = self._known.get(number)
            # Digested: prepared once, not for each body.
            ready[number] = zstd.ZstdCompressor(LEVEL, zstd_dict=dictionary and dictionary.as_digested_dict)
        return ready[number]


def _whole(data: bytes) -> bytes:
    return data if data[:1] == _MAGIC[:1] else _MAGIC + data
