"""``oracle-large``: a script that plays an expensive model by looking the answer up in labelled rows.

Owns the look-up. It is right ``accuracy`` of the time; which texts it gets wrong depends only on the text and
the seed, so the same question always gets the same answer. A text it does not know is answered as the known
text nearest to it (cosine of tf-idf weighted words).
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from .features import Message, question, words
from .odds import Odds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Oracle:
    """The scripted model.

    Args:
        rows: Known ``(text, answer)`` pairs.
        accuracy: Share of texts it answers as labelled, 0 to 1.
        seed: Another seed gets other texts wrong.

    Raises:
        ValueError: No rows, or an accuracy outside 0 to 1.
    """

    def __init__(self, rows: Iterable[tuple[str, str]], accuracy: float = 0.95, seed: int = 0) -> None:
        self._rows = list(rows)
        if not self._rows:
            raise ValueError("rows: the oracle knows nothing")
        if not 0.0 <= accuracy <= 1.0:
            raise ValueError(f"accuracy: {accuracy} is not in 0..1")
        self._accuracy, self._seed = accuracy, seed
        self._labels = sorted({answer for _, answer in self._rows})
        self._known = {_key(text): answer for text, answer in self._rows}
        self._index, self._rarity = self._build_index()

    def odds(self, messages: Sequence[Message]) -> Odds:
        """Answer with ``accuracy`` as its belief, the rest spread evenly over the other labels."""
        text = question(messages)
        given = self.answer(text)
        others = len(self._labels) - 1
        sure = self._accuracy if others else 1.0
        rest = (1.0 - sure) / others if others else 0.0
        return Odds(self._labels, [sure if label == given else rest for label in self._labels])

    def answer(self, text: str) -> str:
        """Give the label of a text, or, for the share it gets wrong, another label."""
        right = self.label(text)
        dice = int.from_bytes(hashlib.sha256(f"{self._seed}|{_key(text)}".encode()).digest()[:12], "big")
        wrong = [label for label in self._labels if label != right]
        if not wrong or dice % 1_000_000 < self._accuracy * 1_000_000:
            return right
        return wrong[dice // 1_000_000 % len(wrong)]

    def label(self, text: str) -> str:
        """Give the label of the text, or of the known text nearest to it."""
        known = self._known.get(_key(text))
        return known if known is not None else self._nearest(text)

    def _nearest(self, text: str) -> str:
        closeness: defaultdict[int, float] = defaultdict(float)
        for word in set(words(text)):
            for row, weight in self._index.get(word, ()):
                closeness[row] += self._rarity[word] * weight
        if not closeness:
            return self._labels[0]
        return self._rows[max(closeness, key=lambda row: (closeness[row], -row))][1]

    def _build_index(self) -> tuple[dict[str, list[tuple[int, float]]], dict[str, float]]:
        bags = [set(words(text)) for text, _ in self._rows]
        counts = Counter(word for bag in bags for word in bag)
        rarity = {word: math.log((1 + len(bags)) / (1 + n)) + 1.0 for word, n in counts.items()}
        index: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for row, bag in enumerate(bags):
            length = math.sqrt(sum(rarity[word] ** 2 for word in bag)) or 1.0
            for word in bag:
                index[word].append((row, rarity[word] / length))
        return dict(index), rarity


def _key(text: str) -> str:
    return " ".join(text.lower().split())
