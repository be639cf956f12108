"""Build an edition: choose, make lines, split, leave duplicates out, write both files and the manifest.

Theory of operation. One pass in the order of `reading`; what stays in memory of a call is 16 bytes that know its
prompt. The split is by the hash of the conversation and nothing else, before duplicates are looked for: whatever else
is chosen, a conversation is always on the same side, so no prompt can stand in both. Nothing of time or place is
written, so the same calls give the same bytes; the id is the hash of the manifest, which has the hashes of all files.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from logos_shift_openai.core.left_out import REASONS
from logos_shift_openai.core.redaction import Redaction

from .bodies import text_of
from .choosing import EditionError
from .duplicates import NearDuplicates, answer_digest, prompt_digest
from .examples import Maker
from .files import ASKED, HELDOUT, SOURCES, TRAIN, Files
from .lines import chat_line
from .manifest import manifest_of
from .pairs import pairs
from .pruning import constant_texts
from .scrubbing import Scrubber
from .sifting import Counts, Row, chosen, note, split_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from logos_shift_openai.server.store.database import Store

    from .choosing import Choice


def build(store: Store, choice: Choice, folder: Path, progress: Callable[[int], None] = lambda _read: None) -> str:
    """Write an edition's files into a folder.

    Args:
        store: Where the calls are.
        choice: Which, and how.
        folder: Empty; nobody else looks into it.
        progress: Called with the number of calls looked at.

    Returns:
        The id.

    Raises:
        EditionError: nothing is left to train on; the message says why and what can be done.
        StoreError: the store cannot be read.
    """
    counts = Counts(progress)
    made = rows_of(store, choice, counts)
    with Files(folder) as files:
        for row in made.rows:
            files.write(row.split, row.line)
            if row.asked:
                files.write(ASKED, row.asked)
            files.write(SOURCES, "\t".join(row.ids).encode() + b"\n")
        if not files.rows(TRAIN):
            raise EditionError(_nothing(choice, counts, files.rows(HELDOUT)))
        manifest = manifest_of(choice, made.prune, counts, made.scrubber.counts, files)
        return files.finish(manifest)


class Rows(NamedTuple):
    """The rows of an edition.

    Args:
        rows: Made as they are read; what is counted is right when all have been.
        prune: System texts that are left out of them.
        scrubber: Counts what it redacts.
    """

    rows: Iterator[Row]
    prune: tuple[str, ...]
    scrubber: Scrubber


def rows_of(store: Store, choice: Choice, counts: Counts) -> Rows:
    """Begin to make the rows of a choice; `counts` tells what came of the calls."""
    found = constant_texts(store, choice) if choice.prune_constant else ()
    prune = tuple(sorted({*choice.prune, *found}))
    scrubber = Scrubber(Redaction.build(choice.redaction))
    maker = Maker(choice, scrubber, frozenset(prune))
    made = pairs(store, choice, maker, counts) if choice.kind == "preference" else _rows(store, choice, maker, counts)
    return Rows(made, prune, scrubber)


def _rows(store: Store, choice: Choice, maker: Maker, counts: Counts) -> Iterator[Row]:
    prompts: set[bytes] = set()
    near = None if choice.near is None else NearDuplicates(choice.near)
    kept = 0
    for source, example in chosen(store, choice, maker, counts):
        split = split_of(choice, example.conversation)
        prompt, said = prompt_digest(example), text_of(example.answer)
        answer = answer_digest(said)
        line = chat_line(example)
        asked = maker.asked(source, example) if split == HELDOUT else b""
        reason = None
        if asked is None:
            reason = "unclean"
        elif prompt in prompts:
            reason = "duplicate"
        elif len(line) > choice.max_bytes:
            reason = "too_long"
        elif choice.per_answer is not None and counts.answers[answer] >= choice.per_answer:
            reason = "per_answer"
        elif choice.limit is not None and kept >= choice.limit:
            reason = "limit"
        elif near is not None and not near.is_new(example, said):
            reason = "near_duplicate"
        if reason is not None:
            counts.left_out[reason] += 1
            continue
        prompts.add(prompt)
        kept += 1
        note(counts, source, example, answer)
        yield Row(split, line, (source.id,), asked or b"")


def _nothing(choice: Choice, counts: Counts, heldout: int) -> str:
    if heldout:
        return f"only {heldout} examples, all of them in the held-out part: record more calls, or lower --heldout"
    if not counts.read:
        return f"no calls of the dataset {choice.dataset!r} in that time: see logos-shift dataset list"
    parts = [
        f"{count:,} of {counts.read:,} left out because {REASONS[name].meaning} ({REASONS[name].step})"
        for name, count in islice(counts.left_out.most_common(), 3)
    ]
    return "no call is left to train on: " + "; ".join(parts)
