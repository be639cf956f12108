"""What a model of the lab believes: its possible answers, how likely each is, and their tokens.

Owns the tokeniser, the choice of an answer, and the log probabilities of a text's tokens; a call has none, as at
OpenAI. Pure functions on values.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from .answers import Answer
    from .features import Message
    from .wanted import Wanted

_ROUNDING = 1e-9
LEAST_LOGPROB = -9999.0  # what OpenAI writes for "practically never"
_TOKEN = re.compile(r"\s*_?[^\W_]{1,12}|\s*[^\w\s]|_|\s+")


@dataclass(frozen=True)
class Odds:
    """Distinct answers and their probabilities (0 to 1, adding up to 1, or to less where some are not written out)."""

    answers: Sequence[Answer]
    probabilities: Sequence[float]

    def best(self) -> Answer:
        """Give the likeliest answer; of equals the first."""
        return self.answers[max(range(len(self.answers)), key=self.probabilities.__getitem__)]

    def draw(self, temperature: float, dice: random.Random) -> Answer:
        """Draw an answer with probability proportional to ``p ** (1 / temperature)``; at 0 the best."""
        if temperature <= 0:
            return self.best()
        highest = max(self.probabilities)
        weights = [(p / highest) ** (1.0 / temperature) for p in self.probabilities]
        return dice.choices(self.answers, weights)[0]


class Answerer(Protocol):
    """A model: anything that can say how likely each answer to a conversation is."""

    def odds(self, messages: Sequence[Message], wanted: Wanted) -> Odds:
        """Judge a conversation; only answers that are wanted have odds."""
        ...


@lru_cache(maxsize=4096)
def tokens(text: str) -> tuple[str, ...]:
    """Cut a text into tokens: words (with the blank or underscore before them), signs, blanks.

    Nothing is lost: the tokens joined give the text again.
    """
    return tuple(_TOKEN.findall(text))


@dataclass(frozen=True)
class TokenOdds:
    """One token of an answer, its log probability, and the likeliest tokens at its place."""

    token: str
    logprob: float
    likeliest: tuple[tuple[str, float], ...]


def token_odds(odds: Odds, answer: str, top: int) -> list[TokenOdds]:
    """Spread the model's probabilities over the tokens of an answer.

    The probability of a token is that of all answers which begin with the tokens up to and including it,
    divided by that of all answers which go on from the tokens before it. So the log probabilities of an
    answer's tokens add up to the log probability of the answer, as long as no other answer begins with it.
    At the first token, calls and what the model has not written out count among all, without a name.

    Args:
        odds: The model's belief.
        answer: The answer that was given.
        top: How many of the likeliest tokens to name at each place, 0 to 20.
    """
    judged = zip(odds.answers, odds.probabilities, strict=True)
    open_answers = [(tokens(text), p) for text, p in judged if isinstance(text, str)]
    unsaid = max(0.0, 1.0 - sum(p for _, p in open_answers))
    found: list[TokenOdds] = []
    for place, token in enumerate(tokens(answer)):
        masses: defaultdict[str, float] = defaultdict(float)
        for pieces, probability in open_answers:
            if place < len(pieces):
                masses[pieces[place]] += probability
        total = sum(masses.values()) + (unsaid if place == 0 and unsaid > _ROUNDING else 0.0)
        likeliest = sorted(masses.items(), key=lambda item: (-item[1], item[0]))[:top]
        named = tuple((piece, _log(mass, total)) for piece, mass in likeliest)
        found.append(TokenOdds(token, _log(masses[token], total), named))
        open_answers = [(ps, p) for ps, p in open_answers if place < len(ps) and ps[place] == token]
    return found


def _log(part: float, whole: float) -> float:
    if part <= 0 or whole <= 0:
        return LEAST_LOGPROB
    return min(0.0, math.log(part / whole))
