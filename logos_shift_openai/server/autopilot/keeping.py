"""Autopilots as the store keeps them: a row for each dataset, and a line for each step that was taken.

Rule: a step's new state, its line and what people are told of it are one transaction, and it is written only if the
row is still as it was read. What a month has cost stands in the row, written with the step that costs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from logos_shift_openai.core.autopilot import State, approve, state_of
from logos_shift_openai.core.autopilot_policy import AutopilotPolicy, Mode, autopilot_from
from logos_shift_openai.server.holding import BusyError
from logos_shift_openai.server.notifications.outbox import new_id, notify
from logos_shift_openai.server.notifications.rules import Event
from logos_shift_openai.server.store.schema import autopilot_steps, autopilots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, RowMapping

_INSERT: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
Spent = dict[str, list[float]]
"""Jobs and dollars by month, as in {"2026-11": [1, 0.25]}."""


class NoAutopilotError(Exception):
    """There is no autopilot of that dataset, or nothing waits for a word there."""


class OtherStepError(Exception):
    """Another step than the one that was meant waits for a word."""


@dataclass(frozen=True, slots=True)
class Autopilot:
    """The autopilot of a dataset.

    Args:
        said: Where it stands, in words.
        turn: Counts its changes.
    """

    dataset: str
    policy: AutopilotPolicy
    state: State
    spent: Spent
    turn: int
    said: str
    updated: int

    def to_json(self) -> dict[str, Any]:
        """Write it for people and programs."""
        return {
            "dataset": self.dataset,
            "mode": self.policy.mode,
            "phase": self.state.phase,
            "round": self.state.round,
            "why": self.said,
            "asks": self.state.asked,
            "policy": self.policy.to_json(),
            "state": self.state.to_json(),
            "spent": {month: {"jobs": int(jobs), "dollars": money} for month, (jobs, money) in self.spent.items()},
            "updated": self.updated,
        }


def month_of(now: int) -> str:
    """Name the month of a time in milliseconds since 1970, in UTC."""
    return datetime.fromtimestamp(now / 1000, tz=timezone.utc).strftime("%Y-%m")


def set_policy(connection: Connection, dataset: str, policy: AutopilotPolicy, now: int) -> Autopilot:
    """Give a dataset an autopilot, or its autopilot another policy; a round under way goes on by it."""
    text = json.dumps(policy.to_json())
    fresh = _INSERT[connection.dialect.name](autopilots).values(
        dataset=dataset, policy=text, state=json.dumps(State().to_json()), spent="{}", turn=0,
        said="it has not looked yet", updated=now,
    )  # fmt: skip
    change = {"policy": text, "turn": autopilots.c.turn + 1, "updated": now}
    connection.execute(fresh.on_conflict_do_update(index_elements=[autopilots.c.dataset], set_=change))
    one = find_autopilot(connection, dataset)
    _line(connection, one, now, "policy", f"it is {policy.mode}", {"mode": policy.mode})
    return one


def set_mode(connection: Connection, dataset: str, mode: Mode, now: int) -> Autopilot:
    """Switch an autopilot on, off, or to asking.

    Raises:
        NoAutopilotError: there is none.
    """
    return set_policy(connection, dataset, replace(find_autopilot(connection, dataset).policy, mode=mode), now)


def give_word(connection: Connection, dataset: str, now: int, step: str | None = None) -> Autopilot:
    """Approve the step that is asked for.

    Args:
        connection: A writer's connection.
        dataset: Whose.
        now: Milliseconds since 1970.
        step: The one that is meant; None for whatever is asked for.

    Raises:
        NoAutopilotError: there is none, or nothing is asked for.
        OtherStepError: something else is asked for.
    """
    one = find_autopilot(connection, dataset)
    approved = approve(one.state)
    if approved is None:
        raise NoAutopilotError(f"the autopilot of {dataset} asks for nothing: {one.said}")
    if step is not None and step != one.state.asked:
        raise OtherStepError(f"the autopilot of {dataset} asks for {one.state.asked} by now: {one.said}")
    keep(connection, one, approved, f"{one.state.asked} is approved", now)
    _line(connection, one, now, "approved", f"{one.state.asked} is approved by hand", {"step": one.state.asked})
    return find_autopilot(connection, dataset)


def find_autopilot(connection: Connection, dataset: str) -> Autopilot:
    """Read an autopilot.

    Raises:
        NoAutopilotError: there is none.
    """
    row = connection.execute(select(autopilots).where(autopilots.c.dataset == dataset)).mappings().first()
    if row is None:
        raise NoAutopilotError(f"there is no autopilot of the dataset {dataset}")
    return _autopilot(row)


def list_autopilots(connection: Connection) -> list[Autopilot]:
    """List them by dataset."""
    return [_autopilot(row) for row in connection.execute(select(autopilots).order_by(autopilots.c.dataset)).mappings()]


def history(connection: Connection, dataset: str, limit: int = 100) -> list[dict[str, Any]]:
    """List the steps that were taken, the latest first."""
    query = select(autopilot_steps).where(autopilot_steps.c.dataset == dataset).order_by(autopilot_steps.c.id.desc())
    return [{**row, "data": json.loads(row["data"])} for row in connection.execute(query.limit(limit)).mappings()]


def keep(
    connection: Connection, before: Autopilot, state: State, said: str, now: int, spent: Spent | None = None
) -> None:
    """Write how an autopilot stands now.

    Raises:
        BusyError: another process has changed it.
    """
    values: dict[str, Any] = {"state": json.dumps(state.to_json()), "said": said, "turn": before.turn + 1}
    if spent is not None:
        values["spent"] = json.dumps(spent)
    same = (autopilots.c.dataset == before.dataset) & (autopilots.c.turn == before.turn)
    if connection.execute(update(autopilots).where(same).values(updated=now, **values)).rowcount != 1:
        raise BusyError(f"another process has changed the autopilot of {before.dataset}")


def tell(
    connection: Connection, before: Autopilot, after: State, kind: str, why: str, data: Mapping[str, Any], now: int
) -> None:
    """Put a line into the history and an event into the outbox, in the transaction of what they tell of."""
    _line(connection, replace(before, state=after), now, kind, why, data)
    about = {"round": after.round, **data}
    notify(connection, Event(new_id(now), f"autopilot.{kind}", now, why, after.experiment, before.dataset, about))


def _line(connection: Connection, one: Autopilot, now: int, step: str, why: str, data: Mapping[str, Any]) -> None:
    values = {"dataset": one.dataset, "at": now, "round": one.state.round, "step": step, "why": why}
    connection.execute(insert(autopilot_steps).values(**values, data=json.dumps(dict(data), allow_nan=False)))


def _autopilot(row: RowMapping) -> Autopilot:
    policy, state = autopilot_from(json.loads(row["policy"])), state_of(json.loads(row["state"]))
    spent: Spent = json.loads(row["spent"])
    return Autopilot(row["dataset"], policy, state, spent, row["turn"], row["said"], row["updated"])
