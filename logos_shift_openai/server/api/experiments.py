"""`/v1/experiments`: start, share, pause, resume and stop; each change is a new version of the config."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from logos_shift_openai.server import experiments
from logos_shift_openai.server.config_place import document_of
from logos_shift_openai.server.config_versions import change_config

from .exchange import Answer, Ask, Endpoint, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from logos_shift_openai.core.config import Experiment, State

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Share = Annotated[int, msgspec.Meta(ge=0, le=10_000)]


class ExamplesAsked(msgspec.Struct, forbid_unknown_fields=True):
    """The examples in the candidate's prompt, as a tuning job's candidate names them."""

    index: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    count: Annotated[int, msgspec.Meta(ge=1, le=32)]


class Start(msgspec.Struct, forbid_unknown_fields=True):
    """An experiment to be started. `share` is in basis points, 10,000 is everything."""

    key: _Text
    models: Annotated[list[_Text], msgspec.Meta(min_length=1)]
    candidate: _Text
    provider: _Text | None = None
    dataset: _Text = "*"
    share: _Share = 0
    unit: Literal["user", "conversation", "call"] = "user"
    timeout_seconds: Annotated[float, msgspec.Meta(ge=0.001, le=3_600)] | None = None
    drop: list[_Text] = []
    rename: dict[str, _Text] = {}
    set: dict[str, Any] = {}
    examples: ExamplesAsked | None = None


class ShareAsked(msgspec.Struct, forbid_unknown_fields=True):
    """The candidate's new part, in basis points."""

    share: _Share


class Experiments(msgspec.Struct):
    """The experiments of the live config, as they stand in its document."""

    config_version: int
    experiments: list[dict[str, Any]]


class OneExperiment(msgspec.Struct):
    """An experiment as it stands in the config's document, and the version that has it so."""

    config_version: int
    experiment: dict[str, Any]


async def list_experiments(ask: Ask) -> Answer:
    """List them."""
    live = await _document(ask)
    return Answer(to_json(Experiments(live["version"], _all(live))))


async def get_experiment(ask: Ask) -> Answer:
    """Show one."""
    key = ask.path["key"]
    return _one(await _document(ask), key)


async def start(ask: Ask) -> Answer:
    """Start one."""
    asked = await ask.read_json(Start)
    plan = experiments.Plan(
        key=asked.key,
        models=tuple(asked.models),
        candidate=asked.candidate,
        provider=asked.provider,
        dataset=asked.dataset,
        share=asked.share,
        unit=asked.unit,
        timeout=asked.timeout_seconds,
        drop=tuple(asked.drop),
        rename=asked.rename,
        set=asked.set,
        examples=None if asked.examples is None else msgspec.to_builtins(asked.examples),
    )
    salt = experiments.new_salt()
    return await change(ask, lambda document: experiments.start_in(document, plan, salt), f"started {plan.key}")


async def set_share(ask: Ask) -> Answer:
    """Set the share of one."""
    key, share = ask.path["key"], (await ask.read_json(ShareAsked)).share
    why = f"share of {key} set to {share}"
    return await change(ask, lambda document: experiments.share_in(document, key, share), why)


async def set_state(ask: Ask, state: State) -> Answer:
    """Pause, resume or stop one."""
    key = ask.path["key"]
    return await change(ask, lambda document: experiments.state_in(document, key, state), f"{key} is {state}")


async def change(ask: Ask, how: Callable[[experiments.Document], Experiment], why: str) -> Answer:
    """Change the config and show the experiment that was changed."""
    service = ask.service
    by_key = None if ask.caller is None else ask.caller.key_id
    made, changed = await service.intake.change(
        lambda: change_config(service.store, how, why=why, now=service.now(), by_key=by_key)
    )
    await service.config.refresh()
    return _one(json.loads(made.document), changed.key)


async def _document(ask: Ask) -> experiments.Document:
    return await ask.service.read(lambda connection: document_of(connection, ask.service.embedded))


def _all(live: experiments.Document) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = live.get("experiments", [])
    return found


def _one(live: experiments.Document, key: str) -> Answer:
    found = next((one for one in _all(live) if one["key"] == key), None)
    if found is None:
        raise experiments.NoExperimentError(f"there is no experiment {key}")
    return Answer(to_json(OneExperiment(live["version"], found)))


_CHANGED = {
    200: (OneExperiment, "In force."),
    404: (None, "There is none."),
    409: (None, "Not in its state; the message says why."),
}
_ONE = "/v1/experiments/{key}"
ENDPOINTS = (
    Endpoint("GET", "/v1/experiments", "read", list_experiments, "List the experiments.", {200: (Experiments, "All.")}),
    Endpoint(
        "POST",
        "/v1/experiments",
        "admin",
        start,
        "Start an experiment, or start one again: its salt stays, so its users keep their variants.",
        {200: _CHANGED[200], 409: _CHANGED[409]},
        body=Start,
    ),
    Endpoint("GET", _ONE, "read", get_experiment, "Show one.", {200: _CHANGED[200], 404: _CHANGED[404]}),
    Endpoint(
        "POST",
        f"{_ONE}/share",
        "admin",
        set_share,
        "Set the candidate's share; raising it moves nobody back.",
        _CHANGED,
        body=ShareAsked,
    ),
    Endpoint(
        "POST",
        f"{_ONE}/pause",
        "admin",
        partial(set_state, state="paused"),
        "Every call to its baseline, for now.",
        _CHANGED,
    ),
    Endpoint("POST", f"{_ONE}/resume", "admin", partial(set_state, state="running"), "Go on at its share.", _CHANGED),
    Endpoint("POST", f"{_ONE}/stop", "admin", partial(set_state, state="stopped"), "End it.", _CHANGED),
)
