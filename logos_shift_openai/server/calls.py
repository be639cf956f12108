"""Read calls back: a list by filters, and one with everything about it.

What is given back has the names of wire format 1, with the tokens, the model that answered and the score that
counts beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, or_, select

from .feedback import SUCCESS_FROM, Score, feedback_about, scores
from .prices import Prices, read_prices
from .store.columns import end_of
from .store.database import store_of
from .store.rows import NO_BODIES, Row, bodies_of, head_of
from .store.schema import call_bodies, calls

FeedbackKind = Literal["success", "failure", "none"]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which calls are wanted; what is None is not looked at.

    Args:
        model: The requested model, or the one that answered.
        variant: Where the hash put the call.
        feedback: By the score that counts: from 0.5 on a success, below it a failure; or none at all.
        errors: Only calls that ended in an error.
        since: Started at or after, milliseconds since 1970.
        until: Started before, milliseconds since 1970.
        limit: At most so many, the latest first.
        before: Only those that come after this one in the list: its `at` and its id.
    """

    dataset: str | None = None
    model: str | None = None
    variant: str | None = None
    experiment: str | None = None
    feedback: FeedbackKind | None = None
    errors: bool = False
    since: int | None = None
    until: int | None = None
    limit: int | None = None
    before: tuple[int, str] | None = None


def list_calls(connection: Connection, filters: Filters) -> list[Row]:
    """List the heads of calls, latest first, each with the `feedback` that counts for it."""
    query = select(calls).where(*conditions(filters)).order_by(calls.c.at.desc(), calls.c.id.desc())
    heads = [_head(connection, row) for row in connection.execute(query.limit(filters.limit)).mappings().all()]
    return with_feedback(connection, heads)


def with_feedback(connection: Connection, heads: list[Row]) -> list[Row]:
    """Give heads with the `feedback` that counts for each."""
    counted = scores(connection, heads)
    return [{**head, "feedback": _feedback(counted.get(head["id"]))} for head in heads]


def find_call(connection: Connection, call_id: str) -> Row | None:
    """Find one call with its bodies, attempts, cost, all its feedback and the ids of its children.

    Its `cost` is in dollars, for the answer that was given, and for what was held back or failed as far as `gate` and
    `spent` tell (of each attempt that failed and said so: model, provider, tokens). It is null where tokens or their
    price are not known.

    A call whose bodies are not kept any more has null for its request and response; one whose client left them behind,
    as the config's sampling asked it to, has `bodies: False` besides.

    Args:
        connection: A reader's connection.
        call_id: Our id, or the provider's own (the latest call that has it).
    """
    theirs = and_(end_of(calls.c.provider_id) == call_id, calls.c.provider_id == call_id)
    named = or_(calls.c.id == call_id, theirs)
    query = (
        select(calls, *(column for column in call_bodies.c if column.name != "call_id"))
        .outerjoin_from(calls, call_bodies, call_bodies.c.call_id == calls.c.id)
        .where(named)
        .order_by((calls.c.id == call_id).desc(), calls.c.at.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    head = _head(connection, row)
    children = select(calls.c.id).where(calls.c.parent == head["id"]).order_by(calls.c.at, calls.c.id)
    return {
        **head,
        **bodies_of(_pack(connection, row)),
        "children": list(connection.scalars(children)),
        "cost": cost_of(read_prices(connection), head),
        "feedback": _feedback(scores(connection, [head]).get(head["id"])),
        "said": feedback_about(connection, head),
    }


def cost_of(prices: Prices, head: Row) -> float | None:
    """Give what a call cost in dollars; None where its tokens or their price are not known."""
    tokens = (head["tokens_in"], head["tokens_out"], head["tokens_cached"])
    model = head["served_model"] or head["requested_model"]
    answered = prices.cost(model, head["served_provider"], head["at"], tokens)
    return prices.cost_of_all(answered, head.get("gate"), head.get("spent"), head["at"])


def conditions(filters: Filters) -> list[ColumnElement[bool]]:
    """Say in SQL which calls are wanted."""
    equal = {"dataset": filters.dataset, "assigned": filters.variant, "experiment": filters.experiment}
    wanted = [calls.c[name] == value for name, value in equal.items() if value is not None]
    if filters.model is not None:
        models = (calls.c.requested_model, calls.c.served_model)
        wanted.append(or_(*(column == filters.model for column in models)))
    if filters.errors:
        wanted.append(calls.c.error_type.is_not(None))
    if filters.since is not None:
        wanted.append(calls.c.at >= filters.since)
    if filters.until is not None:
        wanted.append(calls.c.at < filters.until)
    if filters.before is not None:
        at, call_id = filters.before
        wanted.append(calls.c.at <= at)  # what an index begins at
        wanted.append((calls.c.at < at) | ((calls.c.at == at) & (calls.c.id < call_id)))
    if filters.feedback == "none":
        wanted.append(calls.c.score.is_(None))
    elif filters.feedback == "success":
        wanted.append(calls.c.score >= SUCCESS_FROM)
    elif filters.feedback == "failure":
        wanted.append(calls.c.score < SUCCESS_FROM)
    return wanted


def _head(connection: Connection, row: RowMapping) -> Row:
    return head_of(row, store_of(connection).codec.unpack_rest(connection, row["rest"]))


def _pack(connection: Connection, row: RowMapping) -> bytes:
    if row["codec"] is None:
        return NO_BODIES
    store = store_of(connection)
    return store.codec.unpack(connection, row["codec"], store.bodies.fetch(row["data"], row["place"]))


def _feedback(score: Score | None) -> Row | None:
    return None if score is None else {"score": score.value, "call_id": score.call_id}
