"""``oracle-large``: a script that plays an expensive model by looking the answer up in labelled rows.

Owns the look-up. It is right ``accuracy`` of the time; which texts it gets wrong depends only on the text and
the seed, so the same question always gets the same answer. A text it does not know is answered as the known
text nearest to it (cosine of tf-idf weighted words). What a wrong answer says is another row's answer that the
request allows; where it allows no other, as with one function on offer, the oracle is right. After a tool's result
it repeats the result.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from .answers import Answer, Said, answer_of, as_text
from .features import Message, question, text_of, words
from .guess import guess
from .odds import Odds
from .pointer import Pointer
from .wanted import ANYTHING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .wanted import Wanted


class Oracle:
    """The scripted model.

    Args:
        rows: Known ``(text, answer)`` pairs; an answer is a text (a label, JSON), a ``Call`` or several.
        accuracy: Share of texts it answers as labelled, 0 to 1.
        seed: Another seed gets other texts wrong.

    Raises:
        ValueError: No rows, or an accuracy outside 0 to 1.
    """

    def __init__(self, rows: Iterable[tuple[str, Said]], accuracy: float = 0.95, seed: int = 0) -> None:
        self._rows = [(text, answer_of(said)) for text, said in rows]
        if not self._rows:
            raise ValueError("rows: the oracle knows nothing")
        if not 0.0 <= accuracy <= 1.0:
            raise ValueError(f"accuracy: {accuracy} is not in 0..1")
        self._accuracy, self._seed = accuracy, seed
        self._labels = sorted({answer for _, answer in self._rows}, key=as_text)
        self._known = {_key(text): answer for text, answer in self._rows}
        self._index, self._rarity = self._build_index()

    def odds(self, messages: Sequence[Message], wanted: Wanted = ANYTHING) -> Odds:
        """Answer with ``accuracy`` as its belief, the rest spread evenly over the other answers that are wanted."""
        text = question(messages)
        if messages and messages[-1].get("role") == "tool":
            said = wanted.form(text_of(messages[-1].get("content")))
            return Odds([said if said is not None else guess(text, wanted, Pointer())], [1.0])
        right = wanted.form(self.label(text))
        if right is None:
            return Odds([guess(text, wanted, Pointer())], [1.0])
        formed = (wanted.form(label) for label in self._labels)
        labels = list(dict.fromkeys(label for label in formed if label is not None))
        given = self._given(text, right, labels)
        others = len(labels) - 1
        sure = self._accuracy if others else 1.0
        rest = (1.0 - sure) / others if others else 0.0
        return Odds(labels, [sure if label == given else rest for label in labels])

    def answer(self, text: str) -> Answer:
        """Give the label of a text, or, for the share it gets wrong, another label; nothing is forbidden."""
        return self._given(text, self.label(text), self._labels)

    def _given(self, text: str, right: Answer, labels: Sequence[Answer]) -> Answer:
        dice = int.from_bytes(hashlib.sha256(f"{self._seed}|{_key(text)}".encode()).digest()[:12], "big")
        wrong = [label for label in labels if label != right]
        if not wrong or dice % 1_000_000 < self._accuracy * 1_000_000:
            return right
        return wrong[dice // 1_000_000 % len(wrong)]

    def label(self, text: str) -> Answer:
        """Give the label of the text, or of the known text nearest to it."""
        known = self._known.get(_key(text))
        return known if known is not None else self._nearest(text)

    def _nearest(self, text: str) -> Answer:
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
