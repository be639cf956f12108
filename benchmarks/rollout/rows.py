"""The rows of the table: what is simulated, and what is to be reached. All seeds are fixed texts.

Base success is 90 %, the margin two points, every rule looks after every unit. A row's work is cut into jobs of plain
values, so that any number of processes gives the same table.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from statistics import mean, median
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.rollout import many, others, ours
from logos_shift_openai.core.policy import LADDER, Guarded, Policy
from logos_shift_openai.core.routing import bucket_of

if TYPE_CHECKING:
    from benchmarks.rollout.ours import End

BASE, MARGIN, LONG = 0.9, 0.02, 20_000
SHARES = (100, 500, 1_000, 2_500, 5_000)
DEFAULT = ("success", "errors")
ERRORS_BASE = 0.99
FIVE = ("success", "valid", "judge", "refusals", "cut")
RAISED = {0: 100, 4_000: 500, 8_000: 1_000, 12_000: 2_500, 16_000: 5_000}
TIMED = {0: 100, 1_000: 500, 2_000: 1_000, 3_000: 2_500, 4_000: 5_000}


class Job(NamedTuple):
    """Some runs of one rule in one setting.

    Args:
        rule: "ours", "many", "z", "sequence" or "timed".
        truth: The candidate's success, the baseline's being `BASE`.
        options: What else the rule is told.
        first: Number of the first run; it is part of the seed.
        runs: How many.
    """

    rule: str
    truth: float
    options: dict[str, Any]
    first: int
    runs: int


def policy(margin: float = MARGIN, metrics: tuple[str, ...] = ("success",)) -> Policy:
    """Give a policy of some metrics whose first is the primary."""
    first, *rest = (Guarded(name) for name in metrics)
    return Policy(margin=margin, primary=first, guardrails=tuple(rest))


def work(job: Job) -> list[End]:
    """Do the runs of a job."""
    return [_one(job, number) for number in range(job.first, job.first + job.runs)]


def _one(job: Job, number: int) -> End:
    options = dict(job.options)
    dice = Random(f"rollout {job.rule} {job.truth} {sorted(options.items(), key=str)} {number}")
    metrics, drift = options.pop("metrics", 1), options.pop("drift", False)
    guard = options.pop("errors", None)
    limit = options.pop("limit", LONG)
    pair = [(BASE, job.truth)] * metrics if guard is None else [(BASE, job.truth), (guard, guard)]
    waves = [[(base, base)] * metrics for base in (0.9, 0.8, 0.95, 0.85, 0.97)]

    def rates(unit: int) -> list[tuple[float, float]]:
        return waves[(unit // 1_500) % len(waves)] if drift else pair

    if job.rule == "ours":
        names = FIVE[:metrics] if guard is None else DEFAULT
        return ours.run(dice, policy(options.pop("margin", MARGIN), names), rates, limit, **options)
    if job.rule == "many":
        return many.run(dice, replace(policy(options.pop("margin")), **options), BASE)
    if job.rule == "timed":
        return others.timed(dice, pair[0], limit, LADDER)
    half = others.half_z if job.rule == "z" else others.half_sequence
    return others.run(dice, half, rates, limit, **options)


class Row(NamedTuple):
    """A row of the table.

    Args:
        title: What is measured.
        limit: The largest figure that will do.
        unit: "%", "units", "calls" or nothing.
        ours: Our figure.
        others: What the other rules reach, in words.
    """

    title: str
    limit: float
    unit: str
    ours: float
    others: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is reached."""
        return self.ours <= self.limit


def shares_of(kind: str, ends: list[End]) -> float:
    """Give the part of runs that ended so, in per cent."""
    return 100 * sum(end.how == kind for end in ends) / len(ends)


def median_units(ends: list[End]) -> float:
    """Give the median units of a run; one left open counts with its full length."""
    return median(end.units for end in ends)


def extra_failures(ends: list[End], harm: float) -> float:
    """Give the mean number of candidate calls that failed and would not have on the baseline."""
    return harm * mean(end.candidates for end in ends)


def flips(users: int) -> int:
    """Count the users who change sides more than once, or back, while the share climbs the ladder to 100 %."""
    back = 0
    for user in range(users):
        bucket = bucket_of("benchmark", f"user-{user}")
        sides = [bucket < share for share in (0, *LADDER)]
        back += sides != sorted(sides) or bucket_of("benchmark", f"user-{user}") != bucket
    return back
