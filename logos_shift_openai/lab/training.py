"""How the lab's small model learns: softmax regression by stochastic gradient descent, in plain Python.

Theory of operation. Each text is a sparse vector of features, scaled by the square root of inverse document
frequency and brought to length 1. One step looks at a small batch: the scores of its examples are taken with
the weights as they stand, then every class whose probability is off by more than ``_CLOSE_ENOUGH`` is moved
(later on, most are not, which is what makes 77 classes affordable). Weight decay costs nothing: it is one
number that multiplies all weights. The weights at the end of the last epochs are averaged (Polyak and
Juditsky 1992), and the sharpness of the probabilities is fitted on held-out rows (temperature scaling,
Guo et al. 2017). Summing a looked-up tuple keeps the inner loop in compiled code.

``Training.run()`` is a generator that yields after every step, so its driver can report, yield to other
threads, or stop; it holds no lock, clock or thread.
"""

from __future__ import annotations

import math
import random
from array import array
from collections import Counter
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING

from .softmax import SoftmaxModel, softmax

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Example = tuple["frozenset[str] | set[str]", str]  # the features of a prompt, the answer to give

MAX_ANSWERS = 1_000
_MAX_WEIGHTS = 12_000_000  # about 0.4 GB while training
_MANY_EXAMPLES = 2_000  # from here on a feature seen once only costs time
_CLOSE_ENOUGH = 0.005
_FIRST_RATE, _LAST_RATE_SHARE = 5.0, 0.1
_DECAY = 0.1  # L2 strength times the number of examples
_UNKNOWN_ANSWER_PROBABILITY = 1e-6


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of one run; ``rate`` multiplies the built-in learning rate."""

    epochs: int = 6
    batch: int = 4
    rate: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Score:
    """How a model does on rows: mean loss in nats, share of right answers (0 to 1), number of rows."""

    loss: float
    accuracy: float
    rows: int


@dataclass(frozen=True)
class Step:
    """One finished step: the batch's loss in nats and share right, both before the update.

    At an epoch's end ``model`` is the model as it stands, and ``valid`` its score on the held-out rows
    (None without any). The last step carries the finished model.
    """

    number: int
    total: int
    loss: float
    accuracy: float
    epoch: int
    model: SoftmaxModel | None = None
    valid: Score | None = None


@dataclass(frozen=True)
class _Row:
    """A training text as the inner loop wants it."""

    look_up: itemgetter[object]
    columns: tuple[int, ...]
    shrink: float
    answer: int


def score(model: SoftmaxModel, examples: Sequence[Example]) -> Score | None:
    """Measure a model on examples; None when there are none. An answer it cannot give counts as wrong."""
    if not examples:
        return None
    place = {answer: k for k, answer in enumerate(model.answers)}
    loss, right = 0.0, 0
    for features, answer in examples:
        odds = model.probabilities(features)
        k = place.get(answer)
        loss -= math.log(max(odds[k] if k is not None else 0.0, _UNKNOWN_ANSWER_PROBABILITY))
        right += odds.index(max(odds)) == k
    return Score(loss / len(examples), right / len(examples), len(examples))


class Training:
    """One run over a set of examples.

    Args:
        examples: What to learn; their distinct answers become the answer space.
        held_out: Rows that are never trained on; they measure, and fit the sharpness.
        settings: Hyperparameters.

    Raises:
        ValueError: No example, or more than ``MAX_ANSWERS`` distinct answers.
    """

    def __init__(
        self, examples: Sequence[Example], held_out: Sequence[Example] = (), settings: Settings | None = None
    ) -> None:
        self.settings = settings or Settings()
        self._held_out = held_out
        self._answers = tuple(sorted({answer for _, answer in examples}))
        if not examples:
            raise ValueError("there is nothing to learn from")
        if len(self._answers) > MAX_ANSWERS:
            raise ValueError(
                f"this model learns at most {MAX_ANSWERS:,} distinct answers, the file has {len(self._answers):,}"
            )
        self._vocabulary, self._scales = _vocabulary(examples, len(self._answers))
        self._squares = [scale * scale for scale in self._scales]
        self._rows = list(self._make_rows(examples))
        self._weights = [[0.0] * len(self._scales) for _ in self._answers]
        self._decayed = 1.0
        self._averaged: list[array[float]] = []  # sums over the epochs that count, one row an answer
        self._steps_an_epoch = math.ceil(len(self._rows) / self.settings.batch)
        self.total_steps = self._steps_an_epoch * self.settings.epochs

    def run(self) -> Iterator[Step]:
        """Train; yield after each step. Leaving early is fine, the object is then of no further use."""
        dice = random.Random(self.settings.seed)  # noqa: S311 - a shuffle, no secret
        size = self.settings.batch
        for number in range(self.total_steps):
            epoch, place = divmod(number, self._steps_an_epoch)
            if place == 0:
                dice.shuffle(self._rows)
            batch = self._rows[place * size : (place + 1) * size]
            loss, right = self._learn(batch, self._rate(number))
            step = Step(number + 1, self.total_steps, loss / len(batch), right / len(batch), epoch + 1)
            yield step if place + 1 < self._steps_an_epoch else self._end_of_epoch(step)

    def _end_of_epoch(self, step: Step) -> Step:
        first_averaged = self.settings.epochs // 2 + 1
        if step.epoch >= first_averaged:
            self._add_to_average()
        last = step.epoch == self.settings.epochs
        model = self._finished(step.epoch - first_averaged + 1) if last else self._snapshot()
        return replace(step, model=model, valid=score(model, self._held_out))

    def _make_rows(self, examples: Sequence[Example]) -> Iterator[_Row]:
        place = {answer: k for k, answer in enumerate(self._answers)}
        for features, answer in examples:
            columns = tuple(sorted(self._vocabulary[f] for f in features if f in self._vocabulary))
            length = math.sqrt(sum(self._squares[column] for column in columns)) or 1.0
            # An itemgetter of one column gives a bare number, of none nothing at all; asking twice
            # for the same column keeps it a tuple and is told apart by ``columns``.
            look_up: itemgetter[object] = itemgetter(*(columns if len(columns) > 1 else (0, 0)))
            yield _Row(look_up, columns, 1.0 / length, place[answer])

    def _rate(self, number: int) -> float:
        done = number / self.total_steps
        return _FIRST_RATE * self.settings.rate * (1.0 - (1.0 - _LAST_RATE_SHARE) * done)

    def _learn(self, batch: Sequence[_Row], rate: float) -> tuple[float, int]:
        """Take one step; return the batch's summed loss and the number of right answers before it."""
        judged = [(row, self._odds(row)) for row in batch]
        self._decayed *= max(0.5, 1.0 - rate * _DECAY * len(batch) / len(self._rows))
        loss, right = 0.0, 0
        for row, odds in judged:
            loss -= math.log(max(odds[row.answer], 1e-12))
            right += odds.index(max(odds)) == row.answer
            odds[row.answer] -= 1.0
            stride = rate * row.shrink / self._decayed
            for weights, error in zip(self._weights, odds, strict=True):
                if -_CLOSE_ENOUGH < error < _CLOSE_ENOUGH:
                    continue
                move, squares = stride * error, self._squares
                for column in row.columns:
                    weights[column] -= move * squares[column]
        return loss, right

    def _odds(self, row: _Row) -> list[float]:
        if len(row.columns) <= 1:
            sums = [sum(weights[column] for column in row.columns) for weights in self._weights]
        else:
            look_up = row.look_up
            sums = [sum(look_up(weights)) for weights in self._weights]
        factor = row.shrink * self._decayed
        return softmax([factor * value for value in sums])

    def _add_to_average(self) -> None:
        decayed = self._decayed
        if not self._averaged:
            self._averaged = [array("d", [decayed * w for w in row]) for row in self._weights]
            return
        for total, row in zip(self._averaged, self._weights, strict=True):
            total[:] = array("d", [t + decayed * w for t, w in zip(total, row, strict=True)])

    def _snapshot(self) -> SoftmaxModel:
        decayed = self._decayed
        rows = tuple(array("f", [decayed * w for w in row]) for row in self._weights)
        return SoftmaxModel(self._answers, self._vocabulary, self._scales, rows)

    def _finished(self, epochs: int) -> SoftmaxModel:
        rows = tuple(array("f", [total / epochs for total in row]) for row in self._averaged)
        model = SoftmaxModel(self._answers, self._vocabulary, self._scales, rows)
        return replace(model, sharpness=_fit_sharpness(model, self._held_out))


