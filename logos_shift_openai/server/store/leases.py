"""Leases: which of many processes does the work that only one may do.

One statement takes a lease, renews it, or takes it over when it has run out, the same on both engines. Each new
holder gets a higher token; a holder that was asleep finds a higher one than its own in the very transaction in which
it writes, just before it commits (`Store.fenced`), and commits nothing. With PostgreSQL the database's clock counts, so
the clocks of the machines need not agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, case, literal, literal_column, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from .schema import leases

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

LONGEST_MS: Final = 120_000
"""No lease is taken for longer."""

_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_CLOCKS: Final = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
}


class LeaseLostError(Exception):
    """Another process holds the lease now; nothing may be written under it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was held a moment ago.

    Args:
        token: Higher than that of every holder before.
    """

    name: str
    holder: str
    token: int


def acquire(connection: Connection, name: str, holder: str, milliseconds: int, now: int | None = None) -> Lease | None:
    """Take a lease or renew it.

    Args:
        connection: A writer's connection.
        name: What it is for.
        holder: Who asks; a name that no other process has.
        milliseconds: How long it holds, if it is not renewed; at most `LONGEST_MS`.
        now: Milliseconds since 1970; None for the database's own clock.

    Returns:
        The lease, or None while somebody else has it.
    """
    dialect = connection.dialect.name
    clock: ColumnElement[int] = literal_column(_CLOCKS[dialect]) if now is None else literal(now)
    fresh = _INSERTS[dialect](leases).values(name=name, holder=holder, token=1, until=clock + milliseconds)
    excluded = fresh.excluded
    same = leases.c.holder == excluded.holder
    # One that ends later than any that is taken now was taken before the clock went back: its holder, if it lives,
    # renews it by the new clock, and nobody is to wait for the old one's hour.
    over = or_(leases.c.until <= clock, leases.c.until > clock + LONGEST_MS)
    statement = fresh.on_conflict_do_update(
        index_elements=[leases.c.name],
        set_={
            "holder": excluded.holder,
            "until": excluded.until,
            "token": leases.c.token + case((same & (leases.c.until > clock), 0), else_=1),
        },
        where=or_(same, over),
    ).returning(leases.c.token)
    token = connection.scalar(statement)
    return None if token is None else Lease(name, holder, token)


def check(connection: Connection, lease: Lease) -> None:
    """Make sure, within a transaction that writes, that no other process has taken the lease over.

    Raises:
        LeaseLostError: one has.
    """
    held = select(leases.c.token).where(leases.c.name == lease.name).with_for_update(read=True)
    if connection.scalar(held) != lease.token:
        raise LeaseLostError(f"the lease {lease.name} of {lease.holder} was taken over")


def is_held(connection: Connection, name: str, now: int | None = None) -> bool:
    """Tell whether somebody holds a lease.

    Args:
        connection: A reader's connection.
        name: What it is for.
        now: Milliseconds since 1970; None for the database's own clock.
    """
    clock: ColumnElement[int] = literal_column(_CLOCKS[connection.dialect.name]) if now is None else literal(now)
    held = (leases.c.name == name) & (leases.c.until > clock) & (leases.c.until <= clock + LONGEST_MS)
    return connection.scalar(select(leases.c.token).where(held)) is not None


def release(connection: Connection, lease: Lease) -> None:
    """Let a lease go, so that the next holder need not wait for its end; tokens go on rising."""
    mine = (leases.c.name == lease.name) & (leases.c.token == lease.token) & (leases.c.holder == lease.holder)
    connection.execute(leases.update().where(mine).values(until=0))
