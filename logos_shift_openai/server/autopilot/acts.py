"""What each step of an autopilot does. Doing one twice is doing it once: whatever it makes is looked for first.

An edition is named by its content, a tuning job by what is asked, an evaluation by its candidate and edition, an
experiment by dataset and round. So a process that was killed after it did a step and before it wrote that down leaves
nothing that is made a second time.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from logos_shift_openai.core.autopilot import State, Step
from logos_shift_openai.core.autopilot_policy import FREE
from logos_shift_openai.core.config import NO_PROMPT
from logos_shift_openai.core.prices import MILLION
from logos_shift_openai.core.rollout_by_hand import RolloutError
from logos_shift_openai.core.rollout_state import ENDED
from logos_shift_openai.core.strict import ConfigError
from logos_shift_openai.server.config_place import config_of
from logos_shift_openai.server.config_versions import change_config
from logos_shift_openai.server.datasets.choosing import Choice, EditionError
from logos_shift_openai.server.datasets.keeping import editions_of
from logos_shift_openai.server.datasets.register import find_edition, make_edition
from logos_shift_openai.server.evaluation.keeping import NoEvaluationError, find_evaluation, open_evaluation
from logos_shift_openai.server.experiments import ExperimentError, Plan, change_file, overlapping, state_in
from logos_shift_openai.server.rollout_guard import refuse_under_way
from logos_shift_openai.server.rollout_reading import find_rollout
from logos_shift_openai.server.rollouts import begin_rollout
from logos_shift_openai.server.store.schema import tuning_jobs
from logos_shift_openai.server.tuners.jobs import NoJobError, find_job, open_job
from logos_shift_openai.server.tuners.machine import check
from logos_shift_openai.server.tuners.protocol import Settings

from .facts import key_of, subject_of
from .keeping import month_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from logos_shift_openai.core.autopilot import Facts
    from logos_shift_openai.core.config import Config, Experiment
    from logos_shift_openai.server.evaluation.running import Bench
    from logos_shift_openai.server.experiments import Document
    from logos_shift_openai.server.tuners.jobs import TuningJob
    from logos_shift_openai.server.tuners.machine import Workshop

    from .keeping import Autopilot, Spent

_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Cockpit:
    """What an autopilot works with.

    Args:
        shop: For tuning jobs; its store, home and clock are everybody's here.
        bench: For held-out questions.
        config_home: The home of the embedded config; None where the config is in the store.
    """

    shop: Workshop
    bench: Bench
    config_home: Path | None


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a step.

    Args:
        state: After it.
        said: In words.
        kind: Of the event; None where nobody need hear of it.
        data: Figures of it.
        cost: Dollars that it cost, or is estimated to; what was booked too much comes back.
        jobs: Tuning jobs that it began.
        of: The time whose month it counts for; None for now.
    """

    state: State
    said: str
    kind: str | None = None
    data: Mapping[str, Any] | None = None
    cost: float = 0.0
    jobs: int = 0
    of: int | None = None


class BlockedError(Exception):
    """The step cannot be done as things are: somebody is needed, and it is tried again."""


def do(cockpit: Cockpit, one: Autopilot, step: Step, facts: Facts, now: int) -> Done:
    """Do a step.

    Args:
        cockpit: What it needs.
        one: The autopilot as it was read.
        step: What was decided.
        facts: What that was decided by.
        now: Milliseconds since 1970.

    Raises:
        BlockedError: it cannot be done now; the message says why.
    """
    return _ACTS[step.do](cockpit, one, step, facts, now)


def booked(one: Autopilot, done: Done, now: int) -> Spent | None:
    """Give what the months have cost after a step; None where it cost nothing."""
    if not done.cost and not done.jobs:
        return None
    month = month_of(now if done.of is None else done.of)
    jobs, money = one.spent.get(month, [0, 0.0])
    return {**one.spent, month: [jobs + done.jobs, round(max(0.0, money + done.cost), 9)]}


def _begin(_cockpit: Cockpit, one: Autopilot, step: Step, _facts: Facts, now: int) -> Done:
    before = one.state
    state = State("building", before.round + 1, now, now, before.ended)
    return Done(state, step.why, "began")


