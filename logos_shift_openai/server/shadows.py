"""Shadows in the store: answers of a candidate to calls that somebody else answered, compared with those answers.

They are no calls: they lie apart, and nothing that counts calls or reads feedback sees them. A shadow and its call may
come in either order; they are compared when both are there, a bounded number at a look. A candidate that failed agrees
with nothing. What cannot be compared (the call's body is gone, cut, or no answer) is marked and not counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, case, func, select, update

from logos_shift_openai.core.agreement import COMPARERS, IncomparableError
from logos_shift_openai.core.evidence import Cell, on_grid
from logos_shift_openai.core.rollout_words import AGREEMENT

from .store.codec import ZSTD
from .store.database import store_of
from .store.hot_insert import insert_new
from .store.rows import bodies_of
from .store.schema import call_bodies, calls, shadows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import RowMapping

    from logos_shift_openai.core.evidence import Evidence

    from .store.database import Store
    from .store.shadow_rows import ShadowRow

NOT: Final = "not"
"""The way in which a pair is compared that cannot be."""

_AT_ONCE: Final = 200
_MOST_AT_A_LOOK: Final = 2_000


class Pair(NamedTuple):
    """A shadow with the call that it mirrors.

    Args:
        shadow: The shadow's row.
        baseline: The answer that the caller got; None where it is not kept, or not whole.
        candidate: The candidate's; None where it failed, or is not kept.
        request: What was asked.
    """

    shadow: RowMapping
    baseline: Any
    candidate: Any
    request: Any

    @property
    def failed(self) -> bool:
        """Whether the candidate gave no answer."""
        return self.shadow["error_type"] is not None

    def score(self, compare: Callable[[Any, Any], float]) -> float:
        """Compare the answers.

        Raises:
            IncomparableError: one of them is not there.
        """
        if self.baseline is None or (self.candidate is None and not self.failed):
            raise IncomparableError("an answer is not kept, or not whole")
        compared = compare(self.baseline, self.candidate if not self.failed else None)
        return 0.0 if self.failed else compared


def keep_shadows(connection: Connection, found: Iterable[ShadowRow]) -> int:
    """Insert the shadows that are not there yet, and tell how many those were."""
    codec = store_of(connection).codec
    rows = []
    for one in found:
        values = [getattr(one, name) for name in one.__struct_fields__]
        rows.append((*values[:-1], codec.pack(one.dataset, one.data)))
    return len(insert_new(connection, shadows, rows))


def compare_waiting(store: Store, experiment: str, how: str, since: int) -> int:
    """Compare the pairs of an experiment that wait and are there whole; gives how many were.

    Args:
        store: Where they are.
        experiment: Its key.
        how: A comparer of `core.agreement`.
        since: Shadows from this time on, milliseconds since 1970.
    """
    compare = COMPARERS[how]
    done = 0
    waits = (shadows.c.experiment == experiment) & (shadows.c.at >= since) & shadows.c.compared.is_(None)
    there = select(calls.c.id).where(calls.c.id == shadows.c.shadow_of).exists()
    while done < _MOST_AT_A_LOOK:
        with store.reading() as connection:
            ids = list(connection.scalars(select(shadows.c.id).where(waits, there).limit(_AT_ONCE)))
            found = [(pair.shadow["id"], _compared(pair, how, compare)) for pair in pairs(connection, ids)]
        if not found:
            break
        with store.writing() as connection:
            for shadow_id, values in found:
                connection.execute(update(shadows).where(shadows.c.id == shadow_id).values(**values))
        done += len(found)
    return done


def _compared(pair: Pair, how: str, compare: Callable[[Any, Any], float]) -> dict[str, Any]:
    try:
        return {"compared": how, "score": pair.score(compare)}
    except IncomparableError:
        return {"compared": NOT, "score": None}


def pairs(connection: Connection, ids: Sequence[str]) -> list[Pair]:
    """Read shadows with the calls that they mirror, in the order of the shadows' ids."""
    bodies = call_bodies.c
    query = (
        select(shadows, bodies.codec, bodies.data.label("call_data"), bodies.place)
        .outerjoin_from(shadows, call_bodies, bodies.call_id == shadows.c.shadow_of)
        .where(shadows.c.id.in_(ids))
        .order_by(shadows.c.id)
    )
    return [_pair(connection, row) for row in connection.execute(query).mappings()]


def _pair(connection: Connection, row: RowMapping) -> Pair:
    store = store_of(connection)
    theirs: dict[str, Any] = {}
    ours: dict[str, Any] = {}
    if row["data"] is not None:
        theirs = bodies_of(store.codec.unpack(connection, ZSTD, row["data"]))
    if row["codec"] is not None:
        packed = store.bodies.fetch(row["call_data"], row["place"])
        ours = bodies_of(store.codec.unpack(connection, row["codec"], packed))
    return Pair(row, _whole(ours), _whole(theirs), ours.get("request"))


def _whole(bodies: dict[str, Any]) -> Any:
    """Give an answer as it was; None for one that was cut."""
    cut = any(str(path).startswith("response") for path in bodies.get("truncated") or ())
    return None if cut else bodies.get("response")


def shadow_totals(connection: Connection, experiment: str) -> dict[str, Any] | None:
    """Count the shadows of an experiment and what they took, apart from all calls; None where it has none."""
    column = shadows.c
    failed = func.sum(case((column.error_type.is_not(None), 1), else_=0))
    counts = (func.count(), failed, func.count(column.score), func.avg(column.score))
    tokens = (func.coalesce(func.sum(column.tokens_in), 0), func.coalesce(func.sum(column.tokens_out), 0))
    row = connection.execute(select(*counts, *tokens).where(column.experiment == experiment)).one()
    if not row[0]:
        return None
    asked, failures, compared, mean, read, written = row
    return {
        "asked": asked, "failed": int(failures), "compared": compared, "agreement": mean,
        "tokens_in": int(read), "tokens_out": int(written),
    }  # fmt: skip


def add_agreement(connection: Connection, evidence: Evidence, experiment: str, since: int) -> None:
    """Add the compared pairs of an experiment to the evidence of its shadow.

    Args:
        connection: A reader's connection.
        evidence: Changed in place.
        experiment: Its key.
        since: As for `compare_waiting`.
    """
    counts = (
        select(shadows.c.score, func.count())
        .where(shadows.c.experiment == experiment, shadows.c.at >= since, shadows.c.score.is_not(None))
        .group_by(shadows.c.score)
    )
    for score, count in connection.execute(counts).all():
        evidence.add(Cell(AGREEMENT, 0, 0, 0, "candidate", on_grid(score)), count)
