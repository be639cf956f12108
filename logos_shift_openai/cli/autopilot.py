"""`logos-shift autopilot`: from enough good examples to a promoted candidate, without a hand on it.

With `--url` or `LOGOS_SHIFT_URL` it is the server's, with `--database-url` that of the servers of a database; those go
on by themselves. Otherwise it is the home folder's: there every command that shows it takes it as far as it goes now.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from logos_shift_openai.cli.autopilot_places import autopilots_of
from logos_shift_openai.cli.experiment import Json, Url  # noqa: TC001 - typer reads the annotations
from logos_shift_openai.cli.keys import DatabaseUrl  # noqa: TC001 - typer reads the annotation
from logos_shift_openai.cli.output import CommandError, clean, console, emit, moment, plain_table

if TYPE_CHECKING:
    from logos_shift_openai.cli.autopilot_places import Shown

app = typer.Typer(
    help="Train, judge and roll out candidates by themselves.", no_args_is_help=True, rich_markup_mode=None
)
Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="Whose calls.")]
Model = Annotated[
    list[str] | None, typer.Option("--model", metavar="NAME", help="Requested model, * and ? allowed; may be repeated.")
]
Base = Annotated[str | None, typer.Option("--base", metavar="NAME", help="The model to be trained.")]
Tuner = Annotated[
    str | None, typer.Option("--tuner", metavar="TUNER", help="openai, together, fireworks, command, none.")
]
Provider = Annotated[
    str | None, typer.Option("--provider", metavar="NAME", help="Endpoint, as named in your environment.")
]
Policy = Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="All that it goes by, as JSON.")]
_WATCH_SECONDS: Final = 2.0


def _begin(
    ctx: typer.Context,
    dataset: Dataset,
    model: Model = None,
    base: Base = None,
    tuner: Tuner = None,
    provider: Provider = None,
    policy: Policy = None,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Switch it to the mode that the command is named after."""
    asked = _asked(model, base, tuner, provider, policy)
    _switch(ctx, dataset, str(ctx.info_name), asked, url, database_url, as_json=as_json)


app.command(
    "on",
    help="Let it do every step by itself, within its budget.",
    epilog="Example:\n\n\b\n  logos-shift autopilot on sales --model gpt-6.1-sol \\\n"
    "    --base tiny-base --provider lab\n  logos-shift autopilot on sales",
)(_begin)
app.command(
    "notify",
    help="Let it ask before each step that costs or serves.",
    epilog="Example:\n\n\b\n  logos-shift autopilot notify sales",
)(_begin)


@app.command("off", epilog="Example:\n\n\b\n  logos-shift autopilot off sales")
def off(
    ctx: typer.Context, dataset: Dataset, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False
) -> None:
    """Let it begin nothing more; a rollout under way goes on."""
    _switch(ctx, dataset, "off", {}, url, database_url, as_json=as_json)


@app.command("status", epilog="Example:\n\n\b\n  logos-shift autopilot status sales --watch")
def status(
    ctx: typer.Context,
    dataset: Annotated[str | None, typer.Argument(metavar="[DATASET]", help="Whose; none for all.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Show where it stands, what it waits for and what it has cost."""
    with autopilots_of(ctx.obj, url, database_url) as autopilots:
        while True:
            autopilots.look()
            found = [one for one in autopilots.all() if dataset in {None, one["dataset"]}]
            if dataset is not None and not found:
                raise CommandError(f"there is no autopilot of the dataset {dataset}")
            if as_json:
                emit(found if dataset is None else found[0])
            elif not found:
                typer.echo("No autopilot yet.")
            else:
                for one in found:
                    _show(one)
            if not watch:
                return
            time.sleep(_WATCH_SECONDS)


@app.command("approve", epilog="Example:\n\n\b\n  logos-shift autopilot approve sales")
def approve(
    ctx: typer.Context, dataset: Dataset, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False
) -> None:
    """Approve the step that it asks for, and that one alone."""
    with autopilots_of(ctx.obj, url, database_url) as autopilots:
        autopilots.look()
        autopilots.approve(dataset)
        autopilots.look()
        _say(autopilots.one(dataset), as_json=as_json)


@app.command("history", epilog="Example:\n\n\b\n  logos-shift autopilot history sales")
def history_(
    ctx: typer.Context,
    dataset: Dataset,
    limit: Annotated[int, typer.Option(min=1, max=500, metavar="N", help="So many at most.")] = 100,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """List the steps that it took, the latest first."""
    from rich.text import Text  # noqa: PLC0415

    with autopilots_of(ctx.obj, url, database_url) as autopilots:
        found = autopilots.history(dataset, limit)
    if as_json:
        emit(found)
        return
    table = plain_table()
    for name in ("at", "round", "step", "why"):
        table.add_column(name, overflow="fold")
    for one in found:
        cells = (moment(one["at"]), str(one["round"]), one["step"].replace("_", " "), one["why"])
        table.add_row(*(Text(clean(cell)) for cell in cells))
    console().print(table)


def _asked(
    model: list[str] | None, base: str | None, tuner: str | None, provider: str | None, policy: Path | None
) -> dict[str, Any]:
    """Put the options over the policy's file."""
    found: dict[str, Any] = {}
    if policy is not None:
        try:
            found = json.loads(policy.read_bytes())
        except OSError as error:
            raise CommandError(f"{policy}: {error.strerror or error}") from None
        except (ValueError, RecursionError) as error:
            raise CommandError(f"{policy} is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise CommandError(f"{policy}: not an object")
    given = {"models": model or None, "base": base, "tuner": tuner, "provider": provider}
    return found | {name: value for name, value in given.items() if value is not None}


def _switch(
    ctx: typer.Context,
    dataset: str,
    mode: str,
    asked: dict[str, Any],
    url: str | None,
    database_url: str | None,
    *,
    as_json: bool,
) -> None:
    with autopilots_of(ctx.obj, url, database_url, create=True) as autopilots:
        autopilots.switch(dataset, mode, asked)
        if mode != "off":
            autopilots.look()
        _say(autopilots.one(dataset), as_json=as_json)


def _say(one: Shown, *, as_json: bool) -> None:
    if as_json:
        emit(one)
    else:
        _show(one)


def _show(one: Shown) -> None:
    from rich.text import Text  # noqa: PLC0415

    state = one["state"]
    rows = [
        ("autopilot", one["dataset"]),
        ("mode", one["mode"]),
        ("round", f"{one['round']}, {one['phase']}"),
        ("why", one["why"]),
    ]
    if one["asks"] is not None:
        rows.append(("asks", f"{one['asks'].replace('_', ' ')}: logos-shift autopilot approve {one['dataset']}"))
    candidate = (state["candidate"] or {}).get("model")
    for label, value in (("edition", state["edition"]), ("job", state["job"]), ("candidate", candidate),
                         ("questions", state["evaluation"]), ("experiment", state["experiment"])):  # fmt: skip
        if value is not None:
            rows.append((label, value))
    if state["bill"] is not None:
        rows.append(("training", f"${state['bill']:.4f} by what its provider told"))
    elif state["estimate"]:
        rows.append(("training", f"an estimated ${state['estimate']:.4f}"))
    for month, spent in sorted(one["spent"].items())[-1:]:
        policy = one["policy"]
        bound = "" if policy["money_per_month"] is None else f" of ${policy['money_per_month']:.2f}"
        jobs = f"{spent['jobs']:g} of {policy['jobs_per_month']} jobs"
        rows.append((month, f"{jobs}, ${spent['dollars']:.2f}{bound}"))
    table = plain_table()
    table.show_header = False
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(label, Text(clean(text)))
    console().print(table)
