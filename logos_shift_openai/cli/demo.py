"""`logos-shift demo`: the whole round on real questions, on this machine, with no key.

Rows of Banking77 go through our own client to the lab's expensive stand-in; the records become a training file; a small
text model is really tuned on it through the official SDK; half of the users get it; feedback is given; a table per
variant is printed. The model is a text classifier and no language model; its rows are held out from its training.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from logos_shift_openai.cli.output import CommandError, console, emit, milliseconds, plain_table
from logos_shift_openai.cli.session import Place, opened
from logos_shift_openai.cli.stats import success_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.progress import Progress

    from logos_shift_openai import OpenAI
    from logos_shift_openai.lab import Lab
    from logos_shift_openai.server.statistics import VariantStatistics

DATASET: Final = "banking"
EXPERIMENT: Final = "banking-tiny"
EXAMPLE: Final = "Example:\n\n\b\n  logos-shift demo\n  logos-shift demo --calls 300 --share 20"
_LARGE: Final = "oracle-large"
_SMALL: Final = "tiny-base"
_WORKERS: Final = 8
_USERS: Final = 150

Row = tuple[str, str]


@dataclass(frozen=True)
class Tuned:
    """What came of the tuning job.

    Args:
        rows: Examples in the training file.
        accuracy: On the part of the file that the job held out, in [0, 1].
        seconds: From the upload to the finished job.
    """

    job: str
    model: str
    rows: int
    accuracy: float | None
    seconds: float


def demo(
    ctx: typer.Context,
    examples: Annotated[int, typer.Option(min=100, max=1_000, help="Calls to learn from.")] = 500,
    calls: Annotated[int, typer.Option(min=50, max=700, help="Calls of the A/B test, on other rows.")] = 600,
    share: Annotated[int, typer.Option(min=1, max=100, metavar="PERCENT", help="The candidate's part.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")] = False,
) -> None:
    """Show the whole round on real questions, with no key: calls, records, tuning, A/B test, feedback."""
    from logos_shift_openai.lab import Lab  # noqa: PLC0415
    from logos_shift_openai.lab.data import rows  # noqa: PLC0415

    logging.getLogger("logos_shift_openai").setLevel(logging.ERROR)
    place = Place(home=ctx.obj.home / "demo")
    shutil.rmtree(place.home, ignore_errors=True)
    began = time.monotonic()
    known = rows("train")
    random.Random(7).shuffle(known)  # noqa: S311 - the same rows each time
    taught, asked = known[:examples], (rows("test") + known[examples:])[:calls]
    with Lab() as lab, _progress(silent=as_json) as bar:
        _Round(lab, place, bar).teach(taught)
        tuned = _tune(lab, place, bar)
        _start_experiment(place, tuned.model, share)
        _Round(lab, place, bar).test(asked)
    with opened(place) as store, store.reading() as connection:
        from logos_shift_openai.server.statistics import variant_statistics  # noqa: PLC0415

        variants = variant_statistics(connection, DATASET, EXPERIMENT)
    seconds = time.monotonic() - began
    if as_json:
        emit(
            {
                "seconds": round(seconds, 1),
                "home": str(place.home),
                "tuning": asdict(tuned),
                "variants": [{**asdict(one), "usd": _cost(one, tuned.model)} for one in variants],
            }
        )
        return
    _print(place, tuned, variants, seconds)


class _Round:
    """Calls through our client, several at a time, with feedback on each."""

    def __init__(self, lab: Lab, place: Place, bar: Progress) -> None:
        from logos_shift_openai import LogosShift, OpenAI  # noqa: PLC0415
        from logos_shift_openai.lab.data import labels  # noqa: PLC0415

        self._shift = LogosShift(home=place.home, url=None, dataset=DATASET)
        self._client: OpenAI = OpenAI(base_url=lab.base_url, api_key="none", logos_shift=self._shift)
        self._bar = bar
        self._system = "Name the intent of the customer's message. Answer with one of: " + ", ".join(labels())

    def teach(self, rows: Sequence[Row]) -> None:
        """Let the large model answer, and say which answers were right."""
        self._run(f"{_LARGE} answers {len(rows)} questions", rows)

    def test(self, rows: Sequence[Row]) -> None:
        """Ask other questions as many users; the experiment decides who gets which model."""
        self._shift.runtime.source.load()
        self._run(f"A/B test on {len(rows)} other questions", rows)

    def _run(self, title: str, rows: Sequence[Row]) -> None:
        task = self._bar.add_task(title, total=len(rows))
        with ThreadPoolExecutor(_WORKERS) as pool:
            for _ in pool.map(self._one, range(len(rows)), rows):
                self._bar.advance(task)
        if not self._shift.flush(30):
            raise CommandError("the records could not be written to the spool")

    def _one(self, number: int, row: Row) -> None:
        text, intent = row
        with self._shift.context(user_id=f"user-{number % _USERS}"):
            answer = self._client.chat.completions.create(
                model=_LARGE,
                messages=[{"role": "system", "content": self._system}, {"role": "user", "content": text}],
            )
        if answer.choices[0].message.content == intent:
            self._shift.provide_feedback(answer, "success")
        else:
            self._shift.provide_feedback(answer, "failure", correction=intent)


def _tune(lab: Lab, place: Place, bar: Progress) -> Tuned:
    """Make a training file of the records and tune the small model on it, through the official SDK."""
    import openai  # noqa: PLC0415

    task = bar.add_task("records become a training file", total=1)
    lines = list(_training_lines(place))
    path = place.home / "training.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    bar.advance(task)
    began = time.monotonic()
    task = bar.add_task(f"{_SMALL} is tuned on {len(lines)} records", total=100)
    with openai.OpenAI(base_url=lab.base_url, api_key="none") as client:
        file = client.files.create(file=path, purpose="fine-tune")
        job = client.fine_tuning.jobs.create(model=_SMALL, training_file=file.id)
        while job.status not in {"succeeded", "failed", "cancelled"}:
            time.sleep(0.1)
            job = client.fine_tuning.jobs.retrieve(job.id)
            events = client.fine_tuning.jobs.list_events(job.id, limit=1).data
            bar.update(task, completed=min(95.0, 12 * (time.monotonic() - began)), description=_said(events))
        if job.status != "succeeded" or job.fine_tuned_model is None:
            raise CommandError(
                f"the tuning job {job.id} {job.status}: {job.error.message if job.error else 'no reason'}"
            )
        points = client.fine_tuning.jobs.checkpoints.list(job.id, limit=1).data
    bar.update(task, completed=100, description=f"{_SMALL} is tuned on {len(lines)} records")
    accuracy = points[0].metrics.valid_mean_token_accuracy if points else None
    return Tuned(job.id, job.fine_tuned_model, len(lines), accuracy, round(time.monotonic() - began, 1))


def _said(events: Sequence[Any]) -> str:
    return f"{_SMALL}: {str(events[0].message)[:50]}" if events else f"{_SMALL}: queued"


def _training_lines(place: Place) -> Iterable[str]:
    """Take the good answers, and the corrections of the bad ones, as chat lines."""
    from logos_shift_openai.server.calls import Filters, find_call, list_calls  # noqa: PLC0415

    with opened(place, create=True) as store, store.reading() as connection:
        for head in list_calls(connection, Filters(dataset=DATASET)):
            call = find_call(connection, str(head["id"]))
            if call is None:
                continue
            said = [one for one in call["said"] if one.get("correction")]
            answer = said[0]["correction"] if said else call["response"]["choices"][0]["message"]["content"]
            messages = [*call["request"]["messages"], {"role": "assistant", "content": answer}]
            yield json.dumps({"messages": messages}, ensure_ascii=False) + "\n"


def _start_experiment(place: Place, model: str, share: int) -> None:
    from logos_shift_openai.server.experiments import Plan, start  # noqa: PLC0415

    start(place.home, Plan(EXPERIMENT, (_LARGE,), model, dataset=DATASET, share=share * 100))


def _cost(one: VariantStatistics, tuned: str) -> float:
    """Reckon what a variant's tokens cost, in US dollars, at the lab's made-up prices."""
    from logos_shift_openai.lab.catalogue import price  # noqa: PLC0415

    return price(tuned if one.variant == "candidate" else _LARGE).cost(one.tokens.input, one.tokens.output)


def _progress(*, silent: bool) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description:<52}"), BarColumn(14), TimeElapsedColumn())
    return Progress(*columns, console=console(stderr=True), disable=silent)


def _print(place: Place, tuned: Tuned, variants: Sequence[VariantStatistics], seconds: float) -> None:
    out = console()
    held_out = "" if tuned.accuracy is None else f", {tuned.accuracy:.0%} right on the held-out part"
    out.print(f"\n{tuned.model}: {tuned.rows} records, {tuned.seconds} s{held_out}.\n")
    table = plain_table(f"experiment {EXPERIMENT}")
    table.add_column("", style="dim")
    for one in variants:
        table.add_column(str(one.variant), justify="right")
    lines: list[tuple[str, Callable[[VariantStatistics], str]]] = [
        ("model", lambda one: tuned.model if one.variant == "candidate" else _LARGE),
        ("calls", lambda one: f"{one.calls:,}"),
        ("success, 95 % interval", lambda one: success_words(one.success)),
        ("latency, median", lambda one: milliseconds(one.latency_ms.median)),
        ("cost of 1,000 calls", lambda one: f"${_cost(one, tuned.model) / max(one.calls, 1) * 1_000:.3f}"),
        ("errors", lambda one: f"{one.errors:,}"),
    ]
    for label, cell in lines:
        table.add_row(label, *(cell(one) for one in variants))
    out.print(table)
    out.print(f"\n{seconds:.0f} s in all. {_LARGE} is a script, {_SMALL} a small text classifier and")
    out.print("no language model, and the prices are made up. Look around:")
    for command in ("calls list", "stats", f"experiment show {EXPERIMENT}"):
        out.print(f"  logos-shift --home {place.home} {command}", soft_wrap=True)
