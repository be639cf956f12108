"""The tuned model: a softmax over the answers of its training file, on sparse text features.

Owns prediction and the stored form; training lives in ``training``. Score of answer k for a text with
features F: ``sharpness * sum(weights[k][f] for f in F) / |F|``, where ``|F|`` is the length of the text's
vector of feature scales. Weights are kept as 32-bit floats, so a stored model answers exactly as it did.
"""

from __future__ import annotations

import base64
import math
import sys
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FORMAT = 1


@dataclass(frozen=True)
class SoftmaxModel:
    """Weights and vocabulary of one tuned model; immutable, so any thread may ask it.

    Attributes:
        answers: Every answer it can give.
        vocabulary: Feature -> column of the weights.
        scales: Per column, the feature's scale (the square root of its inverse document frequency).
        weights: Per answer, one weight a column, already multiplied by the feature's scale.
        sharpness: Factor on the scores (1 / temperature), fitted on held-out rows.
    """

    answers: tuple[str, ...]
    vocabulary: dict[str, int]
    scales: array[float]
    weights: tuple[array[float], ...]
    sharpness: float = 1.0

    def scores(self, features: Iterable[str]) -> list[float]:
        """Score every answer (no unit, before the softmax and without the sharpness)."""
        vocabulary = self.vocabulary
        columns = [vocabulary[feature] for feature in features if feature in vocabulary]
        if not columns:
            return [0.0] * len(self.answers)
        length = math.sqrt(sum(self.scales[column] ** 2 for column in columns))
        return [sum(map(row.__getitem__, columns)) / length for row in self.weights]

    def probabilities(self, features: Iterable[str]) -> list[float]:
        """Give each answer's probability, in the order of ``answers``; they add up to 1."""
        return softmax([self.sharpness * score for score in self.scores(features)])

    def to_json(self) -> dict[str, object]:
        """Describe the model as JSON (weights as base64 of little-endian 32-bit floats)."""
        return {
            "format": FORMAT,
            "answers": list(self.answers),
            "vocabulary": list(self.vocabulary),
            "scales": _pack(self.scales),
            "weights": [_pack(row) for row in self.weights],
            "sharpness": self.sharpness,
        }


def model_from_json(stored: dict[str, object]) -> SoftmaxModel:
    """Read what ``to_json`` wrote.

    Raises:
        ValueError: Another format, or parts that do not fit together.
    """
    if stored.get("format") != FORMAT:
        raise ValueError(f"model format {stored.get('format')!r} is not {FORMAT}")
    answers, vocabulary, weights = stored["answers"], stored["vocabulary"], stored["weights"]
    if not (isinstance(answers, list) and isinstance(vocabulary, list) and isinstance(weights, list)):
        raise ValueError("model parts are not lists")  # noqa: TRY004 - a bad file, not a bad call
    scales = _unpack(stored["scales"])
    rows = tuple(_unpack(row) for row in weights)
    if len(rows) != len(answers) or any(len(row) != len(vocabulary) for row in (scales, *rows)):
        raise ValueError("model parts have different sizes")
    columns = {str(feature): column for column, feature in enumerate(vocabulary)}
    sharpness = float(str(stored["sharpness"]))
    return SoftmaxModel(tuple(str(answer) for answer in answers), columns, scales, rows, sharpness)


def softmax(scores: Sequence[float]) -> list[float]:
    """Turn scores into probabilities that add up to 1."""
    highest = max(scores)
    powers = [math.exp(score - highest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def _pack(numbers: array[float]) -> str:
    little = array("f", numbers)
    if sys.byteorder == "big":
        little.byteswap()
    return base64.b64encode(little.tobytes()).decode("ascii")


def _unpack(text: object) -> array[float]:
    numbers = array("f")
    numbers.frombytes(base64.b64decode(str(text), validate=True))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
