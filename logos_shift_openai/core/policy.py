"""The policy of a rollout: what may be lost, what must be proven, how fast it may go. Defaults serve without thought.

Read strictly, like the config: a document with a fault is refused with the path of the fault.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final, get_args

from .agreement import COMPARERS
from .config import SHARE_MAX, Unit
from .config_reading import calls_per_minute
from .metrics import METRICS, QUALITY, Direction, UnknownMetricError, metric_of
from .metrics import score_of as metric_score
from .strict import ConfigError, Fields, flag, list_of, maybe, number_in, one_of, shown, whole
from .wealth import Claim, loss_beyond, loss_within, not_worse, worse_by

HOUR: Final = 3_600.0
DAY: Final = 24 * HOUR
PRIMARY_STAKE: Final = 0.92
"""The part of the first stake that is bet on harm in the primary metric; the guardrails share the rest."""
LADDER: Final = (100, 500, 1_000, 2_500, 5_000, SHARE_MAX)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A metric that the candidate may not be worse on; the primary metric is one too.

    Args:
        metric: Name of the metric.
        direction: Which way is better.
        cap: Where a quantity is cut, in its own unit; for `slow`, what is slow, in ms. None for rates, or until it is
            known.
        margin: How much worse is borne, in score points; None takes the policy's.
        ratio: For losses such as cost: the candidate's mean may be at most this many times the baseline's. Where it is
            given the test is about it and no longer about the margin.
    """

    metric: str
    direction: Direction = "higher"
    cap: float | None = None
    margin: float | None = None
    ratio: float | None = None

    def score(self, value: float) -> int:
        """Make a score on the grid of a measured value.

        Raises:
            ScoreError: as `metrics.score_of`.
        """
        return metric_score(self.metric, value, self.direction, self.cap)


@dataclass(frozen=True, slots=True)
class Policy:
    """How a rollout decides.

    Args:
        margin: m, how much worse overall is borne, in score points (0.02 is two points).
        rollback_margin: Harm that is not rolled back, in score points; 0 rolls any proven harm back.
        alpha: The chance of a false rollback over the whole rollout, all guardrails together, and of a ramp too far.
        alpha_promote: The chance of promoting a candidate that is worse by the margin.
        spend: Whether that chance is one for all candidates of the dataset together, as `core.spending` parts it; for
            where a new one comes every night.
        ladder: Shares in basis points, rising, ending in 10,000.
        step_seconds: The least time at a share.
        last_step_seconds: The least time at the last share before 100 %, so that a whole day is seen.
        deadline_seconds: Without a proof by then, everything goes back to the baseline. Paused time does not count.
        primary: The metric that the rollout is about.
        guardrails: The others that may not get worse.
        unit: What is drawn, and so what is counted.
        shadow_pairs: Calls to compare in the shadow before the first share; 0 goes without a shadow.
        shadow_per_minute: The most calls that one process mirrors in a minute.
        compare: How the two answers are compared: "exact", "json", "text" or "fields".
        least_agreement: A mean agreement below this, once proven, ends the rollout in the shadow; 0 for never.
        hold_back: The share that stays on the old model after promotion, in basis points; 0 for none.
        hold_back_seconds: For how long.
    """

    margin: float = 0.02
    rollback_margin: float = 0.0
    alpha: float = 0.05
    alpha_promote: float = 0.05
    spend: bool = False
    ladder: tuple[int, ...] = LADDER
    step_seconds: float = HOUR
    last_step_seconds: float = DAY
    deadline_seconds: float = 28 * DAY
    primary: Guarded = Guarded("success")
    guardrails: tuple[Guarded, ...] = (Guarded("errors", "lower"),)
    unit: Unit = "user"
    shadow_pairs: int = 0
    shadow_per_minute: int = 10
    compare: str = "json"
    least_agreement: float = 0.0
    hold_back: int = 100
    hold_back_seconds: float = 14 * DAY

    @property
    def guarded(self) -> tuple[Guarded, ...]:
        """The primary metric, then the guardrails."""
        return (self.primary, *self.guardrails)

    @property
    def stakes(self) -> tuple[float, ...]:
        """The parts of one stake that are bet on harm in each guarded metric, the primary first; they sum to 1.

        Any parts that are fixed beforehand keep the chance of a false rollback, over all metrics together, at most
        alpha. Most goes to the metric that the rollout is about, so that guardrails beside it hardly delay its proof.
        """
        if not self.guardrails:
            return (1.0,)
        others = len(self.guardrails)
        return (PRIMARY_STAKE, *[(1 - PRIMARY_STAKE) / others] * others)

    @property
    def dense(self) -> tuple[str, ...]:
        """The metrics that judge answers without anybody volunteering to."""
        return tuple(one.metric for one in self.guarded if one.metric in QUALITY)

    def find(self, metric: str) -> Guarded:
        """Give the guarded metric of this name.

        Raises:
            UnknownMetricError: with the names that the policy has.
        """
        for one in self.guarded:
            if one.metric == metric:
                return one
        raise UnknownMetricError(f"{metric!r} is not in the policy, which has {', '.join(self._names())}")

    def harm(self, one: Guarded) -> Claim:
        """Give the claim whose rejection proves that the candidate does harm."""
        if one.ratio is not None:
            return loss_within(one.ratio, self._margin(one))
        return not_worse(self._margin(one), self.rollback_margin)

    def too_risky(self, one: Guarded, share: int) -> Claim | None:
        """Give the claim whose rejection proves a share safe: at 10,000 basis points, that promotion is.

        At share s a candidate worse by m / s makes the whole worse by m. None where no proof is asked for, which is so
        for a ratio that the candidate must beat before promotion but could not make worse on the way.
        """
        if one.ratio is None:
            return worse_by(self._margin(one) * SHARE_MAX / share)
        if share == SHARE_MAX:
            return loss_beyond(one.ratio, self._margin(one))
        if one.ratio <= 1:
            return None
        return loss_beyond(1 + (one.ratio - 1) * SHARE_MAX / share, self._margin(one))

    def least_seconds(self, share: int) -> float:
        """Give the least time at a share."""
        before_last = len(self.ladder) > 1 and share == self.ladder[-2]
        return self.last_step_seconds if before_last else self.step_seconds

    def next_share(self, share: int) -> int:
        """Give the next share of the ladder above this one; 10,000 at its end."""
        return next((step for step in self.ladder if step > share), SHARE_MAX)

    def to_json(self) -> dict[str, Any]:
        """Give the policy as `policy_from` reads it."""
        data = asdict(self)
        for one in (data["primary"], *data["guardrails"]):
            for key in [key for key, value in one.items() if value is None]:
                del one[key]
        return {**data, "ladder": list(self.ladder), "guardrails": list(data["guardrails"])}

    def _margin(self, one: Guarded) -> float:
        return self.margin if one.margin is None else one.margin

    def _names(self) -> tuple[str, ...]:
        return tuple(one.metric for one in self.guarded)


