"""The experiments of a config document, and the embedded config: `config.json` in the home folder.

What a change does to a document (`start_in`, `share_in`, `state_in`) is the same for the embedded config and for
a server's (see `server.config_versions`). Of `config.json` this is the only writer: a change is parsed as strictly
as a client parses it, gets the next version and takes the file's place whole, under a lock; so a client never sees
half of one, and no writer overwrites another's.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, TypeVar

from logos_shift_openai.core.config import Config, Experiment, State
from logos_shift_openai.core.config_reading import config_from, parse_config
from logos_shift_openai.core.strict import ConfigError

from .file_lock import LockBusyError, hold_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Check = Callable[[Config, Config], None]

_LOCK_SECONDS: Final = 10.0
_SALT_BYTES: Final = 16
_T = TypeVar("_T")
Document = dict[str, Any]
"""A config document as read from JSON."""


class ExperimentError(Exception):
    """What was asked of an experiment cannot be done; the message says why and what can."""


class NoExperimentError(ExperimentError):
    """There is none of that name; the message lists those there are."""


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment to be started.

    Args:
        key: Its name.
        models: Requested models it is about, as shell-style patterns.
        candidate: The model that may take over.
        provider: Name of the candidate's endpoint, as the clients know it; None for the caller's own.
        dataset: Only calls of this one; "*" for all.
        share: The candidate's part in basis points.
        unit: What is bucketed.
        timeout: The candidate's budget before the baseline answers, seconds.
        drop: Parameters left out for the candidate.
        rename: Parameters it knows by another name.
        set: Parameters with values of its own.
        examples: `index` and `count` of the examples in its prompt; None for none.
        gate: `least` and `by` of its gate of confidence; None for none.
        prune: System texts that its calls leave out.
        prompts: Fingerprints of the prompts that it was tuned on; None for any.
    """

    key: str
    models: tuple[str, ...]
    candidate: str
    provider: str | None = None
    dataset: str = "*"
    share: int = 0
    unit: str = "user"
    timeout: float | None = None
    drop: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    examples: Mapping[str, Any] | None = None
    gate: Mapping[str, Any] | None = None
    prune: tuple[str, ...] = ()
    prompts: tuple[str, ...] | None = None


def config_path(home: Path) -> Path:
    """Name the embedded config's file."""
    return home / "config.json"


def read_config(home: Path) -> Config:
    """Read the embedded config; an empty one where there is none.

    Raises:
        ConfigError: it is broken; the message names the file and the path of the fault.
    """
    path = config_path(home)
    try:
        return parse_config(path.read_bytes())
    except FileNotFoundError:
        return Config()
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def new_salt() -> str:
    """Draw the salt of a new experiment."""
    return secrets.token_hex(_SALT_BYTES)


def change_file(home: Path, change: Callable[[Document], _T], check: Check | None = None) -> _T:
    """Change the embedded config.

    Args:
        home: Its home folder.
        change: Changes the document in place.
        check: Asked before anything is written, with the config as it is and as it would be; refuses by raising.
    """
    with _change(home, check) as document:
        return change(document)


def start(home: Path, plan: Plan, check: Check | None = None) -> Experiment:
    """Start an experiment of the embedded config; as `start_in` and `change_file`."""
    return change_file(home, lambda document: start_in(document, plan, new_salt()), check)


def set_share(home: Path, key: str, share: int, check: Check | None = None) -> Experiment:
    """Set the candidate's part of an experiment of the embedded config; as `share_in` and `change_file`."""
    return change_file(home, lambda document: share_in(document, key, share), check)


def set_state(home: Path, key: str, state: State, check: Check | None = None) -> Experiment:
    """Pause, resume or stop an experiment of the embedded config; as `state_in` and `change_file`."""
    return change_file(home, lambda document: state_in(document, key, state), check)


def start_in(document: Document, plan: Plan, salt: str) -> Experiment:
    """Start an experiment, or start one again that is stopped or paused: its salt stays, so its units do.

    Args:
        document: Changed in place; after an exception it is worth nothing.
        plan: What is to be started.
        salt: For an experiment that is new.

    Raises:
        ConfigError: a part of the plan cannot be.
        ExperimentError: it runs already, or another one is about the same calls.
    """
    experiments = document.setdefault("experiments", [])
    before = next((one for one in experiments if one["key"] == plan.key), None)
    if before is not None and before.get("state", "running") == "running":
        raise ExperimentError(
            f"experiment {plan.key} is running already; change its share, or stop it before it is started anew"
        )
    experiments[:] = [one for one in experiments if one is not before]
    # In front: the first experiment that is about a call takes it.
    experiments.insert(0, _planned(plan, salt if before is None else before["salt"]))
    started, *others = config_from(document).experiments
    _refuse_overlap(started, others)
    return started


