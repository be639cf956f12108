"""A rollout as it is shown: one shape for the HTTP API and for every form of the command line."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.core.evidence import Evidence
from logos_shift_openai.core.side_by_side import side_by_side

from .prompt_drift import drifts
from .retirement import retiring
from .rollout_guard import warnings_of
from .rollout_reading import Rollout, history
from .shadows import shadow_totals

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from logos_shift_openai.core.config import Config

_SEARCHED: Final = 40


def rollout_json(connection: Connection, one: Rollout, config: Config) -> dict[str, Any]:
    """Give where a rollout stands, the last look with its figures, both sides, and the course of its proofs.

    Args:
        connection: A reader's connection.
        one: The rollout.
        config: The live config.
    """
    told = history(connection, one.experiment, _SEARCHED)
    looked = next((each["document"] for each in told if each["document"]["look"]), None)
    return {
        "experiment": one.experiment,
        "phase": one.state.phase,
        "share": one.state.share,
        "ladder": list(one.policy.ladder),
        "why": told[0]["why"],
        "revision": one.revision,
        "started": one.started,
        "updated": one.updated,
        "look": looked and looked["look"],
        "sides": side_by_side(one.policy, Evidence.from_rows(looked["evidence"])) if looked else [],
        "harm_needed": -math.log(one.policy.alpha),
        "trail": list(one.trail),
        "shadow": shadow_totals(connection, one.experiment),
        "offer": _offer(one, told[0]["event"]),
        "warnings": [*warnings_of(config, one.experiment), *_guards(connection, one.experiment, config)],
        "policy": one.policy.to_json(),
        "state": one.state.to_json(),
    }


def _guards(connection: Connection, key: str, config: Config) -> list[str]:
    """Say which of its models are about to end, and whether its prompts have changed."""
    now = time.time_ns() // 1_000_000
    own = replace(config, experiments=tuple(each for each in config.experiments if each.key == key))
    ending = [each.words for each in retiring(connection, own, now)]
    return ending + [each.words for each in drifts(connection, own, now) if each.much]


def _offer(one: Rollout, event: str | None) -> str | None:
    """Say what may still be had of a candidate that was worse."""
    if one.state.phase != "rolled_back" or event != "harm":
        return None
    return (
        f"where it is sure of its answers it may still serve: `logos-shift gate choose {one.experiment}` finds that "
        "part of the calls, and a new rollout proves it"
    )
