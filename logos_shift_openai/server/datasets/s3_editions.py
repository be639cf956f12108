"""Editions in an S3-compatible store, beside the bodies; what is to be trained on or asked is fetched to this machine.

Rule: a copy is there as a whole or not at all, and its bytes are those that the manifest names; the manifest's own
hash is the edition's id. A copy goes when its edition is removed here, or at the next fetch when it was elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logos_shift_openai.server.store.bucket import NoObjectError

from .choosing import EditionError
from .files import MANIFEST, NAMES, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.server.store.bucket import Bucket

    from .keeping import FolderEditions

_CHUNK: Final = 1 << 18
_FETCHING: Final = ".fetching-"


class S3Editions:
    """See the module.

    Args:
        bucket: The part of it where editions lie.
        copies: A folder of this machine for copies; is made when one is wanted.
        before: Editions that were made when there was no bucket; they stay where they are.
    """

    def __init__(self, bucket: Bucket, copies: Path, before: FolderEditions) -> None:
        self._bucket = bucket
        self._copies = copies
        self._before = before

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """Give a temporary folder."""
        with tempfile.TemporaryDirectory(prefix="logos-shift-edition-") as folder:
            yield Path(folder)

    def publish(self, folder: Path, edition: str) -> str:
        """Upload the files, the manifest last."""
        for name in NAMES:
            self._bucket.upload(folder / name, f"{edition}/{name}")
        return f"{self._bucket}{edition}"

    def read(self, edition: str, name: str) -> tuple[int, Iterator[bytes]]:
        """Give the size and the bytes of a file."""
        try:
            return self._bucket.stream(f"{edition}/{name}", _CHUNK)
        except NoObjectError as error:
            try:
                return self._before.read(edition, name)
            except EditionError:
                raise EditionError(str(error)) from None

    def folder(self, edition: str) -> Path:
        """Give the copy of this machine; it is fetched where there is none."""
        place = self._copies / edition
        if (place / MANIFEST).is_file():
            return place
        self._copies.mkdir(mode=0o700, parents=True, exist_ok=True)
        fetched = Path(tempfile.mkdtemp(prefix=_FETCHING, dir=self._copies))
        try:
            self._fetch(edition, fetched)
            fetched.rename(place)
        except NoObjectError:
            return self._before.folder(edition)
        except OSError as error:
            if not (place / MANIFEST).is_file():  # it was fetched by another thread meanwhile
                raise EditionError(f"{place}: {error.strerror or error}") from None
        finally:
            shutil.rmtree(fetched, ignore_errors=True)
        self._forget_removed()
        return place

    def remove(self, edition: str) -> None:
        """Remove the objects, the copy, and what may be left of the time before there was a bucket."""
        for name in reversed(NAMES):
            self._bucket.remove_below(f"{edition}/{name}")
        shutil.rmtree(self._copies / edition, ignore_errors=True)
        self._before.remove(edition)

    def _fetch(self, edition: str, folder: Path) -> None:
        """Write all files of an edition into a folder, the manifest last."""
        manifest = b"".join(self._bucket.stream(f"{edition}/{MANIFEST}", _CHUNK)[1])
        if name_of(manifest) != edition:
            raise EditionError(f"the manifest of edition {edition} in {self._bucket} is not the one it was made with")
        for name, said in json.loads(manifest)["files"].items():
            found = hashlib.sha256()
            with (folder / Path(name).name).open("wb") as file:
                for part in self._bucket.stream(f"{edition}/{name}", _CHUNK)[1]:
                    file.write(part)
                    found.update(part)
            if found.hexdigest() != said["sha256"]:
                raise EditionError(f"{name} of edition {edition} in {self._bucket} is not as the manifest says")
        (folder / MANIFEST).write_bytes(manifest)

    def _forget_removed(self) -> None:
        """Remove copies of editions that another process has removed."""
        for place in self._copies.iterdir():
            if not place.name.startswith(".") and not self._bucket.has(f"{place.name}/{MANIFEST}"):
                shutil.rmtree(place, ignore_errors=True)
