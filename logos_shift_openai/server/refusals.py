"""What is kept of lines that were no records: how many, by the part at fault, and when the last one came.

Rule: never the line itself. It may hold anything, a secret too, and no redaction has a say over what cannot be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from .store.schema import refused

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Refused(NamedTuple):
    """Lines with one part at fault; `last_at` is milliseconds since 1970."""

    reason: str
    lines: int
    last_at: int


def list_refused(connection: Connection) -> list[Refused]:
    """List them, the latest first."""
    columns = (refused.c.reason, refused.c.lines, refused.c.last_at)
    query = select(*columns).order_by(refused.c.last_at.desc(), refused.c.lines.desc(), refused.c.reason)
    return [Refused(*row) for row in connection.execute(query)]
