"""The outbox: events as they were put in with what they tell of, and how far each has come on each channel.

An event is one row, written in the transaction of the decision. Whoever delivers makes a row for each channel that
wants it, claims one for a while, sends, and settles it. A claim that its process did not live to settle runs out, and
the event is sent again under the same id. Events stay for `KEPT_DAYS`.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, and_, delete, insert, select, update

from logos_shift_openai.core.ids import ENTROPY_BYTES, uuid7
from logos_shift_openai.server.store.schema import deliveries, notifications

from .rules import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping

    from .channels import Channel

KEPT_DAYS: Final = 30
STALE_MS: Final = 86_400_000
"""An event that nobody had a channel for within a day is not told when one is named later."""

CLAIM_MS: Final = 120_000
"""For how long a claim holds: longer than any attempt takes."""

_MANY: Final = 100
_FAULT_LENGTH: Final = 300


class Due(NamedTuple):
    """An event that is to be told on a channel now, for the `tries` + 1st time."""

    event: Event
    channel: str
    tries: int


def new_id(now: int) -> str:
    """Make the id of an event; `now` in milliseconds since 1970."""
    return "evt_" + uuid7(now, secrets.token_bytes(ENTROPY_BYTES))


def notify(connection: Connection, event: Event) -> None:
    """Put an event into the outbox, in the transaction of what it tells of."""
    values = {name: getattr(event, name) for name in ("id", "kind", "at", "why", "experiment", "dataset")}
    connection.execute(insert(notifications).values(**values, data=json.dumps(event.data, allow_nan=False)))


def spread(connection: Connection, channels: Sequence[Channel], now: int) -> int:
    """Make a row for each channel of each event that has none yet; return how many events there were."""
    fresh = select(notifications).where(notifications.c.spread.is_(None)).order_by(notifications.c.id).limit(_MANY)
    found = connection.execute(fresh).mappings().all()
    for row in found:
        mine = (notifications.c.id == row["id"]) & notifications.c.spread.is_(None)
        if connection.execute(update(notifications).where(mine).values(spread=now)).rowcount != 1:
            continue  # another process was quicker
        for one in channels:
            if row["at"] > now - STALE_MS and one.wants(row["kind"]):
                values = {"notification": row["id"], "channel": one.name, "state": "waiting", "tries": 0}
                connection.execute(insert(deliveries).values(**values, due=now, claimed=0))
    return len(found)


def waits(connection: Connection, channels: Sequence[str], now: int) -> bool:
    """Tell whether anything is to be spread, told or removed now."""
    asked = [select(notifications.c.id).where(notifications.c.at < now - KEPT_DAYS * STALE_MS)]
    if channels:
        asked.append(select(notifications.c.id).where(notifications.c.spread.is_(None)))
        asked.append(select(deliveries.c.channel).where(*_due(channels, now)))
    return any(connection.execute(one.limit(1)).first() is not None for one in asked)


def next_due(connection: Connection, channels: Sequence[str], now: int) -> Due | None:
    """Find what is to be told next on some channels: what was tried least first, so that no event is in others' way."""
    row = (
        connection.execute(
            select(notifications, deliveries.c.channel, deliveries.c.tries)
            .join(deliveries, deliveries.c.notification == notifications.c.id)
            .where(*_due(channels, now))
            .order_by(deliveries.c.tries, deliveries.c.due, notifications.c.id)
            .limit(1)
        )
        .mappings()
        .first()
    )
    return None if row is None else Due(_event(row), row["channel"], row["tries"])


def claim(connection: Connection, due: Due, now: int) -> bool:
    """Take it on, so that no other process sends it meanwhile; the try is counted before it is made."""
    free = and_(
        _of(due),
        deliveries.c.state == "waiting",
        deliveries.c.tries == due.tries,
        deliveries.c.claimed <= now,
    )
    taken = {"claimed": now + CLAIM_MS, "tries": due.tries + 1, "tried": now}
    return connection.execute(update(deliveries).where(free).values(**taken)).rowcount == 1


def settle_sent(connection: Connection, due: Due) -> None:
    """Note that it was taken."""
    connection.execute(update(deliveries).where(_mine(due)).values(state="sent", claimed=0, fault=None))


def settle_failed(connection: Connection, due: Due, fault: str, again: int | None) -> None:
    """Note that it was not.

    Args:
        connection: A writer's connection.
        due: What was tried.
        fault: Why, in words without a secret.
        again: When it is tried again, in milliseconds since 1970; None gives it up.
    """
    state = "given_up" if again is None else "waiting"
    values = {"state": state, "claimed": 0, "fault": fault[:_FAULT_LENGTH], "due": again or 0}
    connection.execute(update(deliveries).where(_mine(due)).values(**values))


def retry_given_up(connection: Connection, notification: str | None, now: int) -> int:
    """Let what was given up be told after all, from the first try on; return how many deliveries that are.

    Args:
        connection: A writer's connection.
        notification: The event; None for all.
        now: Milliseconds since 1970.
    """
    mine = deliveries.c.state == "given_up"
    if notification is not None:
        mine &= deliveries.c.notification == notification
    again = update(deliveries).where(mine).values(state="waiting", tries=0, due=now, claimed=0)
    return connection.execute(again).rowcount


def postpone(connection: Connection, channel: str, until: int) -> None:
    """Let all that waits for a channel wait until it is tried again."""
    later = (deliveries.c.channel == channel) & (deliveries.c.state == "waiting") & (deliveries.c.due < until)
    connection.execute(update(deliveries).where(later).values(due=until))


def prune(connection: Connection, now: int) -> None:
    """Remove what was kept long enough."""
    old = notifications.c.at < now - KEPT_DAYS * STALE_MS
    gone = select(notifications.c.id).where(old)
    connection.execute(delete(deliveries).where(deliveries.c.notification.in_(gone)))
    connection.execute(delete(notifications).where(old))


def list_outbox(connection: Connection, limit: int = _MANY) -> list[dict[str, Any]]:
    """List the events, the latest first, each with its deliveries by channel."""
    rows = connection.execute(select(notifications).order_by(notifications.c.id.desc()).limit(limit)).mappings().all()
    told: dict[str, list[dict[str, Any]]] = {row["id"]: [] for row in rows}
    ways = select(deliveries).where(deliveries.c.notification.in_(list(told))).order_by(deliveries.c.channel)
    for way in connection.execute(ways).mappings():
        names = ("channel", "state", "tries", "due", "tried", "fault")
        told[way["notification"]].append({name: way[name] for name in names})
    names = ("id", "kind", "at", "experiment", "dataset", "why")
    return [{**{name: row[name] for name in names}, "deliveries": told[row["id"]]} for row in rows]


def _event(row: RowMapping) -> Event:
    return Event(
        row["id"], row["kind"], row["at"], row["why"], row["experiment"], row["dataset"], json.loads(row["data"])
    )


def _due(channels: Sequence[str], now: int) -> tuple[Any, ...]:
    free = (deliveries.c.due <= now) & (deliveries.c.claimed <= now)
    return (deliveries.c.state == "waiting", free, deliveries.c.channel.in_(channels))


def _of(due: Due) -> Any:
    return (deliveries.c.notification == due.event.id) & (deliveries.c.channel == due.channel)


def _mine(due: Due) -> Any:
    # A claim that ran out and was taken on by another has a higher count, and is the other's to settle.
    return _of(due) & (deliveries.c.tries == due.tries + 1) & (deliveries.c.state == "waiting")
