"""Where packed bodies lie: in the database, or in an S3-compatible store with only their places in the database.

In an S3 store the bodies of a batch make one object, and each is read by its range: a request a call would cost
more than what it keeps. An object is written before its rows are committed, so a place never names an object that
is not there; one that no row names (a batch that failed) is swept up by retention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import uuid4

from .codec import ZSTD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BodyRow = tuple[str, str, "bytes | None", "str | None"]
"""A row of `call_bodies`: call_id, codec, data, place."""

_DAY_MS: Final = 86_400_000


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
    """Keeps packed bodies."""

    def keep(self, bodies: Sequence[tuple[str, bytes]], now: int) -> list[BodyRow]:
        """Put bodies by and give their rows.

        Args:
            bodies: Ids of calls with their packed bodies.
            now: Milliseconds since 1970.
        """

    def fetch(self, data: bytes | None, place: str | None) -> bytes:
        """Give the packed body of a row."""

    def objects(self, before: int) -> Iterator[str]:
        """Name the objects that were written before a time, in milliseconds since 1970."""

    def drop(self, names: Iterable[str]) -> None:
        """Remove objects."""


class DatabaseBodies:
    """Bodies in the rows themselves."""

    def keep(self, bodies: Sequence[tuple[str, bytes]], now: int) -> list[BodyRow]:  # noqa: ARG002 - see `BodyStore`
        """Give their rows."""
        return [(call_id, ZSTD, data, None) for call_id, data in bodies]

    def fetch(self, data: bytes | None, place: str | None) -> bytes:
        """Give the packed body of a row.

        Raises:
            ValueError: it lies in another store.
        """
        if data is None:
            raise ValueError(f"the body lies at {place}, and no body store is set up to read it from")
        return data

    def objects(self, before: int) -> Iterator[str]:  # noqa: ARG002 - see `BodyStore`
        """There are none."""
        return iter(())

    def drop(self, names: Iterable[str]) -> None:
        """There is nothing to remove."""


class S3Bodies:
    """Bodies in an S3-compatible store, an object a batch; rows that hold their body are read too.

    Args:
        client: A client of `boto3` for "s3".
        bucket: The bucket, which must be there.
        prefix: What the names of our objects begin with.
    """

    def __init__(self, client: Any, bucket: str, prefix: str = "logos-shift/bodies/") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def beside(self, name: str) -> tuple[Any, str, str]:
        """Give client, bucket and prefix for other things that are kept beside the bodies."""
        above, _, _ = self._prefix.rstrip("/").rpartition("/")
        return self._client, self._bucket, f"{above}/{name}" if above else name

    def keep(self, bodies: Sequence[tuple[str, bytes]], now: int) -> list[BodyRow]:
        """Write one object of them all and give their rows."""
        if not bodies:
            return []
        name = f"{self._prefix}{now // _DAY_MS}/{now}-{uuid4().hex}"
        rows: list[BodyRow] = []
        start = 0
        for call_id, data in bodies:
            rows.append((call_id, ZSTD, None, str(Place(name, start, len(data)))))
            start += len(data)
        self._client.put_object(Bucket=self._bucket, Key=name, Body=b"".join(data for _id, data in bodies))
        return rows

    def fetch(self, data: bytes | None, place: str | None) -> bytes:
        """Read the packed body of a row by its range."""
        if data is not None:
            return data
        at = Place.read(place or "")
        answer = self._client.get_object(
            Bucket=self._bucket, Key=at.name, Range=f"bytes={at.start}-{at.start + at.length - 1}"
        )
        return bytes(answer["Body"].read())

    def objects(self, before: int) -> Iterator[str]:
        """Name the objects that were written before a time, in milliseconds since 1970."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        for page in pages:
            for one in page.get("Contents", ()):
                if one["LastModified"].timestamp() * 1000 < before:
                    yield one["Key"]

    def drop(self, names: Iterable[str]) -> None:
        """Remove objects."""
        for name in names:
            self._client.delete_object(Bucket=self._bucket, Key=name)


def s3_bodies(url: str) -> S3Bodies:
    """Open an S3-compatible store.

    Args:
        url: `s3://bucket/prefix`; address and keys come from the environment, as for every program that uses boto3.
    """
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra of its own

    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return S3Bodies(boto3.client("s3"), bucket, f"{prefix.rstrip('/')}/" if prefix else "logos-shift/bodies/")
