"""The live config: one document with a version, as frozen values; `core.config_reading` reads it from JSON.

A config names models and providers, never an address or a key: those are the client's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .gate import Gate

__all__ = [
    "NO_PROMPT",
    "SHARE_MAX",
    "Candidate",
    "Config",
    "Examples",
    "Experiment",
    "Fallback",
    "Params",
    "Rates",
    "RedactionRules",
    "Sampling",
    "Shadow",
    "State",
    "Unit",
]

Unit = Literal["user", "conversation", "call"]
State = Literal["running", "paused", "stopped"]

SHARE_MAX: Final = 10_000
NO_PROMPT: Final = "none"
"""Stands for calls without a prompt of the program's, among the prompts of a candidate."""

_REMEMBERED: Final = 1_000  # the names that a config remembers come from callers: no more than this


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
class Examples:
    """The nearest logged examples that go into a candidate's prompt.

    Args:
        index: Name of their file, the SHA-256 of its content.
        count: How many, 1 to 32.
    """

    index: str
    count: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """The model that may take over.

    Args:
        provider: Name of an endpoint known to the client, or None for the caller's own client.
        prune: System texts that its training left out; removed from the prompt of its calls only.
        endpoints: Endpoints its provider speaks, `chat.completions` unless said otherwise.
        gate: How sure it must be for its answer to be the caller's; None takes every answer.
        examples: The nearest logged examples in its prompt; for chat completions alone.
        prompts: Fingerprints (`core.fingerprint.prompt_fingerprint`) of the prompts that it may get, "none" for calls
            without one; None for any.
    """

    model: str
    provider: str | None = None
    params: Params = field(default_factory=Params)
    prune: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ("chat.completions",)
    gate: Gate | None = None
    examples: Examples | None = None
    prompts: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Fallback:
    """What happens when the candidate fails before its first token.

    Args:
        timeout_seconds: The candidate's budget of time; None leaves it the caller's own timeout.
    """

    enabled: bool = True
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Shadow:
    """Calls of the baseline's that the client also sends to the candidate, whose answers nobody gets.

    Args:
        rate: The part of them, in [0, 1].
        calls_per_minute: The most that one process sends.
    """

    rate: float = 1.0
    calls_per_minute: int = 10


@dataclass(frozen=True, slots=True)
class Experiment:
    """A baseline and a candidate for the calls of one dataset.

    Args:
        match: Requested models it is about, as shell-style patterns.
        share: The candidate's part in basis points, 0 to 10,000.
        unit: What is bucketed.
        salt: Random text of this experiment alone, never edited.
        shadow: What is mirrored to the candidate; None for nothing.
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
    shadow: Shadow | None = None

    def concerns(self, dataset: str, model: str) -> bool:
        """Tell whether calls of this dataset and requested model belong to the experiment."""
        return self.dataset in {"*", dataset} and any(
            pattern == model or fnmatchcase(model, pattern) for pattern in self.match
        )


@dataclass(frozen=True, slots=True)
class Rates:
    """A part in [0, 1]; a dataset's own rate comes before the general one."""

    rate: float = 1.0
    datasets: Mapping[str, float] = field(default_factory=dict)

    def of(self, dataset: str) -> float:
        """Give the rate for a dataset."""
        return self.datasets.get(dataset, self.rate)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which part of the calls is recorded, in [0, 1]; a dataset's own rate comes before the general one.

    Args:
        bodies: The part of the recorded calls whose request and response are recorded, too.
    """

    rate: float = 1.0
    datasets: Mapping[str, float] = field(default_factory=dict)
    bodies: Rates = field(default_factory=Rates)

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
    _found: dict[tuple[str, str], Experiment | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def experiment_for(self, dataset: str, model: str) -> Experiment | None:
        """Give the experiment that calls of this dataset and requested model belong to, the first one about them.

        A stopped experiment keeps its place in the document, not its calls. The answer is remembered: a call asks on
        its own thread, and patterns take their time.
        """
        asked = (dataset, model)
        try:
            return self._found[asked]
        except KeyError:
            open_ones = (one for one in self.experiments if one.state != "stopped")
            found = next((one for one in open_ones if one.concerns(dataset, model)), None)
        if len(self._found) < _REMEMBERED:
            self._found[asked] = found
        return found
