"""`logos-shift demo`: the whole round on real questions, on this machine, with no key and no hand on it.

Rows of Banking77 go through our own client to the lab's expensive stand-in. From there on the autopilot flies: the
records become an edition, a small text model is really tuned on it, answers what is held out, and a rollout gives it
more and more of the calls, or takes them away again, by what their feedback proves. With `--bad` the application
corrects every answer to that of another question, and the floor of the held-out questions is taken away. The model is
a text classifier and no language model. The policy has no waiting times, which one for real users would have; all else
is the engine as it is.
"""

from __future__ import annotations

import logging
import random
import shutil
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from logos_shift_openai.cli.demo_flight import Flight, Step, Tuned
from logos_shift_openai.cli.demo_round import DATASET, LARGE, SMALL, Round, Row
from logos_shift_openai.cli.output import (
    CommandError,
    bars_wanted,
    clean,
    console,
    emit,
    milliseconds,
    percent,
    plain_table,
)
from logos_shift_openai.cli.session import Place, opened
from logos_shift_openai.cli.stats import success_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.progress import Progress

    from logos_shift_openai.server.statistics import VariantStatistics

EXAMPLE: Final = "Example:\n\n\b\n  logos-shift demo\n  logos-shift demo --bad"
_DONE: Final = {"ramp": "ramped to", "promote": "promoted to", "roll_back": "rolled back to", "hold": "held at"}


def demo(
    ctx: typer.Context,
    examples: Annotated[int, typer.Option(min=100, max=1_000, help="Calls to learn from.")] = 500,
    calls: Annotated[int, typer.Option(min=50, max=20_000, help="Calls of the rollout at most.")] = 4_000,
    bad: Annotated[bool, typer.Option("--bad", help="Train on shuffled answers: there is nothing to learn.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")] = False,
) -> None:
    """Show the whole round on real questions, with no key: calls, records, tuning, a rollout that decides."""
    from logos_shift_openai.lab import Lab  # noqa: PLC0415
    from logos_shift_openai.lab.data import rows  # noqa: PLC0415
    from logos_shift_openai.server.statistics import variant_statistics  # noqa: PLC0415

    logging.getLogger("logos_shift_openai").setLevel(logging.ERROR)
    place = Place(home=ctx.obj.home / "demo")
    shutil.rmtree(place.home, ignore_errors=True)
    began = time.monotonic()
    known = rows("train")
    random.Random(7).shuffle(known)  # noqa: S311 - the same rows each time
    taught, others = known[:examples], rows("test") + known[examples:]
    with Lab() as lab, _progress(silent=as_json) as bar:
        Round(lab, place, bar).teach(taught, shuffled=bad)
        with opened(place, create=True) as store:
            flight = Flight(lab, place, store, bar, bad=bad)
            tuned = flight.train()
            steps, ended = flight.roll_out(Round(lab, place, bar), _endless(others, calls))
            flown, key = flight.steps(), flight.experiment
            with store.reading() as connection:
                variants = variant_statistics(connection, DATASET, key)
    seconds = time.monotonic() - began
    if as_json:
        emit(
            {
                "seconds": round(seconds, 1),
                "home": str(place.home),
                "tuning": asdict(tuned),
                "autopilot": flown,
                "experiment": key,
                "variants": [{**asdict(one), "usd": _cost(one, tuned.model)} for one in variants],
                "decisions": steps,
                "verdict": ended,
            }
        )
    else:
        _print(place, tuned, flown, key, steps, variants, seconds)
    if ended is None:
        raise CommandError(f"no verdict after {calls} calls: {steps[-1]['why']}")


def _endless(rows: Sequence[Row], calls: int) -> list[Row]:
    """Ask every question once, then again, as other users would."""
    return [rows[number % len(rows)] for number in range(calls)]


def _cost(one: VariantStatistics, tuned: str) -> float:
    """Reckon what a variant's tokens cost, in US dollars, at the lab's made-up prices."""
    from logos_shift_openai.lab.catalogue import price  # noqa: PLC0415

    return price(tuned if one.variant == "candidate" else LARGE).cost(one.tokens.input, one.tokens.output)


def _progress(*, silent: bool) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description:<52}"), BarColumn(14), TimeElapsedColumn())
    return Progress(*columns, console=console(stderr=True), disable=silent or not bars_wanted())


def _print(
    place: Place,
    tuned: Tuned,
    flown: list[Step],
    key: str,
    steps: list[Step],
    variants: Sequence[VariantStatistics],
    seconds: float,
) -> None:
    from rich.padding import Padding  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    out = console()
    out.print("\nThe autopilot, with no hand on it:")
    for each in flown:
        out.print(Padding(Text(clean(f"{each['step'].replace('_', ' ')}: {each['why']}")), (0, 0, 0, 2)))
    held_out = "" if tuned.accuracy is None else f", {tuned.accuracy:.0%} right on the held-out part"
    out.print(f"\n{tuned.model}: {tuned.rows} records, {tuned.seconds} s{held_out}.\n")
    out.print(
        "A rollout begins at 5 %. Borne is a loss of at most 5 points, of success as of calls without an error.\n"
    )
    for step in steps:
        out.print(f"{step['calls']:,} calls, {_DONE[step['action']]} {percent(step['share'])}:")
        out.print(Padding(Text(clean(step["why"])), (0, 0, 1, 2)))
    table = plain_table(f"experiment {key}")
    table.add_column("", style="dim")
    for one in variants:
        table.add_column(str(one.variant), justify="right")
    lines: list[tuple[str, Callable[[VariantStatistics], str]]] = [
        ("model", lambda one: tuned.model if one.variant == "candidate" else LARGE),
        ("calls", lambda one: f"{one.calls:,}"),
        ("success, 95 % interval", lambda one: success_words(one.success)),
        ("latency, median", lambda one: milliseconds(one.latency_ms.median)),
        ("cost of 1,000 calls", lambda one: f"${_cost(one, tuned.model) / max(one.calls, 1) * 1_000:.3f}"),
        ("errors", lambda one: f"{one.errors:,}"),
    ]
    for label, cell in lines:
        table.add_row(label, *(cell(one) for one in variants))
    out.print(table)
    out.print(f"\n{seconds:.0f} s in all. {LARGE} is a script, {SMALL} a small text classifier and")
    out.print("no language model, and the prices are made up. Look around:")
    for command in (f"autopilot history {DATASET}", f"rollout history {key}", "stats", "ui"):
        out.print(f"  logos-shift --home {place.home} {command}", soft_wrap=True)
