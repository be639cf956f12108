"""Which editions and datasets there are: the rows that all processes of a server see, made when an edition is whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select

from logos_shift_openai.server.statistics import variant_statistics
from logos_shift_openai.server.store.schema import calls, editions

from .building import build
from .choosing import EditionError
from .files import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logos_shift_openai.server.store.database import Store

    from .choosing import Choice
    from .keeping import EditionStore


@dataclass(frozen=True, slots=True)
class Edition:
    """An edition that is there.

    Args:
        at: When it was made, milliseconds since 1970.
        place: Where its files lie.
    """

    id: str
    dataset: str
    at: int
    place: str
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that has calls.

    Args:
        rated: Calls with feedback.
        first_at: Of its first call, milliseconds since 1970.
    """

    name: str
    calls: int
    rated: int
    first_at: int | None
    last_at: int | None
    editions: int


def make_edition(
    store: Store,
    kept: EditionStore,
    choice: Choice,
    now: int,
    progress: Callable[[int], None] = lambda _read: None,
) -> Edition:
    """Build an edition and make it known; the same one again is the one that is there.

    Args:
        store: Where the calls are.
        kept: Where its files go.
        choice: What it is made of.
        now: Milliseconds since 1970.
        progress: Called with the number of calls looked at.

    Raises:
        EditionError: nothing is left to train on, or its files cannot be written.
        StoreError: the store cannot be read or written.
    """
    try:
        with kept.workplace() as folder:
            name = build(store, choice, folder, progress)
            manifest = (folder / MANIFEST).read_text(encoding="utf-8")
            place = kept.publish(folder, name)
    except OSError as error:
        raise EditionError(f"the edition cannot be written: {error.strerror or error}") from error
    with store.writing() as connection:
        there = find_edition(connection, name)
        if there is not None:
            return there
        row = {"id": name, "dataset": choice.dataset, "at": now, "place": place, "manifest": manifest}
        connection.execute(insert(editions).values(row))
    return Edition(name, choice.dataset, now, place, json.loads(manifest))


def list_editions(connection: Connection, dataset: str | None = None) -> list[Edition]:
    """List the editions, the latest first."""
    query = select(editions).order_by(editions.c.at.desc(), editions.c.id)
    if dataset is not None:
        query = query.where(editions.c.dataset == dataset)
    return [_edition(row) for row in connection.execute(query).mappings()]


def find_edition(connection: Connection, name: str) -> Edition | None:
    """Find an edition by its id, or by the beginning of it where only one begins so."""
    if not name.isalnum():
        return None
    query = select(editions).where(editions.c.id.startswith(name)).order_by(editions.c.id).limit(2)
    rows = connection.execute(query).mappings().all()
    return _edition(rows[0]) if len(rows) == 1 else None


def remove_edition(store: Store, kept: EditionStore, name: str) -> bool:
    """Remove an edition and its files; tell whether it was there."""
    with store.writing() as connection:
        found = connection.execute(delete(editions).where(editions.c.id == name)).rowcount
    if found:
        kept.remove(name)
    return bool(found)


def list_datasets(connection: Connection) -> list[Dataset]:
    """List the datasets by name; counts are the evidence's, so it takes no longer with ten million calls."""
    counted: dict[str, list[int]] = {}
    for row in variant_statistics(connection, None, None, None):
        sums = counted.setdefault(row.dataset, [0, 0])
        sums[0] += row.calls
        sums[1] += row.success.scored
    made: dict[str, int] = dict(_per_dataset(connection))
    found = []
    for name, (count, rated) in sorted(counted.items()):
        # Each by itself is one step down the index; both in one query would walk along all of it.
        first, last = (
            connection.scalar(select(end(calls.c.at)).where(calls.c.dataset == name)) for end in (func.min, func.max)
        )
        found.append(Dataset(name, count, rated, first, last, made.get(name, 0)))
    return found


def _per_dataset(connection: Connection) -> Iterator[tuple[str, int]]:
    query = select(editions.c.dataset, func.count()).group_by(editions.c.dataset)
    yield from ((name, count) for name, count in connection.execute(query))


def _edition(row: RowMapping) -> Edition:
    return Edition(row["id"], row["dataset"], row["at"], row["place"], json.loads(row["manifest"]))
