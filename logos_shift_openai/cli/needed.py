"""What the commands need beyond the client, by extra, and what of it is missing on this machine.

Its rule: only the standard library is imported here, and nothing is loaded in order to look for it.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

COMMAND_LINE: Final = (
    "typer",
    "rich",
    "sqlalchemy",
    "alembic",
    "msgspec",
    "genai_prices",
    *(("backports.zstd",) if sys.version_info < (3, 14) else ()),
)
"""Of the extra `cli`, which every command needs."""

SERVER: Final = ("uvicorn",)
"""Of the extra `server`, beyond those."""


def absent(names: Iterable[str]) -> str:
    """Name those that cannot be imported, as one text; empty where all can."""
    return ", ".join(name for name in names if not _is_there(name))


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:  # of the package that a dotted name lies in
        return False
