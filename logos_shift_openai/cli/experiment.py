"""`logos-shift experiment`: start, set, pause and stop experiments, of a server or of the embedded config.

With `--url` or `LOGOS_SHIFT_URL` it is the server's, otherwise `config.json` in the home folder; both show the same.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import nullcontext
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from logos_shift_openai.cli.output import (
    CommandError,
    clean,
    compact,
    console,
    emit,
    percent,
    plain_table,
    warn,
)
from logos_shift_openai.cli.remote import server_of
from logos_shift_openai.cli.session import Place, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logos_shift_openai.cli.remote import Remote
    from logos_shift_openai.core.config import Config, Experiment, State

_STATES: Final[Mapping[str, State]] = {"pause": "paused", "resume": "running", "stop": "stopped"}
app = typer.Typer(
    help="Start, set, pause and stop experiments: of a server, or of this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Key = Annotated[str, typer.Argument(metavar="KEY", help="Name of the experiment.")]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", envvar="LOGOS_SHIFT_URL", show_envvar=False, help="A server, with LOGOS_SHIFT_API_KEY."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]


class Unit(str, Enum):
    """What is bucketed."""

    user = "user"
    conversation = "conversation"
    call = "call"


@app.command(
    "start",
    short_help="Start an experiment, or start one again.",
    epilog="Example:\n\n\b\n"
    "  logos-shift experiment start sales-tiny --dataset sales \\\n"
    "    --model gpt-6.1-sol \\\n"
    "    --candidate tiny-base:ft-1 --provider lab --share 5 \\\n"
    "    --set temperature=0 --drop seed \\\n"
    "    --rename max_completion_tokens=max_tokens",
)
def start(
    ctx: typer.Context,
    *,
    key: Key,
    model: Annotated[
        list[str], typer.Option(metavar="NAME", help="Requested model, * and ? allowed; may be repeated.")
    ],
    candidate: Annotated[str, typer.Option(metavar="NAME", help="The model that may take over.")],
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its endpoint, as named in your environment.")
    ] = None,
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Only calls of this dataset; * for all.")] = "*",
    share: Annotated[
        str, typer.Option(metavar="SHARE", help="The candidate's part in percent: 5, 0.5% or 50bp.")
    ] = "0",
    unit: Annotated[
        Unit, typer.Option(metavar="UNIT", help="What keeps its variant: user, conversation or call.")
    ] = Unit.user,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Time the candidate has; then the baseline answers."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Parameter with its value, as JSON."),
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Parameter to leave out.")] = None,
    rename: Annotated[list[str] | None, typer.Option(metavar="OLD=NEW", help="Parameter to rename.")] = None,
    examples: Annotated[
        str | None, typer.Option(metavar="INDEX=COUNT", help="Examples in its prompt, as `tune` names them.")
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Start an experiment, or start one again: its users keep their variants."""
    from logos_shift_openai.server import experiments  # noqa: PLC0415

    plan = experiments.Plan(
        key=key,
        models=tuple(model),
        candidate=candidate,
        provider=provider,
        dataset=dataset,
        share=read_share(share),
        unit=unit.value,
        timeout=timeout,
        drop=tuple(drop or ()),
        rename=dict(_pair("--rename", one) for one in rename or ()),
        set={name: _value(text) for name, text in (_pair("--set", one) for one in set_ or ())},
        examples=_examples(examples),
    )
    server = server_of(url)
    _change(
        ctx.obj,
        server,
        lambda check: server.start(plan) if server else experiments.start(ctx.obj.home, plan, check),
        as_json=as_json,
    )