def _vocabulary(examples: Sequence[Example], answers: int) -> tuple[dict[str, int], array[float]]:
    """Choose the features worth a weight and their scales; one that stands in every text tells nothing."""
    seen: Counter[str] = Counter()
    for features, _ in examples:
        seen.update(features)
    least = 2 if len(examples) >= _MANY_EXAMPLES else 1
    kept = [(f, n) for f, n in seen.items() if least <= n < len(examples)]
    kept.sort(key=lambda item: (-item[1], item[0]))  # the same file always gives the same model
    del kept[_MAX_WEIGHTS // answers :]
    scales = [math.sqrt(math.log((1 + len(examples)) / (1 + n)) + 1.0) for _, n in kept]
    return {feature: column for column, (feature, _) in enumerate(kept)}, array("f", scales)


def _fit_sharpness(model: SoftmaxModel, held_out: Sequence[Example]) -> float:
    """Find the factor on the scores with the least loss on the held-out rows (golden-section search)."""
    place = {answer: k for k, answer in enumerate(model.answers)}
    judged = [(model.scores(f), place[answer]) for f, answer in held_out if answer in place]
    if len(judged) < 20 or len(model.answers) == 1:  # noqa: PLR2004 - too few to tell
        return 1.0

    def loss(log_factor: float) -> float:
        factor = math.exp(log_factor)
        return -sum(math.log(max(softmax([factor * s for s in row])[k], 1e-12)) for row, k in judged)

    low, high, golden = -1.1, 1.1, (math.sqrt(5.0) - 1.0) / 2.0
    while high - low > 0.02:  # noqa: PLR2004 - two per cent is finer than the rows can tell
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2.0)
