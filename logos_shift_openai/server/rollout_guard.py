"""What a rollout and the config say of the same experiment, and what happens where they no longer agree.

While a rollout is under way its experiment is the rollout's: the share, and all that its evidence depends on (the
*subject*). A change that goes through us is refused before it is made. A config file can be edited by hand all the
same; there `drift` names what differs at the next look and `settle` puts it back.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, select

from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.rollout_state import ENDED, state_from

from .experiments import Document, ExperimentError, overlapping
from .store.schema import rollouts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from logos_shift_openai.core.config import Config, Experiment
    from logos_shift_openai.core.policy import Policy
    from logos_shift_openai.core.rollout_state import State

SUBJECT: Final = ("dataset", "match", "candidate", "unit", "salt")
"""What must stay while counts are compared with each other."""


class UnderWayError(ExperimentError):
    """A change of an experiment whose rollout is under way."""


def refuse_under_way(connection: Connection, before: Config, after: Config) -> None:
    """Refuse a change of the config that takes an experiment out of its rollout's hands.

    A paused rollout leaves the share to whoever sets it by hand, and nothing else.

    Args:
        connection: A reader's or writer's connection.
        before: The config as it is.
        after: As it would be.

    Raises:
        UnderWayError: with what would change, and with what to do first.
    """
    for key, phase in under_way(connection):
        changed = _changed(find(before, key), find(after, key), free_share=phase == "paused")
        if changed is None and _taker(before, key) is None:
            taker = _taker(after, key)
            changed = None if taker is None else f"the calls, which {taker.key} would take,"
        if changed is not None:
            pause = f"`logos-shift rollout pause {key}` first, or " if changed == "the share" else ""
            raise UnderWayError(
                f"{changed} of {key} cannot be changed: its rollout is {phase.replace('_', ' ')}; "
                f"{pause}end it with `logos-shift rollout rollback {key}`"
            )


def under_way(connection: Connection) -> Iterator[tuple[str, str]]:
    """Give the experiments whose rollout has not ended, with its phase."""
    query = select(rollouts.c.experiment, rollouts.c.state).order_by(rollouts.c.experiment)
    for row in connection.execute(query).mappings().all():
        phase = state_from(json.loads(row["state"])).phase
        if phase not in ENDED:
            yield row["experiment"], phase


def cannot_begin(connection: Connection, config: Config, key: str) -> str | None:
    """Say why the rollout of an experiment would measure nothing; None where it can begin.

    Models that coincide are refused by the config itself.

    Args:
        connection: A reader's connection.
        config: With the experiment in it.
        key: The experiment.
    """
    one = next(one for one in config.experiments if one.key == key)
    taker = _taker(config, key)
    if taker is not None:
        return f"experiment {taker.key} stands before {key} and takes the same calls; stop it first"
    others = {other.key: other for other in _rivals(config, one)}
    for other, phase in under_way(connection):
        if other in others:
            return f"the rollout of {other} is {phase.replace('_', ' ')} and about the same calls; let it end first"
    return None


def warnings_of(config: Config, key: str) -> list[str]:
    """Say what of the config makes a rollout see less than its owner may think."""
    one = find(config, key)
    if one is None:
        return []
    model = one.candidate.model
    said = [f"experiment {other.key} is about the same calls; {key} takes them" for other in _rivals(config, one)]
    if one.candidate.provider is None and not _differs(one) and one.concerns(one.dataset, model):
        said.append(f"calls that ask for {model} itself are compared with themselves")
    return said


class Part(NamedTuple):
    """What the config says of a rollout: the candidate's share, and the calls a minute that are mirrored to it."""

    share: int
    mirror: int | None


def part_of(policy: Policy, state: State) -> Part:
    """Give what the config is to say of a rollout that stands there."""
    return Part(state.share, policy.shadow_per_minute if state.phase == "shadow" else None)


def mirrored(one: Experiment) -> int | None:
    """Give the calls a minute that an experiment mirrors, None where it mirrors none."""
    return None if one.shadow is None else one.shadow.calls_per_minute


def subject_of(document: Document, key: str) -> Document:
    """Take what must stay of an experiment out of a config document."""
    one = next(one for one in document["experiments"] if one["key"] == key)
    return {name: one[name] for name in SUBJECT if name in one}


def drift(config: Config, key: str, part: Part, subject: Mapping[str, Any] | None) -> list[str]:
    """Name what the config says otherwise than the rollout of an experiment that runs or is paused.

    Args:
        config: As it is live.
        key: The experiment.
        part: What the rollout says of it.
        subject: As `subject_of` gave it; None of a rollout that began before it was kept.
    """
    one = find(config, key)
    if one is None:
        return []
    found = ["share"] if one.share != part.share else []
    if part.mirror is not None and mirrored(one) != part.mirror:
        found.append("shadow")
    if subject is not None:
        kept = config_from({"version": 1, "experiments": [{"key": key, "share": part.share, **subject}]}).experiments[0]
        found += [name for name in SUBJECT if getattr(one, name) != getattr(kept, name)]
    if _taker(config, key) is not None:
        found.append("place")
    return found


def settle(document: Document, key: str, part: Part, subject: Mapping[str, Any] | None) -> None:
    """Make a document say of an experiment what its rollout says; one that is gone or stopped is left alone."""
    one = next((one for one in document.get("experiments", []) if one["key"] == key), None)
    if one is None or one.get("state") == "stopped":
        return
    one["share"] = part.share
    one.pop("shadow", None)
    if part.mirror is not None:
        one["shadow"] = {"rate": 1.0, "calls_per_minute": part.mirror}
    if subject is not None:
        for name in SUBJECT:
            one.pop(name, None)
        one.update(subject)
    if _taker(config_from(document), key) is not None:
        document["experiments"].remove(one)
        document["experiments"].insert(0, one)


def find(config: Config, key: str) -> Experiment | None:
    """Give the experiment of a name."""
    return next((one for one in config.experiments if one.key == key), None)


def _changed(was: Experiment | None, now: Experiment | None, *, free_share: bool) -> str | None:
    if was is None:
        return None
    if now is None:
        return "the presence"
    if now.state == "stopped" != was.state:
        return "the state"
    for name in SUBJECT:
        if getattr(was, name) != getattr(now, name):
            return f"the {name}"
    return None if free_share or was.share == now.share else "the share"


def _differs(one: Experiment) -> bool:
    """Tell whether the candidate's requests differ from the baseline's in more than the model."""
    params = one.candidate.params
    return bool(params.drop or params.rename or params.set or one.candidate.prune)


def _rivals(config: Config, one: Experiment) -> Iterator[Experiment]:
    return (other for other in config.experiments if other.state != "stopped" and other is not one
            and overlapping(one, other))  # fmt: skip


def _taker(config: Config, key: str) -> Experiment | None:
    """Find the experiment that stands before another and takes calls of it."""
    one = find(config, key)
    if one is None:
        return None
    for other in config.experiments:
        if other is one:
            return None
        if other.state != "stopped" and overlapping(one, other):
            return other
    return None
