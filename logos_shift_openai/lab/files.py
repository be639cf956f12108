"""Uploaded files and result files.

Owns ``FileStore``: bytes and their descriptions, in memory or in ``state_dir/files``. Contents are checked
only when a tuning job uses them.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ApiError, invalid, missing
from .storage import file_name, read_json, write_bytes, write_json

if TYPE_CHECKING:
    from .multipart import Part

PURPOSES = frozenset({"fine-tune", "batch", "assistants", "vision", "user_data", "evals"})
RESULTS = "fine-tune-results"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredFile:
    """Description of one file."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str

    def to_json(self) -> dict[str, object]:
        """Describe the file as ``/v1/files`` does."""
        fixed = {"object": "file", "status": "processed", "status_details": None, "expires_at": None}
        return {**asdict(self), **fixed}


class FileStore:
    """All files, safe to use from any thread.

    Args:
        folder: Where files are kept; None keeps them in memory only.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._folder = folder
        self._files: dict[str, tuple[StoredFile, bytes]] = {}
        self._load(folder)

    def add(self, filename: str, purpose: str, data: bytes) -> StoredFile:
        """Take in a file."""
        stored = StoredFile(f"file-{secrets.token_hex(11)}", len(data), int(time.time()), filename, purpose)
        if self._folder:
            write_bytes(self._folder / file_name(stored.id, ".bytes"), data)
            write_json(self._folder / file_name(stored.id), dict(asdict(stored)))
        with self._lock:
            self._files[stored.id] = (stored, data)
        return stored

    def upload(self, form: dict[str, Part]) -> StoredFile:
        """Take in an upload.

        Raises:
            ApiError: 400, a field is missing or wrong.
        """
        purpose = form["purpose"].text() if "purpose" in form else ""
        if not purpose:
            raise missing("purpose")
        if purpose not in PURPOSES:
            known = ", ".join(f"'{name}'" for name in sorted(PURPOSES))
            raise invalid(f"'{purpose}' is not one of [{known}] - 'purpose'", "purpose", "invalid_value")
        file = form.get("file")
        if file is None or file.filename is None:
            raise missing("file")
        if not file.data:
            raise invalid("File is empty.", "file", "empty_file")
        if purpose == "fine-tune" and not file.filename.endswith(".jsonl"):
            raise invalid("Invalid file format for Fine-Tuning API. Must be .jsonl", "file")
        return self.add(file.filename, purpose, file.data)

    def all(self) -> list[StoredFile]:
        """List the files, newest first."""
        with self._lock:
            return [stored for stored, _ in reversed(self._files.values())]

    def get(self, file_id: str) -> StoredFile:
        """Find a file's description.

        Raises:
            ApiError: 404.
        """
        return self._find(file_id)[0]

    def content(self, file_id: str) -> bytes:
        """Find a file's bytes.

        Raises:
            ApiError: 404.
        """
        return self._find(file_id)[1]

    def delete(self, file_id: str) -> None:
        """Remove a file.

        Raises:
            ApiError: 404.
        """
        self._find(file_id)
        with self._lock:
            self._files.pop(file_id, None)
        for ending in (".json", ".bytes") if self._folder else ():
            (Path(str(self._folder)) / file_name(file_id, ending)).unlink(missing_ok=True)

    def _find(self, file_id: str) -> tuple[StoredFile, bytes]:
        with self._lock:
            found = self._files.get(file_id)
        if found is None:
            raise ApiError(404, f"No such File object: {file_id}", param="id")
        return found

    def _load(self, folder: Path | None) -> None:
        found: list[tuple[StoredFile, bytes]] = []
        for path in folder.glob("*.json") if folder else ():
            try:
                stored = StoredFile(**read_json(path))  # type: ignore[arg-type]
                found.append((stored, path.with_suffix(".bytes").read_bytes()))
            except (OSError, ValueError, TypeError) as error:
                _log.warning("left out %s: %s", path.name, error)
        found.sort(key=lambda item: item[0].created_at)
        self._files.update({stored.id: (stored, data) for stored, data in found})
