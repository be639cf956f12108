"""Preference pairs: two answers to one prompt, and which is better, by a correction or by the scores.

Rule: nothing is guessed. A correction is better than what it corrects. Of two answers (a shadow call's, an A/B's) the
one with the higher score is better; without two scores, only one that is a success is known to be good, beside one that
nobody rated. All else is counted as undecided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from logos_shift_openai.server.feedback import SUCCESS_FROM

from .bodies import LeftOutError, text_of
from .duplicates import answer_digest, prompt_digest
from .lines import pair_line
from .reading import some
from .sifting import Row, chosen, note, split_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.server.store.database import Store

    from .choosing import Choice
    from .examples import Example, Maker
    from .reading import Source
    from .sifting import Counts

_AT_ONCE: Final = 100


class _First(NamedTuple):
    id: str
    answer: bytes
    score: float | None


def pairs(store: Store, choice: Choice, maker: Maker, counts: Counts) -> Iterator[Row]:
    """Give the pairs: those with a correction, then those of two answers, once a prompt."""
    both = _Pairing(choice)
    for source, example in chosen(store, choice, maker, counts):
        if source.correction is None:
            both.add(source, example, counts)
            continue
        given, better = example.given, example.answer
        prompt = prompt_digest(example)
        if given is None or not text_of(given).strip() or text_of(given) == text_of(better):
            counts.left_out["single"] += 1
        elif both.is_done(prompt):
            counts.left_out["duplicate"] += 1
        else:
            line = pair_line(example.prompt, better, given)
            if len(line) > choice.max_bytes:
                counts.left_out["too_long"] += 1
                continue
            both.done.add(prompt)
            note(counts, source, example, answer_digest(text_of(better)))
            yield Row(split_of(choice, example.conversation), line, (source.id,))
    yield from _written(store, choice, maker, counts, both)


class _Pairing:
    """Finds two answers to one prompt, in one pass; what it keeps of a call is its id, its score and two hashes."""

    def __init__(self, choice: Choice) -> None:
        self.done: set[bytes] = set()
        self.found: list[tuple[str, str]] = []  # the better one, the other
        self._waiting: dict[bytes, list[_First]] = {}
        self._limit = choice.limit

    def is_done(self, prompt: bytes) -> bool:
        return prompt in self.done

    def add(self, source: Source, example: Example, counts: Counts) -> None:
        prompt = prompt_digest(example)
        if prompt in self.done:
            counts.left_out["duplicate"] += 1
            return
        one = _First(source.id, answer_digest(text_of(example.answer)), source.score)
        before = self._waiting.setdefault(prompt, [])
        for other in before:
            better = _better(one, other)
            if better is not None:
                self.found.append((one.id, other.id) if better is one else (other.id, one.id))
                if len(before) > 1:
                    counts.left_out["duplicate"] += len(before) - 1
                self.done.add(prompt)
                del self._waiting[prompt]
                return
        before.append(one)

    def left(self, counts: Counts) -> None:
        """Count what found no partner."""
        for waiting in self._waiting.values():
            alone = len({one.answer for one in waiting}) == 1
            counts.left_out["single" if alone else "undecided"] += len(waiting)


def _better(one: _First, other: _First) -> _First | None:
    if one.answer == other.answer:
        return None
    if one.score is not None and other.score is not None:
        return None if one.score == other.score else one if one.score > other.score else other
    rated = one if one.score is not None else other
    return rated if rated.score is not None and rated.score >= SUCCESS_FROM else None


def _written(store: Store, choice: Choice, maker: Maker, counts: Counts, both: _Pairing) -> Iterator[Row]:
    both.left(counts)
    for start in range(0, len(both.found), _AT_ONCE):
        part = both.found[start : start + _AT_ONCE]
        read = {one.id: one for one in some(store, choice, (name for pair in part for name in pair))}
        for names in part:
            row = _pair(choice, maker, counts, [read[name] for name in names if name in read])
            if row is not None:
                yield row


def _pair(choice: Choice, maker: Maker, counts: Counts, two: list[Source]) -> Row | None:
    try:
        better, other = (maker.example(one) for one in two)
    except (LeftOutError, ValueError):  # gone between the two looks
        counts.left_out["single"] += len(two)
        return None
    line = pair_line(better.prompt, better.answer, other.answer)
    if len(line) > choice.max_bytes:
        counts.left_out["too_long"] += 1
        return None
    note(counts, two[0], better, answer_digest(text_of(better.answer)))
    return Row(split_of(choice, better.conversation), line, (two[0].id, two[1].id))
