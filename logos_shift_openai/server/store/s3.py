"""Bodies in an S3-compatible store.

Theory of operation. Reading one call reads its range alone. Whoever reads many (an export, an edition) comes to the
same objects again and again: the second time an object is asked for it is read whole, where it is not large, and kept
for a while. Objects are never changed, so what is kept cannot be stale.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from .bodies import BodyRow, Packed, Place
from .codec import ZSTD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .bucket import Bucket

_DAY_MS: Final = 86_400_000
_REMEMBERED: Final = 256
_WHOLE_BYTES: Final = 4 * 2**20
_CACHED_BYTES: Final = 32 * 2**20
_SPAN: Final = re.compile(r"(?:.*/)?(\d+)-(\d+)-[0-9a-f]{32}")


class S3Bodies:
    """See the module; rows that hold their body are read too.

    Args:
        bucket: The part of it that is this store's own: whatever lies there is ours to sweep up.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._objects = bucket.below("bodies")
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._whole: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, bodies: Sequence[Packed], first: int, last: int) -> list[BodyRow]:
        """Write an object for each dataset and give the rows.

        Raises:
            StoreError: the bucket cannot be written.
        """
        starts: list[int] = []
        parts: dict[str, list[bytes]] = {}
        sizes: dict[str, int] = {}
        for _id, dataset, data in bodies:
            starts.append(sizes.get(dataset, 0))
            sizes[dataset] = starts[-1] + len(data)
            parts.setdefault(dataset, []).append(data)
        names = {
            dataset: self._objects.put(f"{first // _DAY_MS}/{first}-{last}-{uuid4().hex}", b"".join(data))
            for dataset, data in parts.items()
        }
        return [
            (call_id, ZSTD, None, str(Place(names[dataset], start, len(data))))
            for (call_id, dataset, data), start in zip(bodies, starts, strict=True)
        ]

    def fetch(self, data: bytes | None, place: str | None) -> bytes:
        """Read the packed body of a row.

        Raises:
            StoreError: the bucket cannot be read, or the object is gone.
        """
        if data is not None:
            return data
        at = Place.read(place or "")
        with self._lock:
            whole, size = self._whole.get(at.name), self._sizes.get(at.name)
        if whole is None and size is not None and at.length < size <= _WHOLE_BYTES:
            whole = self._objects.part(at.name, 0, size)[0]
            self._remember(at.name, whole)
        if whole is not None:
            return whole[at.start : at.start + at.length]
        found, size = self._objects.part(at.name, at.start, at.length)
        with self._lock:
            self._sizes[at.name] = size
            while len(self._sizes) > _REMEMBERED:
                self._sizes.popitem(last=False)
        return found

    def objects(self, before: int) -> Iterator[str]:
        """Name the objects of ours that were written before a time, in milliseconds since 1970."""
        return (name for name, at in self._objects.names() if at < before and _SPAN.fullmatch(name))

    def drop(self, names: Iterable[str]) -> None:
        """Remove objects."""
        for name in names:
            self._objects.remove(name)

    def _remember(self, name: str, whole: bytes) -> None:
        with self._lock:
            self._whole[name] = whole
            while sum(map(len, self._whole.values())) > _CACHED_BYTES:
                self._whole.popitem(last=False)


def span_of(name: str) -> tuple[int, int]:
    """Tell between which times the calls of an object came in, both included: milliseconds since 1970."""
    found = _SPAN.fullmatch(name)
    assert found is not None
    return int(found[1]), int(found[2])