DEFAULT: Final = Policy()
_RATE: Final = number_in(0.0001, 0.5)
_SECONDS: Final = number_in(0, 10 * 366 * DAY)


def policy_from(data: object, path: str = "") -> Policy:
    """Make a policy of a document that has been read from JSON already.

    Args:
        data: An object; what it leaves out has its default.
        path: Where it stands in a larger document, for errors.

    Raises:
        ConfigError: with the path of the first fault and what stands there.
    """
    at = Fields(path, data)
    policy = Policy(
        margin=at.take("margin", number_in(0.001, 0.5), default=DEFAULT.margin),
        rollback_margin=at.take("rollback_margin", number_in(0, 0.5), default=DEFAULT.rollback_margin),
        alpha=at.take("alpha", _RATE, default=DEFAULT.alpha),
        alpha_promote=at.take("alpha_promote", _RATE, default=DEFAULT.alpha_promote),
        spend=at.take("spend", flag, default=DEFAULT.spend),
        ladder=at.take("ladder", _ladder, default=DEFAULT.ladder),
        step_seconds=at.take("step_seconds", _SECONDS, default=DEFAULT.step_seconds),
        last_step_seconds=at.take("last_step_seconds", _SECONDS, default=DEFAULT.last_step_seconds),
        deadline_seconds=at.take("deadline_seconds", _SECONDS, default=DEFAULT.deadline_seconds),
        primary=at.take("primary", _guarded, default=DEFAULT.primary),
        guardrails=at.take("guardrails", list_of(_guarded), default=DEFAULT.guardrails),
        unit=at.take("unit", one_of(*get_args(Unit)), default=DEFAULT.unit),
        shadow_pairs=at.take("shadow_pairs", whole, default=DEFAULT.shadow_pairs),
        shadow_per_minute=at.take("shadow_per_minute", calls_per_minute, default=DEFAULT.shadow_per_minute),
        compare=at.take("compare", one_of(*COMPARERS), default=DEFAULT.compare),
        least_agreement=at.take("least_agreement", number_in(0, 0.99), default=DEFAULT.least_agreement),
        hold_back=at.take("hold_back", _hold_back, default=DEFAULT.hold_back),
        hold_back_seconds=at.take("hold_back_seconds", _SECONDS, default=DEFAULT.hold_back_seconds),
    )
    at.done()
    _refuse_contradictions(policy, f"{path}." if path else "")
    return policy


def _refuse_contradictions(policy: Policy, before: str) -> None:
    seen = {policy.primary.metric}
    for index, one in enumerate(policy.guardrails):
        if one.metric in seen:
            raise ConfigError(f"{before}guardrails[{index}].metric: {one.metric!r} stands twice")
        seen.add(one.metric)
    if policy.rollback_margin >= min(policy.margin, *(one.margin or policy.margin for one in policy.guarded)):
        raise ConfigError(f"{before}rollback_margin: {policy.rollback_margin:g} is not below every margin")


def _ladder(path: str, value: Any) -> tuple[int, ...]:
    shares = list_of(whole)(path, value)
    rising = all(low < high for low, high in pairwise(shares))
    if len(shares) < 2 or shares[0] == 0 or not rising or shares[-1] != SHARE_MAX:  # noqa: PLR2004 - a start and 100 %
        raise ConfigError(f"{path}: {shown(value)} does not rise from above 0 in steps to {SHARE_MAX} basis points")
    return shares


def _hold_back(path: str, value: Any) -> int:
    share = whole(path, value)
    if share > SHARE_MAX // 2:
        raise ConfigError(f"{path}: {share} is not in 0..{SHARE_MAX // 2} basis points")
    return share


def _metric(path: str, value: Any) -> str:
    return str(one_of(*METRICS)(path, value))


def _guarded(path: str, value: Any) -> Guarded:
    at = Fields(path, value)
    metric = at.take("metric", _metric, required=True)
    known = metric_of(metric)
    guarded = Guarded(
        metric=metric,
        direction=at.take("direction", one_of(*get_args(Direction)), default=known.direction),
        cap=at.take("cap", maybe(number_in(1e-9, 1e12)), default=None),
        margin=at.take("margin", maybe(number_in(0.001, 0.5)), default=None),
        ratio=at.take("ratio", maybe(number_in(0.01, 100)), default=None),
    )
    at.done()
    if guarded.cap is not None and not known.has_cap:
        raise ConfigError(f"{path}.cap: {metric} is a rate and has none")
    return guarded
