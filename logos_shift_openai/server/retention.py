"""Retention: old bodies and old calls go, by rules for each dataset; the evidence of them stays.

A rule gives the days for which calls are kept and, where that is less, the days for which their bodies are. Where
every dataset's calls of a day are past their time, PostgreSQL drops the day's partition whole; all else is deleted
a few hundred rows at a time, so that nobody waits. Objects of an S3 store go when no row names them any more: see
`server.sweeping`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from .keeping import ANY
from .store.partitions import DAY_MS, day_start_id, drop_days_before, make_partitions
from .store.schema import call_bodies, calls, feedback, shadows
from .store.schema import retention as rules_table
from .sweeping import sweep, sweep_due

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from .store.database import Store

_PART: Final = 500
_IDLE_SECONDS: Final = 600.0
_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True, slots=True)
class Rule:
    """How long a dataset's records are kept.

    Args:
        dataset: Its name, or "*" for all that have no rule of their own.
        days: For their calls and feedback; None for good.
        body_days: For their bodies, if that is less; None for as long as the calls.
    """

    dataset: str
    days: int | None = None
    body_days: int | None = None

    @property
    def of_bodies(self) -> int | None:
        """Days for bodies, the calls' own included."""
        both = [days for days in (self.days, self.body_days) if days is not None]
        return min(both, default=None)


@dataclass(slots=True)
class Removed:
    """What a turn has removed."""

    calls: int = 0
    bodies: int = 0
    partitions: int = 0
    objects: int = 0


def rules(connection: Connection) -> dict[str, Rule]:
    """Read the rules, by dataset."""
    rows = connection.execute(select(rules_table).order_by(rules_table.c.dataset)).mappings()
    return {row["dataset"]: Rule(**row) for row in rows}


def set_rule(connection: Connection, rule: Rule) -> None:
    """Put a rule in the place of the dataset's last one.

    Raises:
        ValueError: days must be at least 1.
    """
    if any(days is not None and days < 1 for days in (rule.days, rule.body_days)):
        raise ValueError("days to keep must be at least 1")
    statement = _INSERTS[connection.dialect.name](rules_table).values(
        dataset=rule.dataset, days=rule.days, body_days=rule.body_days
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[rules_table.c.dataset], set_={"days": rule.days, "body_days": rule.body_days}
        )
    )


def retention(store: Store, now: int) -> float:
    """Remove what is past its time, and see to the partitions of the days to come.

    Args:
        store: Which one.
        now: Milliseconds since 1970.

    Returns:
        Seconds to the next turn.
    """
    enforce(store, now, sweep_now=False)
    return _IDLE_SECONDS


def enforce(store: Store, now: int, *, sweep_now: bool = True) -> Removed:
    """Remove what is past its time.

    Args:
        store: Which one.
        now: Milliseconds since 1970.
        sweep_now: Whether objects that no row names are looked for in any case, or only if a day has passed.
    """
    removed = Removed()
    with store.reading() as connection:
        found = rules(connection)
        datasets = set(connection.scalars(select(calls.c.dataset).distinct())) if found else set()
        datasets |= set(connection.scalars(select(shadows.c.dataset).distinct())) if found else set()
    if not store.is_sqlite:
        with store.writing() as connection:
            make_partitions(connection, now)
    in_force = {dataset: found.get(dataset, found.get(ANY, Rule(ANY))) for dataset in datasets}
    if not store.is_sqlite:
        _drop_days(store, list(in_force.values()), now, removed)
    for dataset, rule in in_force.items():
        if rule.of_bodies is not None:
            removed.bodies += _drop_bodies(store, dataset, now - rule.of_bodies * DAY_MS)
        if rule.days is not None:
            removed.calls += _drop_calls(store, dataset, now - rule.days * DAY_MS)
    if sweep_now or sweep_due(store, now):
        removed.objects = sweep(store, now)
    return removed


def _drop_days(store: Store, in_force: list[Rule], now: int, removed: Removed) -> None:
    """Drop the partitions of the days that are past every dataset's time."""
    for table, days in (
        ("call_bodies", [rule.of_bodies for rule in in_force]),
        ("calls", [rule.days for rule in in_force]),
    ):
        limits = [one for one in days if one is not None]
        if not limits or len(limits) < len(days):
            continue
        # Ids carry the clock of the client's machine, which may be a day off from what `at` says.
        last = now // DAY_MS - max(limits) - 1
        with store.writing() as connection:
            if table == "calls":
                past = (calls.c.id >= day_start_id(0)) & (calls.c.id < day_start_id(last))
                connection.execute(delete(feedback).where(feedback.c.call_id.in_(select(calls.c.id).where(past))))
                connection.execute(delete(shadows).where(shadows.c.shadow_of.in_(select(calls.c.id).where(past))))
            else:
                old = (shadows.c.at < last * DAY_MS) & shadows.c.data.is_not(None)
                connection.execute(update(shadows).where(old).values(data=None))
            removed.partitions += len(drop_days_before(connection, table, last))


def _drop_bodies(store: Store, dataset: str, before: int) -> int:
    old = (calls.c.dataset == dataset) & (calls.c.at < before)
    kept = exists().where(call_bodies.c.call_id == calls.c.id)
    removed = 0
    while ids := _some(store, old & kept):
        with store.writing() as connection:
            connection.execute(delete(call_bodies).where(call_bodies.c.call_id.in_(ids)))
            connection.execute(update(shadows).where(shadows.c.shadow_of.in_(ids)).values(data=None))
        removed += len(ids)
    with store.writing() as connection:  # those whose calls never came
        past = (shadows.c.dataset == dataset) & (shadows.c.at < before) & shadows.c.data.is_not(None)
        connection.execute(update(shadows).where(past).values(data=None))
    return removed


def _drop_calls(store: Store, dataset: str, before: int) -> int:
    old = (calls.c.dataset == dataset) & (calls.c.at < before)
    removed = 0
    while ids := _some(store, old):
        with store.writing() as connection:
            provider_ids = select(calls.c.provider_id).where(calls.c.id.in_(ids), calls.c.provider_id.is_not(None))
            about = feedback.c.call_id.in_(ids) | feedback.c.call_id.in_(provider_ids)
            connection.execute(delete(feedback).where(about))
            connection.execute(delete(call_bodies).where(call_bodies.c.call_id.in_(ids)))
            connection.execute(delete(shadows).where(shadows.c.shadow_of.in_(ids)))
            connection.execute(delete(calls).where(calls.c.id.in_(ids)))
        removed += len(ids)
    with store.writing() as connection:  # those whose calls never came
        connection.execute(delete(shadows).where(shadows.c.dataset == dataset, shadows.c.at < before))
    return removed


def _some(store: Store, condition: ColumnElement[bool]) -> list[str]:
    with store.reading() as connection:
        return list(connection.scalars(select(calls.c.id).where(condition).order_by(calls.c.at).limit(_PART)))
