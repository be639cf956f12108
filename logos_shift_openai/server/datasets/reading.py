"""The calls that an edition may be made of, a part at a time, each with the correction that was given for it.

Corrected calls come first, so that a corrected answer is the one that stays where a prompt was asked twice; then all
others; each by their ids. Memory does not grow with the store: parts are as large as the bodies in them allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import Connection, and_, exists, or_, select

from logos_shift_openai.server.store.ahead import ahead
from logos_shift_openai.server.store.database import store_of
from logos_shift_openai.server.store.schema import call_bodies, calls, feedback

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from sqlalchemy import ColumnElement, Select

    from logos_shift_openai.server.store.database import Store

    from .choosing import Choice

_PART: Final = 1_000
_FIRST: Final = 25
_LEAST: Final = 10
_BYTES: Final = 16 * 2**20


class Told(Struct):
    """What is read of a call's `rest`.

    Args:
        fingerprint: Of the prompt as its client had it, before anything was redacted.
        checks: What its client found of the answer: the first letters of `valid`, `refused`, `cut` as far as they are
            known, a capital where it is so.
    """

    conversation_id: str | None = None
    metadata: Raw = Raw(b"{}")
    fingerprint: str | None = None
    checks: str = ""


_NOTHING: Final = Told()
_MARK: Final = b"[redacted:"
_told: Final = msgspec.json.Decoder(Told).decode


@dataclass(slots=True)
class Source:
    """One call.

    Args:
        score: The one that counts for it, a conversation's where that was asked for.
        pack: Its bodies as they are kept, unpacked; None where they are not.
        correction: The latest one, as JSON text.
    """

    id: str
    endpoint: str
    model: str | None
    served: str | None
    complete: bool
    failed: bool
    score: float | None
    told: Told
    pack: bytes | None
    correction: str | None = None


def sources(store: Store, choice: Choice) -> Iterator[Source]:
    """Give the calls of a dataset and time, corrected ones first.

    Raises:
        StoreError: the store cannot be read.
    """
    spoken = _conversations(store, choice) if choice.conversation else {}
    with store.reading() as connection:
        any_corrected = connection.scalar(select(exists().where(feedback.c.correction.is_not(None))))
    if any_corrected:
        yield from _pass(store, choice, spoken, corrected=True)
    yield from _pass(store, choice, spoken, corrected=False if any_corrected else None)


def some(store: Store, choice: Choice, ids: Iterable[str]) -> Iterator[Source]:
    """Give calls by their ids, in the order asked for; those that have gone meanwhile are left out."""
    wanted = list(ids)
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        with store.reading() as connection:
            rows = connection.execute(_query(choice).where(calls.c.id.in_(part)).order_by(calls.c.id)).all()
            said = _corrections(connection, rows[0][0], rows[-1][0]) if rows else {}
            tell = bool(choice.metadata)
            found = {row[0]: _source(connection, row, {}, said.get(row[0]), tell=tell) for row in rows}
        yield from (found[name] for name in part if name in found)


def _pass(
    store: Store, choice: Choice, spoken: dict[str, tuple[int, str, float]], *, corrected: bool | None
) -> Iterator[Source]:
    """Read once through; `corrected` says which are given, None that there are no corrections at all."""
    query = _query(choice).order_by(calls.c.id)
    if corrected:
        names = or_(feedback.c.call_id == calls.c.id, feedback.c.call_id == calls.c.provider_id)
        query = query.where(exists().where(and_(feedback.c.correction.is_not(None), names)))
    for part in ahead(store, _parts(store, choice, query, spoken, corrected=corrected)):
        yield from part


def _parts(
    store: Store,
    choice: Choice,
    query: Select[Any],
    spoken: dict[str, tuple[int, str, float]],
    *,
    corrected: bool | None,
) -> Generator[list[Source], None, None]:
    last, part = "", min(_FIRST, _PART)
    while True:
        with store.reading() as connection:
            rows = connection.execute(query.where(calls.c.id > last).limit(part)).all()
            said = {} if corrected is None or not rows else _corrections(connection, rows[0][0], rows[-1][0])
            found = [
                _source(connection, row, spoken, said.get(row[0]), tell=bool(choice.metadata or spoken))
                for row in rows
                if corrected is None or (row[0] in said) is corrected
            ]
        heavy = sum(len(one.pack) for one in found if one.pack is not None) > _BYTES
        yield found
        if len(rows) < part:
            return
        last = rows[-1][0]
        part = max(_LEAST, part // 2) if heavy else min(_PART, part * 2)


def _query(choice: Choice) -> Select[Any]:
    wanted: list[ColumnElement[bool]] = [calls.c.dataset == choice.dataset]
    if choice.since is not None:
        wanted.append(calls.c.at >= choice.since)
    if choice.until is not None:
        wanted.append(calls.c.at < choice.until)
    head = (calls.c[name] for name in ("id", "endpoint", "requested_model", "served", "complete", "error_type"))
    body = (call_bodies.c[name] for name in ("codec", "data", "place"))
    there = calls.outerjoin(call_bodies, call_bodies.c.call_id == calls.c.id)
    return select(*head, calls.c.score, calls.c.rest, *body).select_from(there).where(*wanted)


def _source(
    connection: Connection, row: Any, spoken: dict[str, tuple[int, str, float]], correction: str | None, *, tell: bool
) -> Source:
    """Make a source of a row.

    Its `rest` takes as long to unpack as its bodies. What of it is not asked for can be told from the bodies as well,
    unless something was redacted in them: the client hashed the prompt before that.
    """
    call_id, endpoint, model, served, complete, error, score, rest, codec, data, place = row
    store = store_of(connection)
    pack = None
    if codec is not None:
        pack = store.codec.unpack(connection, codec, store.bodies.fetch(data, place))
    told = _NOTHING
    if tell or (pack is not None and _MARK in pack):
        told = _told(store.codec.unpack_rest(connection, rest))
    if score is None and told.conversation_id in spoken:
        score = spoken[told.conversation_id][2]
    failed = error is not None
    return Source(call_id, endpoint, model, served, complete, failed, score, told, pack, correction)


def _corrections(connection: Connection, first: str, last: str) -> dict[str, str]:
    """Give the latest correction of each call between two ids, which may be named by the provider's id."""
    said = (feedback.c.at, feedback.c.id, feedback.c.correction)
    given = feedback.c.correction.is_not(None)
    between = calls.c.id.between(first, last)
    queries = (
        select(feedback.c.call_id, *said).where(feedback.c.call_id.between(first, last), given),
        select(calls.c.id, *said)
        .join_from(calls, feedback, feedback.c.call_id == calls.c.provider_id)
        .where(between, given),
    )
    latest: dict[str, tuple[int, str, str]] = {}
    for query in queries:
        for call_id, *rest in connection.execute(query):
            one = tuple(rest)
            latest[call_id] = max(latest.get(call_id, one), one)
    return {call_id: correction for call_id, (_at, _id, correction) in latest.items()}


def _conversations(store: Store, choice: Choice) -> dict[str, tuple[int, str, float]]:
    """Give the latest score that was given in each conversation, with when."""
    query = (
        select(calls.c.id, calls.c.at, calls.c.score, calls.c.rest)
        .where(calls.c.dataset == choice.dataset, calls.c.score.is_not(None))
        .order_by(calls.c.id)
        .limit(_PART)
    )
    spoken: dict[str, tuple[int, str, float]] = {}
    last = ""
    while True:
        with store.reading() as connection:
            rows = connection.execute(query.where(calls.c.id > last)).all()
            for call_id, at, score, rest in rows:
                name = _told(store.codec.unpack_rest(connection, rest)).conversation_id
                if name is not None:
                    one = (at, call_id, score)
                    spoken[name] = max(spoken.get(name, one), one)
        if len(rows) < _PART:
            return spoken
        last = rows[-1][0]
