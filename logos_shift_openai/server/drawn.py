"""What a batch of records says to the rollouts that are open: calls that were drawn, and scores that changed.

Written in the transaction that takes the records in, one row a batch and experiment; counted later, by whoever leads
(`counting`). Where no rollout is open, nothing is done but to find that out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from logos_shift_openai.core.booking import was_drawn
from logos_shift_openai.core.policy import policy_from
from logos_shift_openai.core.rollout_state import ENDED, state_from
from logos_shift_openai.core.strict import ConfigError

from .measures import Scorer, kept_as_counts, measured
from .prices import read_prices
from .store.rollout_counts import Event, EventCall, EventChange, append_event, unit_digest
from .store.rows import Rest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import Connection

    from .prices import Prices
    from .store.evidence import Changed
    from .store.rows import Head


_rest: Final = msgspec.json.Decoder(Rest).decode


class Drawn:
    """What one batch says.

    Args:
        scorers: Of the rollouts that are open, by experiment.
        prices: What models cost; None where no rollout asks for it.
    """

    def __init__(self, scorers: dict[str, Scorer], prices: Prices | None = None) -> None:
        self._scorers = scorers
        self._prices = prices
        self._noted: dict[str, tuple[str, EventCall]] = {}

    @classmethod
    def read(cls, connection: Connection) -> Drawn:
        """Find the open rollouts, with a statement written bare: it runs for every batch."""
        rows = connection.exec_driver_sql("SELECT experiment, policy, state FROM rollouts").all()
        found = ((row.experiment, _scorer_if_open(row.policy, row.state)) for row in rows)
        scorers = {experiment: scorer for experiment, scorer in found if scorer is not None}
        costly = any("cost" in scorer.metrics for scorer in scorers.values())
        return cls(scorers, read_prices(connection) if costly else None)

    def note(self, head: Head, rest: bytes) -> None:
        """Note a call, with its `rest` as JSON, whether it is new or not."""
        scorer = self._scorers.get(head.experiment) if head.experiment and self._scorers else None
        if scorer is None or head.experiment is None or head.assigned is None:
            return
        draw = _rest(rest)
        if draw.unit_kind is None or draw.unit_id is None or draw.share is None or draw.bucket is None:
            return
        if was_drawn(head.assigned, draw.share, draw.bucket):  # type: ignore[arg-type]  # was checked when it came in
            row = msgspec.structs.asdict(head)
            row["score"] = None
            unit = b"" if draw.unit_kind == "call" else unit_digest(draw.unit_kind, draw.unit_id)
            candidate = head.assigned == "candidate"
            call = EventCall(
                head.id if unit else "", head.at, unit, draw.share, candidate, scorer(measured(row, draw, self._prices))
            )
            self._noted[head.id] = (head.experiment, call)

    def write(self, connection: Connection, new: Collection[str], changed: Iterable[Changed]) -> None:
        """Append what is new.

        Args:
            connection: A writer's connection.
            new: The ids of the calls noted that are new.
            changed: Calls whose score by feedback changed.
        """
        if not self._scorers:
            return
        events: dict[str, Event] = {}
        fresh = {call_id: self._noted[call_id] for call_id in new if call_id in self._noted}
        for experiment, call in fresh.values():
            events.setdefault(experiment, Event([], [])).calls.append(call)
        for one in changed:
            scorer = self._scorers.get(one.experiment)
            if scorer is None:
                continue
            before, after = (
                None if value is None else scorer({"success": value}).get("success")
                for value in (one.before, one.after)
            )
            if one.id in fresh and before is None and after is not None:
                fresh[one.id][1].scores["success"] = after
            elif before != after:
                change = EventChange(one.id, "success", before, after)
                events.setdefault(one.experiment, Event([], [])).changes.append(change)
        for experiment, event in sorted(events.items()):
            append_event(connection, experiment, event)


@lru_cache(maxsize=256)
def _scorer_if_open(policy: str, state: str) -> Scorer | None:
    try:
        if state_from(msgspec.json.decode(state)).phase in ENDED:
            return None
        read = policy_from(msgspec.json.decode(policy))
        return Scorer(read) if kept_as_counts(read) else None
    except (ConfigError, msgspec.DecodeError):  # whoever looks at the rollouts says so
        return None
