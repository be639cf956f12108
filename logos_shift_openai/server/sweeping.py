"""Sweeping: objects of an S3 store that no row names are removed, once a day.

They are those of a batch whose transaction failed, and those whose last call is past its time. Objects are listed in
the order of their days, and looked for a few hundred at a time by when their calls came in, which their names tell; so
a sweep costs what the store holds, and no index of places is kept. Young objects may belong to a batch that is not
committed yet.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from .store.s3 import span_of
from .store.schema import call_bodies, calls, meta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .store.database import Store

_DAY_MS: Final = 86_400_000
_PART: Final = 500
_SWEPT: Final = "swept"
_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def sweep_due(store: Store, now: int) -> bool:
    """Tell whether a day has passed since the last sweep of a store that has objects."""
    if not store.keeps_objects:
        return False
    with store.reading() as connection:
        last = connection.scalar(select(meta.c.value).where(meta.c.name == _SWEPT))
    return last is None or not int(last) <= now < int(last) + _DAY_MS


def sweep(store: Store, now: int) -> int:
    """Remove the objects that no row names; gives how many those were.

    Args:
        store: Which one.
        now: Milliseconds since 1970.

    Raises:
        StoreError: the bucket cannot be read; the next sweep goes on.
    """
    if not store.keeps_objects:
        return 0
    names = store.bodies.objects(now - _DAY_MS)
    removed = 0
    while part := list(islice(names, _PART)):
        named = _named(store, part)
        gone = [name for name in part if name not in named]
        store.bodies.drop(gone)
        removed += len(gone)
    with store.writing() as connection:
        swept = _INSERTS[connection.dialect.name](meta).values(name=_SWEPT, value=str(now))
        connection.execute(
            swept.on_conflict_do_update(index_elements=[meta.c.name], set_={"value": swept.excluded.value})
        )
    return removed


def _named(store: Store, names: Sequence[str]) -> set[str]:
    """Find those that a row names."""
    spans = [span_of(name) for name in names]
    came_in = calls.c.received.between(min(first for first, _last in spans), max(last for _first, last in spans))
    found: set[str] = set()
    for length in {len(name) for name in names}:  # nearly always one: only early times are shorter
        start = func.substr(call_bodies.c.place, 1, length + 1)
        query = select(start).distinct().join_from(calls, call_bodies, call_bodies.c.call_id == calls.c.id)
        with store.reading() as connection:
            found.update(connection.scalars(query.where(came_in, call_bodies.c.place.is_not(None))))
    return {name for name in names if f"{name}:" in found}
