"""The rollouts of a store: look at each open one, and write what is decided together with the config that it makes.

Theory of operation. A look reads the evidence, asks the pure core, and writes only if the rollout's row is still as it
was read; so of two that look at the same time one gives way. Every change of state is kept as a decision with its
evidence, a hold only when its why has changed. On a server the decision, the state and the next config version are
one transaction. The embedded config is a file: there the decision comes first, with the version that it will make in
`pending`; then the file is written and `pending` cleared. A crash in between is mended by the next look, which brings
the file to what was decided.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, insert, select, update

from logos_shift_openai.core.config import Config, ConfigError, Experiment, config_from
from logos_shift_openai.core.evidence import Evidence, ScoreError
from logos_shift_openai.core.metrics import metric_of
from logos_shift_openai.core.policy import Policy, policy_from
from logos_shift_openai.core.rollout import Decision, begin, decide, decision_json
from logos_shift_openai.core.rollout_by_hand import RolloutError, by_hand
from logos_shift_openai.core.rollout_state import ENDED, State, state_from

from .config_versions import change_within, live_config, live_version
from .experiments import Document, ExperimentError, part_in, read_config, set_part
from .measures import MEASURED, evidence_of
from .shadows import add_agreement, compare_waiting
from .store.database import StoreConflictError
from .store.schema import decisions, rollouts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import RowMapping

    from .store.database import Store

TICK_SECONDS: Final = 5.0
_TRIES: Final = 10
_AT_REST: Final = (*ENDED, "paused")  # a look decides nothing there
_logger = logging.getLogger("logos_shift_openai.server")


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


class ChangedError(StoreConflictError):
    """Another process has decided in the meantime."""


def tick(store: Store, now: int, home: Path | None = None) -> list[tuple[str, Decision]]:
    """Look at every open rollout once.

    Args:
        store: Its calls and rollouts.
        now: Milliseconds since 1970.
        home: The home folder of the embedded config; None where the config is in the store.

    Returns:
        What was kept as a decision, by experiment.
    """
    with store.reading() as connection:
        found = [_rollout(row) for row in connection.execute(select(rollouts)).mappings()]
    kept = []
    for one in found:
        try:
            if home is not None and one.pending is not None:
                _bring_file(store, home, one.experiment)
            if one.state.phase not in _AT_REST:
                decision = _look(store, one, now, home)
                if decision is not None:
                    kept.append((one.experiment, decision))
        except ChangedError:
            continue
        except (ExperimentError, ConfigError, ScoreError) as error:
            _logger.warning("the rollout of %s was not looked at: %s", one.experiment, type(error).__name__)
    return kept


def tick_step(store: Store, now: int) -> float:
    """Look at all rollouts of a server; a step of its background work."""
    tick(store, now)
    return TICK_SECONDS


def check_policy(policy: Policy) -> None:
    """Make sure that all that a policy is about can be measured here.

    Raises:
        RolloutError: it cannot; the message says what can.
    """
    for one in policy.guarded:
        if one.metric not in MEASURED:
            raise RolloutError(f"{one.metric} is not measured; what is: {', '.join(MEASURED)}")
        if metric_of(one.metric).capped and one.cap is None:
            raise RolloutError(f"{one.metric} needs a cap in the policy, in milliseconds")


def check_shadow(policy: Policy, provider: str | None) -> None:
    """Make sure that a policy with a shadow is about a candidate that can be mirrored to.

    Args:
        policy: The policy.
        provider: The candidate's.

    Raises:
        RolloutError: it has no provider of its own.
    """
    if policy.shadow_pairs and provider is None:
        raise RolloutError("shadow_pairs: only for a candidate with a provider; no caller's own client is used for it")


def begin_rollout(store: Store, key: str, policy: Policy, now: int, home: Path | None = None) -> Rollout:
    """Begin the rollout of an experiment that runs, at the first share of the policy.

    Args:
        store: Where it is kept.
        key: The experiment.
        policy: How it decides; its unit is the experiment's.
        now: Milliseconds since 1970.
        home: As in `tick`.

    Raises:
        RolloutError: one is under way, a metric is not measured, or the share is higher than the first one already.
        ExperimentError: there is no such experiment that runs.
    """
    check_policy(policy)
    with store.reading() as connection:
        experiment = _experiment(connection, key, home)
        before = find_rollout(connection, key)
    if experiment is None or experiment.state != "running":
        raise ExperimentError(f"there is no experiment {key} that runs")
    check_shadow(policy, experiment.candidate.provider)
    if before is not None and before.state.phase not in ENDED:
        raise RolloutError(f"the rollout of {key} is {before.state.phase.replace('_', ' ')} already")
    if experiment.share > policy.ladder[0]:
        raise RolloutError(f"{key} has a share of {experiment.share} basis points, above the first of the ladder")
    policy = replace(policy, unit=experiment.unit)
    state = begin(policy, now / 1000)
    first = Decision("ramp", "begin", "the rollout begins", state, now / 1000)
    _write(store, key, before, policy, first, Evidence(), now, home)
    return get_rollout(store, key)


def change_rollout(store: Store, key: str, what: str, now: int, home: Path | None = None) -> Decision:
    """Do by hand what `core.rollout_by_hand` knows: "pause", "resume", "promote", "roll_back".

    Raises:
        RolloutError: there is no rollout, or its phase has nothing of the kind.
    """
    one = get_rollout(store, key)
    with store.reading() as connection:
        evidence = evidence_of(connection, key, one.policy, one.state, now / 1000)
    decision = by_hand(what, one.policy, one.state, evidence, now / 1000)
    _write(store, key, one, one.policy, decision, evidence, now, home)
    return decision


def get_rollout(store: Store, key: str) -> Rollout:
    """Read a rollout.

    Raises:
        RolloutError: there is none.
    """
    with store.reading() as connection:
        found = find_rollout(connection, key)
    if found is None:
        raise RolloutError(f"there is no rollout of {key}")
    return found


def find_rollout(connection: Connection, key: str) -> Rollout | None:
    """Read a rollout, None where there is none."""
    row = connection.execute(select(rollouts).where(rollouts.c.experiment == key)).mappings().first()
    return None if row is None else _rollout(row)


def list_rollouts(connection: Connection) -> list[Rollout]:
    """List all rollouts by their experiments."""
    return [_rollout(row) for row in connection.execute(select(rollouts).order_by(rollouts.c.experiment)).mappings()]


def history(connection: Connection, key: str, limit: int | None = None) -> list[dict[str, Any]]:
    """List the decisions about an experiment, the latest first; `document` is read from its JSON."""
    query = select(decisions).where(decisions.c.experiment == key).order_by(decisions.c.id.desc()).limit(limit)
    return [{**row, "document": json.loads(row["document"])} for row in connection.execute(query).mappings()]


def _rollout(row: RowMapping) -> Rollout:
    return Rollout(
        row["experiment"],
        policy_from(json.loads(row["policy"])),
        state_from(json.loads(row["state"])),
        row["started"],
        row["updated"],
        row["pending"],
        row["state"],
    )


def _experiment(connection: Connection, key: str, home: Path | None) -> Experiment | None:
    return next((one for one in read_live_config(connection, home).experiments if one.key == key), None)


def _look(store: Store, one: Rollout, now: int, home: Path | None) -> Decision | None:
    since = int(one.state.steps[0].since * 1000)
    if one.state.phase == "shadow":
        compare_waiting(store, one.experiment, one.policy.compare, since)
    with store.reading() as connection:
        experiment = _experiment(connection, one.experiment, home)
        if experiment is None or experiment.state == "stopped":
            return None  # nobody is sent to the candidate, so there is nothing to decide
        evidence = evidence_of(connection, one.experiment, one.policy, one.state, now / 1000)
        if one.state.phase == "shadow":
            add_agreement(connection, evidence, one.experiment, since)
        last = connection.scalar(
            select(decisions.c.why)
            .where(decisions.c.experiment == one.experiment)
            .order_by(decisions.c.id.desc())
            .limit(1)
        )
    decision = decide(one.policy, one.state, evidence, now / 1000)
    changed = replace(decision.state, seen=one.state.seen) != one.state
    if decision.action == "hold" and not changed and decision.why == last:
        return None
    _write(store, one.experiment, one, one.policy, decision, evidence, now, home)
    return decision


def _write(
    store: Store,
    key: str,
    before: Rollout | None,
    policy: Policy,
    decision: Decision,
    evidence: Evidence,
    now: int,
    home: Path | None,
) -> None:
    """Keep a decision, the state after it and, where the share changes, the config version that it makes."""
    part = _part(policy, decision.state)
    moved = before is None or before.state.phase in ENDED or part != _part(before.policy, before.state)
    document = json.dumps({**decision_json(decision), "evidence": evidence.rows()}, allow_nan=False)
    row = {"action": decision.action, "event": decision.event, "why": decision.why, "share": decision.state.share}
    pending = None
    for _ in range(_TRIES):
        with suppress(_AgainError), store.writing() as connection:
            version = _next_version(connection, key, decision, part, now, home) if moved else None
            pending = version if home is not None else None
            _keep_state(connection, key, before, policy, decision.state, now, pending)
            values = {"experiment": key, "at": now, **row, "config_version": version, "document": document}
            connection.execute(insert(decisions).values(**values))
            break
    else:
        raise ExperimentError("others change the config all the time; try again")
    if home is not None and pending is not None:
        _bring_file(store, home, key)


class _AgainError(Exception):
    """Another writer took the version; the transaction is undone."""


def _next_version(
    connection: Connection, key: str, decision: Decision, part: _Part, now: int, home: Path | None
) -> int | None:
    if home is not None:
        return read_config(home).version + 1
    made = change_within(connection, _to_part(key, part), why=decision.why, now=now)
    if made is None:
        raise _AgainError
    return made[0].version


class _Part(NamedTuple):
    """What the config says of a rollout: the candidate's share, and the calls a minute that are mirrored to it."""

    share: int
    mirror: int | None


