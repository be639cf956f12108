"""The confidence gate: a candidate's answer counts only where it is sure enough of it; else the baseline answers.

How sure it is comes from the log-probabilities of its own tokens. Which confidence suffices is chosen on answers whose
agreement with the baseline is known, so that the part of *all* calls on which the candidate answers differently stays
below what is borne. That part only grows as the gate opens, so a bound for each opening is one for the widest that
passes (risk control for monotone losses: Bates, Angelopoulos, Lei, Malik, Jordan, *Distribution-Free, Risk-Controlling
Prediction Sets*, J. ACM 2021, arXiv 2101.02703). The bound is Clopper and Pearson's, *Biometrika* 1934.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

By = Literal["sequence", "mean", "least"]

FEWEST: Final = 30
"""Compared answers below which no gate is chosen, whatever they say."""

_HALVINGS: Final = 60


@dataclass(frozen=True, slots=True)
class Gate:
    """What a candidate's answer must reach to be the caller's.

    Args:
        least: The confidence that suffices, a probability in (0, 1].
        by: What the confidence is: the probability of the whole answer ("sequence"), the geometric mean of its tokens'
            ("mean"), or the probability of its least sure token ("least").
    """

    least: float
    by: By = "mean"

    def passes(self, confidences: Mapping[str, float] | None) -> bool:
        """Tell whether an answer of these confidences is the caller's; one of unknown confidence is not."""
        return confidences is not None and confidences[self.by] >= self.least


class Compared(NamedTuple):
    """An answer of the candidate's to a call that the baseline answered too.

    Args:
        confidences: As `confidences` gave them; None where the candidate told no log-probabilities.
        agreement: How far the answers agree, in [0, 1].
    """

    confidences: Mapping[str, float] | None
    agreement: float


@dataclass(frozen=True, slots=True)
class Choice:
    """A gate with what it does to the answers that it was chosen on.

    Args:
        gate: The gate.
        answers: How many answers were compared.
        passed: How many of them pass.
        differing: How many of these differ from the baseline's; an answer that agrees in part counts as one.
        bound: What the part of all calls that differ does not exceed, at the chosen chance of being wrong.
    """

    gate: Gate
    answers: int
    passed: int
    differing: int
    bound: float

    @property
    def coverage(self) -> float:
        """The part of the calls that the candidate answers."""
        return self.passed / self.answers


def confidences(logprobs: Sequence[float]) -> dict[str, float] | None:
    """Give the confidences of one answer, None where there is no token.

    Args:
        logprobs: Natural logarithms of its tokens' probabilities.
    """
    known = [min(one, 0.0) for one in logprobs if not math.isnan(one)]
    if not known or len(known) != len(logprobs):
        return None
    whole = math.fsum(known)
    return {
        "sequence": _probability(whole),
        "mean": _probability(whole / len(known)),
        "least": _probability(min(known)),
    }


def _probability(logarithm: float) -> float:
    """Give it to 12 digits: two answers that are equally sure must not be told apart by how sums were rounded."""
    return float(f"{math.exp(logarithm):.12g}")


def least_sure(answers: Iterable[Mapping[str, float] | None]) -> dict[str, float] | None:
    """Give the confidences of an answer in several choices: those of the least sure, None where one is unknown."""
    found = list(answers)
    if not found or None in found:
        return None
    return {by: min(one[by] for one in found if one is not None) for by in get_args(By)}


def confidences_in(answer: Any) -> dict[str, float] | None:
    """Give the confidences of a chat completion that was read from JSON; never raises.

    Args:
        answer: The completion; `choices[].logprobs.content[].logprob` is looked at, and the refusal's in its place.
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list):
        return None
    return least_sure(confidences(_tokens(choice)) for choice in choices)


def _tokens(choice: Any) -> list[float]:
    told = choice.get("logprobs") if isinstance(choice, dict) else None
    tokens = (told.get("content") or told.get("refusal")) if isinstance(told, dict) else None
    if not isinstance(tokens, list):
        return []
    found = [one.get("logprob") if isinstance(one, dict) else None for one in tokens]
    return [float(one) if isinstance(one, (int, float)) else math.nan for one in found]


def choose(
    compared: Sequence[Compared], agreement: float, chance: float = 0.05, kinds: Sequence[By] = get_args(By)
) -> Choice | None:
    """Choose the gate that lets most answers through while enough of all calls stay as they would be.

    Args:
        compared: Answers to held-out calls that the candidate was not tuned on.
        agreement: The part of *all* calls, in (0, 1), whose answer may not differ from the baseline's; those that the
            baseline answers itself agree.
        chance: The probability that the chosen gate agrees on less, over all kinds of confidence tried.
        kinds: The kinds to try.

    Returns:
        None where no gate can be proven: too few answers, or the candidate is sure of wrong ones.
    """
    best: Choice | None = None
    for by in kinds:
        found = _widest(compared, by, 1 - agreement, chance / len(kinds))
        if found is not None and (best is None or found.passed > best.passed):
            best = found
    return best


def _widest(compared: Sequence[Compared], by: By, borne: float, chance: float) -> Choice | None:
    answers = len(compared)
    most = _most_hits(answers, borne, chance) if answers >= FEWEST else -1
    ranked = sorted(
        ((one.confidences[by], one.agreement < 1) for one in compared if one.confidences is not None), reverse=True
    )
    widest: tuple[float, int, int] | None = None
    differing = 0
    for place, (confidence, differs) in enumerate(ranked, 1):
        differing += differs
        if differing > most or confidence <= 0:
            break
        if place == len(ranked) or ranked[place][0] != confidence:  # a gate lets equal confidences through together
            widest = confidence, place, differing
    if widest is None:
        return None
    confidence, passed, differing = widest
    return Choice(Gate(confidence, by), answers, passed, differing, upper_bound(differing, answers, chance))


def _most_hits(of: int, borne: float, chance: float) -> int:
    """Give the most hits that still prove a part below `borne`, -1 where none at all would not."""
    below = 0.0
    for hits in range(of):
        below += math.exp(_log_odds(hits, of, borne))
        if below > chance:
            return hits - 1
    return of - 1


def upper_bound(hits: int, of: int, chance: float) -> float:
    """Give the upper bound of a proportion that is exceeded with at most this chance (Clopper and Pearson, one-sided).

    Args:
        hits: How many were seen.
        of: Among how many.
        chance: In (0, 1).
    """
    if hits >= of:
        return 1.0
    low, high = hits / of, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if math.fsum(math.exp(_log_odds(k, of, middle)) for k in range(hits + 1)) > chance:
            low = middle
        else:
            high = middle
    return high


def _log_odds(hits: int, of: int, p: float) -> float:
    """Give the logarithm of the chance of exactly so many hits at probability p."""
    if not 0 < p < 1:
        return 0.0 if hits == p * of else -math.inf
    ways = math.lgamma(of + 1) - math.lgamma(hits + 1) - math.lgamma(of - hits + 1)
    return ways + hits * math.log(p) + (of - hits) * math.log1p(-p)