def _build(cockpit: Cockpit, one: Autopilot, _step: Step, _facts: Facts, now: int) -> Done:
    policy = one.policy
    model = policy.models[0] if len(policy.models) == 1 and not set("*?[") & set(policy.models[0]) else None
    choice = Choice(
        one.dataset, until=one.state.until, model=model, feedback=policy.feedback, heldout=policy.heldout,
        prune_constant=policy.prune_constant, price=policy.price, epochs=int(policy.settings.get("epochs") or 1),
    )  # fmt: skip
    kept = editions_of(cockpit.shop.store, cockpit.shop.home / "editions")
    try:
        edition = make_edition(cockpit.shop.store, kept, choice, now)
    except EditionError as error:
        return _ended(one, Step("end", str(error), of="too_few"), now)
    rows = edition.manifest["counts"]
    said = f"edition {edition.id} has {rows['train']:,} rows to train on and {rows['heldout']:,} held out"
    return Done(one.state.at("built", now, edition=edition.id), said, "edition", {"edition": edition.id})


def _tune(cockpit: Cockpit, one: Autopilot, step: Step, facts: Facts, now: int) -> Done:
    policy, edition = one.policy, one.state.edition or ""
    settings = Settings(policy.base, policy.provider, **policy.settings)
    with cockpit.shop.store.reading() as connection:  # one that a killed process of ours began, whatever became of it
        mine = (tuning_jobs.c.edition == edition) & (tuning_jobs.c.created >= one.state.since)
        there = connection.scalar(select(tuning_jobs.c.id).where(mine).order_by(tuning_jobs.c.created).limit(1))
    if there is None:
        problems = check(cockpit.shop, policy.tuner, edition, settings)
        if problems:
            raise BlockedError(f"the tuning cannot be started: {'; '.join(problems)}")
        until = now + int(policy.deadline_hours * _HOUR_MS)
        there = open_job(cockpit.shop.store, policy.tuner, edition, settings, now, until)[0].id
    estimate = facts.estimate if facts.estimate is not None else 0.0
    cost = 0.0 if policy.tuner in FREE and policy.price is None else estimate
    said = f"the tuning job {there} is asked for: {step.why}"
    state = one.state.at("tuning", now, job=there, estimate=cost)
    return Done(state, said, "tuning", {"job": there, "estimate": cost}, cost, 1)


def _follow(cockpit: Cockpit, one: Autopilot, step: Step, _facts: Facts, now: int) -> Done:
    if one.state.phase == "tuning":
        with cockpit.shop.store.reading() as connection:
            job = find_job(connection, one.state.job or "")
        candidate = dict(job.candidate or {})
        cost, more = _bill(one, job)
        data = {"job": job.id, "candidate": candidate, "cost": cost, "trained_tokens": job.trained_tokens}
        said = step.why if cost is None else f"{step.why}; it cost ${cost:.2f}"
        state = one.state.at("tuned", now, candidate=candidate, bill=cost)
        return Done(state, said, "tuned", data, more, of=one.state.since)
    about = {"evaluation": one.state.evaluation}
    return Done(one.state.at("evaluated", now), step.why, "passed", about, _asking_cost(cockpit, one))


def _evaluate(cockpit: Cockpit, one: Autopilot, step: Step, facts: Facts, now: int) -> Done:
    rules = one.policy.gate
    if one.policy.money_per_month is not None:
        left = max(0.0, one.policy.money_per_month - facts.spent)
        rules = replace(rules, money=left if rules.money is None else min(left, rules.money))
    with cockpit.shop.store.writing() as connection:
        found = open_evaluation(connection, one.state.edition or "", one.state.candidate or {}, rules, now)
    return Done(one.state.at("evaluating", now, evaluation=found.id), step.why)


def _roll_out(cockpit: Cockpit, one: Autopilot, step: Step, facts: Facts, now: int) -> Done:
    gated = step.do == "try_gate"
    gate = None if facts.gate is None or not gated else {name: facts.gate[name] for name in ("least", "by")}
    key = key_of(one.dataset, one.state.round, gated=gated)
    plan = _plan(cockpit, one, key, gate)
    try:
        _make_room(cockpit, one, key, now)
        _begin_rollout(cockpit, one, plan, now)
    except (RolloutError, ExperimentError, ConfigError) as error:
        raise BlockedError(f"the rollout cannot begin: {error}") from None
    data = {"experiment": key, "candidate": dict(one.state.candidate or {}), "gate": gate}
    kind = "gated" if gated else "rollout"
    said = f"{plan.candidate} is rolled out as {key}: {step.why}"
    return Done(one.state.at("rolling", now, experiment=key, gated=gated), said, kind, data)


def _end(cockpit: Cockpit, one: Autopilot, step: Step, _facts: Facts, now: int) -> Done:
    if one.state.phase == "tuning":
        more = 0.0
        with cockpit.shop.store.reading() as connection, suppress(NoJobError):
            more = _bill(one, find_job(connection, one.state.job or ""))[1]
        return replace(_ended(one, step, now), cost=more, of=one.state.since)
    cost = _asking_cost(cockpit, one) if one.state.phase == "evaluating" else 0.0
    return replace(_ended(one, step, now), cost=cost)


