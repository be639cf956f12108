"""`logos-shift tune`: from an edition to a model that may become a candidate.

With `--database-url` jobs are a database's, with `--url` or `LOGOS_SHIFT_URL` a server's, which goes on by itself;
otherwise every command that shows a job takes it a step on first, unless another process is at it. Keys, addresses and
the script's command are read from the environment of whoever does the step, never from an option.
"""

from __future__ import annotations

import enum
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from logos_shift_openai.cli.experiment import Json, Url  # noqa: TC001 - typer reads the annotations
from logos_shift_openai.cli.keys import DatabaseUrl  # noqa: TC001 - typer reads the annotation
from logos_shift_openai.cli.output import bars_wanted, clean, console, emit, moment, plain_table
from logos_shift_openai.cli.tune_places import Asked, jobs_of

if TYPE_CHECKING:
    from logos_shift_openai.cli.tune_places import Jobs, Shown

app = typer.Typer(
    help="Train a cheaper model on an edition, or make one that needs none.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Job = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.")]
_BARS: Final = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
_CURVE: Final = 40
_BY: Final = ("train_loss", "valid_loss", "full_valid_loss")


class TunerName(str, enum.Enum):
    """The tuners there are."""

    openai = "openai"
    together = "together"
    fireworks = "fireworks"
    command = "command"
    none = "none"


class Method(str, enum.Enum):
    """What an edition's lines are."""

    supervised = "supervised"
    dpo = "dpo"


