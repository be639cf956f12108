"""What the evidence says at one look: how far each proof has come, metric by metric.

Three kinds of proof: of harm (the wealths of all guarded metrics, begun with parts of one stake, so that one alpha
serves them together), of the next share being safe (each metric by itself, all must pass), and of a broken split. A
metric whose own split is broken proves no harm: what is missing on one side could look like it. Where the drawn units
themselves are, none does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .config import SHARE_MAX
from .metrics import METRICS
from .sample_ratio import ALARM_ALPHA, log_ratio_wealth_of
from .wealth import log_mixed, log_wealth_of

if TYPE_CHECKING:
    from .evidence import Evidence
    from .policy import Guarded, Policy

UNITS: Final = "units"
"""The name under which all drawn units may be counted, scored or not, for the sample-ratio check; any score."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How a metric stands.

    Args:
        metric: Its name.
        baseline: Mean score of the baseline, in [0, 1], None without any.
        candidate: The same of the candidate.
        units: Scored units of both.
        candidates: Scored units of the candidate.
        harm: Natural logarithm of the wealth against "does no harm".
        safe: The same against "the next share is too risky"; infinite where no proof is asked for.
        split: The same against "the variants came in the ratio of the draw".
    """

    metric: str
    baseline: float | None
    candidate: float | None
    units: int
    candidates: int
    harm: float
    safe: float
    split: float

    @property
    def words(self) -> str:
        """The metric in words."""
        return METRICS[self.metric].words if self.metric in METRICS else "the number of units"


@dataclass(frozen=True, slots=True)
class Look:
    """All findings of one look.

    Args:
        guarded: One finding a metric of the policy, the primary first.
        harm: Logarithm of all harm wealths together, each by its part of the stake.
        crooked: The metrics whose split is proven to be off, the furthest first; `UNITS` is the drawn units' own.
        alpha: Of harm and of the ramp.
        needed: Logarithm of the wealth that makes the next share safe.
        missing: What dense metric is missing before a promotion, in words; None when there is one.
    """

    guarded: tuple[Finding, ...]
    harm: float
    crooked: tuple[str, ...]
    alpha: float
    needed: float
    missing: str | None

    @property
    def harmful(self) -> bool:
        """Whether harm is proven."""
        return self.harm >= -math.log(self.alpha)

    @property
    def culprit(self) -> Finding:
        """The metric with the strongest proof of harm, among those whose split is right while there are any."""
        return max(self.guarded, key=lambda one: (one.metric not in self.crooked, one.harm))

    @property
    def behind(self) -> tuple[Finding, ...]:
        """The metrics that are not proven safe for the next share."""
        return tuple(one for one in self.guarded if one.safe < self.needed)


def look_at(policy: Policy, evidence: Evidence, share: int, part: float = 1.0) -> Look:
    """Look at the evidence of a run.

    Args:
        policy: What is to be proven.
        evidence: Counts of the run; metrics that the policy does not name are left aside.
        share: The next share to prove safe, in basis points; 10,000 is promotion.
        part: How much of the chance of a false promotion may be spent here.
    """
    guarded = tuple(_finding(policy, one, evidence, share) for one in policy.guarded)
    splits = {one.metric: one.split for one in guarded}
    units = evidence.groups(UNITS)
    if units:
        splits[UNITS] = log_ratio_wealth_of(units)
    edge = math.log(len(splits) / ALARM_ALPHA)
    crooked = tuple(name for name in sorted(splits, key=lambda name: -splits[name]) if splits[name] >= edge)
    stakes = zip(guarded, policy.stakes, strict=True)
    sound = [(one.harm, stake) for one, stake in stakes if not {UNITS, one.metric} & set(crooked)]
    return Look(
        guarded,
        # The others count as nothing, and their stakes are lost: still at most 1 in expectation.
        harm=log_mixed([harm for harm, _ in sound], [stake for _, stake in sound]) if sound else -math.inf,
        crooked=crooked,
        alpha=policy.alpha,
        needed=-math.log(policy.alpha_promote * part if share == SHARE_MAX else policy.alpha),
        missing=_missing(policy, evidence),
    )


def _finding(policy: Policy, one: Guarded, evidence: Evidence, share: int) -> Finding:
    counts = evidence.groups(one.metric)
    risk = policy.too_risky(one, share)
    # Scores lie in [0, 1], so nothing can be worse by more than one whole point: no proof is needed.
    plain = risk is None or (one.ratio is None and risk.threshold < -1)
    candidates = evidence.units(one.metric, "candidate")
    return Finding(
        metric=one.metric,
        baseline=evidence.mean(one.metric, "baseline"),
        candidate=evidence.mean(one.metric, "candidate"),
        units=candidates + evidence.units(one.metric, "baseline"),
        candidates=candidates,
        harm=log_wealth_of(policy.harm(one), counts),
        safe=math.inf if plain or risk is None else log_wealth_of(risk, counts),
        split=log_ratio_wealth_of(counts),
    )


def _missing(policy: Policy, evidence: Evidence) -> str | None:
    if not policy.dense:
        return "a metric that every call has (valid, errors, regenerated or judge) is missing from the policy"
    if not any(evidence.units(name, "candidate") for name in policy.dense):
        return f"nothing has been measured yet of {' or '.join(policy.dense)}, which every call should have"
    return None