def _part(policy: Policy, state: State) -> _Part:
    return _Part(state.share, policy.shadow_per_minute if state.phase == "shadow" else None)


def _to_part(key: str, part: _Part) -> Callable[[Document], Any]:
    return lambda document: part_in(document, key, *part)


def _keep_state(
    connection: Connection,
    key: str,
    before: Rollout | None,
    policy: Policy,
    state: State,
    now: int,
    pending: int | None,
) -> None:
    values: dict[str, Any] = {
        "policy": json.dumps(policy.to_json()),
        "state": json.dumps(state.to_json(), allow_nan=False),
        "started": int(state.started * 1000),
        "updated": now,
    }
    if pending is not None:
        values["pending"] = pending
    if before is None:
        connection.execute(insert(rollouts).values(experiment=key, **values))
        return
    same = (rollouts.c.experiment == key) & (rollouts.c.state == before.kept)
    if connection.execute(update(rollouts).where(same).values(**values)).rowcount != 1:
        raise ChangedError(f"the rollout of {key} was changed by another process; look again")


def _bring_file(store: Store, home: Path, key: str) -> None:
    """Bring the embedded config to what was decided last, if it may not be there yet.

    The file is written within the transaction, so that nobody else's later decision is overwritten by this one.
    """
    with store.writing() as connection:
        row = find_rollout(connection, key)
        if row is None or row.pending is None:
            return
        one = next((one for one in read_config(home).experiments if one.key == key), None)
        part = _part(row.policy, row.state)
        if one is not None and one.state != "stopped":
            mirror = None if one.shadow is None else one.shadow.calls_per_minute
            if (one.share, mirror) != part:
                set_part(home, key, *part)
        connection.execute(update(rollouts).where(rollouts.c.experiment == key).values(pending=None))


def read_live_config(connection: Connection, home: Path | None) -> Config:
    """Read the config that counts; `home` as in `tick`."""
    return config_from(json.loads(live_config(connection).document)) if home is None else read_config(home)


def embedded_home(store: Store, home: Path) -> Path | None:
    """Tell where the config of a home folder's store is: its own file until it was served, then the store itself."""
    with store.reading() as connection:
        return None if live_version(connection) else home
