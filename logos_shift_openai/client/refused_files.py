"""What is set aside for a person, in `refused/` beside the folders of a spool: files, written and moved there.

Nothing here counts or bounds: that is the spool's.
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

from logos_shift_openai.client.file_lock import BINARY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

REFUSED = "refused"


def reason(why: str) -> str:
    """Make a part of a file name of a server's word."""
    return re.sub(r"[^a-z0-9]+", "_", why.lower())[:40].strip("_") or "unknown"


def write_aside(root: Path, name: str, lines: Sequence[bytes], *, anew: bool = False) -> None:
    """Add lines to a file in `refused/`.

    Args:
        root: The folder of the spool.
        name: The file's.
        lines: Each ending in a newline.
        anew: Whether they take the place of what it held.

    Raises:
        OSError: they could not be written, or not all.
    """
    folder = root / REFUSED
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if anew else os.O_APPEND) | BINARY
    data = b"".join(lines)
    fd = os.open(folder / name, flags, 0o600)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, name)
    finally:
        os.close(fd)


def move_aside(root: Path, path: Path) -> None:
    """Move a file to `refused/` as it is, under its folder's name and its own.

    Raises:
        OSError: it cannot be moved.
    """
    folder = root / REFUSED
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.replace(folder / f"{path.parent.name}-{path.name}")
