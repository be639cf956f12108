"""The rollouts of a store: look at each open one, and write what is decided together with the config that it makes.

Theory of operation. A look counts what has come in (`counting`), reads the counts, asks the pure core, and writes only
if the rollout's row is still as it was read; so of two that look at the same time one gives way. Every change of state
is kept as a decision with its evidence; a hold only when its why has changed, and of the holds of an hour that follow
each other the last. On a server the decision, the state and the next config version are one transaction. The embedded
config is a file: there the decision comes first, with the version that it will make in `pending`; then the file is
written and `pending` cleared. A crash in between is mended by the next look, which brings the file to what was decided.
So is what somebody has changed in the file by hand (see `server.rollout_guard`).
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from logos_shift_openai.core.config import Config, ConfigError, config_from
from logos_shift_openai.core.evidence import Evidence, ScoreError
from logos_shift_openai.core.policy import Policy, policy_from
from logos_shift_openai.core.rollout import Decision, begin, decide, decision_json, stopped
from logos_shift_openai.core.rollout_by_hand import RolloutError, by_hand
from logos_shift_openai.core.rollout_pace import repaced
from logos_shift_openai.core.rollout_state import ENDED, State, state_from
from logos_shift_openai.core.rollout_trail import Point, longer, point_of
from logos_shift_openai.core.rollout_words import percent

from .baseline import fitted
from .config_versions import StaleError, change_within, live_config, live_version
from .counting import count, forget
from .evaluation.refusing import refused_by_gate
from .experiments import Document, ExperimentError, Plan, change_file, config_path, new_salt, read_config, start_in
from .measures import MEASURED, evidence_of
from .notifications.outbox import new_id, notify
from .notifications.rules import decision_event, kind_of
from .rollout_guard import cannot_begin, drift, find, mirrored, part_of, settle, subject_of
from .shadows import add_agreement, compare_waiting
from .store.database import StoreConflictError
from .store.schema import decisions, rollouts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from sqlalchemy import RowMapping

    from .store.database import Store

TICK_SECONDS: Final = 1.0
_HOLD_MS: Final = 5_000  # why nothing happens may change with each call; so often it is written down
_HOUR_MS: Final = 3_600_000
_TRIES: Final = 10
_INSERT: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
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
    subject: Mapping[str, Any] | None = None
    """What the config says of the experiment, see `server.rollout_guard`; None where it was not kept yet."""
    trail: tuple[Point, ...] = ()
    """The course of its proofs, see `core.rollout_trail`."""

    @property
    def revision(self) -> str:
        """A text that changes with whatever happens to the rollout, but not with a look that changes nothing."""
        state = replace(self.state, seen=0.0)
        return sha256(json.dumps([self.policy.to_json(), state.to_json()]).encode()).hexdigest()[:16]


class ChangedError(StoreConflictError):
    """Another process has decided in the meantime."""


class NoRolloutError(RolloutError):
    """There is no rollout of that experiment."""


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
            if one.state.phase in ENDED:
                forget(store, one.experiment)
            else:
                count(store, one.experiment, one.policy, one.state, now)
            if one.state.phase not in _AT_REST:
                decision = _look(store, one, now, home)
                if decision is not None:
                    kept.append((one.experiment, decision))
        except StoreConflictError:  # with one that looks, or counts, at the same time
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


def begin_rollout(
    store: Store,
    key: str,
    policy: Policy,
    now: int,
    home: Path | None = None,
    *,
    plan: Plan | None = None,
    by_key: str | None = None,
    force: str | None = None,
) -> Rollout:
    """Begin the rollout of an experiment that runs, at the first share of the policy.

    What the policy leaves open is taken from the baseline's earlier calls, see `baseline.fitted`.

    Args:
        store: Where it is kept.
        key: The experiment.
        policy: How it decides; its unit is the experiment's, and a cap that it lacks is found.
        now: Milliseconds since 1970.
        home: As in `tick`.
        plan: The experiment, where it is to be started with the rollout.
        by_key: Id of the key that asks for it.
        force: Why it is to begin although the candidate has failed at the held-out questions; kept with the decision.

    Raises:
        RolloutError: one is under way, a metric is not measured, another experiment has the calls, a cap cannot be
            found, the share is higher than the first one already, or the candidate's report has failed.
        ExperimentError: there is no such experiment that runs.
        ConfigError: a part of the plan cannot be.
    """
    check_policy(policy)
    salt = new_salt()
    with store.reading() as connection:
        document = document_of(connection, home)
        before = find_rollout(connection, key)
        if before is not None and before.state.phase not in ENDED:
            raise RolloutError(f"the rollout of {key} is {before.state.phase.replace('_', ' ')} already")
        if plan is not None:
            start_in(document, plan, salt)
        config = config_from(document)
        experiment = find(config, key)
        if experiment is None or experiment.state != "running":
            raise ExperimentError(f"there is no experiment {key} that runs")
        number, proven = _before(connection, key, experiment.dataset)
        failed = refused_by_gate(connection, experiment.candidate)
        refused = None if failed is None or force else f"{failed}; --force WHY begins all the same"
        fault = cannot_begin(connection, config, key) or refused
    if fault is not None:
        raise RolloutError(fault)
    check_shadow(policy, experiment.candidate.provider)
    if experiment.share > policy.ladder[0]:
        raise RolloutError(f"{key} has a share of {experiment.share} basis points, above the first of the ladder")
    with store.reading() as connection:
        fit = fitted(connection, replace(policy, unit=experiment.unit), experiment, now)
    if plan is not None and home is not None:
        change_file(home, lambda fresh: start_in(fresh, plan, salt))
    state = replace(begin(fit.policy, now / 1000, fit.means), number=number + 1, proven=proven)
    forced = () if failed is None else (f"in spite of its report, as {force!r}",)
    first = Decision("ramp", "begin", "; ".join(("the rollout begins", *forced, *fit.notes)), state, now / 1000)
    subject = subject_of(document, key)

    def change(fresh: Document) -> None:
        if plan is not None:
            start_in(fresh, plan, salt)
        elif find(config_from(fresh), key) != experiment:
            raise ExperimentError(f"experiment {key} was changed in this moment; try again")
        settle(fresh, key, part_of(fit.policy, state), None)

    _write(store, key, before, fit.policy, first, Evidence(), now, home, subject=subject, change=change, by_key=by_key)
    return get_rollout(store, key)


def change_rollout(
    store: Store,
    key: str,
    what: str,
    now: int,
    home: Path | None = None,
    *,
    expected: Collection[str] | None = None,
    by_key: str | None = None,
    why: str | None = None,
) -> Decision:
    """Do by hand what `core.rollout_by_hand` knows: "pause", "resume", "promote", "roll_back".

    Args:
        store: Where it is kept.
        key: The experiment.
        what: One of them.
        now: Milliseconds since 1970.
        home: As in `tick`.
        expected: Revisions of which it must have one; None takes it as it is.
        by_key: Id of the key that asks for it.
        why: The reason, where it is no person who asks.

    Raises:
        RolloutError: there is no rollout, or its phase has nothing of the kind.
        StaleError: it has none of the expected revisions.
        ChangedError: others change it all the time.
    """
    for left in reversed(range(_TRIES)):
        one = get_rollout(store, key)
        if expected is not None and one.revision not in expected:
            raise StaleError(f"the rollout of {key} has changed since it was read; it is {one.revision} now")
        if one.state.phase not in ENDED:
            count(store, key, one.policy, one.state, now)
        with store.reading() as connection:
            evidence = evidence_of(connection, key, one.policy, one.state, now / 1000)
        decision = by_hand(what, one.policy, one.state, evidence, now / 1000)
        if why is not None:
            decision = replace(decision, event="guard", why=why)
        try:
            _write(store, key, one, one.policy, decision, evidence, now, home, by_key=by_key)
        except ChangedError:  # a look came in between; what was asked for holds for what it decided, too
            if not left:
                raise
            continue
        break
    return decision


def change_policy(
    store: Store,
    key: str,
    policy: Policy,
    now: int,
    home: Path | None = None,
    *,
    expected: Collection[str] | None = None,
    by_key: str | None = None,
) -> None:
    """Give a rollout that is under way another pace, as far as `core.rollout_pace` lets it; kept as a decision.

    Args:
        store: Where it is kept.
        key: The experiment.
        policy: The whole of it.
        now: Milliseconds since 1970.
        home: As in `tick`.
        expected: As in `change_rollout`.
        by_key: Id of the key that asks for it.

    Raises:
        RolloutError: there is no rollout, it has ended, or a part cannot be changed now.
        StaleError: it has none of the expected revisions.
        ChangedError: others change it all the time.
    """
    for left in reversed(range(_TRIES)):
        one = get_rollout(store, key)
        if expected is not None and one.revision not in expected:
            raise StaleError(f"the rollout of {key} has changed since it was read; it is {one.revision} now")
        decision = repaced(one.policy, policy, one.state, now / 1000)
        if decision is None:
            return
        try:
            _write(store, key, one, policy, decision, Evidence(), now, home, by_key=by_key)
        except ChangedError:  # a look came in between
            if not left:
                raise
            continue
        return


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
    return None if row is None else _rollout(row)


def list_rollouts(connection: Connection) -> list[Rollout]:
    """List all rollouts by their experiments."""
    return [_rollout(row) for row in connection.execute(select(rollouts).order_by(rollouts.c.experiment)).mappings()]


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


def _before(connection: Connection, key: str, dataset: str) -> tuple[int, int]:
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


def _rollout(row: RowMapping) -> Rollout:
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


def config_of(connection: Connection, home: Path | None) -> Config:
    """Read the config that the rollouts of a store are about; `home` as in `tick`.

    Raises:
        ConfigError: the file is broken.
    """
    return config_from(json.loads(live_config(connection).document)) if home is None else read_config(home)


def document_of(connection: Connection, home: Path | None) -> Document:
    """Read the document of that config, as `config_of` reads the config.

    Raises:
        ConfigError: the file is broken.
    """
    if home is None:
        found: Document = json.loads(live_config(connection).document)
        return found
    read_config(home)  # says what is wrong with it
    path = config_path(home)
    return json.loads(path.read_bytes()) if path.exists() else {"version": 1}


def _dataset(connection: Connection, key: str, home: Path | None) -> str | None:
    """Give the dataset of an experiment; None where there is none, or its file cannot be read just now."""
    with suppress(ExperimentError, ConfigError):
        experiment = find(config_of(connection, home), key)
        return None if experiment is None else experiment.dataset
    return None


def _look(store: Store, one: Rollout, now: int, home: Path | None) -> Decision | None:
    since = int(one.state.steps[0].since * 1000)
    if one.state.phase == "shadow":
        compare_waiting(store, one.experiment, one.policy.compare, since)
    with store.reading() as connection:
        config = config_of(connection, home)
    mended = _mended(one, config, now)
    if mended is not None:
        _logger.warning("the rollout of %s: %s", one.experiment, mended.why)
        _write(store, one.experiment, one, one.policy, mended, Evidence(), now, home, moved=True)
        return mended
    with store.reading() as connection:
        evidence = evidence_of(connection, one.experiment, one.policy, one.state, now / 1000)
        if one.state.phase == "shadow":
            add_agreement(connection, evidence, one.experiment, since)
        last = connection.execute(
            select(decisions.c.id, decisions.c.at, decisions.c.action, decisions.c.event, decisions.c.why)
            .where(decisions.c.experiment == one.experiment)
            .order_by(decisions.c.id.desc())
            .limit(1)
        ).first()
    decision = decide(one.policy, one.state, evidence, now / 1000)
    changed = replace(decision.state, seen=one.state.seen) != one.state
    held = decision.action == "hold" and not changed
    again = held and last is not None and last.action == "hold" and last.event is None
    if held and last is not None and (decision.why == last.why or (again and 0 <= now - last.at < _HOLD_MS)):
        return None
    _write(store, one.experiment, one, one.policy, decision, evidence, now, home)
    if again and last is not None and last.at // _HOUR_MS == now // _HOUR_MS:
        with store.writing() as connection:  # a crash before this leaves a hold more, and nothing else
            connection.execute(delete(decisions).where(decisions.c.id == last.id))
    return decision


def _mended(one: Rollout, config: Config, now: int) -> Decision | None:
    """Decide about what was changed in the config by hand, None where nothing was."""
    key, state = one.experiment, replace(one.state, seen=max(now / 1000, one.state.seen))
    experiment = find(config, key)
    if experiment is None or experiment.state == "stopped":
        how = "is gone from the config" if experiment is None else "was stopped in the config"
        why = f"the experiment {how}, so every call is the baseline's; the rollout ends with it"
        return Decision("roll_back", "mended", why, stopped(state), state.seen)
    changed = drift(config, key, part_of(one.policy, state), one.subject)
    if not changed:
        return None
    why = (
        f"{', '.join(changed)} of the experiment had been changed in the config by hand, and is as the rollout has "
        f"it again ({percent(state.share)}); to change it, `logos-shift rollout pause {key}` or "
        f"`logos-shift rollout rollback {key}` first"
    )
    return Decision("hold", "mended", why, state, state.seen)


def _write(
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

    With a `subject` the rollout begins; `change` makes the config in the place of `settle`.
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
    for _ in range(_TRIES):
        with suppress(_AgainError), store.writing() as connection:
            if begins:
                _wait_for_ingest(connection)
            version = None
            if moved:
                version = _next_version(connection, change or settled, decision.why, now, home, by_key)
            dataset = _dataset(connection, key, home)
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
        _bring_file(store, home, key)


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


def _bring_file(store: Store, home: Path, key: str) -> None:
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


def embedded_home(store: Store, home: Path) -> Path | None:
    """Tell where the config of a home folder's store is: its own file until it was served, then the store itself."""
    with store.reading() as connection:
        return None if live_version(connection) else home
