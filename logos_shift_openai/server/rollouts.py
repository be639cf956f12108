"""The rollouts of a store: begin one, look at each open one, and change one by hand; what is decided is kept at once.

Theory of operation. A look counts what has come in (`counting`), reads the counts, asks the pure core, and writes only
if the rollout's row is still as it was read; so of two that look at the same time one gives way. Every change of state
is kept as a decision with its evidence; a hold only when its why has changed, and of the holds of an hour that follow
each other the last. `rollout_keeping` writes the decision together with the config that it makes; what a crash has left
undone there is mended by the next look, and so is what somebody has changed in the file by hand (see
`server.rollout_guard`).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select

from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.evidence import Evidence, ScoreError
from logos_shift_openai.core.rollout import Decision, begin, decide, stopped
from logos_shift_openai.core.rollout_by_hand import RolloutError, by_hand
from logos_shift_openai.core.rollout_pace import repaced
from logos_shift_openai.core.rollout_state import ENDED
from logos_shift_openai.core.rollout_words import percent
from logos_shift_openai.core.strict import ConfigError

from .baseline import fitted
from .config_place import config_of, document_of
from .config_versions import StaleError
from .counting import count, forget
from .evaluation.refusing import refused_by_gate
from .experiments import Document, ExperimentError, Plan, change_file, new_salt, start_in
from .measures import MEASURED, evidence_of
from .rollout_guard import cannot_begin, drift, find, part_of, settle, subject_of
from .rollout_keeping import TRIES, ChangedError, bring_file, keep
from .rollout_reading import Rollout, begun_before, find_rollout, get_rollout, rollout_from
from .shadows import add_agreement, compare_waiting
from .store.database import StoreConflictError
from .store.schema import decisions, rollouts

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from logos_shift_openai.core.config import Config
    from logos_shift_openai.core.policy import Policy

    from .store.database import Store

TICK_SECONDS: Final = 1.0
_HOLD_MS: Final = 5_000  # why nothing happens may change with each call; so often it is written down
_HOUR_MS: Final = 3_600_000
_AT_REST: Final = (*ENDED, "paused")  # a look decides nothing there
_logger = logging.getLogger("logos_shift_openai.server")


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
        found = [rollout_from(row) for row in connection.execute(select(rollouts)).mappings()]
    kept = []
    for one in found:
        try:
            if home is not None and one.pending is not None:
                bring_file(store, home, one.experiment)
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
        number, proven = begun_before(connection, key, experiment.dataset)
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

    keep(store, key, before, fit.policy, first, Evidence(), now, home, subject=subject, change=change, by_key=by_key)
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
    for left in reversed(range(TRIES)):
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
            keep(store, key, one, one.policy, decision, evidence, now, home, by_key=by_key)
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
    for left in reversed(range(TRIES)):
        one = get_rollout(store, key)
        if expected is not None and one.revision not in expected:
            raise StaleError(f"the rollout of {key} has changed since it was read; it is {one.revision} now")
        decision = repaced(one.policy, policy, one.state, now / 1000)
        if decision is None:
            return
        try:
            keep(store, key, one, policy, decision, Evidence(), now, home, by_key=by_key)
        except ChangedError:  # a look came in between
            if not left:
                raise
            continue
        return


def _look(store: Store, one: Rollout, now: int, home: Path | None) -> Decision | None:
    since = int(one.state.steps[0].since * 1000)
    if one.state.phase == "shadow":
        compare_waiting(store, one.experiment, one.policy.compare, since)
    with store.reading() as connection:
        config = config_of(connection, home)
    mended = _mended(one, config, now)
    if mended is not None:
        _logger.warning("the rollout of %s: %s", one.experiment, mended.why)
        keep(store, one.experiment, one, one.policy, mended, Evidence(), now, home, moved=True)
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
    keep(store, one.experiment, one, one.policy, decision, evidence, now, home)
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
