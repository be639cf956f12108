"""What a store holds and takes: rows, bytes, what is not folded yet, dictionaries and partitions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select, text

from .migrate import revision_of
from .partitions import PARTITIONED, days_of
from .schema import call_bodies, calls, dictionaries, evidence, evidence_deltas, feedback

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .database import Store

_TABLES: Final = (calls, call_bodies, feedback, evidence, evidence_deltas, dictionaries)
_RELATIONS: Final = text(
    "SELECT COALESCE(SUM(pg_total_relation_size(oid)), 0) FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a store.

    Args:
        size: Bytes on disk: the file and its log, or the tables with their indexes.
        rows: By table. Deltas are those that are not folded yet.
        bodies: Bytes of the bodies that lie in the database.
        elsewhere: Bodies that lie in another store.
        partitions: Days with a partition of their own.
    """

    where: str
    engine: str
    revision: str | None
    size: int
    rows: dict[str, int]
    bodies: int
    elsewhere: int
    partitions: int

    @property
    def per_call(self) -> float | None:
        """Bytes on disk for each call that is there."""
        return self.size / self.rows["calls"] if self.rows["calls"] else None


def sizes(store: Store) -> Sizes:
    """Measure a store."""
    with store.reading() as connection:
        rows = {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in _TABLES}
        packed, elsewhere = connection.execute(
            select(func.coalesce(func.sum(func.length(call_bodies.c.data)), 0), func.count(call_bodies.c.place))
        ).one()
        return Sizes(
            where=store.where,
            engine=connection.dialect.name,
            revision=revision_of(connection),
            size=_on_disk(store, connection),
            rows=rows,
            bodies=int(packed),
            elsewhere=elsewhere,
            partitions=0 if store.is_sqlite else len(days_of(connection, PARTITIONED[0][0])),
        )


def _on_disk(store: Store, connection: Connection) -> int:
    if not store.is_sqlite:
        return int(connection.scalar(_RELATIONS) or 0)
    files = (Path(store.where), Path(f"{store.where}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
