"""Vacuum: pack bodies and heads anew with the newest dictionary of their dataset, and give room back to the machine.

They are packed again a few hundred at a time, each only if that makes it smaller, so it may run beside everything
else; the engine's own VACUUM at the end rewrites a SQLite file, for which nobody may be writing to it. Where bodies lie
in an S3 store, those that are still in the database go there; what is there already stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import bindparam, select, update

from .dictionaries import train_due
from .fold import settle
from .store.codec import ZSTD
from .store.schema import call_bodies, calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from .store.database import Store

_PART: Final = 300
_LEAST: Final = 4  # bytes that must be won: so much smaller is all that was once packed, and not worth a write


class _Body(NamedTuple):
    call_id: str
    dataset: str
    packed: bytes
    before: int


@dataclass(slots=True)
class Repacked:
    """What packing anew has done, in bodies and bytes; `moved` are those that went to an S3 store."""

    bodies: int = 0
    moved: int = 0
    before: int = 0
    after: int = 0


def vacuum(store: Store, now: int, progress: Callable[[int], None] = lambda _seen: None) -> Repacked:
    """Pack bodies anew, fold, and give room back.

    Args:
        store: Which one.
        now: Milliseconds since 1970.
        progress: Called with the bodies looked at so far.

    Raises:
        StoreError: another process is writing to the file all the time; what was packed anew stays so.
    """
    settle(store, now)
    train_due(store, now)
    done = Repacked()
    last = ""
    seen = 0
    while True:
        last, size = _repack_part(store, last, done)
        if not size:
            break
        seen += size
        progress(seen)
    store.sweep()
    return done


def _repack_part(store: Store, last: str, done: Repacked) -> tuple[str, int]:
    query = (
        select(calls.c.id, calls.c.dataset, calls.c.received, calls.c.rest, call_bodies.c.codec, call_bodies.c.data)
        .outerjoin_from(calls, call_bodies, call_bodies.c.call_id == calls.c.id)
        .where(calls.c.id > last)
        .order_by(calls.c.id)
        .limit(_PART)
    )
    with store.reading() as connection:
        store.codec.refresh(connection)
        rows = connection.execute(query).all()
        smaller, heads, received = [], [], []
        for row in rows:
            rest = store.codec.pack_rest(row.dataset, store.codec.unpack_rest(connection, row.rest))
            if len(rest) < len(row.rest) - _LEAST:
                heads.append({"of": row.id, "packed": rest})
            if row.data is None:
                continue
            packed = store.codec.pack(row.dataset, store.codec.unpack(connection, row.codec, row.data))
            if len(packed) < len(row.data) - _LEAST or store.keeps_objects:
                best = min(packed, row.data, key=len) if row.codec == ZSTD else packed
                smaller.append(_Body(row.id, row.dataset, best, len(row.data)))
                received.append(row.received)
    if heads:
        change = update(calls).where(calls.c.id == bindparam("of")).values(rest=bindparam("packed"))
        with store.writing() as connection:
            connection.execute(change, heads)
    if smaller:
        _keep(store, smaller, min(received), max(received))
        done.bodies += len(smaller)
        done.moved += len(smaller) if store.keeps_objects else 0
        done.before += sum(one.before for one in smaller)
        done.after += sum(len(one.packed) for one in smaller)
    return (rows[-1].id if rows else last), len(rows)


def _keep(store: Store, smaller: list[_Body], first: int, last: int) -> None:
    """Put bodies where they are kept now; one that went to its time's end meanwhile has no row to be changed."""
    rows = store.bodies.keep([(one.call_id, one.dataset, one.packed) for one in smaller], first, last)
    change = update(call_bodies).where(call_bodies.c.call_id == bindparam("of"), call_bodies.c.data.is_not(None))
    named: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("codec", "data", "place")}
    with store.writing() as connection:
        connection.execute(
            change.values(**named),
            [
                {"of": call_id, "new_codec": codec, "new_data": data, "new_place": place}
                for call_id, codec, data, place in rows
            ],
        )
