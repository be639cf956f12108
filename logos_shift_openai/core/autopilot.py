"""What the autopilot of a dataset does next: a state machine as a table, decided purely, with its why in words.

Theory of operation. A round goes through phases; each has one function that looks at the facts and gives one step.
Whoever runs it does the step, in such a way that doing it twice is doing it once, and writes the phase after it; so a
process that is killed between any two writes leaves a round that another takes on. A step that costs or serves is
asked for first where the mode is `notify`; the approval is of that step alone. What rests needs nobody, or says whom.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from .autopilot_policy import FREE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .autopilot_policy import AutopilotPolicy

Phase = Literal["waiting", "building", "built", "tuning", "tuned", "evaluating", "evaluated", "rolling"]
Do = Literal["wait", "ask", "begin", "build", "tune", "follow", "evaluate", "judge", "roll_out", "try_gate", "end"]

COSTS: Final = frozenset({"tune", "evaluate"})
SERVES: Final = frozenset({"roll_out", "try_gate"})
DAY_MS: Final = 86_400_000
_RESTING: Final = frozenset({"unsure", "overdue", "unserved"})
_OVER: Final = frozenset({"rolled_back", "done", "held_back"})


@dataclass(frozen=True, slots=True)
class State:
    """Where an autopilot stands; times in milliseconds since 1970.

    Args:
        round: Counts the rounds, from 1; 0 before the first.
        since: When the phase began.
        until: Calls up to then are in the round's edition, and count as seen from then on.
        ended: When the last round ended.
        edition: Its edition; as the next ones, None until it is there.
        job: Its tuning job.
        candidate: What came of it, as an experiment's `candidate`.
        estimate: Dollars that are booked for that, until its bill is known.
        bill: Dollars that it cost by what its provider told; None where nobody can say.
        evaluation: Its held-out questions.
        experiment: What is rolled out.
        gated: Whether that has a gate of confidence.
        asked: The step that waits for an approval.
        approved: The step that was approved.
        told: What somebody was told last that needs somebody, so that it is told once.
    """

    phase: Phase = "waiting"
    round: int = 0
    since: int = 0
    until: int = 0
    ended: int = 0
    edition: str | None = None
    job: str | None = None
    candidate: Mapping[str, Any] | None = None
    estimate: float = 0.0
    bill: float | None = None
    evaluation: str | None = None
    experiment: str | None = None
    gated: bool = False
    asked: str | None = None
    approved: str | None = None
    told: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Give it as `state_of` reads it."""
        return asdict(self)

    def at(self, phase: Phase, now: int, **values: Any) -> State:
        """Give the state after a step: what was asked for and approved is spent."""
        return replace(self, phase=phase, since=now, asked=None, approved=None, told=None, **values)


