"""Wealth: how strongly the evidence speaks against a claim about candidate and baseline, at any look.

Theory of operation. A unit goes to the candidate with the known chance p and scores y in [0, 1]. With the centre c and
the ratio r,

    Z = (y - r c) [candidate] / p  -  r (y - c) [baseline] / (1 - p)

has the mean (candidate's mean) - r (baseline's mean), whatever the share, the drift or the centre. Against the claim
"the mean of Z is at most d" a gambler bets a fixed fraction l of his wealth on x = Z - d for each unit (against "at
least d" on x = d - Z), so that he has W(l) = product of (1 + l x). As long as the claim is true this is a non-negative
supermartingale from 1, and so is a weighted mean over a few l: the chance that it *ever* reaches 1/alpha is at most
alpha (Ville). So one may look after every unit. W depends on the counts of (p, c, variant, y) alone.

The fractions must be known before the unit is: they follow from p, c and the effects a policy cares about, by Kelly's
rule for scores that are all 0 or 1, and stay below the fraction at which one unit could take everything.

Sources: Karampatziakis, Mineiro, Ramdas, *Off-policy Confidence Sequences*, ICML 2021 ("gated deployment");
Waudby-Smith, Wu, Ramdas, Karampatziakis, Mineiro, *Anytime-valid off-policy inference for contextual bandits*,
arXiv 2210.10768; Waudby-Smith, Ramdas, *Estimating means of bounded random variables by betting*, JRSS-B 2024;
Kelly, *A new interpretation of information rate*, 1956; Ville, *Etude critique de la notion de collectif*, 1939.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial
from operator import mul
from typing import TYPE_CHECKING, Final, NamedTuple

from .evidence import GRID, Draw, Group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .evidence import Cell
    from .records import Variant

LEGAL_PART: Final = 0.9
"""The part of the largest legal fraction that is ever bet, so that no single unit takes everything."""

_HALVINGS: Final = 48
_EDGE: Final = 0.5 / GRID  # Kelly's rule wants a rate that is neither 0 nor 1
_HARM_WEIGHTS: Final = (0.46, 0.46, 0.08)
_MARGIN_WEIGHTS: Final = (0.6, 0.4)
_TOTAL_FAILURE: Final = 0.9


class Claim(NamedTuple):
    """A claim to bet against, with the effects that the bets are made for.

    Args:
        sign: +1 against "the mean of Z is at most `threshold`", -1 against "it is at least `threshold`".
        threshold: d, in score points from -1 to 1.
        effects: How far beyond the threshold the truth is imagined to lie, in score points; one bet each.
        weights: The part of the first stake put on each; they sum to 1.
        ratio: r; 1 unless a ratio of means is tested.
    """

    sign: int
    threshold: float
    effects: tuple[float, ...]
    weights: tuple[float, ...]
    ratio: float = 1.0


def not_worse(margin: float, allowed: float = 0.0) -> Claim:
    """Claim "the candidate is not worse (by more than is allowed)": wealth against it proves harm.

    Args:
        margin: The m of the policy; the bets are made for harm of 2 m, 6 m and total failure.
        allowed: The rollback margin, in score points.
    """
    return Claim(-1, -allowed, (2 * margin, 6 * margin, _TOTAL_FAILURE), _HARM_WEIGHTS)


def worse_by(margin: float) -> Claim:
    """Claim "the candidate is worse by this margin or more"; wealth against it proves that it is not.

    Args:
        margin: In score points; may be above 1, where the claim is false in advance and little proof is needed.
    """
    return Claim(1, -margin, (margin, margin / 2), _MARGIN_WEIGHTS)


def loss_within(ratio: float, margin: float) -> Claim:
    """Claim "the candidate's mean loss is at most `ratio` times the baseline's", a loss being 1 - score."""
    return Claim(-1, 1 - ratio, (2 * margin, 6 * margin, _TOTAL_FAILURE), _HARM_WEIGHTS, ratio)


def loss_beyond(ratio: float, margin: float) -> Claim:
    """Claim "the candidate's mean loss is at least `ratio` times the baseline's"."""
    return Claim(1, 1 - ratio, (margin, 3 * margin), _MARGIN_WEIGHTS, ratio)


def z_of(variant: Variant, score: float, chance: float, centre: float, ratio: float = 1.0) -> float:
    """Give Z of one unit, as in the module's head; score and centre in [0, 1], the chance strictly between 0 and 1."""
    if variant == "candidate":
        return (score - ratio * centre) / chance
    return -ratio * (score - centre) / (1 - chance)


