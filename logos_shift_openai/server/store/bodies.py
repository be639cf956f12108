"""Where packed bodies lie: in the database, or in an S3-compatible store with only their places in the database.

An object holds the bodies of one dataset in a batch, and each is read by its range: a request a call would cost more
than what it keeps. It is written before its rows are committed, so a place never names an object that is not there;
one that no row names is swept up. When its calls came in stands in its name, so that a sweep asks an index for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .codec import ZSTD
from .errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Packed = tuple[str, str, bytes]
"""A body to be kept: the call's id, its dataset, and the bytes."""

BodyRow = tuple[str, str, "bytes | None", "str | None"]
"""A row of `call_bodies`: call_id, codec, data, place."""


@dataclass(frozen=True, slots=True)
class Place:
    """Part of an object: its name, the first byte and how many."""

    name: str
    start: int
    length: int

    def __str__(self) -> str:
        return f"{self.name}:{self.start}:{self.length}"

    @classmethod
    def read(cls, text: str) -> Place:
        """Read it as it stands in a row."""
        name, start, length = text.rsplit(":", 2)
        return cls(name, int(start), int(length))


class BodyStore(Protocol):
    """Keeps packed bodies. Whatever fails in another store than the database is a `StoreError`."""

    def keep(self, bodies: Sequence[Packed], first: int, last: int) -> list[BodyRow]:
        """Put bodies by and give their rows, in the same order.

        Args:
            bodies: Of calls that are new.
            first: When the first of these calls came in, milliseconds since 1970.
            last: When the last did.
        """

    def fetch(self, data: bytes | None, place: str | None) -> bytes:
        """Give the packed body of a row."""

    def objects(self, before: int) -> Iterator[str]:
        """Name the objects of this store that were written before a time, in milliseconds since 1970."""

    def drop(self, names: Iterable[str]) -> None:
        """Remove objects."""


class DatabaseBodies:
    """Bodies in the rows themselves."""

    def keep(self, bodies: Sequence[Packed], first: int, last: int) -> list[BodyRow]:  # noqa: ARG002 - see `BodyStore`
        """Give their rows."""
        return [(call_id, ZSTD, data, None) for call_id, _dataset, data in bodies]

    def fetch(self, data: bytes | None, place: str | None) -> bytes:
        """Give the packed body of a row.

        Raises:
            StoreError: it lies in another store.
        """
        if data is None:
            raise StoreError(f"a body lies in another store, at {place}: set LOGOS_SHIFT_BODIES_URL to read it")
        return data

    def objects(self, before: int) -> Iterator[str]:  # noqa: ARG002 - see `BodyStore`
        """There are none."""
        return iter(())

    def drop(self, names: Iterable[str]) -> None:
        """There is nothing to remove."""
