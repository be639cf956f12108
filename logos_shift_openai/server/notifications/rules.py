"""What is worth telling, and in which words: an event as a value, and the event that a decision of a rollout is.

Kinds are words with full stops between them, so that a channel may ask for `rollout.*`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.core.rollout import decision_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logos_shift_openai.core.rollout import Decision
    from logos_shift_openai.core.rollout_state import State

TITLES: Final[Mapping[str, str]] = {
    "rollout.began": "A rollout begins",
    "rollout.ramped": "More calls go to the candidate",
    "rollout.promoted": "The candidate is promoted",
    "rollout.done": "All calls are the candidate's",
    "rollout.rolled_back": "The candidate is rolled back",
    "rollout.late": "No proof before the deadline: back to the baseline",
    "rollout.alarm": "A rollout is held: its split is broken",
    "rollout.paused": "A rollout is paused",
    "rollout.resumed": "A rollout goes on",
    "autopilot.began": "A round of the autopilot begins",
    "autopilot.edition": "The autopilot has cut an edition",
    "autopilot.tuning": "The autopilot trains a candidate",
    "autopilot.tuned": "The autopilot's candidate is trained",
    "autopilot.passed": "The autopilot's candidate has passed the held-out questions",
    "autopilot.rollout": "The autopilot rolls its candidate out",
    "autopilot.gated": "The autopilot rolls its candidate out behind a gate of confidence",
    "autopilot.promoted": "The autopilot's candidate is promoted",
    "autopilot.rolled_back": "The autopilot's candidate is rolled back",
    "autopilot.under_the_floor": "The autopilot's candidate has failed at the held-out questions",
    "autopilot.too_few": "The autopilot has too few examples for a round",
    "autopilot.tuning_failed": "The autopilot's tuning job failed",
    "autopilot.tuning_cancelled": "The autopilot's tuning job was cancelled",
    "autopilot.asks": "The autopilot waits for your word",
    "autopilot.needs": "The autopilot needs somebody",
    "model.retires": "A model is about to end",
    "prompt.changed": "Many calls have a prompt that the candidate does not know",
    "test": "A test",
}
"""The kinds of events that are made here, each with its title; others may be told, under their kind."""

_BY_EVENT: Final = {"begin": "began", "late": "late", "over": "done", "safe": "ramped", "compared": "ramped"}
_BY_ACTION: Final = {"ramp": "ramped", "promote": "promoted", "roll_back": "rolled_back"}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that people are told.

    Args:
        id: Known by it wherever it comes twice; without a full stop.
        kind: Such as "rollout.promoted".
        at: Milliseconds since 1970.
        why: What happened and why, in words.
        experiment: The experiment it is about, if any.
        dataset: The dataset it is about, if any.
        data: Figures for programs: what JSON can say, a few kilobytes.
    """

    id: str
    kind: str
    at: int
    why: str
    experiment: str | None = None
    dataset: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What happened, in a few words, and to what."""
        about = self.experiment or self.dataset
        return TITLES.get(self.kind, self.kind) + (f" ({about})" if about else "")


def kind_of(before: State | None, decision: Decision) -> str | None:
    """Tell of which kind a decision is; None where nothing has happened that people must hear of.

    Args:
        before: The state that it was made in; None for the first of a rollout.
        decision: The decision.
    """
    if decision.action in _BY_ACTION:
        return "rollout." + _BY_EVENT.get(decision.event or "", _BY_ACTION[decision.action])
    after = decision.state
    if before is None:
        return None
    if after.phase == "paused" and before.phase != "paused":
        return "rollout.paused"
    if decision.event == "by hand":
        return "rollout.resumed"
    # An alarm holds look after look, and is told once.
    return "rollout.alarm" if after.alarm is not None and before.alarm is None else None


def decision_event(event_id: str, key: str, dataset: str | None, kind: str, decision: Decision) -> Event:
    """Make the event of a decision about an experiment, of the kind that `kind_of` gave."""
    told = decision_json(decision)
    phase = decision.state.phase
    data = {**{name: told[name] for name in ("action", "event", "share", "look")}, "phase": phase}
    return Event(event_id, kind, int(decision.at * 1000), decision.why, key, dataset, data)
