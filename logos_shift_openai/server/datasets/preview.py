"""Look at what an edition would be made of, without making one: what is chosen, what each rule leaves out, examples.

Rule: it reads the latest `MOST` calls of the dataset at most, so it costs the same at any size; nothing is written.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, select

from logos_shift_openai.server.store.schema import calls

from .building import rows_of
from .files import HELDOUT, TRAIN
from .sifting import Counts

if TYPE_CHECKING:
    from logos_shift_openai.server.store.database import Store

    from .choosing import Choice

MOST: Final = 1_000
_EXAMPLES: Final = 8


@dataclass(frozen=True, slots=True)
class Preview:
    """What a choice comes to.

    Args:
        read: Calls that were looked at.
        since: The time that they begin at, milliseconds since 1970, where there are older ones; else None.
        train: Examples to train on.
        heldout: Those held out.
        corrected: Of both, those whose answer a person has corrected.
        left_out: Calls by the reason why they are none.
        redacted: How often each redaction rule would replace something.
        answers: How many different answers there are.
        examples: Some of the lines to train on, as values.
    """

    read: int
    since: int | None
    train: int
    heldout: int
    corrected: int
    left_out: dict[str, int]
    redacted: dict[str, int]
    answers: int
    examples: list[Any]


def preview(store: Store, choice: Choice) -> Preview:
    """Look.

    Raises:
        StoreError: the store cannot be read.
    """
    with store.reading() as connection:
        since = _since(connection, choice)
    if since is not None:
        choice = replace(choice, since=since)
    counts, splits = Counts(), Counter[str]()
    examples: list[Any] = []
    made = rows_of(store, choice, counts)
    for row in made.rows:
        splits[row.split] += 1
        if row.split == TRAIN and len(examples) < _EXAMPLES:
            examples.append(json.loads(row.line))
    return Preview(
        counts.read,
        since,
        splits[TRAIN],
        splits[HELDOUT],
        counts.corrected,
        dict(sorted(counts.left_out.items(), key=lambda one: (-one[1], one[0]))),
        dict(sorted(made.scrubber.counts.items())),
        len(counts.answers),
        examples,
    )


def _since(connection: Connection, choice: Choice) -> int | None:
    """Find the time from which on calls are looked at; None where none has to be left out."""
    query = select(calls.c.at).where(calls.c.dataset == choice.dataset)
    if choice.until is not None:
        query = query.where(calls.c.at < choice.until)
    if choice.since is not None:
        query = query.where(calls.c.at >= choice.since)
    beyond: int | None = connection.scalar(query.order_by(calls.c.at.desc()).offset(MOST).limit(1))
    return None if beyond is None else beyond + 1
