"""Dictionaries: trained on the bodies and heads of a dataset, they halve what each of its bodies takes.

A dataset gets its first one when it has a few hundred calls, and a better one at each further tenfold; bodies
that were packed before keep the one they were packed with.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, insert, select

from . import zstd
from .store.evidence import sums_by_key
from .store.schema import call_bodies, calls, dictionaries

if TYPE_CHECKING:
    from .store.database import Store

FIRST_AT: Final = 150
_GROWTH: Final = 10
_SAMPLES: Final = 1_000
_SAMPLE_BYTES: Final = 64 * 1024
_ALL_BYTES: Final = 8 * 1024 * 1024
_SIZE: Final = 64 * 1024
_LOWEST, _HIGHEST = 32_768, 2**31 - 1  # numbers below and above are reserved: RFC 8878, section 6.2
_IDLE_SECONDS: Final = 60.0


def train_due(store: Store, now: int) -> float:
    """Train a dictionary for each dataset that has grown enough.

    Args:
        store: Which one.
        now: Milliseconds since 1970.

    Returns:
        Seconds to the next turn.
    """
    for dataset, count in due(store).items():
        train(store, dataset, count, now)
    return _IDLE_SECONDS


def due(store: Store) -> dict[str, int]:
    """Name the datasets that a dictionary is to be trained for, with the calls they have."""
    counts: dict[str, int] = {}
    with store.reading() as connection:
        for key, sums in sums_by_key(connection).items():
            counts[key.dataset] = counts.get(key.dataset, 0) + sums.calls
        last = select(dictionaries.c.dataset, func.max(dictionaries.c.calls).label("calls")).group_by(
            dictionaries.c.dataset
        )
        trained = {row.dataset: row.calls for row in connection.execute(last)}
    return {
        dataset: count
        for dataset, count in counts.items()
        if count >= (trained[dataset] * _GROWTH if dataset in trained else FIRST_AT)
    }


def train(store: Store, dataset: str, count: int, now: int) -> int | None:
    """Train a dictionary on the latest bodies of a dataset.

    Args:
        store: Which one.
        dataset: Whose bodies.
        count: How many calls it has.
        now: Milliseconds since 1970.

    Returns:
        The dictionary's number; None where the bodies are too few or too much alike for one.
    """
    samples = _bodies(store, dataset)
    number = _LOWEST + int.from_bytes(os.urandom(4), "little") % (_HIGHEST - _LOWEST)
    try:
        trained = _numbered(zstd.train_dict(samples, _SIZE).dict_content, number)
    except (zstd.ZstdError, ValueError):  # of samples that are too small, or of none
        return None
    with store.writing() as connection:
        connection.execute(
            insert(dictionaries).values(id=number, dataset=dataset, at=now, calls=max(count, FIRST_AT), data=trained)
        )
    store.codec.forget()
    return number


def _numbered(dictionary: bytes, number: int) -> bytes:
    """Give a dictionary a number of ours: of itself two that are alike have the same (RFC 8878, section 5)."""
    return dictionary[:4] + number.to_bytes(4, "little") + dictionary[8:]


def _bodies(store: Store, dataset: str) -> list[bytes]:
    latest = (
        select(calls.c.rest, call_bodies.c.codec, call_bodies.c.data, call_bodies.c.place)
        .join_from(calls, call_bodies, call_bodies.c.call_id == calls.c.id)
        .where(calls.c.dataset == dataset)
        .order_by(calls.c.at.desc())
        .limit(_SAMPLES)
    )
    samples: list[bytes] = []
    size = 0
    with store.reading() as connection:
        for row in connection.execute(latest).all():
            pack = store.codec.unpack(connection, row.codec, store.bodies.fetch(row.data, row.place))[:_SAMPLE_BYTES]
            samples += (pack, store.codec.unpack_rest(connection, row.rest))
            size += len(pack)
            if size >= _ALL_BYTES:
                break
    return samples
