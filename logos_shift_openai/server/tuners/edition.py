"""An edition as tuners see it: a folder with the training file, the held-out file and the manifest.

Nothing here writes but the copy of one that lies in a bucket. A file is read line by line, so its size is of no matter.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.server.datasets.choosing import EditionError as NotMadeError
from logos_shift_openai.server.datasets.keeping import editions_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from logos_shift_openai.server.store.database import Store

FOLDER: Final = "editions"
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_PAIR: Final = ("input", "preferred_output", "non_preferred_output")
_LEAST: Final = 10  # what OpenAI asks for at least


class EditionError(Exception):
    """An edition that is not there or cannot be read; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Edition:
    """A frozen, split training set on disk.

    Args:
        id: Its content's name.
        train: Lines to train on.
        heldout: Lines that no training may see, for the judgement.
        manifest: What `manifest.json` says.
    """

    id: str
    train: Path
    heldout: Path
    manifest: Mapping[str, Any] = field(default_factory=dict)


def edition_of(store: Store, home: Path, edition_id: str) -> Edition:
    """Find an edition where this store's editions lie; one in an S3-compatible store is copied to this machine first.

    Args:
        store: Which one.
        home: The home folder, where editions or their copies lie.
        edition_id: Its name.

    Raises:
        EditionError: there is none of this name, or a part of it is missing or broken.
        StoreError: the bucket cannot be reached.
    """
    if not store.keeps_objects or not _ID.fullmatch(edition_id):
        return read_edition(home, edition_id)
    try:
        return _read(editions_of(store, home / FOLDER).folder(edition_id), edition_id)
    except NotMadeError as error:
        raise EditionError(str(error)) from None


def read_edition(home: Path, edition_id: str) -> Edition:
    """Find an edition in a home folder.

    Raises:
        EditionError: there is none of this name, or a part of it is missing or broken.
    """
    if not _ID.fullmatch(edition_id):
        raise EditionError(f"{edition_id!r} is no name of an edition")
    return _read(home / FOLDER / edition_id, edition_id)


def _read(folder: Path, edition_id: str) -> Edition:
    train, heldout = folder / "train.jsonl", folder / "heldout.jsonl"
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except FileNotFoundError:
        raise EditionError(f"there is no edition {edition_id}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise EditionError(f"the manifest of edition {edition_id} cannot be read: {type(error).__name__}") from None
    for path in (train, heldout):
        if not path.is_file():
            raise EditionError(f"edition {edition_id} has no {path.name}")
    return Edition(edition_id, train, heldout, manifest if isinstance(manifest, dict) else {})


def examples(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read a file of lines, each with its number from 1.

    Raises:
        EditionError: with the number of a line that is no JSON object.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                raise EditionError(f"{path.name}, line {number}: not JSON") from None
            if not isinstance(found, dict):
                raise EditionError(f"{path.name}, line {number}: not an object")
            yield number, found


def problems_of(edition: Edition, method: str) -> list[str]:
    """Tell what makes an edition useless for training, whoever trains: a line each.

    Args:
        edition: The edition.
        method: "supervised" wants chats with an answer, "dpo" pairs.
    """
    answers: set[bytes] = set()
    rows = 0
    try:
        for number, row in examples(edition.train):
            rows += 1
            answer = _preferred(row) if method == "dpo" else answer_of(row)
            if answer is None:
                wanted = ", ".join(_PAIR) if method == "dpo" else "messages that end with an answer"
                return [f"train.jsonl, line {number}: no {wanted}"]
            if len(answers) < 2:  # noqa: PLR2004 - two are enough to tell
                answers.add(hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).digest())
    except EditionError as error:
        return [str(error)]
    if rows < _LEAST:
        return [f"the edition has {rows} training examples; {_LEAST} are the least. Collect more calls first"]
    if len(answers) == 1:
        return [f"all {rows} training examples have the same answer: there is nothing to learn"]
    return []


def answer_of(row: Mapping[str, Any]) -> Any:
    """Give the content or the tool calls of the last message, None where that is no answer."""
    messages = row.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        return None
    return last.get("content") or last.get("tool_calls") or None


def _preferred(row: Mapping[str, Any]) -> Any:
    return row["preferred_output"] if all(row.get(part) for part in _PAIR) else None
