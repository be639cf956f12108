"""`logos-shift replay`: ask a candidate what others were asked before, and see where it answers otherwise.

Each answer is kept as soon as it is there, as a shadow of the logged call; so a replay that was broken off goes on
where it was, and what a candidate was asked once it is not asked again.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from logos_shift_openai.cli.calls import since_ms
from logos_shift_openai.cli.experiment import Json  # noqa: TC001 - typer reads the annotation
from logos_shift_openai.cli.output import CommandError, console, emit, now_ms, warn
from logos_shift_openai.cli.session import Place, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


EXAMPLE: Final = (
    "Example:\n\n\b\n  logos-shift replay sales-tiny --limit 200\n"
    "  logos-shift replay --model tiny --provider lab --dataset sales \\\n    --compare text --json\n"
    "  logos-shift replay --model tiny --provider lab --edition 6ca15d0b"
)


def replay(
    ctx: typer.Context,
    *,
    experiment: Annotated[
        str | None, typer.Argument(metavar="[EXPERIMENT]", help="Whose candidate, on the calls that it is about.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="A candidate without an experiment.")] = None,
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its endpoint, as named in your environment.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Only calls of this dataset.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only calls from then on, as in 2h, 7d, 2026-11-20.")
    ] = None,
    edition: Annotated[
        str | None, typer.Option(metavar="ID", help="Calls of its held-out part, instead of the latest.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="The latest N calls, asked before or not.")] = 100,
    requests_per_minute: Annotated[
        float | None, typer.Option(min=0.001, metavar="N", help="No faster than that, the judge included.")
    ] = None,
    compare: Annotated[
        str, typer.Option(metavar="HOW", help="exact, json, text, fields, judge, or your own package.module:function.")
    ] = "json",
    judge_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A model that judges the disagreements, in both orders.")
    ] = None,
    judge_provider: Annotated[str | None, typer.Option(metavar="NAME", help="Its endpoint.")] = None,
    price: Annotated[
        str | None, typer.Option(metavar="IN,OUT", help="The candidate's price of a million tokens in and out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask a candidate what others were asked, and compare the answers.

    Takes logged calls from the store on this machine; the candidate's provider and its key are those of your
    environment. Stopped and begun again, it goes on where it was.
    """
    from logos_shift_openai.cli import replay_report  # noqa: PLC0415
    from logos_shift_openai.cli.comparers import comparer  # noqa: PLC0415
    from logos_shift_openai.cli.provider import Pace, settings_here  # noqa: PLC0415
    from logos_shift_openai.cli.replaying import ask_all, judge_all, judge_of, planned  # noqa: PLC0415

    if (experiment is None) == (model is None):
        raise typer.BadParameter("name an experiment, or a model with --model", param_hint="EXPERIMENT")
    if edition is not None and (dataset or since) is not None:
        raise typer.BadParameter("has its own calls; leave --dataset and --since out", param_hint="--edition")
    if compare == "judge" and judge_model is None:
        raise typer.BadParameter("needs --judge-model", param_hint="--compare judge")
    if (judge_model is None) != (judge_provider is None):
        raise typer.BadParameter("--judge-model and --judge-provider belong together", param_hint="--judge-model")
    prices = _prices(price)
    how = "json" if compare == "judge" else compare
    compared_by = comparer(how)
    settings, pace = settings_here(), Pace(requests_per_minute)
    place: Place = ctx.obj
    with opened(place) as store:
        begun = None if since is None else since_ms(since, now_ms())
        plan = planned(store, place.home, experiment, model, provider, dataset, begun, limit, edition)
        judge = None if judge_model is None else judge_of(settings, judge_provider or "", judge_model, pace)
        with _stopped_cleanly(), _progress() as advance:
            asked = ask_all(store, plan, settings, pace, advance)
            judged = None if judge is None else judge_all(store, plan, judge, compared_by, advance)
        found = replay_report.report(store, plan, how, compared_by, asked, judged, prices)
    if as_json:
        emit(found)
    else:
        replay_report.show(found)
    if asked.broken_off is not None:
        raise CommandError(f"broken off: {asked.broken_off}; run it again to go on")


def _prices(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        one, other = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not two numbers as in 0.2,0.8", param_hint="--price") from None
    return one, other


@contextmanager
def _stopped_cleanly() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        warn("stopped; what was answered is kept, and the same command goes on")
        raise


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Give what shows how far a stage has come: a bar on a terminal that vanishes at the end, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _stage, _done, _total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done)

        yield advance