@app.command(
    "start",
    epilog="Example:\n\n\b\n  logos-shift tune start --edition 4f1c0d --model gpt-5.4-nano --watch\n"
    "  logos-shift tune start --edition 4f1c0d --tuner none \\\n    --model gpt-5.4-nano --examples 4",
)
def start(
    ctx: typer.Context,
    *,
    edition: Annotated[str, typer.Option(metavar="ID", help="Edition to train on.")],
    model: Annotated[str, typer.Option(metavar="NAME", help="Base model, or the candidate itself.")],
    tuner: Annotated[TunerName, typer.Option(metavar="TUNER", help="Who trains.")] = TunerName.openai,
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="Endpoint, as named in your environment.")
    ] = None,
    method: Annotated[Method, typer.Option(metavar="METHOD", help="supervised or dpo.")] = Method.supervised,
    epochs: Annotated[int | None, typer.Option(min=1, max=50, metavar="N", help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, metavar="N", help="Examples a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, metavar="X", help="As the tuner means it.")] = None,
    suffix: Annotated[str | None, typer.Option(metavar="TEXT", help="Part of the model's name.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, metavar="N", help="Of the training's draws.")] = None,
    examples: Annotated[
        int, typer.Option(min=0, max=32, metavar="N", help="With none: nearest logged examples in the prompt.")
    ] = 0,
    deadline: Annotated[float, typer.Option(min=0.01, metavar="HOURS", help="When it should have ended.")] = 24.0,
    again: Annotated[bool, typer.Option("--again", help="Even where the same has succeeded.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Start a job; the same again while it is open is the same job."""
    from logos_shift_openai.server.tuners.protocol import Settings  # noqa: PLC0415

    settings = Settings(
        model, provider, method.value, epochs, batch_size, learning_rate, suffix, seed, examples
    )  # fmt: skip
    with jobs_of(ctx.obj, url, database_url, create=True) as jobs:
        shown, fresh = jobs.start(Asked(tuner.value, edition, settings, deadline, again))
        if not fresh and not as_json:
            typer.echo("That job is there already.")
        if watch:
            shown = _followed(jobs, shown, as_json=as_json)
        _show(shown, as_json=as_json)


@app.command("status", epilog="Example:\n\n\b\n  logos-shift tune status tune-4f1c0d9a83b2")
def status(
    ctx: typer.Context, job: Job, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False
) -> None:
    """Look at a job now, also at one that rests, and show it."""
    with jobs_of(ctx.obj, url, database_url) as jobs:
        _show(jobs.look(job, again=True), as_json=as_json)


@app.command(
    "watch",
    short_help="Follow a job to its end, or until Ctrl-C.",
    epilog="Example:\n\n\b\n  logos-shift tune watch tune-4f1c0d9a83b2",
)
def watch_(
    ctx: typer.Context, job: Job, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False
) -> None:
    """Follow a job to its end, or until Ctrl-C; the job goes on without us."""
    with jobs_of(ctx.obj, url, database_url) as jobs:
        _show(_followed(jobs, jobs.look(job), as_json=as_json), as_json=as_json)


@app.command("list", epilog="Example:\n\n\b\n  logos-shift tune list --json")
def list_(ctx: typer.Context, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """List the jobs, the latest first, as they were last seen."""
    from rich.text import Text  # noqa: PLC0415

    with jobs_of(ctx.obj, url, database_url) as jobs:
        found = jobs.all()
    if as_json:
        emit(found)
        return
    if not found:
        typer.echo("No tuning job yet.")
        return
    table = plain_table()
    for name in ("job", "tuner", "model", "edition", "state", "cost", "begun"):
        table.add_column(name, overflow="fold")
    for one in found:
        cells = (
            one["id"],
            one["tuner"],
            one["settings"]["model"],
            one["edition"],
            one["state"],
            dollars(one.get("cost")),
            moment(one["created"]),
        )
        table.add_row(*(Text(clean(cell)) for cell in cells))
    console().print(table)


@app.command("cancel", epilog="Example:\n\n\b\n  logos-shift tune cancel tune-4f1c0d9a83b2")
def cancel(
    ctx: typer.Context, job: Job, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False
) -> None:
    """End a job."""
    with jobs_of(ctx.obj, url, database_url) as jobs:
        _show(jobs.cancel(job), as_json=as_json)


def curve_of(points: list[dict[str, float]]) -> str:
    """Draw a loss curve in one line, with its first and last figure; empty where there is none."""
    name = next((name for name in _BY if any(name in one for one in points)), None)
    values = [one[name] for one in points if name in one] if name is not None else []
    if len(values) < 2:  # noqa: PLR2004 - one point is no curve
        return ""
    every = max(1, len(values) // _CURVE)
    drawn = values[::every]
    top = max(*drawn, 1e-9)
    bars = "".join(_BARS[min(len(_BARS) - 1, int(max(0.0, value) / top * len(_BARS)))] for value in drawn)
    return f"{bars} {str(name).replace('_', ' ')} {values[0]:.3f} to {values[-1]:.3f}"


def dollars(amount: float | None) -> str:
    """Write an amount, small ones with four digits; empty where it is not known."""
    return "" if amount is None else f"${amount:.2f}" if amount >= 1 else f"${amount:.4f}"


def bill_in_words(job: Shown) -> str:
    """Say what a job has cost; empty where its provider told nothing."""
    trained, cost = job.get("trained_tokens"), job.get("cost")
    if trained is None:
        return dollars(cost)
    tokens = f"{trained:,} tokens trained"
    if cost is None:
        return f"{tokens}; `logos-shift prices set {job['settings']['model']} ... --training` tells what they cost"
    return f"{dollars(cost)}, {tokens}"


def _followed(jobs: Jobs, job: Shown, *, as_json: bool) -> Shown:
    """Look again and again until it is at its end or needs somebody; a bar on a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from logos_shift_openai.server.tuners.jobs import OPEN  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    screen = console(stderr=True)
    silent = as_json or not bars_wanted()
    with Progress(*columns, TimeElapsedColumn(), console=screen, transient=True, disable=silent) as bar:
        task = bar.add_task(job["state"], total=1.0)
        while job["state"] in OPEN:
            bar.update(task, description=job["state"], completed=job["fraction"] or 0.0)
            time.sleep(jobs.rest(job["id"]))
            job = jobs.look(job["id"])
    return job


def _show(job: Shown, *, as_json: bool) -> None:
    from rich.text import Text  # noqa: PLC0415

    if as_json:
        emit(job)
        return
    state, fraction, candidate = job["state"], job["fraction"], job["candidate"]
    rows = [
        ("job", job["id"]),
        ("tuner", f"{job['tuner']}, {job['settings']['model']} on edition {job['edition']}"),
        ("state", state if fraction is None else f"{state}, {fraction:.0%}"),
        ("said", job["said"]),
        ("loss", curve_of(job["points"])),
        ("cost", bill_in_words(job)),
        ("next", job["next_step"]),
    ]
    if candidate is not None:
        named = candidate.get("provider")
        rows.append(("candidate", candidate["model"] + (f" at {named}" if named else "")))
        if "examples" in candidate:
            rows.append(("examples", f"{candidate['examples']['count']} of {candidate['examples']['index']}"))
    table = plain_table()
    table.show_header = False
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        if text:
            table.add_row(label, Text(clean(text)))
    console().print(table)
