"""What a tuner is asked and what it answers.

A tuner keeps nothing: all that it needs to find its job again is the task's key, which it puts into whatever it makes
(file names, metadata, ids), and the handle, which the caller keeps. Whatever goes wrong is one of four errors, and
each says what to do next. No text here may hold a key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .problems import AwayError, NotServedError, RefusedError, TunerError, UnsureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .edition import Edition

__all__ = [
    "AwayError",
    "Candidate",
    "Handle",
    "NotServedError",
    "Progress",
    "RefusedError",
    "Settings",
    "Task",
    "Tuner",
    "TunerError",
    "UnsureError",
]

Handle = dict[str, Any]
"""How a tuner finds what it started: JSON, without keys."""

Method = Literal["supervised", "dpo"]
Phase = Literal["running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What to train, and how.

    Args:
        model: The base model; for no training, the candidate itself.
        provider: Name of the endpoint in this process's environment, and of the candidate's in the client's.
        method: "supervised" on answers, or "dpo" on preference pairs.
        epochs: Passes over the data; None leaves it to the tuner, as with the next two.
        batch_size: Examples a step.
        learning_rate: As the tuner means it: a multiplier at OpenAI, a rate at the others.
        suffix: Part of the tuned model's name.
        seed: Of the training's draws.
        examples: How many of the nearest logged examples go into the prompt; 0 for none.
    """

    model: str
    provider: str | None = None
    method: Method = "supervised"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    suffix: str | None = None
    seed: int | None = None
    examples: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """One job as its tuner sees it.

    Args:
        key: Names the job to the provider; the same at every try, 24 letters and digits.
    """

    key: str
    edition: Edition
    settings: Settings


@dataclass(frozen=True, slots=True)
class Progress:
    """How a job does.

    Args:
        phase: A state unknown to us is "running": not finished.
        said: The provider's own word or sentence for it.
        fraction: Part done in [0, 1], None where nobody says.
        points: Of the loss curves: numbers by name, `step` among them.
        model: What came of it.
        trained_tokens: On how many it was trained, all passes counted; None where nobody says.
        cost: Dollars that the provider says it costs; None where it does not.
    """

    phase: Phase
    said: str = ""
    fraction: float | None = None
    points: tuple[Mapping[str, float], ...] = ()
    model: str | None = None
    trained_tokens: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that answers now.

    Args:
        provider: Name of its endpoint as the client's environment has it; None for the caller's own client.
        params: `drop`, `rename`, `set` of the experiment's candidate.
        examples: `index` and `count` of the examples in its prompt, None for none.
    """

    model: str
    provider: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    examples: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Write it as an experiment's `candidate`."""
        found: dict[str, Any] = {"model": self.model}
        if self.provider is not None:
            found["provider"] = self.provider
        if self.params:
            found["params"] = dict(self.params)
        if self.examples is not None:
            found["examples"] = dict(self.examples)
        return found


class Tuner(Protocol):
    """One way to a candidate. Every method may raise `TunerError`."""

    def check(self, edition: Edition, settings: Settings) -> list[str]:
        """Tell what keeps this from being started, before anything is sent or charged."""
        ...

    def find(self, task: Task) -> Handle | None:
        """Look for what an earlier `start` of the same key began; None where that began nothing.

        Raises:
            UnsureError: the provider cannot tell.
        """
        ...

    def start(self, task: Task) -> Handle:
        """Upload what is not there yet, and begin."""
        ...

    def status(self, handle: Handle) -> Progress:
        """Look at it."""
        ...

    def cancel(self, handle: Handle) -> None:
        """End it; one that has ended stays as it is."""
        ...

    def serve(self, handle: Handle) -> Candidate:
        """Make sure that the model answers.

        Raises:
            NotServedError: it does not, or not yet.
        """
        ...