def _bill(one: Autopilot, job: TuningJob) -> tuple[float | None, float]:
    """Give what a training has cost by what its provider told, and what that is more than was booked for it."""
    cost = job.cost
    if cost is None and job.trained_tokens is not None and one.policy.price is not None:
        cost = job.trained_tokens * one.policy.price / MILLION
    return cost, 0.0 if cost is None else cost - one.state.estimate


def _ended(one: Autopilot, step: Step, now: int) -> Done:
    before = one.state
    state = before.at("waiting", now, ended=now)
    return Done(state, f"round {before.round} has ended: {step.why}", step.of or "ended")


def _asking_cost(cockpit: Cockpit, one: Autopilot) -> float:
    with cockpit.shop.store.reading() as connection, suppress(NoEvaluationError):
        report = find_evaluation(connection, one.state.evaluation or "").report
        return float((report or {}).get("cost") or 0.0)
    return 0.0


def _plan(cockpit: Cockpit, one: Autopilot, key: str, gate: Mapping[str, Any] | None) -> Plan:
    told, policy = dict(one.state.candidate or {}), one.policy
    with cockpit.shop.store.reading() as connection:
        edition = find_edition(connection, one.state.edition or "")
    manifest = {} if edition is None else edition.manifest
    params = told.get("params", {})
    return Plan(
        key, policy.models, told["model"], told.get("provider"), one.dataset, unit=policy.unit,
        drop=tuple(params.get("drop", ())), rename=params.get("rename", {}), set=params.get("set", {}),
        examples=told.get("examples"), gate=gate, prune=tuple(manifest.get("prune", ())),
        prompts=None if policy.any_prompt else prompts_of(manifest),
    )  # fmt: skip


def prompts_of(manifest: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Give the fingerprints that an edition's candidate was tuned on; None for any, where they are not all known."""
    if "fingerprints" not in manifest or manifest.get("fingerprints_beyond"):
        return None
    found: dict[str, int] = manifest["fingerprints"]
    counts = manifest["counts"]
    without = counts["train"] + counts["heldout"] > sum(found.values())
    return (*sorted(found), *([NO_PROMPT] if without else []))


def _make_room(cockpit: Cockpit, one: Autopilot, key: str, now: int) -> None:
    """Stop the experiments of earlier rounds, whose rollouts have ended; what is not ours stays, and may refuse us."""
    store, ours = cockpit.shop.store, subject_of(one)
    with store.reading() as connection:
        config = config_of(connection, cockpit.config_home)
        rounds = {
            key_of(one.dataset, each, gated=gated) for each in range(1, one.state.round + 1) for gated in (False, True)
        }
        old = [
            each.key
            for each in config.experiments
            if each.key in rounds - {key} and each.state != "stopped" and overlapping(ours, each)
            and _has_ended(find_rollout(connection, each.key))
        ]  # fmt: skip
    for each in old:
        _change(cockpit, partial(_stop, each), f"{key} takes its place", now)


def _stop(key: str, document: Document) -> Experiment:
    return state_in(document, key, "stopped")


def _has_ended(rollout: Any) -> bool:
    return rollout is None or rollout.state.phase in ENDED


def _change(cockpit: Cockpit, change: Callable[[Document], Experiment], why: str, now: int) -> None:
    store = cockpit.shop.store

    def refuse(before: Config, after: Config) -> None:
        with store.reading() as connection:
            refuse_under_way(connection, before, after)

    if cockpit.config_home is not None:
        change_file(cockpit.config_home, change, refuse)
    else:
        change_config(store, change, why=why, now=now)


def _begin_rollout(cockpit: Cockpit, one: Autopilot, plan: Plan, now: int) -> None:
    store = cockpit.shop.store
    with store.reading() as connection:
        if find_rollout(connection, plan.key) is not None:
            return  # of a killed process
        config = config_of(connection, cockpit.config_home)
    there = any(each.key == plan.key and each.state == "running" for each in config.experiments)
    begin_rollout(store, plan.key, one.policy.rollout, now, cockpit.config_home, plan=None if there else plan)


_ACTS: Final[Mapping[str, Callable[[Cockpit, Autopilot, Step, Facts, int], Done]]] = {
    "begin": _begin,
    "build": _build,
    "tune": _tune,
    "follow": _follow,
    "evaluate": _evaluate,
    "roll_out": _roll_out,
    "try_gate": _roll_out,
    "end": _end,
}
