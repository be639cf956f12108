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

from .measures import grid_scores, measured
from .store.rollout_counts import Event, EventCall, EventChange, append_event, unit_digest
from .store.rows import Rest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import Connection

    from logos_shift_openai.core.policy import Policy

    from .store.evidence import Changed
    from .store.rows import Head

_rest: Final = msgspec.json.Decoder(Rest).decode


class Drawn:
    """What one batch says.

    Args:
        policies: Of the rollouts that are open, by experiment.
    """

    def __init__(self, policies: dict[str, Policy]) -> None:
        self._policies = policies
        self._noted: dict[str, tuple[str, EventCall]] = {}

    @classmethod
    def read(cls, connection: Connection) -> Drawn:
        """Find the open rollouts, with a statement written bare: it runs for every batch."""
        rows = connection.exec_driver_sql("SELECT experiment, policy, state FROM rollouts").all()
        found = ((row.experiment, _policy_if_open(row.policy, row.state)) for row in rows)
        return cls({experiment: policy for experiment, policy in found if policy is not None})

    def note(self, head: Head, rest: bytes) -> None:
        """Note a call, with its `rest` as JSON, whether it is new or not."""
        policy = self._policies.get(head.experiment) if head.experiment and self._policies else None
        if policy is None or head.experiment is None or head.assigned is None:
            return
        more = _rest(rest)
        if more.unit_kind is None or more.unit_id is None or more.share is None or more.bucket is None:
            return
        if was_drawn(head.assigned, more.share, more.bucket):  # type: ignore[arg-type]  # was checked when it came in
            scores = grid_scores(policy, measured({**msgspec.structs.asdict(head), "rest": rest, "score": None}))
            unit = b"" if more.unit_kind == "call" else unit_digest(more.unit_kind, more.unit_id)
            call = EventCall(head.id, head.at, unit, more.share, head.assigned == "candidate", scores)
            self._noted[head.id] = (head.experiment, call)

    def write(self, connection: Connection, new: Collection[str], changed: Iterable[Changed]) -> None:
        """Append what is new.

        Args:
            connection: A writer's connection.
            new: The ids of the calls noted that are new.
            changed: Calls whose score by feedback changed.
        """
        if not self._policies:
            return
        events: dict[str, Event] = {}
        for call_id in new:
            if call_id in self._noted:
                experiment, call = self._noted[call_id]
                events.setdefault(experiment, Event([], [])).calls.append(call)
        for one in changed:
            policy = self._policies.get(one.experiment)
            if policy is None:
                continue
            before, after = (
                None if value is None else grid_scores(policy, {"success": value}).get("success")
                for value in (one.before, one.after)
            )
            if one.id in self._noted and one.id in new and before is None and after is not None:
                self._noted[one.id][1].scores["success"] = after
            elif before != after:
                change = EventChange(one.id, "success", before, after)
                events.setdefault(one.experiment, Event([], [])).changes.append(change)
        for experiment, event in sorted(events.items()):
            append_event(connection, experiment, event)


@lru_cache(maxsize=256)
def _policy_if_open(policy: str, state: str) -> Policy | None:
    try:
        if state_from(msgspec.json.decode(state)).phase in ENDED:
            return None
        return policy_from(msgspec.json.decode(policy))
    except (ConfigError, msgspec.DecodeError):  # whoever looks at the rollouts says so
        return None
