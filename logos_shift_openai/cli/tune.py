"""`logos-shift tune`: from an edition to a model that may become a candidate.

Every command that shows a job takes it a step on first, unless another process is at it. Keys, addresses and the
script's command are read from the environment, never from an option.
"""

from __future__ import annotations

import enum
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from logos_shift_openai.cli.experiment import Json  # noqa: TC001 - typer reads the annotation
from logos_shift_openai.cli.output import CommandError, bars_wanted, clean, console, emit, moment, now_ms, plain_table
from logos_shift_openai.cli.session import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.server.tuners.jobs import TuningJob
    from logos_shift_openai.server.tuners.machine import Workshop

app = typer.Typer(
    help="Train a cheaper model on an edition, or make one that needs none.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Job = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.")]
_HOUR_MS: Final = 3_600_000
_WATCH_SECONDS: Final = 2.0
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
    as_json: Json = False,
) -> None:
    """Start a job; the same again while it is open is the same job."""
    from logos_shift_openai.server.tuners.jobs import open_job  # noqa: PLC0415
    from logos_shift_openai.server.tuners.machine import check  # noqa: PLC0415
    from logos_shift_openai.server.tuners.protocol import Settings  # noqa: PLC0415

    settings = Settings(
        model, provider, method.value, epochs, batch_size, learning_rate, suffix, seed, examples
    )  # fmt: skip
    with _shop(ctx, create=True) as shop:
        problems = check(shop, tuner.value, edition, settings)
        if problems:
            raise CommandError("; ".join(problems))
        until = now_ms() + int(deadline * _HOUR_MS)
        job, fresh = open_job(shop.store, tuner.value, edition, settings, now_ms(), until, again=again)
        if not fresh and not as_json:
            typer.echo("That job is there already.")
        job = _advanced(shop, job.id)
        if tuner is TunerName.none and job.state == "running":
            job = _advanced(shop, job.id)  # there is nothing to wait for
        if watch:
            job = _followed(shop, job, as_json=as_json)
        _show(job, as_json=as_json)


@app.command("status", epilog="Example:\n\n\b\n  logos-shift tune status tune-4f1c0d9a83b2")
def status(ctx: typer.Context, job: Job, as_json: Json = False) -> None:
    """Look at a job now, also at one that rests, and show it."""
    with _shop(ctx) as shop:
        _show(_advanced(shop, job, look_again=True), as_json=as_json)


@app.command(
    "watch",
    short_help="Follow a job to its end, or until Ctrl-C.",
    epilog="Example:\n\n\b\n  logos-shift tune watch tune-4f1c0d9a83b2",
)
def watch_(ctx: typer.Context, job: Job, as_json: Json = False) -> None:
    """Follow a job to its end, or until Ctrl-C; the job goes on without us."""
    with _shop(ctx) as shop:
        _show(_followed(shop, _advanced(shop, job), as_json=as_json), as_json=as_json)


@app.command("list", epilog="Example:\n\n\b\n  logos-shift tune list --json")
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    """List the jobs, the latest first, as they were last seen."""
    from rich.text import Text  # noqa: PLC0415

    from logos_shift_openai.server.tuners.jobs import list_jobs  # noqa: PLC0415

    with _shop(ctx) as shop, shop.store.reading() as connection:
        found = list_jobs(connection)
    if as_json:
        emit([one.to_json() for one in found])
        return
    if not found:
        typer.echo("No tuning job yet.")
        return
    table = plain_table()
    for name in ("job", "tuner", "model", "edition", "state", "cost", "begun"):
        table.add_column(name, overflow="fold")
    for one in found:
        cells = (one.id, one.tuner, one.settings.model, one.edition, one.state, dollars(one.cost), moment(one.created))
        table.add_row(*(Text(clean(cell)) for cell in cells))
    console().print(table)


@app.command("cancel", epilog="Example:\n\n\b\n  logos-shift tune cancel tune-4f1c0d9a83b2")
def cancel(ctx: typer.Context, job: Job, as_json: Json = False) -> None:
    """End a job."""
    from logos_shift_openai.server.tuners.jobs import ask_to_cancel  # noqa: PLC0415

    with _shop(ctx) as shop:
        with shop.store.writing() as connection:
            ask_to_cancel(connection, job, now_ms())
        _show(_advanced(shop, job), as_json=as_json)


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


def bill_in_words(job: TuningJob) -> str:
    """Say what a job has cost; empty where its provider told nothing."""
    if job.trained_tokens is None:
        return dollars(job.cost)
    tokens = f"{job.trained_tokens:,} tokens trained"
    if job.cost is None:
        return f"{tokens}; `logos-shift prices set {job.settings.model} ... --training` tells what they cost"
    return f"{dollars(job.cost)}, {tokens}"


@contextmanager
def _shop(ctx: typer.Context, *, create: bool = False) -> Iterator[Workshop]:
    from logos_shift_openai.server.tuners.jobs import NoJobError  # noqa: PLC0415
    from logos_shift_openai.server.tuners.step import workshop  # noqa: PLC0415
    from logos_shift_openai.server.worker import holder_name  # noqa: PLC0415

    with opened(ctx.obj, create=create) as store:
        try:
            yield workshop(store, ctx.obj.home, holder_name(), now_ms)
        except NoJobError as error:
            raise CommandError(str(error)) from None


def _advanced(shop: Workshop, job_id: str, *, look_again: bool = False) -> TuningJob:
    from logos_shift_openai.server.holding import BusyError  # noqa: PLC0415
    from logos_shift_openai.server.tuners.jobs import find_job  # noqa: PLC0415
    from logos_shift_openai.server.tuners.machine import advance  # noqa: PLC0415

    with shop.store.reading() as connection:
        find_job(connection, job_id)
    with suppress(BusyError):
        return advance(shop, job_id, look_again=look_again)
    with shop.store.reading() as connection:
        return find_job(connection, job_id)


def _followed(shop: Workshop, job: TuningJob, *, as_json: bool) -> TuningJob:
    """Look again and again until it is at its end or needs somebody; a bar on a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from logos_shift_openai.server.tuners.jobs import OPEN  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    screen = console(stderr=True)
    silent = as_json or not bars_wanted()
    with Progress(*columns, TimeElapsedColumn(), console=screen, transient=True, disable=silent) as bar:
        task = bar.add_task(job.state, total=1.0)
        while job.state in OPEN:
            bar.update(task, description=job.state, completed=job.fraction or 0.0)
            time.sleep(min(_WATCH_SECONDS, max(0.05, (job.due - now_ms()) / 1000)))
            job = _advanced(shop, job.id)
    return job


def _show(job: TuningJob, *, as_json: bool) -> None:
    from rich.text import Text  # noqa: PLC0415

    found: dict[str, Any] = job.to_json()
    if as_json:
        emit(found)
        return
    rows = [
        ("job", job.id),
        ("tuner", f"{job.tuner}, {job.settings.model} on edition {job.edition}"),
        ("state", job.state if job.fraction is None else f"{job.state}, {job.fraction:.0%}"),
        ("said", job.said),
        ("loss", curve_of(found["points"])),
        ("cost", bill_in_words(job)),
        ("next", job.next_step),
    ]
    if job.candidate is not None:
        named = job.candidate.get("provider")
        rows.append(("candidate", job.candidate["model"] + (f" at {named}" if named else "")))
        if "examples" in job.candidate:
            rows.append(("examples", f"{job.candidate['examples']['count']} of {job.candidate['examples']['index']}"))
    table = plain_table()
    table.show_header = False
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        if text:
            table.add_row(label, Text(clean(text)))
    console().print(table)
