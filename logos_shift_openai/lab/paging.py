"""Lists in pages, as OpenAI's list endpoints cut them.

Owns the query parameters ``after``, ``limit`` and ``order`` and the shape of a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = dict[str, object]


def page(
    newest_first: Sequence[Json],
    query: Mapping[str, str],
    *,
    limit: int = 20,
    most: int = 100,
    ends: bool = False,
) -> Json:
    """Cut one page out of a list.

    Args:
        newest_first: All items, each with an ``id``.
        query: The request's query parameters.
        limit: Items a page where the request does not say.
        most: The most a request may ask for.
        ends: Also name the ids of the page's first and last item.

    Raises:
        ApiError: 400 for a limit, an order or an ``after`` that makes no sense.
    """
    items = list(newest_first)
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise invalid(f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'.", "order")
    if order == "asc":
        items.reverse()
    start = _start(items, query.get("after"))
    size = _size(query.get("limit"), limit, most)
    cut = items[start : start + size]
    named: Json = {
        "first_id": cut[0]["id"] if cut else None,
        "last_id": cut[-1]["id"] if cut else None,
    }
    body: Json = {"object": "list", "data": cut, "has_more": start + size < len(items)}
    return {**body, **named} if ends else body


def _start(items: Sequence[Json], after: str | None) -> int:
    if not after:
        return 0
    for place, item in enumerate(items):
        if item["id"] == after:
            return place + 1
    raise invalid(f"Invalid 'after': nothing here has the id '{after}'.", "after")


def _size(asked: str | None, usual: int, most: int) -> int:
    if asked is None:
        return usual
    if not asked.isdecimal() or not 1 <= int(asked) <= most:
        raise invalid(f"Invalid 'limit': expected a value from 1 to {most}, but got '{asked}'.", "limit")
    return int(asked)
