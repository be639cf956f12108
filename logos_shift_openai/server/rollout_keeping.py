"""What is decided about a rollout, written together: the decision, the state after it and the config that it makes.

A rollout's row is written only where it is still as it was read, so of two that decide at the same time one gives way.
On a server all of it is one transaction. The embedded config is a file: there the decision comes first, with the
version that it will make in `pending`; then the file is written and `pending` cleared. What a crash in between leaves
undone is done by the next `bring_file`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, insert, update
from sqlalchemy.dialects import postgresql, sqlite

from logos_shift_openai.core.rollout import Decision, decision_json
from logos_shift_openai.core.rollout_trail import Point, longer, point_of

from .config_place import dataset_of
from .config_versions import change_within
from .experiments import Document, ExperimentError, change_file, read_config
from .notifications.outbox import new_id, notify
from .notifications.rules import decision_event, kind_of
from .rollout_guard import drift, find, mirrored, part_of, settle
from .rollout_reading import Rollout, find_rollout
from .store.database import StoreConflictError
from .store.schema import decisions, rollouts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from logos_shift_openai.core.evidence import Evidence
    from logos_shift_openai.core.policy import Policy
    from logos_shift_openai.core.rollout_state import State

    from .store.database import Store

TRIES: Final = 10
"""So often a change is tried while others change the same."""

_INSERT: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class ChangedError(StoreConflictError):
    """Another process has decided in the meantime."""


def keep(
    store: Store,
    key: str,
    before: Rollout | None,
    policy: Policy,
    decision: Decision,
    evidence: Evidence,
    now: int,
    home: Path | None,
    *,
    moved: bool = False,
    subject: Mapping[str, Any] | None = None,
    change: Callable[[Document], None] | None = None,
    by_key: str | None = None,
) -> None:
    """Keep a decision, the state after it and, where the config is to say otherwise or `moved`, the version of it.

    Args:
        store: Where they are kept.
        key: The experiment.
        before: Its rollout as it was read; None where there was none.
        policy: How it decides from here on.
        decision: What is decided, with the state after it.
        evidence: What it was decided by.
        now: Milliseconds since 1970.
        home: The home folder of the embedded config; None where the config is in the store.
        moved: Whether there is to be a version of the config even where the decision changes nothing that it says.
        subject: What the config says of the experiment, where the rollout begins with this decision.
        change: Makes the config, in the place of `settle`.
        by_key: Id of the key that asks for it.

    Raises:
        ChangedError: another process has decided about the rollout since it was read.
        ExperimentError: others change the config all the time, or the experiment cannot be changed so.
        ConfigError: the config cannot be so, or its file is broken.
    """
    begins = before is None or subject is not None
    part = part_of(policy, decision.state)
    moved = moved or begins or before is None or part != part_of(before.policy, before.state)
    trail: list[Point] = [] if before is None or begins else list(before.trail)
    if before is not None:
        trail = longer(trail, point_of(decision, before.state.share))
    if subject is None and before is not None:
        subject = before.subject
    course: dict[str, Any] = {"subject": None if subject is None else json.dumps(subject), "trail": json.dumps(trail)}

    def settled(fresh: Document) -> None:
        settle(fresh, key, part, subject)

    told = {**decision_json(decision), "evidence": evidence.rows(), "spend": policy.spend}
    row = {"action": decision.action, "event": decision.event, "why": decision.why, "share": decision.state.share}
    pending = None
    for _ in range(TRIES):
        with suppress(_AgainError), store.writing() as connection:
            if begins:
                _wait_for_ingest(connection)
            version = None
            if moved:
                version = _next_version(connection, change or settled, decision.why, now, home, by_key)
            dataset = dataset_of(connection, key, home)
            document = json.dumps({**told, "dataset": dataset}, allow_nan=False)
            pending = version if home is not None else None
            if pending is not None:
                course["pending"] = pending
            _keep_state(
                connection,
                key,
                before,
                policy,
                decision.state,
                now,
                course,
            )
            values = {"experiment": key, "at": now, **row, "config_version": version, "document": document}
            connection.execute(insert(decisions).values(**values))
            _tell(connection, key, before, decision, now, dataset)
            break
    else:
        raise ExperimentError("others change the config all the time; try again")
    if home is not None and pending is not None:
        bring_file(store, home, key)


def _tell(
    connection: Connection, key: str, before: Rollout | None, decision: Decision, now: int, dataset: str | None
) -> None:
    """Put what people must hear of into the outbox, in the decision's own transaction."""
    kind = kind_of(None if before is None else before.state, decision)
    if kind is not None:
        notify(connection, decision_event(new_id(now), key, None if dataset == "*" else dataset, kind, decision))


def _wait_for_ingest(connection: Connection) -> None:
    """Make sure that whoever takes records in from here on sees that a rollout is open, and nobody still does not."""
    if connection.dialect.name == "postgresql":  # every ingest has read the table, and holds it till its end
        connection.exec_driver_sql("LOCK TABLE rollouts IN ACCESS EXCLUSIVE MODE")


class _AgainError(Exception):
    """Another writer took the version; the transaction is undone."""


def _next_version(
    connection: Connection,
    change: Callable[[Document], None],
    why: str,
    now: int,
    home: Path | None,
    by_key: str | None,
) -> int | None:
    if home is not None:
        return read_config(home).version + 1
    made = change_within(connection, change, why=why, now=now, by_key=by_key, by_rollout=True)
    if made is None:
        raise _AgainError
    return made[0].version


def _keep_state(
    connection: Connection,
    key: str,
    before: Rollout | None,
    policy: Policy,
    state: State,
    now: int,
    more: Mapping[str, Any],
) -> None:
    values: dict[str, Any] = {
        "policy": json.dumps(policy.to_json()),
        "state": json.dumps(state.to_json(), allow_nan=False),
        "started": int(state.started * 1000),
        "updated": now,
        **more,
    }
    if before is None:
        fresh = _INSERT[connection.dialect.name](rollouts).values(experiment=key, **values)
        taken = connection.scalar(fresh.on_conflict_do_nothing().returning(rollouts.c.experiment)) is None
        if taken:
            raise ChangedError(f"another process has begun the rollout of {key} in this moment")
        return
    same = (rollouts.c.experiment == key) & (rollouts.c.state == before.kept)
    if connection.execute(update(rollouts).where(same).values(**values)).rowcount != 1:
        raise ChangedError(f"the rollout of {key} was changed by another process; look again")


def bring_file(store: Store, home: Path, key: str) -> None:
    """Bring the embedded config to what was decided last, if it may not be there yet.

    The file is written within the transaction, so that nobody else's later decision is overwritten by this one.
    """
    with store.writing() as connection:
        row = find_rollout(connection, key)
        if row is None or row.pending is None:
            return
        config, part = read_config(home), part_of(row.policy, row.state)
        one = find(config, key)
        agrees = (
            one is None
            or one.state == "stopped"
            or (mirrored(one) == part.mirror and not drift(config, key, part, row.subject))
        )
        if not agrees:
            change_file(home, lambda fresh: settle(fresh, key, part, row.subject))
        connection.execute(update(rollouts).where(rollouts.c.experiment == key).values(pending=None))
