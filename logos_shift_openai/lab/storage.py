"""Small files of the lab's state folder: JSON documents and bytes, replaced whole or not at all.

Owns the way onto the disk; what the documents mean belongs to the parts that write them.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def file_name(identifier: str, ending: str = ".json") -> str:
    """Make a file name of an id; a letter the id may have and a file name may not becomes ``=xx``."""
    return re.sub(r"[^A-Za-z0-9._-]", lambda sign: f"={ord(sign.group()):02x}", identifier) + ending


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(data)
    os.replace(partial, path)  # noqa: PTH105 - its meaning is the point


def write_json(path: Path, document: dict[str, object]) -> None:
    """Write a JSON document, see ``write_bytes``."""
    write_bytes(path, json.dumps(document, separators=(",", ":")).encode())


def read_json(path: Path) -> dict[str, object]:
    """Read a JSON object.

    Raises:
        ValueError: The file is not a JSON object.
    """
    document = json.loads(path.read_bytes())
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - a bad file, not a bad call
    return document
