"""Search calls: by their columns, by what they cost and by what was said, in a window of bounded size at a time.

Theory of operation. Only times and datasets are indexed, and bodies are compressed, so a search for something rare
would read the whole store. Instead one look reads a window of calls, the latest first: `WINDOW` rows where columns
decide, of which at most `COST_ROWS` are reckoned and `TEXT_ROWS` are read. What was found is a page, however few, and
its cursor goes on where the look ended. So a look costs the same with a million calls as with ten thousand, and ingest
pays nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, select

from .calls import Filters, conditions, cost_of, with_feedback
from .excerpts import answered, asked, found_in
from .prices import Prices, read_prices
from .store.database import store_of
from .store.rows import Row, head_of, values_of
from .store.schema import call_bodies, calls

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW: Final = 20_000
"""Calls among which one look searches by columns that are not indexed."""

COST_ROWS: Final = 2_000
"""Calls whose cost one look reckons."""

TEXT_ROWS: Final = 1_000
"""Calls whose texts one look reads."""

_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for.

    Args:
        filters: What columns decide; its `limit` is the length of a page.
        text: Stands in the request or the answer, in whatever case.
        slower: Took at least so many milliseconds.
        dearer: Cost at least so many US dollars; a call without a price is left out.
        previews: Whether each call comes with what was asked and answered, shortened.
    """

    filters: Filters
    text: str | None = None
    slower: float | None = None
    dearer: float | None = None
    previews: bool = False


@dataclass(slots=True)
class Found:
    """A page of calls, the latest first.

    Args:
        calls: Heads with `feedback`, `cost` in US dollars or None, and, as asked for, `asked`, `answered`, `match`.
        next: The time and id after which the next page begins; None where nothing is left.
        unread: Calls whose texts lie in another store and were not looked through.
    """

    calls: list[Row] = field(default_factory=list)
    next: tuple[int, str] | None = None
    unread: int = 0


def search_calls(connection: Connection, search: Search) -> Found:
    """Take one look.

    Args:
        connection: A reader's connection.
        search: What is looked for.
    """
    limit = search.filters.limit or _MOST
    prices = read_prices(connection)
    floor = _floor(connection, search.filters) if _needs_window(search) else None
    budget = TEXT_ROWS if search.text is not None else COST_ROWS if search.dearer is not None else limit + 1
    rows = _rows(connection, search, floor, budget)
    found = Found()
    kept: list[RowMapping] = []
    for row in rows:
        if len(kept) == limit:
            found.next = (kept[-1]["at"], kept[-1]["id"])
            break
        if _fits(connection, search, prices, row, found):
            kept.append(row)
    else:
        if len(rows) == budget:
            found.next = (rows[-1]["at"], rows[-1]["id"])
        elif floor is not None:
            found.next = (floor, "")
    found.calls = with_feedback(connection, [_shown(connection, search, prices, row) for row in kept])
    return found


def _needs_window(search: Search) -> bool:
    """Whether anything is looked for that no index knows."""
    one = search.filters
    unknown = (one.model, one.variant, one.experiment, one.feedback, search.slower)
    return one.errors or any(value is not None for value in unknown)


def _floor(connection: Connection, filters: Filters) -> int | None:
    """Find the time at which the window ends; None where all that is left fits into it. Read from an index alone."""
    indexed = Filters(dataset=filters.dataset, since=filters.since, until=filters.until)
    query = select(calls.c.at).where(*conditions(indexed)).order_by(calls.c.at.desc()).offset(WINDOW).limit(1)
    if filters.before is not None:
        query = query.where(calls.c.at <= filters.before[0])
    found: int | None = connection.scalar(query)
    return found


def _rows(connection: Connection, search: Search, floor: int | None, budget: int) -> Sequence[RowMapping]:
    wanted: list[ColumnElement[bool]] = conditions(search.filters)
    if floor is not None:
        wanted.append(calls.c.at >= floor)
    if search.slower is not None:
        wanted.append(calls.c.duration_ms >= search.slower)
    query = select(calls)
    if search.text is not None:
        query = select(calls, *_BODY).outerjoin(call_bodies, call_bodies.c.call_id == calls.c.id)
    query = query.where(*wanted).order_by(calls.c.at.desc(), calls.c.id.desc()).limit(budget)
    return connection.execute(query).mappings().all()


_BODY: Final = tuple(call_bodies.c[name] for name in ("codec", "data", "place"))


def _fits(connection: Connection, search: Search, prices: Prices, row: RowMapping, found: Found) -> bool:
    """Decide what columns cannot."""
    if search.dearer is not None:
        cost = cost_of(prices, _head(connection, row))
        if cost is None or cost < search.dearer:
            return False
    if search.text is None:
        return True
    if row["codec"] is not None and row["data"] is None:
        found.unread += 1
        return False
    return _match(connection, row, search.text) is not None


def _match(connection: Connection, row: Row | RowMapping, text: str) -> str | None:
    """Give what stands around a text in the bodies; they are read as JSON only where their bytes hold it."""
    if row["codec"] is None:
        return None
    pack = store_of(connection).codec.unpack(connection, row["codec"], row["data"])
    wanted = text.casefold()
    # As it would stand in JSON; what is found so is looked up in the texts themselves.
    if json.dumps(wanted, ensure_ascii=False)[1:-1] not in _unescaped(pack):
        return None
    bodies = values_of(pack)
    return found_in([bodies.get("response"), bodies.get("request")], wanted)


def _unescaped(pack: bytes) -> str:
    """Write JSON in folded case, without its escapes of characters by their numbers."""
    written = pack.decode("utf-8", "replace")
    if "\\u" in written:
        plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), written)
        written = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # pairs become one character
    return written.casefold()


_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


def _shown(connection: Connection, search: Search, prices: Prices, row: RowMapping) -> Row:
    head = _head(connection, row)
    head["cost"] = cost_of(prices, head)
    if search.text is not None:
        head["match"] = _match(connection, row, search.text)
    if search.previews:
        head.update(_preview(connection, row["id"]))
    return head


def _head(connection: Connection, row: RowMapping) -> Row:
    return head_of(row, store_of(connection).codec.unpack_rest(connection, row["rest"]))


def _preview(connection: Connection, call_id: str) -> dict[str, Any]:
    body = connection.execute(select(*_BODY).where(call_bodies.c.call_id == call_id)).mappings().first()
    if body is None:
        return {"asked": None, "answered": None}
    if body["data"] is None:  # it would be a request each
        return {"asked": None, "answered": None, "elsewhere": True}
    bodies = values_of(store_of(connection).codec.unpack(connection, body["codec"], body["data"]))
    return {"asked": asked(bodies.get("request")), "answered": answered(bodies.get("response"))}
