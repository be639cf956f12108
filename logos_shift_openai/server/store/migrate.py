"""Bring a store to this version's schema: made at once where there is none, by migrations where there is.

A new SQLite file gets its tables in one go (a command should not wait for Alembic on its first run); the tests hold
that way and the way through all migrations against each other. After an upgrade the evidence is counted anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from sqlalchemy import Connection, column, delete, func, insert, inspect, literal, select, table, update

from logos_shift_openai.server.feedback import effective_scores

from .evidence import Deltas, fold_deltas, recount
from .partitions import make_partitions
from .schema import REVISION, calls, evidence, evidence_deltas, meta, tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

_VERSIONS: Final = table("alembic_version", column("version_num"))
_FIRST: Final = "0001"
_RECOUNT: Final = "recount"
_LOCK: Final = 0x6C6F676F73  # the same in every process: "logos"
_Transaction: TypeAlias = "Callable[[], AbstractContextManager[Connection]]"


class SchemaError(Exception):
    """The store's schema is not one that can be worked with; the message says what to do."""


def prepare(reading: _Transaction, writing: _Transaction, *, create: bool) -> None:
    """Make the tables of a new store, upgrade an old one, and refuse a newer one.

    Args:
        reading: Gives a transaction to read in.
        writing: Gives a transaction to write in; all is done in one.
        create: Whether anything may be changed.

    Raises:
        SchemaError: the store is of a newer version, or must be changed and may not.
    """
    with reading() as connection:
        if revision_of(connection) == REVISION:
            return
    if not create:
        raise SchemaError("its schema is not that of this version; run `logos-shift store migrate`")
    with writing() as connection:
        if connection.dialect.name == "postgresql":  # of this transaction; others that open it wait here
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        here = revision_of(connection)
        if here == REVISION:
            return
        if here is None and connection.dialect.name == "sqlite":
            tables.create_all(connection)
            _stamp(connection)
        else:
            _check_known(here)
            upgrade(connection)
        if connection.dialect.name == "postgresql":
            make_partitions(connection)
        if connection.scalar(select(meta.c.value).where(meta.c.name == _RECOUNT)) is not None:
            count_anew(connection)
            connection.execute(delete(meta).where(meta.c.name == _RECOUNT))


def revision_of(connection: Connection) -> str | None:
    """Tell which migration a store stands at; None where there is no store yet."""
    inspector = inspect(connection)
    if inspector.has_table("alembic_version"):
        found: str | None = connection.scalar(select(_VERSIONS.c.version_num))
        return found
    if not inspector.has_table("meta"):
        return None
    # Stores of the first version say so themselves.
    said = connection.scalar(select(meta.c.value).where(meta.c.name == "schema_version"))
    return None if said is None else f"{int(said):04}"


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the migrations that a store lacks, within the caller's transaction."""
    from alembic import command  # noqa: PLC0415 - takes long to import, and few commands need it
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "logos_shift_openai.server.store:migrations")
    config.attributes["connection"] = connection
    if revision_of(connection) == _FIRST and not inspect(connection).has_table("alembic_version"):
        command.stamp(config, _FIRST)
    command.upgrade(config, to)


def count_anew(connection: Connection) -> None:
    """Count scores and evidence anew from the records; what was counted of records long deleted is lost."""
    connection.execute(update(calls).values(score=None).where(calls.c.score.is_not(None)))
    effective = effective_scores()
    score = select(func.max(effective.c.score)).where(effective.c.id == calls.c.id).scalar_subquery()
    there = select(literal(1)).where(effective.c.id == calls.c.id).exists()
    connection.execute(update(calls).values(score=score).where(there))
    for one in (evidence, evidence_deltas):
        connection.execute(delete(one))
    deltas = Deltas()
    for (key, start), sums in recount(connection).items():
        deltas.of(key, start).add(sums)
    deltas.write(connection)
    while fold_deltas(connection):
        pass


def _stamp(connection: Connection) -> None:
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.execute(insert(_VERSIONS).values(version_num=REVISION))


def _check_known(revision: str | None) -> None:
    if revision is not None and revision > REVISION:
        raise SchemaError(
            f"its schema is version {revision}, this logos_shift_openai knows {REVISION}; upgrade the package"
        )
