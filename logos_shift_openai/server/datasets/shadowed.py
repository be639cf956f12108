"""Calls with what a candidate answered to them as a shadow, and which of both answers is known to be better.

Rule: a judge's verdict goes first; a tie decides nothing. Without one, the caller's answer is better where it is a
success. That it failed says nothing of the candidate's. A candidate's answer is what to learn only where candidates'
answers are asked for at all; as what not to learn it may always stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import or_, select

from logos_shift_openai.server.feedback import SUCCESS_FROM
from logos_shift_openai.server.store.codec import ZSTD
from logos_shift_openai.server.store.database import store_of
from logos_shift_openai.server.store.rows import values_of
from logos_shift_openai.server.store.schema import calls, shadows

from .bodies import LeftOutError, Message, read_answer
from .fitting import answer_of
from .other_endpoints import as_chat_answer
from .reading import some

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from logos_shift_openai.server.store.database import Store

    from .choosing import Choice
    from .reading import Source

_AT_ONCE: Final = 100
_TIE: Final = 0.5


class Shadowed(NamedTuple):
    """A call with another answer to it.

    Args:
        source: The call.
        id: The shadow's.
        answer: The candidate's.
        better: Whether that is the better one.
    """

    source: Source
    id: str
    answer: Message
    better: bool


def shadowed(store: Store, choice: Choice) -> Iterator[Shadowed]:
    """Give the pairs of a dataset of which one answer is known to be better, by the shadows' ids.

    Raises:
        StoreError: the store cannot be read.
    """
    column, last = shadows.c, ""
    decided = or_(column.judged.is_not(None) & (column.judged != _TIE), calls.c.score >= SUCCESS_FROM)
    query = (
        select(column.id, column.shadow_of, column.judged, column.data, calls.c.endpoint)
        .join_from(shadows, calls, calls.c.id == column.shadow_of)
        .where(column.dataset == choice.dataset, column.error_type.is_(None), column.data.is_not(None), decided)
        .order_by(column.id)
        .limit(_AT_ONCE)
    )
    while True:
        with store.reading() as connection:
            rows = connection.execute(query.where(column.id > last)).all()
            answers = {row.id: _answer(connection, row) for row in rows}
        found = {one.id: one for one in some(store, choice, dict.fromkeys(row.shadow_of for row in rows))}
        for row in rows:
            better = row.judged is not None and row.judged > _TIE
            answer, source = answers[row.id], found.get(row.shadow_of)
            if row.judged == _TIE or answer is None or source is None or source.correction is not None:
                continue
            if not better or choice.answers == "any":
                yield Shadowed(source, row.id, answer, better)
        if len(rows) < _AT_ONCE:
            return
        last = rows[-1].id


def _answer(connection: Connection, row: Any) -> Message | None:
    """Read a candidate's answer; None where there is none that could be learnt."""
    bodies = values_of(store_of(connection).codec.unpack(connection, ZSTD, row.data))
    if bodies.get("truncated") or bodies.get("media"):
        return None
    try:
        read = read_answer(as_chat_answer(row.endpoint, bodies.get("response")))
        return answer_of(read.choices[0] if read is not None and read.choices else None)
    except LeftOutError:
        return None
