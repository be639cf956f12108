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

from logos_shift_openai.server.store.s3 import S3Bodies

from .choosing import EditionError
from .files import MANIFEST
from .s3_editions import S3Editions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.server.store.database import Store

_CHUNK: Final = 1 << 18
_BUILDING: Final = ".building-"
COPIES: Final = "edition-copies"
"""Beside the folder of editions: what was fetched from the S3-compatible store."""

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

    def folder(self, edition: str) -> Path:
        """Give a folder of this machine with the files of an edition; of one that lies elsewhere it is a copy.

        Raises:
            EditionError: its files are not there.
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

    def folder(self, edition: str) -> Path:
        """Give the folder itself."""
        place = self._root / edition
        if not (place / MANIFEST).is_file():
            raise EditionError(f"there is no edition {edition} in {self._root}")
        return place

    def remove(self, edition: str) -> None:
        """Remove the folder."""
        (self._root / edition / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self._root / edition, ignore_errors=True)


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
    here = FolderEditions(folder)
    if isinstance(store.bodies, S3Bodies):
        return S3Editions(store.bodies.bucket.below("editions"), folder.with_name(COPIES), here)
    return here