def state_of(data: Mapping[str, Any]) -> State:
    """Read a state that `to_json` gave."""
    return State(**data)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store and the providers say; only what the phase asks for is there.

    Args:
        good: New good examples since the last edition, counted up to what is asked for.
        jobs: Tuning jobs of this month.
        spent: Dollars of this month.
        rows: Rows to train on in the edition.
        fewest: Rows of its rarest answer.
        estimate: Dollars that the training is expected to cost; None where nobody can say.
        state: Of what the round waits for: its job, its evaluation, its rollout.
        said: What that says of itself.
        under_way: An experiment whose rollout is under way about the same calls.
        gate: The gate of confidence that can be proven, None where none can.
    """

    good: int = 0
    jobs: int = 0
    spent: float = 0.0
    rows: int = 0
    fewest: int = 0
    estimate: float | None = None
    state: str = ""
    said: str = ""
    under_way: str | None = None
    gate: Mapping[str, Any] | None = None


class Step(NamedTuple):
    """What to do now.

    Args:
        do: Which step; "wait" does nothing, "ask" asks for the approval of `of`.
        why: In words.
        needs: A name for what somebody is to be told of, once; None where nobody is needed.
        of: Of "ask", the step; of "end", how the round ended.
    """

    do: Do
    why: str
    needs: str | None = None
    of: str | None = None


def next_step(policy: AutopilotPolicy, state: State, facts: Facts, now: int) -> Step:
    """Decide.

    Args:
        policy: The dataset's.
        state: Where it stands.
        facts: What is known.
        now: Milliseconds since 1970.
    """
    if policy.mode == "off" and state.phase != "rolling":
        return Step("wait", "it is switched off")
    step = _PHASES[state.phase](policy, state, facts, now)
    if policy.mode == "notify" and step.do in COSTS | SERVES and state.approved != step.do:
        return Step("ask", f"{_ASKS[step.do]}: {step.why}", f"approve {step.do}", step.do)
    return step


_ASKS: Final[Mapping[str, str]] = {
    "tune": "a tuning job waits for your word",
    "evaluate": "the held-out questions wait for your word",
    "roll_out": "a rollout waits for your word",
    "try_gate": "a rollout behind a gate of confidence waits for your word",
}


def _waiting(policy: AutopilotPolicy, state: State, facts: Facts, now: int) -> Step:
    if facts.under_way is not None:
        return Step("wait", f"the rollout of {facts.under_way} is under way")
    if state.round and now < state.ended + policy.days * DAY_MS:
        return Step("wait", f"{policy.days:g} days are to lie between two rounds")
    if facts.good < policy.new_examples:
        return Step("wait", f"{facts.good:,} of {policy.new_examples:,} new good examples")
    if facts.jobs >= policy.jobs_per_month:
        return Step("wait", f"{facts.jobs} tuning jobs of this month's {policy.jobs_per_month} are used", "jobs")
    return Step("begin", f"{facts.good:,} or more new good examples")


def _building(_policy: AutopilotPolicy, _state: State, _facts: Facts, _now: int) -> Step:
    return Step("build", "an edition is cut")


def _built(policy: AutopilotPolicy, _state: State, facts: Facts, _now: int) -> Step:
    if facts.rows < policy.rows:
        why = f"the edition has {facts.rows:,} rows to train on, {policy.rows:,} are the least"
        return Step("end", why, of="too_few")
    if facts.fewest < policy.per_answer:
        why = f"its rarest answer has {facts.fewest} rows, {policy.per_answer} are the least"
        return Step("end", why, of="too_few")
    estimate = facts.estimate if facts.estimate is not None or policy.tuner not in FREE else 0.0
    bound = policy.money_per_month
    if bound is not None and estimate is None:
        return Step("wait", "what the training costs is not known: set `price`, or no money_per_month", "price")
    if bound is not None and estimate is not None and facts.spent + estimate > bound:
        spent = f"${facts.spent:.2f} of this month's ${bound:.2f} are spent"
        why = f"the training is estimated at ${estimate:.2f}, and {spent}"
        return Step("wait", why, "money")
    costs = "at no known price" if estimate is None else f"for an estimated ${estimate:.2f}"
    return Step("tune", f"{facts.rows:,} rows, trained by {policy.tuner} {costs}")


def _tuning(_policy: AutopilotPolicy, _state: State, facts: Facts, _now: int) -> Step:
    if facts.state == "succeeded":
        return Step("follow", f"the training has ended: {facts.said}")
    if facts.state in {"failed", "cancelled"}:
        return Step("end", f"the tuning job {facts.state}: {facts.said}", of=f"tuning_{facts.state}")
    if facts.state in _RESTING:
        return Step("wait", f"the tuning job is {facts.state}: {facts.said}", f"job {facts.state}")
    return Step("wait", f"the tuning job is {facts.state}: {facts.said}")


def _tuned(policy: AutopilotPolicy, _state: State, facts: Facts, _now: int) -> Step:
    bound = policy.money_per_month
    if bound is not None and facts.spent >= bound:
        return Step("wait", f"${facts.spent:.2f} of this month's ${bound:.2f} are spent", "money")
    return Step("evaluate", "the candidate is asked what is held out")


def _evaluating(_policy: AutopilotPolicy, _state: State, facts: Facts, _now: int) -> Step:
    if facts.state == "open":
        return Step("judge", facts.said)
    if facts.state == "passed":
        return Step("follow", facts.said)
    return Step("end", f"not rolled out: {facts.said}", of="under_the_floor")


def _evaluated(_policy: AutopilotPolicy, _state: State, facts: Facts, _now: int) -> Step:
    if facts.under_way is not None:
        return Step("wait", f"the rollout of {facts.under_way} is under way", "under way")
    return Step("roll_out", facts.said)


def _rolling(policy: AutopilotPolicy, state: State, facts: Facts, _now: int) -> Step:
    if facts.state in {"done", "held_back"}:
        return Step("end", facts.said, of="promoted")
    if facts.state != "rolled_back":
        return Step("wait", f"the rollout is {facts.state.replace('_', ' ')}: {facts.said}")
    if policy.mode == "off" or state.gated or not policy.gate_agreement:
        return Step("end", facts.said, of="rolled_back")
    if facts.gate is None:
        why = f"{facts.said}; no gate of confidence keeps {policy.gate_agreement:.0%} of the answers as they are"
        return Step("end", why, of="rolled_back")
    coverage = facts.gate["coverage"]
    why = f"all of it was rolled back ({facts.said}); behind a gate {coverage:.0%} of the calls can be the candidate's"
    return Step("try_gate", why)


_PHASES: Final[Mapping[Phase, Callable[[AutopilotPolicy, State, Facts, int], Step]]] = {
    "waiting": _waiting,
    "building": _building,
    "built": _built,
    "tuning": _tuning,
    "tuned": _tuned,
    "evaluating": _evaluating,
    "evaluated": _evaluated,
    "rolling": _rolling,
}


def approve(state: State) -> State | None:
    """Give the state in which what was asked for is approved; None where nothing waits."""
    return None if state.asked is None else replace(state, approved=state.asked, asked=None, told=None)
