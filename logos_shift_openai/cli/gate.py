"""`logos-shift gate`: how sure a candidate must be of an answer for it to be the caller's.

A gate is a part of the candidate: while a rollout is under way it cannot change; begin a new rollout with it.
"""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from logos_shift_openai.cli.experiment import Json, Key  # noqa: TC001 - typer reads the annotations
from logos_shift_openai.cli.output import CommandError, emit, now_ms
from logos_shift_openai.cli.session import opened

if TYPE_CHECKING:
    from pathlib import Path

    from logos_shift_openai.core.config import Config
    from logos_shift_openai.core.gate import Gate
    from logos_shift_openai.server.store.database import Store

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
    as_json: Json = False,
) -> None:
    """Choose a gate on the candidate's answers to held-out questions."""
    from logos_shift_openai.server.evaluation.keeping import latest_of  # noqa: PLC0415
    from logos_shift_openai.server.gates import choose_gate  # noqa: PLC0415
    from logos_shift_openai.server.rollout_guard import find  # noqa: PLC0415
    from logos_shift_openai.server.rollouts import config_of, embedded_home  # noqa: PLC0415
    from logos_shift_openai.server.tuners.edition import EditionError  # noqa: PLC0415

    with opened(ctx.obj) as store:
        with store.reading() as connection:
            one = find(config_of(connection, embedded_home(store, ctx.obj.home)), experiment)
            if one is None:
                raise CommandError(f"there is no experiment {experiment}")
            found = latest_of(connection, one.candidate.model, one.candidate.provider)
        if found is None:
            raise CommandError(
                f"{one.candidate.model} was asked no held-out questions yet: `logos-shift candidate evaluate` first"
            )
        try:
            choice = choose_gate(store, ctx.obj.home, found.id, agreement, chance)
        except EditionError as error:
            raise CommandError(str(error)) from None
        if choice is None:
            raise CommandError(
                f"no gate keeps {agreement:.1%} of all answers as they are, or too few are known: the candidate is "
                "sure of wrong ones, tells no log-probabilities, or was asked too little"
            )
        if set_:
            _change(store, ctx.obj.home, experiment, choice.gate)
    if as_json:
        emit({"experiment": experiment, **asdict(choice), "coverage": choice.coverage, "set": set_})
        return
    typer.echo(
        f"{choice.gate.by} {choice.gate.least:.4g}: {choice.coverage:.1%} of the calls are the candidate's; of all "
        f"calls at most {choice.bound:.1%} get another answer than the baseline's ({choice.differing} of "
        f"{choice.answers} held-out ones did)."
    )
    if not set_:
        typer.echo(f"logos-shift gate set {experiment} --least {choice.gate.least!r} --by {choice.gate.by}")


@app.command("set", epilog="Example:\n\n\b\n  logos-shift gate set sales-tiny --least 0.93 --by mean")
def set_gate(
    ctx: typer.Context,
    experiment: Key,
    least: Annotated[float, typer.Option(min=1e-12, max=1, help="The confidence that suffices.")],
    by: Annotated[By, typer.Option(metavar="BY", help="sequence, mean or least.")] = By.mean,
    as_json: Json = False,
) -> None:
    """Set a gate; refused while the experiment's rollout is under way."""
    from logos_shift_openai.core.gate import Gate  # noqa: PLC0415

    with opened(ctx.obj) as store:
        _change(store, ctx.obj.home, experiment, Gate(least, by.value))
    _say(experiment, {"least": least, "by": by.value}, as_json=as_json)


@app.command("off", short_help="Take every answer again.", epilog="Example:\n\n\b\n  logos-shift gate off sales-tiny")
def off(ctx: typer.Context, experiment: Key, as_json: Json = False) -> None:
    """Take every answer again; refused while the experiment's rollout is under way."""
    with opened(ctx.obj) as store:
        _change(store, ctx.obj.home, experiment, None)
    _say(experiment, None, as_json=as_json)


def _change(store: Store, home: Path, key: str, gate: Gate | None) -> None:
    from logos_shift_openai.server.config_versions import change_config  # noqa: PLC0415
    from logos_shift_openai.server.experiments import ExperimentError, change_file  # noqa: PLC0415
    from logos_shift_openai.server.gates import gate_in  # noqa: PLC0415
    from logos_shift_openai.server.rollout_guard import refuse_under_way  # noqa: PLC0415
    from logos_shift_openai.server.rollouts import embedded_home  # noqa: PLC0415

    def check(before: Config, after: Config) -> None:
        with store.reading() as connection:
            refuse_under_way(connection, before, after)

    try:
        if embedded_home(store, home) is not None:
            change_file(home, lambda fresh: gate_in(fresh, key, gate), check)
        else:
            why = f"the gate of {key} was {'taken away' if gate is None else 'set'} by hand"
            change_config(store, lambda fresh: gate_in(fresh, key, gate), why=why, now=now_ms())
    except ExperimentError as error:
        raise CommandError(str(error)) from None


def _say(experiment: str, gate: dict[str, object] | None, *, as_json: bool) -> None:
    if as_json:
        emit({"experiment": experiment, "gate": gate})
    elif gate is None:
        typer.echo(f"{experiment} takes every answer of its candidate.")
    else:
        typer.echo(f"{experiment} takes an answer from {gate['by']} {gate['least']} on.")
