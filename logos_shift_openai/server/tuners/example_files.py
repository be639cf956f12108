"""The files of examples: kept in the store for every process of a server, and in the home folder for clients there."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, select

from logos_shift_openai.core.home import EXAMPLES
from logos_shift_openai.server.store.schema import example_indexes

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from logos_shift_openai.server.store.database import Store

_NAME: Final = re.compile(r"[0-9a-f]{64}")


def keep_index(store: Store, home: Path, name: str, content: bytes, now: int) -> None:
    """Keep a file under its name; one that is there already is the same.

    Args:
        store: For the processes of a server.
        home: For the clients of this machine.
        name: SHA-256 of its content.
        content: Its bytes.
        now: Milliseconds since 1970.
    """
    with store.writing() as connection:
        if find_index(connection, name) is None:
            packed = zlib.compress(content)
            connection.execute(insert(example_indexes).values(name=name, content=packed, at=now))
    folder = home / EXAMPLES
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = folder / f"{name}.new"
    fresh.write_bytes(content)
    fresh.replace(folder / f"{name}.jsonl")


def find_index(connection: Connection, name: str) -> bytes | None:
    """Give a file's bytes, None where there is none of this name."""
    if not _NAME.fullmatch(name):
        return None
    found = connection.scalar(select(example_indexes.c.content).where(example_indexes.c.name == name))
    return None if found is None else zlib.decompress(found)