@lru_cache(maxsize=4096)
def fractions(claim: Claim, draw: Draw, centre: int) -> tuple[float, ...]:
    """Give the fraction to bet for each effect of a claim, known before a unit of this draw and centre is.

    The imagined baseline scores 1 at the centre's rate and else 0, the imagined candidate at the rate that lies the
    effect beyond the threshold (kept within [0, 1]). The fraction is Kelly's, found by halving, at most `LEGAL_PART` of
    the largest legal one; 0 where no bet would grow.
    """
    chance, rate = float(draw.chance), min(max(centre / GRID, _EDGE), 1 - _EDGE)
    ends = [
        (variant, score, claim.sign * (z_of(variant, score, chance, centre / GRID, claim.ratio) - claim.threshold))
        for variant in ("baseline", "candidate")
        for score in (0, 1)
    ]
    worst = max(-x for _, _, x in ends)
    top = LEGAL_PART / worst if worst > LEGAL_PART else 1.0
    found = []
    for effect in claim.effects:
        other = min(max(claim.ratio * rate + claim.threshold + claim.sign * effect, _EDGE), 1 - _EDGE)
        odds = {
            ("baseline", 0): (1 - chance) * (1 - rate),
            ("baseline", 1): (1 - chance) * rate,
            ("candidate", 0): chance * (1 - other),
            ("candidate", 1): chance * other,
        }
        found.append(_kelly([(odds[variant, score], x) for variant, score, x in ends], top))
    return tuple(found)


def _kelly(odds: list[tuple[float, float]], top: float) -> float:
    """Find where the mean of log(1 + l x) is greatest within 0..top; its slope falls, so halving finds the root."""

    def rising(fraction: float) -> bool:
        return sum(odd * x / (1 + fraction * x) for odd, x in odds) > 0

    if rising(top):
        return top
    low, high = 0.0, top
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) else (low, middle)
    return low


@lru_cache(maxsize=65_536)
def steps(claim: Claim, draw: Draw, centre: int, variant: Variant, score: int) -> tuple[float, ...]:
    """Give log(1 + l x) of one unit for each fraction of the claim."""
    z = z_of(variant, score / GRID, float(draw.chance), centre / GRID, claim.ratio)
    x = claim.sign * (z - claim.threshold)
    return tuple(math.log1p(fraction * x) for fraction in fractions(claim, draw, centre))


class _Logs(dict[int, float]):
    """What `steps` gives for one fraction of a claim in one group, by score."""

    def __init__(self, claim: Claim, group: Group, bet: int) -> None:
        super().__init__()
        self._steps = partial(steps, claim, group.draw, group.centre, group.variant)
        self._bet = bet

    def __missing__(self, score: int) -> float:
        found = self[score] = self._steps(score)[self._bet]
        return found


@lru_cache(maxsize=1024)
def _tables(claim: Claim, group: Group) -> tuple[_Logs, ...]:
    return tuple(_Logs(claim, group, bet) for bet in range(len(claim.effects)))


@lru_cache(maxsize=512)
def _grown(claim: Claim, group: Group, scores: tuple[int, ...], counts: tuple[int, ...]) -> tuple[float, ...]:
    """Give the logarithm by which each bet has grown over a group; kept, since in most of them nothing is new."""
    # fsum is exact, so the order in which the scores come cannot be seen even in the last bit.
    return tuple(math.fsum(map(mul, counts, map(table.__getitem__, scores))) for table in _tables(claim, group))


def log_wealth(claim: Claim, counts: Mapping[Cell, int]) -> float:
    """Give the natural logarithm of the wealth against a claim.

    Args:
        claim: What is bet against.
        counts: Cells of one metric. Those drawn with certainty (share 0 or 100 %) say nothing and are left out.
    """
    groups: dict[Group, dict[int, int]] = {}
    for cell, count in counts.items():
        groups.setdefault(Group(*cell[1:5]), {})[cell.score] = count
    return log_wealth_of(claim, groups)


def log_wealth_of(claim: Claim, groups: Mapping[Group, Mapping[int, int]]) -> float:
    """Give the same of counts by score, group by group, as `Evidence.groups` has them."""
    parts: list[list[float]] = [[math.log(weight)] for weight in claim.weights]
    for group, counts in groups.items():
        if group.says:
            for part, grown in zip(parts, _grown(claim, group, tuple(counts), tuple(counts.values())), strict=True):
                part.append(grown)
    return log_sum([math.fsum(part) for part in parts])


def log_sum(logs: list[float]) -> float:
    """Give log(sum of exp) of some logarithms without overflow."""
    top = max(logs)
    return top + math.log(math.fsum(math.exp(one - top) for one in logs))


def log_mixed(logs: list[float], weights: Sequence[float]) -> float:
    """Give log(sum of weight times exp) of some logarithms: several wealths by their parts of one first stake."""
    return log_sum([math.log(weight) + one for weight, one in zip(weights, logs, strict=True)])


def log_mean(logs: list[float]) -> float:
    """Give log(mean of exp) of some logarithms: the mean of several wealths is a wealth again."""
    return log_sum(logs) - math.log(len(logs))
