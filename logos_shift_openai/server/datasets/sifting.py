"""The calls that fit a choice, each with the example it makes; every one that does not is counted by its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from logos_shift_openai.server.feedback import SUCCESS_FROM
from logos_shift_openai.server.store.rows import values_of

from .bodies import LeftOutError
from .choosing import BASIS
from .files import HELDOUT, TRAIN
from .lines import letters_of
from .reading import sources
from .scrubbing import UncleanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logos_shift_openai.server.store.database import Store

    from .choosing import Choice
    from .examples import Draft, Example, Maker
    from .reading import Source


_SAID_EVERY: Final = 1_000
_AT_ONCE: Final = 16
"""Calls that are redacted together: more save little, and one of them that holds something costs the others time."""


@dataclass(slots=True)
class Counts:
    """What came of the calls that were looked at.

    Args:
        tell: Called with the number of calls looked at, every thousand of them.
    """

    tell: Callable[[int], None] = lambda _read: None
    read: int = 0
    corrected: int = 0
    letters: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    fingerprints: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    answers: Counter[bytes] = field(default_factory=Counter)


class Row(NamedTuple):
    """A line of an edition.

    Args:
        split: The file that it goes to.
        ids: Of the calls it is made of.
        asked: What its call asked besides, the line of a held-out row; empty for all others.
    """

    split: str
    line: bytes
    ids: tuple[str, ...]
    asked: bytes = b""


def split_of(choice: Choice, conversation: str) -> str:
    """Tell where a conversation stands: a hash of it against the held-out share, in basis points."""
    return HELDOUT if int(conversation, 16) % BASIS < choice.heldout else TRAIN


def chosen(store: Store, choice: Choice, maker: Maker, counts: Counts) -> Iterator[tuple[Source, Example]]:
    """Give the calls that fit the choice and make an example; the others are counted."""
    drafts: list[tuple[Source, Draft]] = []
    for source in sources(store, choice):
        counts.read += 1
        if counts.read % _SAID_EVERY == 0:
            counts.tell(counts.read)
        try:
            refuse(source, choice)
            drafts.append((source, maker.draft(source)))
        except LeftOutError as left_out:
            counts.left_out[str(left_out)] += 1
        if len(drafts) == _AT_ONCE:
            yield from _finished(drafts, maker, counts)
            drafts.clear()
    yield from _finished(drafts, maker, counts)


def _finished(drafts: list[tuple[Source, Draft]], maker: Maker, counts: Counts) -> Iterator[tuple[Source, Example]]:
    plan = maker.suspected([draft for _source, draft in drafts])
    for source, draft in drafts:
        try:
            example = maker.finished(draft, plan)
        except LeftOutError as left_out:
            counts.left_out[str(left_out)] += 1
        except UncleanError as error:
            counts.left_out["bad_text" if "surrogate" in str(error) else "unclean"] += 1
        else:
            yield source, example


def refuse(source: Source, choice: Choice) -> None:
    """Leave out what the choice does not ask for, as far as the head alone tells.

    Raises:
        LeftOutError: it does not fit.
    """
    if choice.model is not None and source.model != choice.model:
        raise LeftOutError("model")
    if choice.metadata and not _has(source, choice):
        raise LeftOutError("metadata")
    if choice.kind == "preference" or source.correction is not None:
        return
    if choice.feedback == "success" and (source.score is None or source.score < SUCCESS_FROM):
        raise LeftOutError("feedback")
    if choice.feedback == "unfailed" and source.score is not None and source.score < SUCCESS_FROM:
        raise LeftOutError("feedback")


def _has(source: Source, choice: Choice) -> bool:
    said = values_of(bytes(source.told.metadata))
    return isinstance(said, dict) and all(
        name in said and (said[name] == value or str(said[name]) == value) for name, value in choice.metadata.items()
    )


def note(counts: Counts, source: Source, example: Example, answer: bytes) -> None:
    """Count what an example adds to the edition."""
    counts.answers[answer] += 1
    counts.letters += letters_of(example)
    counts.corrected += source.correction is not None
    counts.models[source.model or ""] += 1
    counts.fingerprints[example.fingerprint or ""] += 1
