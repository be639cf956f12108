"""The rows of Banking77 that ship with the lab: ten intents, with the published train and test texts apart.

Owns the two CSV files beside it and nothing else. No text of the test split stands in the train split.
Source, licence (CC-BY-4.0) and changes: ``LICENSE-attribution.txt`` in this folder.
"""

from __future__ import annotations

import csv
import io
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["labels", "rows"]

Split = Literal["train", "test"]


def rows(split: Split = "train", intents: Iterable[str] | None = None) -> list[tuple[str, str]]:
    """Read the shipped rows as ``(text, intent)`` pairs, in file order.

    Args:
        split: "train" (1,403 rows) or "test" (199 rows, held out).
        intents: Only rows of these intents; None means all ten.

    Raises:
        ValueError: A split or an intent that does not exist.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split: {split!r} is neither 'train' nor 'test'")
    if intents is None:
        return list(_read(split))
    wanted = set(intents)
    unknown = sorted(wanted.difference(labels()))
    if unknown:
        raise ValueError(f"intents: {', '.join(unknown)} not among {', '.join(labels())}")
    return [row for row in _read(split) if row[1] in wanted]


def labels() -> list[str]:
    """Name the ten shipped intents, in alphabetical order."""
    return sorted({intent for _, intent in _read("train")})


@lru_cache(maxsize=2)
def _read(split: Split) -> tuple[tuple[str, str], ...]:
    file = resources.files(__name__) / f"banking77_{split}.csv"
    # Read as bytes: some texts hold line ends, which text mode would change.
    reader = csv.reader(io.StringIO(file.read_bytes().decode("utf-8"), newline=""))
    next(reader)  # the heading
    return tuple((text, intent) for text, intent in reader)
