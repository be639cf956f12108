"""How the labels of an answer are learnt: a logistic regression for each, all in one run, in plain Python.

As ``training`` with the softmax replaced by one sigmoid a label (binary relevance): the same sparse features brought to
length 1, averaged weights, and a bias. ``LabelTraining.run()`` yields after every step, as ``Training.run()`` does; a
row counts as right when all of its labels are.
"""

from __future__ import annotations

import math
import random
from array import array
from collections import Counter
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from .softmax import SoftmaxModel
from .training import Score, Settings, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LabelExample = tuple["frozenset[str] | set[str]", "frozenset[str]"]
ALWAYS = "\0always"
"""The feature that every text has: the bias."""
_RATE, _LAST_RATE_SHARE, _DECAY = 8.0, 0.1, 5e-5
_BIAS = 3.0  # its scale
_CLOSE_ENOUGH = 0.002
_MOST_FEATURES = 40_000
_LEAST_TO_FIT = 20
_FACTORS, _SUMMANDS = (0.7, 0.85, 1.0, 1.2, 1.5), (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25)


@dataclass(frozen=True)
class _Row:
    look_up: itemgetter[Any]
    columns: tuple[int, ...]
    shrink: float
    labels: frozenset[int]


class LabelTraining:
    """One run.

    Args:
        examples: Features of a prompt and the labels of its answer.
        held_out: Rows that are never trained on; they measure.
        labels: All labels, in the order of the model's answers.
        settings: Hyperparameters.
    """

    def __init__(
        self,
        examples: Sequence[LabelExample],
        held_out: Sequence[LabelExample],
        labels: Sequence[str],
        settings: Settings,
    ) -> None:
        self.settings, self._held_out, self._labels = settings, held_out, tuple(labels)
        self._epochs = settings.epochs
        seen: Counter[str] = Counter(feature for features, _ in examples for feature in features)
        kept = sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:_MOST_FEATURES]
        self._vocabulary = {ALWAYS: 0} | {feature: place for place, (feature, _) in enumerate(kept, 1)}
        scales = [math.sqrt(math.log((1 + len(examples)) / (1 + n)) + 1.0) for _, n in kept]
        self._scales = array("f", [_BIAS, *scales])
        place = {label: k for k, label in enumerate(self._labels)}
        self._rows = [self._row(features, frozenset(place[one] for one in labels)) for features, labels in examples]
        self._weights = [[0.0] * len(self._scales) for _ in self._labels]
        self._sums = [[0.0] * len(self._scales) for _ in self._labels]
        self._averaged = 0
        self._steps_an_epoch = math.ceil(len(self._rows) / settings.batch)
        self.total_steps = self._steps_an_epoch * self._epochs

    def run(self) -> Iterator[Step]:
        """Train; yield after each step. Leaving early is fine, the object is then of no further use."""
        dice = random.Random(self.settings.seed)  # noqa: S311 - a shuffle, no secret
        size = self.settings.batch
        for number in range(self.total_steps):
            epoch, place = divmod(number, self._steps_an_epoch)
            if place == 0:
                dice.shuffle(self._rows)
            done = number / self.total_steps
            rate = _RATE * self.settings.rate * (1.0 - (1.0 - _LAST_RATE_SHARE) * done)
            batch = self._rows[place * size : (place + 1) * size]
            found = [self._learn(row, rate) for row in batch]
            loss, right = sum(one for one, _ in found) / len(batch), sum(right for _, right in found) / len(batch)
            last = place + 1 == self._steps_an_epoch
            model = self._end_of_epoch(epoch) if last else None
            valid = self._score(model) if model is not None else None
            yield Step(number + 1, self.total_steps, loss, right, epoch + 1, model, valid)

    def _row(self, features: frozenset[str] | set[str], labels: frozenset[int]) -> _Row:
        columns = (0, 0, *sorted(self._vocabulary[one] for one in features if one in self._vocabulary))
        length = math.sqrt(sum(self._scales[column] ** 2 for column in columns[1:]))
        return _Row(itemgetter(*columns), columns[1:], 1.0 / length, labels)  # of two columns at least: a tuple

    def _learn(self, row: _Row, rate: float) -> tuple[float, bool]:
        """Take one step on a row; give its loss and whether all of its labels were right before."""
        look_up: itemgetter[Any] = row.look_up
        columns, scales, loss, right = row.columns, self._scales, 0.0, True
        squares = [scales[column] ** 2 for column in columns]
        for label, weights in enumerate(self._weights):
            score = row.shrink * (sum(look_up(weights)) - weights[0])
            wanted = label in row.labels
            p = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, score))))
            error = p - wanted
            loss -= math.log(max(1e-9, p if wanted else 1.0 - p))
            right = right and (p > 0.5) == wanted  # noqa: PLR2004 - likelier than not
            if -_CLOSE_ENOUGH < error < _CLOSE_ENOUGH:
                continue
            move, keep = rate * error * row.shrink, 1.0 - rate * _DECAY
            for column, square in zip(columns, squares, strict=True):
                weights[column] = keep * weights[column] - move * square
        return loss, right

    def _end_of_epoch(self, epoch: int) -> SoftmaxModel:
        if 2 * (epoch + 1) > self._epochs:
            self._averaged += 1
            for total, weights in zip(self._sums, self._weights, strict=True):
                total[:] = [t + w for t, w in zip(total, weights, strict=True)]
        n = self._averaged
        rows = [[t / n for t in total] for total in self._sums] if n else self._weights
        return SoftmaxModel(self._labels, self._vocabulary, self._scales, tuple(array("f", row) for row in rows))

    def _score(self, model: SoftmaxModel) -> Score | None:
        if not self._held_out:
            return None
        loss, right = 0.0, 0
        for features, labels in self._held_out:
            scores = model.scores({ALWAYS, *features})
            loss += _loss(model.answers, scores, labels, 1.0, 0.0)
            right += {label for label, score in zip(model.answers, scores, strict=True) if score > 0} == labels
        return Score(loss / len(self._held_out), right / len(self._held_out), len(self._held_out))


def fit(model: SoftmaxModel, held_out: Sequence[LabelExample]) -> tuple[float, float]:
    """Find the factor and the summand on all scores with the least loss on the held-out rows (Platt scaling, 1999)."""
    if len(held_out) < _LEAST_TO_FIT:
        return 1.0, 0.0
    judged = [(model.scores({ALWAYS, *features}), labels) for features, labels in held_out]

    def loss(way: tuple[float, float]) -> float:
        return sum(_loss(model.answers, scores, labels, *way) for scores, labels in judged)

    return min(((factor, summand) for factor in _FACTORS for summand in _SUMMANDS), key=loss)


def _loss(
    names: Sequence[str], scores: Sequence[float], labels: frozenset[str], factor: float, summand: float
) -> float:
    found = 0.0
    for name, score in zip(names, scores, strict=True):
        wanted = factor * score + summand
        found += math.log1p(math.exp(max(-30.0, min(30.0, -wanted if name in labels else wanted))))
    return found
