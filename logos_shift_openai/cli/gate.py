"""`logos-shift gate`: how sure a candidate must be of an answer for it to be the caller's.

A gate is a part of the candidate: while a rollout is under way it cannot change; begin a new rollout with it.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from logos_shift_openai.cli.experiment import Json, Key, Url  # noqa: TC001 - typer reads the annotations
from logos_shift_openai.cli.gate_places import gates_of
from logos_shift_openai.cli.keys import DatabaseUrl  # noqa: TC001 - typer reads the annotation
from logos_shift_openai.cli.output import emit
from logos_shift_openai.core.gate import Gate

app = typer.Typer(help="Let a candidate answer only where it is sure.", no_args_is_help=True, rich_markup_mode=None)


class By(str, Enum):
    """What the confidence is."""

    sequence = "sequence"
    mean = "mean"
    least = "least"


@app.command("choose", epilog="Example:\n\n\b\n  logos-shift gate choose sales-tiny --agreement 0.95 --set")
def choose(
    ctx: typer.Context,
    experiment: Key,
    agreement: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="The part of all calls whose answer stays the same.")
    ] = 0.95,
    chance: Annotated[float, typer.Option(min=0.001, max=0.5, help="The chance of being wrong about it.")] = 0.05,
    set_: Annotated[bool, typer.Option("--set", help="Set it in the config, too.")] = False,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Choose a gate on the candidate's answers to held-out questions."""
    with gates_of(ctx.obj, url, database_url) as gates:
        choice = gates.choose(experiment, agreement, chance)
        gate = choice["gate"]
        if set_:
            gates.change(experiment, Gate(gate["least"], gate["by"]))
    if as_json:
        emit({**choice, "set": set_})
        return
    typer.echo(
        f"{gate['by']} {gate['least']:.4g}: {choice['coverage']:.1%} of the calls are the candidate's; of all "
        f"calls at most {choice['bound']:.1%} get another answer than the baseline's ({choice['differing']} of "
        f"{choice['answers']} held-out ones did)."
    )
    if not set_:
        typer.echo(f"logos-shift gate set {experiment} --least {gate['least']!r} --by {gate['by']}")


@app.command("set", epilog="Example:\n\n\b\n  logos-shift gate set sales-tiny --least 0.93 --by mean")
def set_gate(
    ctx: typer.Context,
    experiment: Key,
    least: Annotated[float, typer.Option(min=1e-12, max=1, help="The confidence that suffices.")],
    by: Annotated[By, typer.Option(metavar="BY", help="sequence, mean or least.")] = By.mean,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Set a gate; refused while the experiment's rollout is under way."""
    with gates_of(ctx.obj, url, database_url) as gates:
        gates.change(experiment, Gate(least, by.value))
    _say(experiment, {"least": least, "by": by.value}, as_json=as_json)


@app.command("off", short_help="Take every answer again.", epilog="Example:\n\n\b\n  logos-shift gate off sales-tiny")
def off(
    ctx: typer.Context, experiment: Key, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False
) -> None:
    """Take every answer again; refused while the experiment's rollout is under way."""
    with gates_of(ctx.obj, url, database_url) as gates:
        gates.change(experiment, None)
    _say(experiment, None, as_json=as_json)


def _say(experiment: str, gate: dict[str, object] | None, *, as_json: bool) -> None:
    if as_json:
        emit({"experiment": experiment, "gate": gate})
    elif gate is None:
        typer.echo(f"{experiment} takes every answer of its candidate.")
    else:
        typer.echo(f"{experiment} takes an answer from {gate['by']} {gate['least']} on.")
