"""A rollout's row and its decisions, as they are read; nothing here writes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from logos_shift_openai.core.policy import Policy, policy_from
from logos_shift_openai.core.rollout_by_hand import RolloutError
from logos_shift_openai.core.rollout_state import State, state_from

from .store.schema import decisions, rollouts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import RowMapping

    from logos_shift_openai.core.rollout_trail import Point

    from .store.database import Store


class NoRolloutError(RolloutError):
    """There is no rollout of that experiment."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout as it stands in the store. `pending` is the config version that may not be in the file yet."""

    experiment: str
    policy: Policy
    state: State
    started: int
    updated: int
    pending: int | None
    kept: str
    """The text of the state as it was read, by which a later change is noticed."""
    subject: Mapping[str, Any] | None = None
    """What the config says of the experiment, see `server.rollout_guard`; None where it was not kept yet."""
    trail: tuple[Point, ...] = ()
    """The course of its proofs, see `core.rollout_trail`."""

    @property
    def revision(self) -> str:
        """A text that changes with whatever happens to the rollout, but not with a look that changes nothing."""
        state = replace(self.state, seen=0.0)
        return sha256(json.dumps([self.policy.to_json(), state.to_json()]).encode()).hexdigest()[:16]


def rollout_from(row: RowMapping) -> Rollout:
    """Make a rollout of its whole row."""
    return Rollout(
        row["experiment"],
        policy_from(json.loads(row["policy"])),
        state_from(json.loads(row["state"])),
        row["started"],
        row["updated"],
        row["pending"],
        row["state"],
        None if row["subject"] is None else json.loads(row["subject"]),
        tuple(json.loads(row["trail"] or "[]")),
    )


def get_rollout(store: Store, key: str) -> Rollout:
    """Read a rollout.

    Raises:
        RolloutError: there is none.
    """
    with store.reading() as connection:
        found = find_rollout(connection, key)
    if found is None:
        raise NoRolloutError(f"there is no rollout of {key}")
    return found


def find_rollout(connection: Connection, key: str) -> Rollout | None:
    """Read a rollout, None where there is none."""
    row = connection.execute(select(rollouts).where(rollouts.c.experiment == key)).mappings().first()
    return None if row is None else rollout_from(row)


def list_rollouts(connection: Connection) -> list[Rollout]:
    """List all rollouts by their experiments."""
    return [
        rollout_from(row) for row in connection.execute(select(rollouts).order_by(rollouts.c.experiment)).mappings()
    ]


def history(
    connection: Connection, key: str, limit: int | None = None, before: int | None = None
) -> list[dict[str, Any]]:
    """List the decisions about an experiment, the latest first; `document` is read from its JSON.

    Args:
        connection: A reader's connection.
        key: The experiment.
        limit: So many at most.
        before: Only those with an id below this one.
    """
    query = select(decisions).where(decisions.c.experiment == key).order_by(decisions.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(decisions.c.id < before)
    return [{**row, "document": json.loads(row["document"])} for row in connection.execute(query).mappings()]


def begun_before(connection: Connection, key: str, dataset: str) -> tuple[int, int]:
    """Count the rollouts of a dataset so far, and those of them that were promoted by proof from a shared alpha.

    Decisions of before datasets were noted count where they are of the same experiment.
    """
    turns = select(decisions.c.experiment, decisions.c.event, decisions.c.document).where(
        decisions.c.event.in_(("begin", "proven"))
    )
    begun = proven = 0
    for row in connection.execute(turns):
        told = json.loads(row.document)
        if row.experiment == key or told.get("dataset") == dataset:
            begun += row.event == "begin"
            proven += row.event == "proven" and told.get("spend", False)
    return begun, proven
