"""Preference pairs: two answers to one prompt, and which is better, by a correction, a judge or the scores.

Rule: nothing is guessed. A correction is better than what it corrects. Of a call and its shadow: `shadowed`. Of two
calls (an A/B's) the one with the higher score is better; without two scores, only one that is a success is known to be
good, beside one that nobody rated. All else is counted as undecided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from logos_shift_openai.server.feedback import SUCCESS_FROM

from .bodies import LeftOutError, text_of
from .duplicates import answer_digest, prompt_digest
from .files import HELDOUT
from .lines import pair_line
from .reading import some
from .scrubbing import UncleanError
from .shadowed import shadowed
from .sifting import Row, chosen, note, refuse, split_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.server.store.database import Store

    from .bodies import Message
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
            row = _row(choice, maker, counts, example, source, (better, given))
            if row is not None:
                both.done.add(prompt)
                yield row
    yield from _of_shadows(store, choice, maker, counts, both)
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

    def settled(self, prompt: bytes, counts: Counts) -> None:
        """Note that a prompt has its pair; the calls that still wait with it are one too many."""
        self.done.add(prompt)
        counts.left_out["duplicate"] += max(0, len(self._waiting.pop(prompt, ())) - 1)

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
    except (LeftOutError, UncleanError, ValueError):  # gone between the two looks
        counts.left_out["single"] += len(two)
        return None
    return _row(choice, maker, counts, better, two[0], (better.answer, other.answer), (two[1].id,))


def _of_shadows(store: Store, choice: Choice, maker: Maker, counts: Counts, both: _Pairing) -> Iterator[Row]:
    for one in shadowed(store, choice):
        try:
            refuse(one.source, choice)
            example = maker.example(one.source, one.answer)
        except (LeftOutError, UncleanError):
            continue  # counted where the calls themselves were looked at
        other, prompt = example.given, prompt_digest(example)
        if other is None or both.is_done(prompt) or text_of(other) == text_of(example.answer):
            continue
        two = (other, example.answer) if one.better else (example.answer, other)
        row = _row(choice, maker, counts, example, one.source, two, (one.id,))
        if row is not None:
            both.settled(prompt, counts)
            yield row


def _row(
    choice: Choice,
    maker: Maker,
    counts: Counts,
    example: Example,
    source: Source,
    two: tuple[Message, Message],
    others: tuple[str, ...] = (),
) -> Row | None:
    """Make the row of a pair, the better answer first; None where it is too long, or cannot be redacted for sure."""
    split = split_of(choice, example.conversation)
    asked = maker.asked(source, example) if split == HELDOUT else b""
    line = pair_line(example.prompt, *two)
    if asked is None or len(line) > choice.max_bytes:
        counts.left_out["unclean" if asked is None else "too_long"] += 1
        return None
    note(counts, source, example, answer_digest(text_of(two[0])))
    return Row(split, line, (source.id, *others), asked)
