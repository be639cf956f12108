"""Export: every call with its bodies and all that was said of it, a line of JSON each, in memory that does not grow.

Calls are read in the order of their ids, a part at a time, each part in a transaction of its own and beginning after
the last id of the one before; so a pooler may stand in between, nobody holds a snapshot for long, and a body is never
parsed: it is put into its line as it lies in the store. The next part is read while one is written. Calls that come in
meanwhile may be in it or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import ARRAY, Connection, bindparam, func, select

from .store.ahead import ahead
from .store.codec import ZSTD
from .store.rows import LEFT_BEHIND, NO_BODIES, bodies_of, feedback_of, head_of
from .store.schema import Id, call_bodies, calls, feedback

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from sqlalchemy import Select

    from .store.database import Store

_PART: Final = 1_000
_NAMES: Final = 500
_encode: Final = msgspec.json.Encoder().encode
_COLUMNS: Final = tuple(column.name for column in calls.c)
_BODIES: Final = select(call_bodies.c.call_id, call_bodies.c.codec, call_bodies.c.data, call_bodies.c.place)
_NAMED: Final = {  # PostgreSQL takes all names as one value, which the driver need not take apart
    "sqlite": feedback.c.call_id.in_(bindparam("names", expanding=True)),
    "postgresql": feedback.c.call_id == func.any(bindparam("names", type_=ARRAY(Id))),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls are exported; what is None is not looked at.

    Args:
        since: Begun at or after, milliseconds since 1970.
        rated: Only calls with a score: their own, or that of a call above them.
    """

    dataset: str | None = None
    since: int | None = None
    rated: bool = False


@dataclass(slots=True)
class Tally:
    """Calls that were exported without their texts, by the reason why: a word of `core.left_out`."""

    left_out: dict[str, int] = field(default_factory=dict)

    def note(self, *, sampled: bool) -> None:
        """Count one: its client left its bodies behind, or they are not kept any more."""
        why = "sampled" if sampled else "no_body"
        self.left_out[why] = self.left_out.get(why, 0) + 1


def export_calls(
    store: Store, wanted: Wanted | None = None, tally: Tally | None = None
) -> Generator[bytes, None, None]:
    r"""Give calls as lines of JSON, each with its `\n`, by their ids.

    A line has the names of wire format 1, `score` (the one that counts, or null) and `said`, the feedback about the
    call itself, earliest first.

    Args:
        store: Where from.
        wanted: Only these.
        tally: Counts those whose line has no text.

    Raises:
        StoreError: the store cannot be read; lines given before stay good.
    """
    query = select(calls).order_by(calls.c.id).limit(_PART)
    wanted, tally = wanted or Wanted(), tally or Tally()
    if wanted.dataset is not None:
        query = query.where(calls.c.dataset == wanted.dataset)
    if wanted.since is not None:
        query = query.where(calls.c.at >= wanted.since)
    if wanted.rated:
        query = query.where(calls.c.score.is_not(None))
    for part in ahead(store, _parts(store, query)):
        yield from _lines(store, part, tally)


@dataclass(frozen=True, slots=True)
class _Part:
    """Calls, with what is kept of each elsewhere: all that is needed of the database to write them.

    Args:
        bodies: Codec and packed body, by the id of the call.
        said: Feedback, by the name that it gives the call.
    """

    rows: list[dict[str, Any]]
    bodies: dict[str, tuple[str, bytes]]
    said: dict[str, list[dict[str, Any]]]


def _parts(store: Store, query: Select[Any]) -> Generator[_Part, None, None]:
    last = ""
    while True:
        with store.reading() as connection:
            found = connection.execute(query.where(calls.c.id > last))
            rows = [dict(zip(_COLUMNS, row, strict=True)) for row in found]
            if not rows:
                return
            part = _Part(rows, _bodies(connection, store, rows[0]["id"], rows[-1]["id"]), _said(connection, rows))
            frames = [data for codec, data in part.bodies.values() if codec == ZSTD]
            store.codec.learn(connection, [*frames, *(row["rest"] for row in rows)])
        yield part
        if len(rows) < _PART:
            return
        last = rows[-1]["id"]


def _lines(store: Store, part: _Part, tally: Tally) -> Iterator[bytes]:
    codec, said = store.codec, part.said
    for row in part.rows:
        head = head_of(row, codec.unpack_rest(None, row["rest"]))
        names = [name for name in (row["id"], row["provider_id"]) if name in said]
        about = sorted((one for name in names for one in said[name]), key=lambda one: (one["at"], one["id"]))
        body = part.bodies.get(row["id"])
        pack = NO_BODIES if body is None else codec.unpack(None, *body)
        sampled = not head.pop("bodies", True) or pack.endswith(LEFT_BEHIND)
        if body is None or sampled:
            tally.note(sampled=sampled)
            if body is None and sampled:  # otherwise it stands in the body
                head["bodies"] = False
        text = _encode({**head, "score": row["score"], "said": about})
        yield b"%b,%b\n" % (text[:-1], _one_line(pack)[1:])


def _bodies(connection: Connection, store: Store, first: str, last: str) -> dict[str, tuple[str, bytes]]:
    """Read the bodies of a part by the range of its ids, which both engines find by the key."""
    rows = connection.execute(_BODIES.where(call_bodies.c.call_id.between(first, last)))
    return {call_id: (codec, store.bodies.fetch(data, place)) for call_id, codec, data, place in rows}


def _said(connection: Connection, rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    about = select(feedback).where(_NAMED[connection.dialect.name])
    names = sorted({name for row in rows for name in (row["id"], row["provider_id"]) if name})
    said: dict[str, list[dict[str, Any]]] = {}
    for start in range(0, len(names), _NAMES):
        for row in connection.execute(about, {"names": names[start : start + _NAMES]}).mappings():
            said.setdefault(row["call_id"], []).append(feedback_of(row))
    return said


def _one_line(pack: bytes) -> bytes:
    """Give a packed body as strict JSON in one line; only the rare one that is not must be parsed."""
    if b"\n" in pack or b"NaN" in pack or b"Infinity" in pack:
        return _encode(bodies_of(pack))
    return pack
