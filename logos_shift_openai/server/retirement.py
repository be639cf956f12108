"""Models that are about to end: `shutdown_date` of baselines and candidates, read once a day from their providers.

Rule: somebody is told 30 days ahead, once; a candidate's traffic goes back to the baseline before the day begins. What
was read is kept, so that a provider that is away for a week changes nothing. Only names of models of experiments are
kept. A provider that this process does not know is not asked.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, Literal

import openai
from sqlalchemy import Connection, delete, insert, select

from .config_place import config_of
from .config_versions import change_config
from .experiments import ExperimentError, change_file, state_in
from .notifications.outbox import new_id, notify
from .notifications.rules import Event
from .rollout_reading import find_rollout
from .rollouts import change_rollout
from .store.schema import meta
from .tuners.named import sdk_client
from .tuners.problems import RefusedError, without_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from logos_shift_openai.core.config import Config, Experiment

    from .store.database import Store

AHEAD_DAYS: Final = 30
_ROW: Final = "retirement"
_DAY_MS: Final = 86_400_000
_SECONDS: Final = 10.0
_MOVED: Final = frozenset({"shadow", "ramping", "held_back", "paused", "done"})
_logger = logging.getLogger("logos_shift_openai.server")

Kept = dict[str, Any]
"""By provider ("" for the caller's own): `at`, `dates` by model, `fault`; under "told" what was told already."""


@dataclass(frozen=True, slots=True)
class Retiring:
    """A model of an experiment with a last day.

    Args:
        day: From then on it is gone.
        days: Until then; 0 or less where it has come.
    """

    experiment: str
    role: Literal["baseline", "candidate"]
    model: str
    day: date
    days: int

    @property
    def words(self) -> str:
        """What is so, in words."""
        when = f"on {self.day.isoformat()}, in {self.days} days" if self.days > 0 else f"since {self.day.isoformat()}"
        return f"{self.model}, the {self.role} of {self.experiment}, is gone {when}"


def read_dates(store: Store, environ: Mapping[str, str], now: int, config_home: Path | None) -> None:
    """Ask each provider that has not been asked for a day.

    Args:
        store: Where it is kept.
        environ: Where the providers stand.
        now: Milliseconds since 1970.
        config_home: The home of the embedded config; None where the config is in the store.
    """
    with store.reading() as connection:
        config, kept = config_of(connection, config_home), _kept(connection)
    for provider, models in _asked(config).items():
        if now < kept.get(provider, {}).get("at", 0) + _DAY_MS:
            continue
        try:
            client = sdk_client(provider or None, environ)
        except RefusedError:
            continue
        before = kept.get(provider, {}).get("dates", {})
        try:
            with client.with_options(timeout=_SECONDS, max_retries=1) as asking:
                found = {one.id: _date(one) for one in asking.models.list() if one.id in models}
            kept[provider] = {"at": now, "dates": found, "fault": None}
        except openai.OpenAIError as error:
            kept[provider] = {"at": now, "dates": before, "fault": without_keys(f"{type(error).__name__}: {error}")}
    with store.writing() as connection:
        _keep(connection, kept)


def retiring(connection: Connection, config: Config, now: int) -> list[Retiring]:
    """List the models of experiments that have a last day within 30 days, the nearest first.

    Args:
        connection: A reader's connection.
        config: With the experiments.
        now: Milliseconds since 1970.
    """
    kept = _kept(connection)
    today = datetime.fromtimestamp(now / 1000, tz=timezone.utc).date()
    found = []
    for one in config.experiments:
        for role, provider, model in _models(one):
            told = kept.get(provider, {}).get("dates", {}).get(model)
            if told is not None:
                day = date.fromisoformat(told)
                if day - today <= timedelta(days=AHEAD_DAYS):
                    found.append(Retiring(one.key, role, model, day, (day - today).days))
    return sorted(found, key=lambda one: (one.day, one.experiment, one.role))


def act(store: Store, now: int, config_home: Path | None) -> list[Retiring]:
    """Tell of what ends within 30 days, and move the traffic of a candidate back that ends within one.

    Args:
        store: With rollouts and config.
        now: Milliseconds since 1970.
        config_home: As for `read_dates`.

    Returns:
        Those whose traffic was moved.
    """
    with store.reading() as connection:
        found = retiring(connection, config_of(connection, config_home), now)
    _tell(store, found, now)
    ending = [one for one in found if one.role == "candidate" and one.days <= 1]
    return [one for one in ending if _moves_back(store, one, now, config_home)]


def _moves_back(store: Store, one: Retiring, now: int, config_home: Path | None) -> bool:
    why = f"{one.words}: its calls go back to the baseline before that"
    with store.reading() as connection:
        rollout = find_rollout(connection, one.experiment)
    try:
        if rollout is not None and rollout.state.phase in _MOVED:
            change_rollout(store, one.experiment, "roll_back", now, config_home, why=why)
            return True
        if rollout is not None:
            return False
        if config_home is not None:
            change_file(config_home, lambda fresh: state_in(fresh, one.experiment, "stopped"))
        else:
            change_config(store, lambda fresh: state_in(fresh, one.experiment, "stopped"), why=why, now=now)
    except ExperimentError as error:
        _logger.warning("the calls of %s were not moved back: %s", one.experiment, error)
        return False
    return True


def _tell(store: Store, found: list[Retiring], now: int) -> None:
    with store.writing() as connection:
        kept = _kept(connection)
        told: list[str] = kept.get("told", [])
        fresh = [one for one in found if f"{one.experiment} {one.model} {one.day}" not in told]
        if not fresh:
            return
        for one in fresh:
            data = {"model": one.model, "role": one.role, "day": one.day.isoformat(), "days": one.days}
            notify(connection, Event(new_id(now), "model.retires", now, one.words, one.experiment, None, data))
        kept["told"] = [*told, *(f"{one.experiment} {one.model} {one.day}" for one in fresh)][-1_000:]
        _keep(connection, kept)


def _asked(config: Config) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in config.experiments:
        for _role, provider, model in _models(one):
            found.setdefault(provider, set()).add(model)
    return found


def _models(one: Experiment) -> Iterator[tuple[Literal["baseline", "candidate"], str, str]]:
    """Give the models of an experiment that is not stopped; a pattern names no model."""
    if one.state == "stopped":
        return
    yield "candidate", one.candidate.provider or "", one.candidate.model
    for model in one.match:
        if not set("*?[") & set(model):
            yield "baseline", "", model


def _date(model: Any) -> str | None:
    told = getattr(model, "shutdown_date", None)
    try:
        return date.fromisoformat(told).isoformat() if isinstance(told, str) else None
    except ValueError:
        return None


def _kept(connection: Connection) -> Kept:
    text = connection.scalar(select(meta.c.value).where(meta.c.name == _ROW))
    found: Kept = json.loads(text) if text else {}
    return found


def _keep(connection: Connection, kept: Kept) -> None:
    connection.execute(delete(meta).where(meta.c.name == _ROW))
    connection.execute(insert(meta).values(name=_ROW, value=json.dumps(kept)))
