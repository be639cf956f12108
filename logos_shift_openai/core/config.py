"""The live config: one JSON document with a version, parsed strictly into frozen values.

A document with a fault is refused as a whole, with the path of the fault; whoever holds the last good one keeps it.
A config names models and providers, never an address or a key: those are the client's own.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Unit = Literal["user", "conversation", "call"]
State = Literal["running", "paused", "stopped"]

SHARE_MAX: Final = 10_000
_T = TypeVar("_T")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_NOTHING: Final[Mapping[str, Any]] = {}
_ANY: Final[tuple[str, ...]] = ("*",)
_NONE: Final[tuple[str, ...]] = ()
_SHOWN: Final = 60


class ConfigError(ValueError):
    """A config document that is refused; the message begins with the path of the fault."""


@dataclass(frozen=True, slots=True)
class Params:
    """What to change in the body for a candidate that takes other parameters than the baseline.

    Args:
        drop: Names left out.
        rename: Old name to new name; done after `drop`.
        set: Names with the values they get; done last.
    """

    drop: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """The model that may take over.

    Args:
        provider: Name of an endpoint known to the client, or None for the caller's own client.
        prune: System texts that its training left out; removed from the prompt of its calls only.
        endpoints: Endpoints its provider speaks, `chat.completions` unless said otherwise.
    """

    model: str
    provider: str | None = None
    params: Params = field(default_factory=Params)
    prune: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ("chat.completions",)


@dataclass(frozen=True, slots=True)
class Fallback:
    """What happens when the candidate fails before its first token.

    Args:
        timeout_seconds: The candidate's budget of time; None leaves it the caller's own timeout.
    """

    enabled: bool = True
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """A baseline and a candidate for the calls of one dataset.

    Args:
        match: Requested models it is about, as shell-style patterns.
        share: The candidate's part in basis points, 0 to 10,000.
        unit: What is bucketed.
        salt: Random text of this experiment alone, never edited.
    """

    key: str
    candidate: Candidate
    dataset: str = "*"
    match: tuple[str, ...] = ("*",)
    share: int = 0
    unit: Unit = "user"
    salt: str = ""
    state: State = "running"
    fallback: Fallback = field(default_factory=Fallback)

    def concerns(self, dataset: str, model: str) -> bool:
        """Tell whether calls of this dataset and requested model belong to the experiment."""
        return self.dataset in {"*", dataset} and any(
            pattern == model or fnmatchcase(model, pattern) for pattern in self.match
        )


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which part of the calls is recorded, in [0, 1]; a dataset's own rate comes before the general one."""

    rate: float = 1.0
    datasets: Mapping[str, float] = field(default_factory=dict)

    def of(self, dataset: str) -> float:
        """Give the rate for a dataset."""
        return self.datasets.get(dataset, self.rate)


@dataclass(frozen=True, slots=True)
class RedactionRules:
    """Redaction asked for by the config, on top of the client's own; the names are `core.redaction`'s."""

    rules: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    patterns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """The whole document. `enabled: false` is the kill switch: every call goes to its baseline."""

    version: int = 0
    enabled: bool = True
    poll_seconds: float = 30.0
    sampling: Sampling = field(default_factory=Sampling)
    redaction: RedactionRules = field(default_factory=RedactionRules)
    experiments: tuple[Experiment, ...] = ()


def parse_config(document: bytes | str) -> Config:
    """Parse a config document.

    Args:
        document: JSON text.

    Raises:
        ConfigError: with the path of the first fault and what stands there.
    """
    try:
        data = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the document is not JSON: {error}") from None
    return config_from(data)


def config_from(data: object) -> Config:
    """Make a config of a document that has been read from JSON already.

    Raises:
        ConfigError: as `parse_config`.
    """
    at = _Object("", data)
    config = Config(
        version=at.take("version", _whole, required=True),
        enabled=at.take("enabled", _flag, default=True),
        poll_seconds=at.take("poll_seconds", _number_in(1, 86_400), default=30.0),
        sampling=at.take("sampling", _sampling, default=Sampling()),
        redaction=at.take("redaction", _redaction, default=RedactionRules()),
        experiments=at.take("experiments", _list_of(_experiment), default=()),
    )
    at.done()
    seen: set[str] = set()
    for index, experiment in enumerate(config.experiments):
        if experiment.key in seen:
            raise ConfigError(f"experiments[{index}].key: {experiment.key!r} stands twice")
        seen.add(experiment.key)
    return config


