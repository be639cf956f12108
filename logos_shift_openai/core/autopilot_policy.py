"""The policy of a dataset's autopilot: from when, by whom, for how much, and how far without a hand on it.

Read strictly, like the config: a document with a fault is refused with the path of the fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from .config import Unit
from .held_out import Rules, rules_from
from .policy import Policy, policy_from
from .strict import ConfigError, Fields, flag, list_of, map_of, maybe, name, number_in, one_of, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

Mode = Literal["off", "notify", "on"]
Feedback = Literal["unfailed", "success", "any"]
TUNERS: Final = ("openai", "together", "fireworks", "command", "none")
FREE: Final = frozenset({"command", "none"})
"""The tuners that nobody is paid for by the token, where no price is given."""

_ROLLOUT: Final[Mapping[str, Any]] = {"spend": True}


@dataclass(frozen=True, slots=True)
class AutopilotPolicy:
    """See the module.

    Args:
        mode: `off` rests, `notify` asks before each step that costs or serves, `on` asks nobody.
        models: Requested models it is about, as shell-style patterns; the baseline.
        base: The model to be trained; for the tuner `none`, the candidate itself.
        tuner: Who trains.
        provider: The endpoint of the base model and of the candidate, as the environments name it.
        settings: What the tuner is told besides: `epochs`, `batch_size`, `learning_rate`, `suffix`, `seed`, `examples`.
        feedback: Which calls are good examples, as for an edition.
        heldout: The held-out part of an edition, in basis points.
        prune_constant: Whether constant system texts are left out, of the edition and of the candidate's calls.
        any_prompt: Whether the candidate gets calls whose prompt was not in its edition, too.
        new_examples: So many new good examples begin a round.
        rows: An edition needs so many rows to train on.
        per_answer: And so many of its rarest answer; 0 does not look.
        days: The least time between two rounds.
        jobs_per_month: Tuning jobs at most.
        money_per_month: Dollars for tuning and for held-out questions; None for no bound.
        price: Dollars for a million training tokens, for the estimate.
        deadline_hours: When a tuning job should have ended.
        gate: What a candidate must reach on the held-out questions.
        rollout: How its rollout decides.
        unit: What is bucketed.
        gate_agreement: After a rollback, the part of all calls whose answer a gate of confidence must keep; 0 tries
            none.
    """

    models: tuple[str, ...]
    base: str
    mode: Mode = "notify"
    tuner: str = "openai"
    provider: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    feedback: Feedback = "unfailed"
    heldout: int = 1_000
    prune_constant: bool = False
    any_prompt: bool = False
    new_examples: int = 500
    rows: int = 200
    per_answer: int = 0
    days: float = 7.0
    jobs_per_month: int = 4
    money_per_month: float | None = None
    price: float | None = None
    deadline_hours: float = 24.0
    gate: Rules = field(default_factory=Rules)
    rollout: Policy = field(default_factory=lambda: policy_from(_ROLLOUT))
    unit: Unit = "user"
    gate_agreement: float = 0.95

    def to_json(self) -> dict[str, Any]:
        """Give it as `autopilot_from` reads it."""
        found = {part: getattr(self, part) for part in AutopilotPolicy.__slots__}
        found |= {"models": list(self.models), "settings": dict(self.settings)}
        return {**found, "gate": self.gate.to_json(), "rollout": self.rollout.to_json()}


def autopilot_from(data: object, path: str = "") -> AutopilotPolicy:
    """Make a policy of a document that has been read from JSON already.

    Raises:
        ConfigError: with the path of the first fault and what stands there.
    """
    at, usual = Fields(path, data), AutopilotPolicy((), "")
    policy = AutopilotPolicy(
        models=at.take("models", list_of(text), required=True),
        base=at.take("base", text, required=True),
        mode=at.take("mode", one_of(*get_args(Mode)), default=usual.mode),
        tuner=at.take("tuner", one_of(*TUNERS), default=usual.tuner),
        provider=at.take("provider", maybe(name), default=None),
        settings=at.take("settings", _settings, default={}),
        feedback=at.take("feedback", one_of(*get_args(Feedback)), default=usual.feedback),
        heldout=at.take("heldout", _heldout, default=usual.heldout),
        prune_constant=at.take("prune_constant", flag, default=False),
        any_prompt=at.take("any_prompt", flag, default=False),
        new_examples=at.take("new_examples", whole, default=usual.new_examples),
        rows=at.take("rows", whole, default=usual.rows),
        per_answer=at.take("per_answer", whole, default=usual.per_answer),
        days=at.take("days", number_in(0, 3_660), default=usual.days),
        jobs_per_month=at.take("jobs_per_month", whole, default=usual.jobs_per_month),
        money_per_month=at.take("money_per_month", maybe(number_in(0, 1e9)), default=None),
        price=at.take("price", maybe(number_in(0, 1e6)), default=None),
        deadline_hours=at.take("deadline_hours", number_in(0.01, 720), default=usual.deadline_hours),
        gate=at.take("gate", lambda where, value: rules_from(value, where), default=usual.gate),
        rollout=at.take(
            "rollout",
            lambda where, value: policy_from({**_ROLLOUT, **value} if isinstance(value, dict) else value, where),
            default=usual.rollout,
        ),
        unit=at.take("unit", one_of(*get_args(Unit)), default=usual.unit),
        gate_agreement=at.take("gate_agreement", number_in(0, 0.9999), default=usual.gate_agreement),
    )
    at.done()
    if not policy.models:
        raise ConfigError(f"{path + '.' if path else ''}models: none is named")
    return policy


def _heldout(path: str, value: Any) -> int:
    number = whole(path, value)
    if not 1 <= number <= 5_000:  # noqa: PLR2004 - without held-out rows nothing can be judged
        raise ConfigError(f"{path}: {number} is not in 1..5,000 basis points")
    return number


def _settings(path: str, value: Any) -> Mapping[str, Any]:
    given = map_of(lambda _where, one: one)(path, value)
    at = Fields(path, given)
    at.take("epochs", whole)
    at.take("batch_size", whole)
    at.take("learning_rate", number_in(0, 100))
    at.take("suffix", text)
    at.take("seed", whole)
    at.take("examples", whole)
    at.done()
    return given
