"""How much traffic a confidence gate moves, and what it costs: 77 intents, a small model tuned on 2,000 records.

The teacher is the lab's oracle, wrong on one text in twenty; the candidate is the lab's small model, tuned on the
teacher's answers to 1,600 of 2,000 logged questions. The gate is chosen on the other 400 for an agreement of 94 % of
all calls, then judged on the test set by its own labels.
"""

from __future__ import annotations

import csv
import random
import statistics
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.measure import ROOT, Row, main
from logos_shift_openai.core.gate import Compared, Gate, choose, confidences
from logos_shift_openai.lab.features import features
from logos_shift_openai.lab.odds import Odds, token_odds
from logos_shift_openai.lab.oracle import Oracle
from logos_shift_openai.lab.training import Settings, Training

if TYPE_CHECKING:
    from logos_shift_openai.lab.softmax import SoftmaxModel

DATA = ROOT / "tests" / "data" / "banking77"
RECORDS, HELD_OUT, AGREEMENT, ACCURACY = 2_000, 400, 0.94, 0.95


class Outcome(NamedTuple):
    """Parts of the test set, in per cent: answered by the candidate, and right by the labels."""

    moved: float
    system: float
    teacher: float
    candidate: float


def rows(quick: bool) -> list[Row]:
    found = [one_run(seed) for seed in range(2 if quick else 5)]
    middle = Outcome(*(statistics.median(values) for values in zip(*found, strict=True)))
    note = f"median of {len(found)} draws of {RECORDS:,} records; gate chosen on {HELD_OUT} of them"
    above = middle.system - middle.teacher
    each = f"system {middle.system:.1f} %, teacher {middle.teacher:.1f} %, candidate alone {middle.candidate:.1f} %"
    return [
        Row("traffic that the gate moves", middle.moved, "%", 40, at_least=True, note=note),
        Row("system's accuracy above the teacher's", above, "points", 0, at_least=True, note=each),
    ]


def one_run(seed: int) -> Outcome:
    train, test = _labelled("train.csv"), _labelled("test_even.csv")
    teacher = Oracle(train + test, accuracy=ACCURACY, seed=seed)
    logged = [text for text, _ in train]
    random.Random(seed).shuffle(logged)
    held_out, tuned_on = logged[:HELD_OUT], logged[HELD_OUT:RECORDS]
    model = _tuned([(text, teacher.answer(text)) for text in tuned_on], seed)
    compared = []
    for text in held_out:
        answer, sure = _ask(model, text)
        compared.append(Compared(sure, float(answer == teacher.answer(text))))
    choice = choose(compared, AGREEMENT)
    gate = choice.gate if choice is not None else Gate(1.0)
    moved = right = teachers = candidates = 0
    for text, label in test:
        answer, sure = _ask(model, text)
        passed, taught = gate.passes(sure), teacher.answer(text)
        moved += passed
        right += (answer if passed else taught) == label
        teachers += taught == label
        candidates += answer == label
    return Outcome(*(100 * part / len(test) for part in (moved, right, teachers, candidates)))


def _labelled(name: str) -> list[tuple[str, str]]:
    with (DATA / name).open(encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def _tuned(examples: list[tuple[str, str]], seed: int) -> SoftmaxModel:
    learnt = [(_features(text), answer) for text, answer in examples]
    fitted = len(learnt) // 10  # fits the sharpness, as a tuning job of the lab does
    *_, last = Training(learnt[fitted:], learnt[:fitted], Settings(seed=seed)).run()
    assert last.model is not None
    return last.model


def _features(text: str) -> set[str]:
    return features([{"role": "user", "content": text}])


def _ask(model: SoftmaxModel, text: str) -> tuple[str, dict[str, float] | None]:
    odds = Odds(model.answers, model.probabilities(_features(text)))
    answer = odds.best()
    return answer, confidences([one.logprob for one in token_odds(odds, answer, 0)])


if __name__ == "__main__":
    main(rows)
