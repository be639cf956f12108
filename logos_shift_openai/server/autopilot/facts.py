"""What an autopilot has to know at each phase, read from the store; nothing else is read, so a look stays cheap."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, exists, func, or_, select

from logos_shift_openai.core.autopilot import Facts
from logos_shift_openai.core.config import Candidate, Experiment
from logos_shift_openai.server.config_place import config_of
from logos_shift_openai.server.datasets.register import find_edition
from logos_shift_openai.server.evaluation.keeping import NoEvaluationError, find_evaluation
from logos_shift_openai.server.experiments import overlapping
from logos_shift_openai.server.feedback import SUCCESS_FROM
from logos_shift_openai.server.gates import choose_gate, gate_json
from logos_shift_openai.server.rollout_guard import find, under_way
from logos_shift_openai.server.rollout_reading import find_rollout, history
from logos_shift_openai.server.store.schema import calls, feedback
from logos_shift_openai.server.tuners.edition import EditionError
from logos_shift_openai.server.tuners.jobs import NoJobError, find_job

from .keeping import month_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import ColumnElement, Connection

    from logos_shift_openai.server.store.database import Store

    from .keeping import Autopilot

_SLUG: Final = 64


def facts_of(store: Store, home: Path, config_home: Path | None, one: Autopilot, now: int) -> Facts:
    """Read what the phase of an autopilot asks for.

    Args:
        store: With everything.
        home: Where editions lie.
        config_home: The home of the embedded config; None where the config is in the store.
        one: The autopilot.
        now: Milliseconds since 1970.
    """
    jobs, spent = one.spent.get(month_of(now), [0, 0.0])
    found: dict[str, Any] = {"jobs": int(jobs), "spent": spent}
    state = one.state
    with store.reading() as connection:
        if state.phase in {"waiting", "evaluated"}:
            found["under_way"] = _under_way(connection, one, config_home)
        if state.phase == "waiting" and found["under_way"] is None:
            found["good"] = _good(connection, one)
        elif state.phase == "built":
            found |= _of_edition(connection, state.edition or "")
        elif state.phase == "tuning":
            found |= _of_job(connection, state.job or "")
        elif state.phase in {"evaluating", "evaluated"}:
            found |= _of_evaluation(connection, state.evaluation or "")
        elif state.phase == "rolling":
            found |= _of_rollout(connection, state.experiment or "")
    wants_gate = state.phase == "rolling" and found["state"] == "rolled_back" and not state.gated
    if wants_gate and one.policy.gate_agreement:
        found["gate"] = _gate(store, home, one)
    return Facts(**found)


def key_of(dataset: str, number: int, *, gated: bool) -> str:
    """Name the experiment of a round."""
    slug = re.sub(r"[^A-Za-z0-9._-]", "-", dataset)[:_SLUG]
    if slug != dataset or not slug[0].isalnum():  # two datasets must not share a name
        slug = f"d{hashlib.sha256(dataset.encode()).hexdigest()[:8]}-{slug}"
    return f"{slug}-auto-{number}" + ("-gate" if gated else "")


def subject_of(one: Autopilot) -> Experiment:
    """Give an experiment that stands for the calls of an autopilot."""
    return Experiment("", Candidate("-"), dataset=one.dataset, match=one.policy.models)


def _under_way(connection: Connection, one: Autopilot, config_home: Path | None) -> str | None:
    config, ours = config_of(connection, config_home), subject_of(one)
    for key, _phase in under_way(connection):
        other = find(config, key)
        if other is not None and overlapping(ours, other):
            return key
    return None


def _good(connection: Connection, one: Autopilot) -> int:
    """Count new good examples, no further than is asked for; whatever was corrected is one."""
    policy, column = one.policy, calls.c
    corrected = exists().where(feedback.c.call_id == column.id, feedback.c.correction.is_not(None))
    rated: dict[str, ColumnElement[bool]] = {
        "success": or_(column.score >= SUCCESS_FROM, corrected),
        "unfailed": or_(column.score.is_(None), column.score >= SUCCESS_FROM, corrected),
    }
    conditions = [
        column.dataset == one.dataset,
        column.at > one.state.until,
        column.endpoint == "chat.completions",
        column.complete.is_(True),
        column.error_type.is_(None),
        or_(column.served.is_(None), column.served == "baseline"),
        _asked(policy.models),
    ]
    if policy.feedback in rated:
        conditions.append(rated[policy.feedback])
    some = select(column.id).where(and_(*conditions)).limit(policy.new_examples).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0


def _asked(models: Sequence[str]) -> ColumnElement[bool]:
    """Choose calls by patterns of their requested model; a class in brackets counts as any letter."""
    likes = []
    for one in models:
        plain = re.sub(r"([\\%_])", r"\\\1", one)
        like = re.sub(r"\[[^]]*\]", "_", plain).replace("*", "%").replace("?", "_")
        likes.append(calls.c.requested_model.like(like, escape="\\"))
    return or_(*likes)


def _of_edition(connection: Connection, name: str) -> dict[str, Any]:
    edition = find_edition(connection, name)
    if edition is None:
        return {}
    manifest = edition.manifest
    return {
        "rows": manifest["counts"]["train"],
        "fewest": manifest["answers"]["fewest_rows"],
        "estimate": manifest["estimate"]["cost"],
    }


def _of_job(connection: Connection, name: str) -> dict[str, Any]:
    try:
        job = find_job(connection, name)
    except NoJobError as error:
        return {"state": "failed", "said": str(error)}
    return {"state": job.state, "said": f"{job.said}. {job.next_step}".removesuffix(". ")}


def _of_evaluation(connection: Connection, name: str) -> dict[str, Any]:
    try:
        one = find_evaluation(connection, name)
    except NoEvaluationError as error:
        return {"state": "failed", "said": str(error)}
    return {"state": one.state, "said": one.said}


def _of_rollout(connection: Connection, key: str) -> dict[str, Any]:
    rollout = find_rollout(connection, key)
    if rollout is None:
        return {"state": "rolled_back", "said": "its rollout is gone"}
    told = history(connection, key, 1)
    return {"state": rollout.state.phase, "said": told[0]["why"] if told else ""}


def _gate(store: Store, home: Path, one: Autopilot) -> dict[str, Any] | None:
    try:
        choice = choose_gate(store, home, one.state.evaluation or "", one.policy.gate_agreement)
    except (EditionError, NoEvaluationError):
        return None
    if choice is None:
        return None
    return {**gate_json(choice.gate), "coverage": choice.coverage, "bound": choice.bound, "of": asdict(choice)}
