"""A part of a bucket in an S3-compatible store; whatever fails there is a `StoreError` of one line.

Address, region and keys come from the environment, as for every program that uses boto3 (`AWS_ENDPOINT_URL`,
`AWS_ACCESS_KEY_ID` and their like, a profile, the role of the machine): none of them is kept or logged here.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from .errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_URL: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([^?#]*))?")
_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 30
_TRIES: Final = 3
_CONNECTIONS: Final = 16
_GONE: Final = frozenset({"NoSuchKey", "404"})
_SAID: Final = 160


class NoObjectError(StoreError):
    """There is no such object."""


class Bucket:
    """See the module.

    Args:
        client: A client of `boto3` for "s3".
        name: The bucket, which must be there.
        prefix: What the names of all our objects begin with; empty, or with a slash at its end.
    """

    def __init__(self, client: Any, name: str, prefix: str = "") -> None:
        self._client = client
        self._name = name
        self._prefix = prefix

    def __str__(self) -> str:
        return f"s3://{self._name}/{self._prefix}"

    def below(self, folder: str) -> Bucket:
        """Give a part of this part."""
        return Bucket(self._client, self._name, f"{self._prefix}{folder}/")

    def check(self) -> None:
        """Make sure that the bucket is there and lets us in.

        Raises:
            StoreError: it is not, or does not.
        """
        with self._told(self._prefix):
            self._client.list_objects_v2(Bucket=self._name, Prefix=self._prefix, MaxKeys=1)

    def put(self, key: str, data: bytes) -> str:
        """Write an object and give its whole name."""
        name = self._prefix + key
        with self._told(name):
            self._client.put_object(Bucket=self._name, Key=name, Body=data)
        return name

    def upload(self, path: Path, key: str) -> None:
        """Write an object of a file, in parts where it is large."""
        with self._told(self._prefix + key):
            self._client.upload_file(str(path), self._name, self._prefix + key)

    def part(self, name: str, start: int, length: int) -> tuple[bytes, int]:
        """Read a part of an object by its whole name; gives the bytes, and how many the object has.

        Raises:
            NoObjectError: there is no such object.
        """
        with self._told(name):
            wanted = f"bytes={start}-{start + length - 1}"
            answer = self._client.get_object(Bucket=self._name, Key=name, Range=wanted)
            total = str(answer.get("ContentRange", "")).rpartition("/")[2]
            return bytes(answer["Body"].read()), int(total) if total.isdigit() else 0

    def has(self, key: str) -> bool:
        """Tell whether there is an object of a name within this part."""
        try:
            with self._told(self._prefix + key):
                self._client.head_object(Bucket=self._name, Key=self._prefix + key)
        except NoObjectError:
            return False
        return True

    def stream(self, key: str, chunk: int) -> tuple[int, Iterator[bytes]]:
        """Give the size and the bytes of an object.

        Raises:
            NoObjectError: there is no such object.
        """
        name = self._prefix + key
        with self._told(name):
            answer = self._client.get_object(Bucket=self._name, Key=name)

        def parts() -> Iterator[bytes]:
            with self._told(name):
                yield from answer["Body"].iter_chunks(chunk)

        return int(answer["ContentLength"]), parts()

    def names(self) -> Iterator[tuple[str, int]]:
        """Give the whole names of all objects, each with when it was written, in milliseconds since 1970."""
        with self._told(self._prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=self._prefix)
            for page in pages:
                for one in page.get("Contents", ()):
                    yield one["Key"], int(one["LastModified"].timestamp() * 1000)

    def remove(self, name: str) -> None:
        """Remove an object by its whole name; one that is not there is no fault."""
        with self._told(name):
            self._client.delete_object(Bucket=self._name, Key=name)

    def remove_below(self, key: str) -> None:
        """Remove an object by its name within this part."""
        self.remove(self._prefix + key)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error  # type: ignore[import-untyped]  # noqa: PLC0415 - as below
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # noqa: PLC0415

        try:
            yield
        except ClientError as error:
            told = error.response.get("Error", {})
            kind = NoObjectError if told.get("Code") in _GONE else StoreError
            raise kind(f"s3://{self._name}/{name}: {told.get('Code')} {told.get('Message', '')}".rstrip()) from None
        except (BotoCoreError, Boto3Error) as error:
            said = " ".join(str(error).split())
            raise StoreError(f"s3://{self._name}/{name}: {said[:_SAID]}") from None


def bucket_at(url: str) -> Bucket:
    """Open a part of a bucket.

    Args:
        url: `s3://bucket` or `s3://bucket/prefix`.

    Raises:
        StoreError: it is no such address, or boto3 is not installed.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise StoreError(f"the address of the bodies is s3://bucket/prefix, not {url!r}")
    try:
        import boto3  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra of its own
        from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ImportError:
        raise StoreError('bodies in S3 need boto3: pip install "logos_shift_openai[s3]"') from None
    options: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "retries": {"mode": "standard", "total_max_attempts": _TRIES},
        "max_pool_connections": _CONNECTIONS,
    }
    if os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        # Of somebody else than Amazon: few answer to bucket names in the host, or know the checksums of 2025.
        options["s3"] = {"addressing_style": "path"}
        for name in ("request_checksum_calculation", "response_checksum_validation"):
            if name in Config.OPTION_DEFAULTS:
                options[name] = "when_required"
    try:
        client = boto3.client("s3", config=Config(**options))
    except (BotoCoreError, ValueError) as error:
        raise StoreError(f"{url}: {' '.join(str(error).split())[:_SAID]}") from None
    prefix = (found[2] or "").strip("/")
    return Bucket(client, found[1], f"{prefix}/" if prefix else "")