def share_in(document: Document, key: str, share: int) -> Experiment:
    """Set the candidate's part of an experiment, in basis points.

    Raises:
        ConfigError: it is not in 0..10,000.
        ExperimentError: it is stopped.
        NoExperimentError: there is no such experiment.
    """
    one = _find(document, key)
    if one.get("state") == "stopped":
        raise ExperimentError(f"experiment {key} is stopped; start it anew to give it a share")
    one["share"] = share
    return _experiment(config_from(document), key)


def state_in(document: Document, key: str, state: State) -> Experiment:
    """Pause, resume or stop an experiment; its share stays as it is.

    Raises:
        ExperimentError: it is stopped for good.
        NoExperimentError: there is no such experiment.
    """
    one = _find(document, key)
    if one.get("state") == "stopped" and state != "stopped":
        raise ExperimentError(f"experiment {key} is stopped; start it anew")
    one["state"] = state
    return _experiment(config_from(document), key)


def overlapping(one: Experiment, other: Experiment) -> bool:
    """Tell whether a call can belong to both experiments, as far as their patterns spell it out."""
    datasets = {one.dataset, other.dataset}
    same_dataset = len(datasets) == 1 or "*" in datasets
    return same_dataset and any(_meet(ours, theirs) for ours in one.match for theirs in other.match)


@contextmanager
def _change(home: Path, check: Check | None) -> Iterator[Document]:
    """Give the document to be changed, and write it at the end of the block; an exception leaves the file."""
    path = config_path(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with hold_lock(home / "lock", _LOCK_SECONDS):
            before = read_config(home)
            document = json.loads(path.read_bytes()) if path.exists() else {}
            document["version"] = before.version + 1
            yield document
            if check is not None:
                check(before, config_from(document))
            _write(path, document)
    except LockBusyError as error:
        raise ExperimentError(str(error)) from None
    except OSError as error:
        raise ExperimentError(f"{path} cannot be written: {error.strerror or error}") from None


def _write(path: Path, document: Document) -> None:
    fresh = path.with_name(f".config.{os.getpid()}.tmp")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)  # noqa: PTH105 - said as the rule says it: one step, whole
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise


def _planned(plan: Plan, salt: str) -> Document:
    params: Document = {}
    for name, value in (("drop", list(plan.drop)), ("rename", dict(plan.rename)), ("set", dict(plan.set))):
        if value:
            params[name] = value
    candidate: Document = {"model": plan.candidate}
    if plan.provider is not None:
        candidate["provider"] = plan.provider
    if params:
        candidate["params"] = params
    if plan.examples is not None:
        candidate["examples"] = dict(plan.examples)
    if plan.gate is not None:
        candidate["gate"] = dict(plan.gate)
    if plan.prune:
        candidate["prompt"] = {"prune": list(plan.prune)}
    if plan.prompts is not None:
        candidate["prompts"] = list(plan.prompts)
    return {
        "key": plan.key,
        "dataset": plan.dataset,
        "match": {"model": list(plan.models)},
        "candidate": candidate,
        "share": plan.share,
        "unit": plan.unit,
        "salt": salt,
        "state": "running",
        "fallback": {"enabled": True, "timeout_seconds": plan.timeout},
    }


def _find(document: Document, key: str) -> Document:
    experiments: list[Document] = document.get("experiments", [])
    found = next((one for one in experiments if one["key"] == key), None)
    if found is None:
        names = ", ".join(one["key"] for one in experiments) or "none"
        raise NoExperimentError(f"there is no experiment {key} (there is: {names})")
    return found


def _experiment(config: Config, key: str) -> Experiment:
    return next(one for one in config.experiments if one.key == key)


def _refuse_overlap(started: Experiment, others: list[Experiment]) -> None:
    """Refuse calls that a running or paused experiment has: only the first one would ever see them."""
    for other in others:
        if other.state != "stopped" and overlapping(started, other):
            raise ExperimentError(
                f"experiment {other.key} is {other.state} and about the same calls "
                f"(dataset {other.dataset}, model {', '.join(other.match)}); stop it first"
            )


def _meet(one: str, two: str) -> bool:
    """Tell whether a name can match both patterns, as far as one of them spells out the other."""
    return one == two or fnmatchcase(one, two) or fnmatchcase(two, one)