class _Object:
    """A JSON object whose keys are taken one by one; what is left over at the end is a fault."""

    def __init__(self, path: str, data: object) -> None:
        if not isinstance(data, dict):
            raise ConfigError(f"{path or 'the document'}: {_shown(data)} is not an object")
        self.path = path
        self.left = dict(data)

    def take(
        self, key: str, read: Callable[[str, Any], _T], *, default: _T | None = None, required: bool = False
    ) -> _T:
        path = f"{self.path}.{key}" if self.path else key
        if key not in self.left:
            if required:
                raise ConfigError(f"{path}: missing")
            return default  # type: ignore[return-value]  # each caller's default is of the type it reads
        return read(path, self.left.pop(key))

    def done(self) -> None:
        for key in self.left:
            path = f"{self.path}.{key}" if self.path else key
            raise ConfigError(f"{path}: not known here")


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _whole(path: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{path}: {_shown(value)} is not a whole number from 0 on")
    return value


def _flag(path: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{path}: {_shown(value)} is neither true nor false")
    return value


def _text(path: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{path}: {_shown(value)} is not a text")
    return value


def _name(path: str, value: Any) -> str:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise ConfigError(f"{path}: {_shown(value)} is not a name of 1 to 128 letters, digits and . _ : -")
    return value


def _maybe(read: Callable[[str, Any], _T]) -> Callable[[str, Any], _T | None]:
    return lambda path, value: None if value is None else read(path, value)


def _number_in(low: float, high: float) -> Callable[[str, Any], float]:
    def read(path: str, value: Any) -> float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not fits or not low <= value <= high:
            raise ConfigError(f"{path}: {_shown(value)} is not in {low:g}..{high:g}")
        return float(value)

    return read


def _one_of(*names: str) -> Callable[[str, Any], Any]:
    def read(path: str, value: Any) -> Any:
        if value not in names:
            raise ConfigError(f"{path}: {_shown(value)} is not one of {', '.join(names)}")
        return value

    return read


def _list_of(read: Callable[[str, Any], _T]) -> Callable[[str, Any], tuple[_T, ...]]:
    def read_all(path: str, value: Any) -> tuple[_T, ...]:
        if not isinstance(value, list):
            raise ConfigError(f"{path}: {_shown(value)} is not a list")
        return tuple(read(f"{path}[{index}]", one) for index, one in enumerate(value))

    return read_all


def _map_of(read: Callable[[str, Any], _T]) -> Callable[[str, Any], Mapping[str, _T]]:
    def read_all(path: str, value: Any) -> Mapping[str, _T]:
        if not isinstance(value, dict):
            raise ConfigError(f"{path}: {_shown(value)} is not an object")
        return {key: read(f"{path}.{key}", one) for key, one in value.items()}

    return read_all


def _anything(_path: str, value: Any) -> Any:
    return value


def _share(path: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= SHARE_MAX:
        raise ConfigError(f"{path}: {_shown(value)} is not in 0..{SHARE_MAX}, a whole number of basis points")
    return value


def _sampling(path: str, value: Any) -> Sampling:
    at = _Object(path, value)
    rate = _number_in(0, 1)
    sampling = Sampling(
        rate=at.take("rate", rate, default=1.0), datasets=at.take("datasets", _map_of(rate), default=_NOTHING)
    )
    at.done()
    return sampling


def _pattern(path: str, value: Any) -> tuple[str, str]:
    at = _Object(path, value)
    name = at.take("name", _name, required=True)
    regex = at.take("regex", _text, required=True)
    at.done()
    try:
        re.compile(regex)
    except re.error as error:
        raise ConfigError(f"{path}.regex: {_shown(regex)}: {error}") from None
    return name, regex


def _redaction(path: str, value: Any) -> RedactionRules:
    at = _Object(path, value)
    rules = RedactionRules(
        rules=at.take("rules", _list_of(_name), default=()),
        keys=at.take("keys", _list_of(_text), default=()),
        patterns=at.take("patterns", _list_of(_pattern), default=()),
    )
    at.done()
    return rules


def _match(path: str, value: Any) -> tuple[str, ...]:
    at = _Object(path, value)
    if isinstance(at.left.get("model"), str):
        at.left["model"] = [at.left["model"]]
    models = at.take("model", _list_of(_text), default=_ANY)
    at.done()
    return models


def _params(path: str, value: Any) -> Params:
    at = _Object(path, value)
    params = Params(
        drop=at.take("drop", _list_of(_text), default=()),
        rename=at.take("rename", _map_of(_text), default={}),
        set=at.take("set", _map_of(_anything), default={}),
    )
    at.done()
    for name in ("model", "stream"):
        for part in ("drop", "rename", "set"):
            if name in getattr(params, part):
                raise ConfigError(f"{path}.{part}.{name}: {name!r} cannot be changed here")
    return params


def _prompt(path: str, value: Any) -> tuple[str, ...]:
    at = _Object(path, value)
    prune = at.take("prune", _list_of(_text), default=_NONE)
    at.done()
    return prune


def _candidate(path: str, value: Any) -> Candidate:
    at = _Object(path, value)
    candidate = Candidate(
        model=at.take("model", _text, required=True),
        provider=at.take("provider", _maybe(_name), default=None),
        params=at.take("params", _params, default=Params()),
        prune=at.take("prompt", _prompt, default=()),
        endpoints=at.take(
            "endpoints", _list_of(_one_of("chat.completions", "responses")), default=("chat.completions",)
        ),
    )
    at.done()
    return candidate


def _fallback(path: str, value: Any) -> Fallback:
    at = _Object(path, value)
    fallback = Fallback(
        enabled=at.take("enabled", _flag, default=True),
        timeout_seconds=at.take("timeout_seconds", _maybe(_number_in(0.001, 3_600)), default=None),
    )
    at.done()
    return fallback


def _experiment(path: str, value: Any) -> Experiment:
    at = _Object(path, value)
    experiment = Experiment(
        key=at.take("key", _name, required=True),
        dataset=at.take("dataset", _text, default="*"),
        match=at.take("match", _match, default=("*",)),
        candidate=at.take("candidate", _candidate, required=True),
        share=at.take("share", _share, required=True),
        unit=at.take("unit", _one_of(*get_args(Unit)), default="user"),
        salt=at.take("salt", _text, required=True),
        state=at.take("state", _one_of(*get_args(State)), default="running"),
        fallback=at.take("fallback", _fallback, default=Fallback()),
    )
    at.done()
    if experiment.candidate.provider is None and experiment.candidate.model in experiment.match:
        raise ConfigError(
            f"{path}.candidate.model: {experiment.candidate.model!r} is the baseline too, by {path}.match.model"
        )
    return experiment
