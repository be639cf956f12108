"""Read a part ahead: while one is worked on, a thread fetches the next, so that neither waits for the other.

From a file there is nothing to wait for: there the parts are read one by one, without a thread.

At most two parts are in memory. Each part is fetched whole, in a transaction of its own, so nothing is held open
between them, and a pooler may stand before the database.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from .database import Store

T = TypeVar("T")


def ahead(store: Store, parts: Generator[T, None, None]) -> Iterator[T]:
    """Give parts in their order, the next one on its way already.

    Args:
        store: Where they are read from.
        parts: Run in a thread of its own, which has ended when the last part was given, or when nobody wants more;
            what it raises is raised here, after the parts before it.
    """
    if store.is_sqlite:
        yield from parts
        return
    with ThreadPoolExecutor(1, thread_name_prefix="logos-shift-reader") as reader:
        coming = reader.submit(next, parts, None)
        try:
            while (part := coming.result()) is not None:
                coming = reader.submit(next, parts, None)
                yield part
        finally:
            wait([coming])
            parts.close()
