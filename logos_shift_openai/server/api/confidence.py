"""`/v1/experiments/{key}/gate`: how sure a candidate must be of an answer for it to be the caller's.

Choosing asks nobody: it reads the answers that an evaluation has kept. While a rollout is under way no gate changes.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

import msgspec

from logos_shift_openai.core.gate import Gate
from logos_shift_openai.server.config_place import config_of
from logos_shift_openai.server.gates import NoGateError, gate_for, gate_in

from . import experiments
from .exchange import Answer, ApiError, Ask, Endpoint, to_json


class GateWanted(msgspec.Struct, forbid_unknown_fields=True):
    """The confidence that suffices, and what it is."""

    least: Annotated[float, msgspec.Meta(ge=1e-12, le=1)]
    by: Literal["sequence", "mean", "least"] = "mean"


class ChoiceAsked(msgspec.Struct, forbid_unknown_fields=True):
    """The part of all calls whose answer stays the same, and the chance of being wrong about it."""

    agreement: Annotated[float, msgspec.Meta(ge=0.5, le=0.9999)] = 0.95
    chance: Annotated[float, msgspec.Meta(ge=0.001, le=0.5)] = 0.05


class GateChosen(msgspec.Struct):
    """The gate that lets most answers through.

    Of `answers` held-out ones `passed` pass it, of whom `differing` differ from the baseline's; `bound` is the part of
    all calls that differ at most, `coverage` the part that is the candidate's.
    """

    experiment: str
    gate: dict[str, Any]
    answers: int
    passed: int
    differing: int
    bound: float
    coverage: float


async def choose(ask: Ask) -> Answer:
    """Choose one, and change nothing."""
    key, asked, service = ask.path["key"], ask.query(ChoiceAsked), ask.service
    shop = service.shop
    if shop is None:
        raise ApiError(409, "no_home", "this server has no folder of editions")
    config = await service.read(lambda connection: config_of(connection, service.embedded))
    try:
        found = await service.look(
            lambda: gate_for(service.store, shop.home, key, config, asked.agreement, asked.chance)
        )
    except NoGateError as error:
        raise ApiError(409, "no_gate", str(error)) from None
    return Answer(to_json(GateChosen(experiment=key, coverage=found.coverage, **asdict(found))))


async def put(ask: Ask) -> Answer:
    """Set one."""
    key, asked = ask.path["key"], await ask.read_json(GateWanted)
    gate = Gate(asked.least, asked.by)
    return await experiments.change(
        ask, lambda document: gate_in(document, key, gate), f"the gate of {key} was set by hand"
    )


async def take_away(ask: Ask) -> Answer:
    """Take it away."""
    key = ask.path["key"]
    return await experiments.change(
        ask, lambda document: gate_in(document, key, None), f"the gate of {key} was taken away by hand"
    )


_CHANGED = {
    200: (experiments.OneExperiment, "In force."),
    404: (None, "There is none."),
    409: (None, "Its rollout is under way, or the config would not take it."),
}
_PATH = "/v1/experiments/{key}/gate"
ENDPOINTS = (
    Endpoint(
        "GET",
        f"{_PATH}/choice",
        "read",
        choose,
        "Choose a confidence gate on the held-out answers of an experiment's candidate, and change nothing.",
        {
            200: (GateChosen, "The gate that lets most answers through."),
            404: (None, "There is no such experiment."),
            409: (None, "None can be chosen; the message says why."),
        },
        query=ChoiceAsked,
    ),
    Endpoint("PUT", _PATH, "admin", put, "Set the confidence gate of an experiment.", _CHANGED, body=GateWanted),
    Endpoint("DELETE", _PATH, "admin", take_away, "Take every answer of an experiment's candidate again.", _CHANGED),
)