@app.command(
    "share",
    short_help="Set the candidate's share.",
    epilog="Example:\n\n\b\n  logos-shift experiment share sales-tiny 25",
)
def share(
    ctx: typer.Context,
    key: Key,
    part: Annotated[str, typer.Argument(metavar="SHARE", help="The candidate's part in percent.")],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Set the candidate's share; raising it moves nobody back to the baseline."""
    from logos_shift_openai.server import experiments  # noqa: PLC0415

    points = read_share(part)
    server = server_of(url)
    _change(
        ctx.obj,
        server,
        lambda check: (
            server.set_share(key, points) if server else experiments.set_share(ctx.obj.home, key, points, check)
        ),
        as_json=as_json,
    )


@app.command("pause", epilog="Example:\n\n\b\n  logos-shift experiment pause sales-tiny")
def pause(ctx: typer.Context, key: Key, url: Url = None, as_json: Json = False) -> None:
    """Send every call to the baseline until it is resumed."""
    _set_state(ctx.obj, url, key, "pause", as_json=as_json)


@app.command("resume", epilog="Example:\n\n\b\n  logos-shift experiment resume sales-tiny")
def resume(ctx: typer.Context, key: Key, url: Url = None, as_json: Json = False) -> None:
    """Go on with a paused experiment, at its share."""
    _set_state(ctx.obj, url, key, "resume", as_json=as_json)


@app.command("stop", epilog="Example:\n\n\b\n  logos-shift experiment stop sales-tiny")
def stop(ctx: typer.Context, key: Key, url: Url = None, as_json: Json = False) -> None:
    """End an experiment: every call goes to the baseline."""
    _set_state(ctx.obj, url, key, "stop", as_json=as_json)


@app.command("list", epilog="Example:\n\n\b\n  logos-shift experiment list --json")
def list_(ctx: typer.Context, url: Url = None, as_json: Json = False) -> None:
    """List the experiments of the server or of this machine."""
    from logos_shift_openai.server.experiments import read_config  # noqa: PLC0415

    server = server_of(url)
    if server is not None:
        found = server.experiments()
    else:
        with opened(ctx.obj):
            found = read_config(ctx.obj.home).experiments
    if as_json:
        emit([_as_json(one) for one in found])
        return
    if not found:
        typer.echo(f"No experiment in {clean(server.url if server else ctx.obj.home)} yet.")
        return
    from rich.text import Text  # noqa: PLC0415

    table = plain_table()
    for name in ("experiment", "dataset", "model", "candidate", "share", "state"):
        table.add_column(name, justify="right" if name == "share" else "left", overflow="fold")
    for one in found:
        cells = (one.key, one.dataset, ", ".join(one.match), _candidate(one), percent(one.share), one.state)
        table.add_row(*(Text(clean(cell)) for cell in cells))
    console().print(table)


@app.command("show", epilog="Example:\n\n\b\n  logos-shift experiment show sales-tiny")
def show(ctx: typer.Context, key: Key, as_json: Json = False) -> None:
    """Show one experiment, and what its variants did so far."""
    from logos_shift_openai.cli.stats import variants_table  # noqa: PLC0415
    from logos_shift_openai.server.experiments import config_path, read_config  # noqa: PLC0415
    from logos_shift_openai.server.statistics import variant_statistics  # noqa: PLC0415

    with opened(ctx.obj) as store, store.reading() as connection:
        one = next((one for one in read_config(ctx.obj.home).experiments if one.key == key), None)
        variants = variant_statistics(connection, experiment=key)
    if one is None:
        raise CommandError(f"there is no experiment {key} in {config_path(ctx.obj.home)}")
    if as_json:
        emit({**_as_json(one), "variants": [asdict(variant) for variant in variants]})
        return
    _print_experiment(one)
    for dataset in dict.fromkeys(variant.dataset for variant in variants):
        console().print()
        console().print(variants_table([v for v in variants if v.dataset == dataset], f"dataset {dataset}"))


def read_share(text: str) -> int:
    """Read a share into basis points: `5` and `5%` are five percent, `50bp` is half a percent.

    Raises:
        typer.BadParameter: it is no share, or a bare fraction, which could be meant either way.
    """
    match = re.fullmatch(r"(\d{1,5}(?:\.\d{1,6})?|\.\d{1,6})\s*(%|bp)?", text.strip())
    number = float(match[1]) if match else -1.0
    points = number if match and match[2] == "bp" else number * 100
    if not match or not 0 <= points <= 10_000:  # noqa: PLR2004 - the whole, in basis points
        raise typer.BadParameter(f"{text!r} is not a share from 0 to 100 percent", param_hint="SHARE")
    if match[2] is None and 0 < number < 1:
        raise typer.BadParameter(
            f"{text!r} may be meant as a fraction or as percent; write {number:g}% or {number * 100:g}%",
            param_hint="SHARE",
        )
    if abs(points - round(points)) > 1e-9:  # noqa: PLR2004 - what the product of floats leaves over
        raise typer.BadParameter(f"{text!r} is finer than 0.01 percent", param_hint="SHARE")
    return round(points)


def _change(
    place: Place, server: Remote | None, change: Callable[[Callable[..., None] | None], Experiment], *, as_json: bool
) -> None:
    from logos_shift_openai.server.experiments import ExperimentError  # noqa: PLC0415
    from logos_shift_openai.server.rollout_guard import refuse_under_way  # noqa: PLC0415

    with nullcontext() if server is not None else opened(place, create=True) as store:

        def check(before: Config, after: Config) -> None:
            if store is not None:
                with store.reading() as connection:
                    refuse_under_way(connection, before, after)

        try:
            changed = change(check)
        except ExperimentError as error:
            raise CommandError(str(error)) from None
    if os.environ.get("LOGOS_SHIFT_CONFIG"):
        changed_there = server.url if server is not None else place.home / "config.json"
        warn(f"LOGOS_SHIFT_CONFIG is set: clients with this environment follow it, not {changed_there}")
    if as_json:
        emit(_as_json(changed))
    else:
        _print_experiment(changed)


def _set_state(place: Place, url: str | None, key: str, verb: str, *, as_json: bool) -> None:
    from logos_shift_openai.server import experiments  # noqa: PLC0415

    server = server_of(url)
    _change(
        place,
        server,
        lambda check: server.act(key, verb) if server else experiments.set_state(place.home, key, _STATES[verb], check),
        as_json=as_json,
    )


def _examples(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    index, count = _pair("--examples", text)
    if not count.isdecimal():
        raise typer.BadParameter(f"{count!r} is no number of examples", param_hint="--examples")
    return {"index": index, "count": int(count)}


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name.strip() or not equals:
        raise typer.BadParameter(f"{text!r} is not of the form NAME=VALUE", param_hint=option)
    return name.strip(), value.strip()


def _value(text: str) -> Any:
    """Read JSON where it is JSON, else take the text: `0`, `true` and `"0"` are three different things."""
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def _candidate(one: Experiment) -> str:
    return one.candidate.model + (f" at {one.candidate.provider}" if one.candidate.provider else "")


def _print_experiment(one: Experiment) -> None:
    from rich.text import Text  # noqa: PLC0415

    rows = [
        ("experiment", one.key),
        ("state", one.state),
        ("share", f"{percent(one.share)} of {one.unit}s to the candidate"),
        ("dataset", one.dataset),
        ("model", ", ".join(one.match)),
        ("candidate", _candidate(one)),
    ]
    params = one.candidate.params
    for name, value in (
        ("drop", list(params.drop)),
        ("rename", dict(params.rename)),
        ("set", dict(params.set)),
    ):
        if value:
            rows.append((name, compact(value)))
    if one.fallback.timeout_seconds is not None:
        rows.append(("timeout", f"{one.fallback.timeout_seconds:g} s, then the baseline answers"))
    table = plain_table()
    table.show_header = False
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(label, Text(clean(text)))
    console().print(table)


def _as_json(one: Experiment) -> dict[str, Any]:
    """Give an experiment as it stands in the config document."""
    candidate, params = one.candidate, one.candidate.params
    more: dict[str, Any] = {}
    if candidate.gate is not None:
        more["gate"] = asdict(candidate.gate)
    if candidate.examples is not None:
        more["examples"] = asdict(candidate.examples)
    if candidate.prompts is not None:
        more["prompts"] = sorted(candidate.prompts)
    return {
        "key": one.key,
        "dataset": one.dataset,
        "match": {"model": list(one.match)},
        "candidate": {
            "model": candidate.model,
            "provider": candidate.provider,
            "params": {"drop": list(params.drop), "rename": dict(params.rename), "set": dict(params.set)},
            "prompt": {"prune": list(candidate.prune)},
            "endpoints": list(candidate.endpoints),
            **more,
        },
        "share": one.share,
        "unit": one.unit,
        "salt": one.salt,
        "state": one.state,
        "fallback": asdict(one.fallback),
    }
