"""How many calls of an experiment go to the baseline because their prompt is none that the candidate was tuned on.

Read from the latest calls, a bounded number, for a share that is told once: when it is large, the candidate is to be
tuned anew; what its calls are today is in the records already.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, delete, insert, select

from logos_shift_openai.core.routing import PROMPT_CHANGED

from .config_place import config_of
from .notifications.outbox import new_id, notify
from .notifications.rules import Event
from .store.database import store_of
from .store.schema import calls, meta

if TYPE_CHECKING:
    from pathlib import Path

    from logos_shift_openai.core.config import Config

    from .store.database import Store

LATEST: Final = 500
FEWEST: Final = 50
SHARE: Final = 0.1
"""From there on somebody is told."""

_ROW: Final = "prompt_drift"
_DAY_MS: Final = 86_400_000


class Drift(NamedTuple):
    """What the latest calls of an experiment say.

    Args:
        calls: How many were looked at.
        changed: Of those, with a prompt that the candidate does not know.
    """

    experiment: str
    dataset: str
    calls: int
    changed: int

    @property
    def much(self) -> bool:
        """Whether somebody is to hear of it."""
        return self.calls >= FEWEST and self.changed >= SHARE * self.calls

    @property
    def words(self) -> str:
        """What is so, in words."""
        return (
            f"{self.changed} of the latest {self.calls} calls of {self.experiment} have a prompt that its candidate "
            "was not tuned on, and went to the baseline: retrain"
        )


def drifts(connection: Connection, config: Config, now: int) -> list[Drift]:
    """Look at the latest calls of a day, of each experiment that runs and whose candidate is for some prompts alone.

    Args:
        connection: A reader's connection.
        config: With the experiments.
        now: Milliseconds since 1970.
    """
    found = []
    store = store_of(connection)
    for one in config.experiments:
        if one.state != "running" or one.candidate.prompts is None:
            continue
        column = calls.c
        wanted = [column.experiment == one.key, column.at > now - _DAY_MS]
        if one.dataset != "*":
            wanted.append(column.dataset == one.dataset)
        query = select(column.assigned, column.rest).where(*wanted).order_by(column.at.desc()).limit(LATEST)
        rows = connection.execute(query).all()
        why = [json.loads(store.codec.unpack_rest(connection, row.rest)).get("why", "") for row in rows
               if row.assigned is None]  # fmt: skip
        found.append(Drift(one.key, one.dataset, len(rows), sum(said == PROMPT_CHANGED for said in why)))
    return found


def tell_drifts(store: Store, now: int, config_home: Path | None) -> None:
    """Tell of a drift once, and again after it was gone.

    Args:
        store: With the calls.
        now: Milliseconds since 1970.
        config_home: The home of the embedded config; None where the config is in the store.
    """
    with store.reading() as connection:
        found = [one for one in drifts(connection, config_of(connection, config_home), now) if one.much]
        told: list[Any] = json.loads(connection.scalar(select(meta.c.value).where(meta.c.name == _ROW)) or "[]")
    keys = [one.experiment for one in found]
    if keys == told:
        return
    with store.writing() as connection:
        for one in found:
            if one.experiment not in told:
                data = {"calls": one.calls, "changed": one.changed}
                dataset = None if one.dataset == "*" else one.dataset
                event = Event(new_id(now), "prompt.changed", now, one.words, one.experiment, dataset, data)
                notify(connection, event)
        connection.execute(delete(meta).where(meta.c.name == _ROW))
        connection.execute(insert(meta).values(name=_ROW, value=json.dumps(keys)))
