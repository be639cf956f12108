"""The gate before a rollout: what a candidate's answers to held-out questions say, and whether it may go on.

Rule: a floor is not a proof. It keeps off what is plainly no candidate before any user sees it; that it is not worse
than the baseline is the rollout's to prove. Too few rows pass nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .agreement import COMPARERS, counts_of, standing
from .strict import Fields, flag, maybe, number_in, one_of, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Rules:
    """What a candidate must reach.

    Args:
        compare: How its answers are compared with those held out: "exact", "json", "text" or "fields".
        floor: The least mean agreement, in [0, 1].
        valid_floor: The least part of the answers that are the JSON or the calls of tools that were asked for.
        rows: Fewer answers than this pass nothing.
        per_answer: An answer that at least so many rows have is judged by itself, by `answer_floor`.
        every_answer: Whether each distinct answer must have that many rows.
        limit: The first so many held-out rows are asked.
        money: Dollars that the asking may cost; None for no bound. It ends where they are spent.
    """

    compare: str = "json"
    floor: float = 0.8
    valid_floor: float = 0.98
    rows: int = 30
    per_answer: int = 10
    answer_floor: float = 0.3
    every_answer: bool = False
    limit: int = 400
    money: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Give them as `rules_from` reads them."""
        return asdict(self)


class Judged(NamedTuple):
    """A held-out row with the candidate's answer.

    Args:
        expected: The answer that is held out, as text.
        agreement: How far the candidate's agrees, in [0, 1]; 0 where it gave none.
        valid: Whether it is the JSON or the calls that were asked for; None where none was.
        failed: Whether it gave none, refused or was cut.
    """

    expected: str
    agreement: float
    valid: bool | None = None
    failed: bool = False


class OfAnswer(NamedTuple):
    """How a candidate did where one answer was right."""

    answer: str
    rows: int
    agreement: float
    judged: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it.

    Args:
        passed: Whether the candidate may go on.
        why: In words.
        rows: Rows that were answered, of those `held_out`.
        agreement: Their mean; between `low` and `high` at 95 %, however often it is looked at.
        valid: The part of the valid ones, None where nothing asked for JSON.
        failed: How many got no answer, a refusal or one that was cut.
        answers: Per distinct answer, the most frequent first.
    """

    passed: bool
    why: str
    rows: int
    held_out: int
    agreement: float | None
    low: float
    high: float
    valid: float | None
    failed: int
    answers: tuple[OfAnswer, ...]

    def to_json(self) -> dict[str, Any]:
        """Write it for people and programs."""
        return {**asdict(self), "answers": [one._asdict() for one in self.answers]}


def rules_from(data: object, path: str = "") -> Rules:
    """Read rules strictly; what is left out has its default.

    Raises:
        ConfigError: with the path of the first fault.
    """
    at, usual, part = Fields(path, data), Rules(), number_in(0, 1)
    rules = Rules(
        compare=at.take("compare", one_of(*COMPARERS), default=usual.compare),
        floor=at.take("floor", part, default=usual.floor),
        valid_floor=at.take("valid_floor", part, default=usual.valid_floor),
        rows=at.take("rows", whole, default=usual.rows),
        per_answer=at.take("per_answer", whole, default=usual.per_answer),
        answer_floor=at.take("answer_floor", part, default=usual.answer_floor),
        every_answer=at.take("every_answer", flag, default=usual.every_answer),
        limit=at.take("limit", whole, default=usual.limit),
        money=at.take("money", maybe(number_in(0, 1e9)), default=None),
    )
    at.done()
    return rules


def report(rules: Rules, rows: Sequence[Judged], held_out: int) -> Report:
    """Judge a candidate by its answers.

    Args:
        rules: What it must reach.
        rows: Its answers.
        held_out: How many rows there are.
    """
    found = standing(counts_of(one.agreement for one in rows))
    told = [one.valid for one in rows if one.valid is not None]
    valid = sum(told) / len(told) if told else None
    answers = _by_answer(rules, rows)
    faults = _faults(rules, len(rows), found.mean, valid, answers)
    failed = sum(one.failed for one in rows)
    why = "; ".join(faults) if faults else f"{found.mean:.1%} of {len(rows):,} held-out answers agree"
    shown = tuple(answers[:_SHOWN])
    return Report(
        not faults, why, len(rows), held_out, found.mean, found.low, found.high, valid, failed, shown
    )  # fmt: skip


def _by_answer(rules: Rules, rows: Sequence[Judged]) -> list[OfAnswer]:
    by: defaultdict[str, list[float]] = defaultdict(list)
    for one in rows:
        by[one.expected].append(one.agreement)
    least = max(1, rules.per_answer)
    found = [OfAnswer(name, len(them), sum(them) / len(them), len(them) >= least) for name, them in by.items()]
    return sorted(found, key=lambda one: (-one.rows, one.answer))


def _faults(rules: Rules, rows: int, mean: float | None, valid: float | None, answers: Sequence[OfAnswer]) -> list[str]:
    if rows < rules.rows or mean is None:
        return [f"{rows:,} held-out answers are too few to tell, {rules.rows:,} are the least: record more calls"]
    faults = []
    if mean < rules.floor:
        faults.append(f"{mean:.1%} of {rows:,} held-out answers agree, the floor is {rules.floor:.1%}")
    if valid is not None and valid < rules.valid_floor:
        faults.append(f"{valid:.1%} are the JSON that was asked for, the floor is {rules.valid_floor:.1%}")
    weak = [one for one in answers if one.judged and one.agreement < rules.answer_floor]
    if weak:
        worst = min(weak, key=lambda one: one.agreement)
        faults.append(
            f"{len(weak)} of the answers agree less than {rules.answer_floor:.0%}, the worst {worst.agreement:.0%} "
            f"of {worst.rows} rows"
        )
    rare = sum(not one.judged for one in answers)
    if rules.every_answer and rare:
        faults.append(f"{rare} of {len(answers)} answers have fewer than {rules.per_answer} held-out rows")
    return faults
