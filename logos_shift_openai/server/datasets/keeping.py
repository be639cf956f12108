"""Where editions lie: a folder of the server's data, or the S3-compatible store where bodies lie.

Rule: an edition is there as a whole or not at all. In a folder it is renamed into its place when all of it is on the
disk; in S3 its manifest is written last, and without one there is no edition. What is there is never changed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from logos_shift_openai.server.store.bodies import S3Bodies

from .choosing import EditionError
from .files import MANIFEST, NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.server.store.database import Store

_CHUNK: Final = 1 << 18
_BUILDING: Final = ".building-"
_STALE_SECONDS: Final = 86_400


class EditionStore(Protocol):
    """Keeps the files of editions."""

    def workplace(self) -> Any:
        """Give a folder of this machine to build in; it is gone after the block."""

    def publish(self, folder: Path, edition: str) -> str:
        """Make what was built visible under its id, and say where it lies."""

    def read(self, edition: str, name: str) -> tuple[int, Iterator[bytes]]:
        """Give the size and the bytes of a file.

        Raises:
            EditionError: it is not there.
        """

    def remove(self, edition: str) -> None:
        """Remove an edition; the manifest goes first."""


class FolderEditions:
    """Editions in a folder.

    Args:
        root: Is made when the first one is built.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """Give a folder beside the editions, so that it can be renamed into its place."""
        self._root.mkdir(parents=True, exist_ok=True)
        for left in self._root.glob(f"{_BUILDING}*"):  # of a process that was killed
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=self._root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, folder: Path, edition: str) -> str:
        """Rename the folder into its place; the same edition may be there already."""
        place = self._root / edition
        folder.chmod(0o700)
        try:
            folder.rename(place)
        except OSError:
            if not (place / MANIFEST).exists():
                raise
        _sync(self._root)
        return str(place)

    def read(self, edition: str, name: str) -> tuple[int, Iterator[bytes]]:
        """Give the size and the bytes of a file."""
        path = self._root / edition / name
        try:
            file = path.open("rb")
        except OSError as error:
            raise EditionError(f"{path}: {error.strerror or error}") from None

        def parts() -> Iterator[bytes]:
            with file:
                while part := file.read(_CHUNK):
                    yield part

        return os.fstat(file.fileno()).st_size, parts()

    def remove(self, edition: str) -> None:
        """Remove the folder."""
        (self._root / edition / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self._root / edition, ignore_errors=True)


class S3Editions:
    """Editions in an S3-compatible store.

    Args:
        client: A client of `boto3` for "s3".
        bucket: The bucket.
        prefix: What the names of our objects begin with.
    """

    def __init__(self, client: Any, bucket: str, prefix: str = "logos-shift/editions/") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """Give a temporary folder."""
        with tempfile.TemporaryDirectory(prefix="logos-shift-edition-") as folder:
            yield Path(folder)

    def publish(self, folder: Path, edition: str) -> str:
        """Upload the files, the manifest last."""
        for name in NAMES:
            self._client.upload_file(str(folder / name), self._bucket, f"{self._prefix}{edition}/{name}")
        return f"s3://{self._bucket}/{self._prefix}{edition}"

    def read(self, edition: str, name: str) -> tuple[int, Iterator[bytes]]:
        """Give the size and the bytes of a file."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=f"{self._prefix}{edition}/{name}")
        except self._client.exceptions.NoSuchKey:
            raise EditionError(f"{edition}/{name} is not in the bucket {self._bucket}") from None
        return int(answer["ContentLength"]), answer["Body"].iter_chunks(_CHUNK)

    def remove(self, edition: str) -> None:
        """Remove the objects."""
        for name in reversed(NAMES):
            self._client.delete_object(Bucket=self._bucket, Key=f"{self._prefix}{edition}/{name}")


def _sync(folder: Path) -> None:
    """See a rename onto the disk, where a folder can be opened at all."""
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def editions_of(store: Store, folder: Path) -> EditionStore:
    """Open the place of a store's editions: beside its bodies where those lie in S3, else a folder of this machine."""
    if isinstance(store.bodies, S3Bodies):
        client, bucket, prefix = store.bodies.beside("editions/")
        return S3Editions(client, bucket, prefix)
    return FolderEditions(folder)
