"""`logos-shift candidate`: the held-out questions of an edition, put to a candidate before any user sees it.

The candidate's provider and its key are those of this process's environment; with `--url` or `LOGOS_SHIFT_URL` a server
asks, by its own. Stopped and begun again, it goes on where it was: no row is asked twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from logos_shift_openai.cli.candidate_places import evaluations_of
from logos_shift_openai.cli.experiment import Json, Url  # noqa: TC001 - typer reads the annotations
from logos_shift_openai.cli.keys import DatabaseUrl  # noqa: TC001 - typer reads the annotation
from logos_shift_openai.cli.output import CommandError, age, clean, console, emit, now_ms, plain_table, warn
from logos_shift_openai.cli.progress import counted

if TYPE_CHECKING:
    from logos_shift_openai.cli.candidate_places import Shown

app = typer.Typer(
    help="Put an edition's held-out questions to a candidate.", no_args_is_help=True, rich_markup_mode=None
)
_SHOWN = 12


@app.command(
    "evaluate",
    short_help="Ask a candidate what is held out.",
    epilog="Example:\n\n\b\n  logos-shift candidate evaluate --job tune-4f1c0d9a83b2\n"
    "  logos-shift candidate evaluate --edition 6ca15d0b \\\n    --model tiny-base --provider lab --floor 0.9",
)
def evaluate(
    ctx: typer.Context,
    *,
    job: Annotated[str | None, typer.Option(metavar="JOB", help="The tuning job that made it.")] = None,
    edition: Annotated[str | None, typer.Option(metavar="ID", help="Whose held-out part; none: the job's.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="A candidate without a job.")] = None,
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its endpoint, as named in your environment.")
    ] = None,
    compare: Annotated[str, typer.Option(metavar="HOW", help="exact, json, text or fields.")] = "json",
    floor: Annotated[float, typer.Option(min=0, max=1, help="Least mean agreement.")] = 0.8,
    valid_floor: Annotated[float, typer.Option(min=0, max=1, help="Least part of valid JSON or calls.")] = 0.98,
    rows: Annotated[int, typer.Option(min=0, metavar="N", help="Fewer answers pass nothing.")] = 30,
    per_answer: Annotated[
        int, typer.Option(min=0, metavar="N", help="Answers with so many rows are judged by themselves.")
    ] = 10,
    answer_floor: Annotated[float, typer.Option(min=0, max=1, help="Least agreement of each of those.")] = 0.3,
    every_answer: Annotated[bool, typer.Option("--every-answer", help="Each answer must have so many rows.")] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The first N rows.")] = 400,
    max_cost: Annotated[float | None, typer.Option(min=0, metavar="USD", help="What it may cost.")] = None,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Ask a candidate what is held out, and say whether it may be rolled out; exit code 1 if not."""
    from logos_shift_openai.core.held_out import rules_from  # noqa: PLC0415
    from logos_shift_openai.core.strict import ConfigError  # noqa: PLC0415

    if (job is None) == (model is None):
        raise typer.BadParameter("name a tuning job, or a model with --model", param_hint="--job")
    if job is None and edition is None:
        raise typer.BadParameter("name the edition whose held-out part is asked", param_hint="--edition")
    candidate = None if model is None else {"model": model, **({} if provider is None else {"provider": provider})}
    try:
        rules = rules_from(
            {
                "compare": compare, "floor": floor, "valid_floor": valid_floor, "rows": rows,
                "per_answer": per_answer, "answer_floor": answer_floor, "every_answer": every_answer,
                "limit": limit, "money": max_cost,
            }
        )  # fmt: skip
    except ConfigError as error:
        raise CommandError(str(error)) from None
    with evaluations_of(ctx.obj, url, database_url, create=True) as evaluations:
        try:
            with counted("asking what is held out") as advance:
                one = evaluations.evaluate(job, edition, candidate, rules, advance)
        except KeyboardInterrupt:
            warn(evaluations.stopped)
            raise
    _show(one, as_json=as_json)
    if one["state"] == "open":
        raise CommandError(f"broken off: {one['said']}; run it again to go on")
    if one["state"] == "failed":
        raise typer.Exit(1)


@app.command("report", epilog="Example:\n\n\b\n  logos-shift candidate report eval-0f3c5a2b9d1e4c77")
def report(
    ctx: typer.Context,
    evaluation: Annotated[str | None, typer.Argument(metavar="[ID]", help="The evaluation; none: the latest.")] = None,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Show what came of the held-out questions."""
    with evaluations_of(ctx.obj, url, database_url) as evaluations:
        one = evaluations.one(evaluation)
    _show(one, as_json=as_json)


@app.command("list", epilog="Example:\n\n\b\n  logos-shift candidate list")
def list_(ctx: typer.Context, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """List the evaluations, the latest first."""
    from rich.text import Text  # noqa: PLC0415

    with evaluations_of(ctx.obj, url, database_url) as evaluations:
        found = evaluations.all()
    if as_json:
        emit(found)
        return
    if not found:
        typer.echo("No candidate was evaluated yet.")
        return
    table, now = plain_table(), now_ms()
    for name in ("evaluation", "candidate", "edition", "state", "when"):
        table.add_column(name, overflow="fold")
    for one in found:
        ago = f"{age(one['updated'], now)} ago"
        cells = (one["id"], one["candidate"]["model"], one["edition"], one["state"], ago)
        table.add_row(*(Text(clean(cell)) for cell in cells))
    console().print(table)


def _show(one: Shown, *, as_json: bool) -> None:
    from rich.text import Text  # noqa: PLC0415

    if as_json:
        emit(one)
        return
    candidate, rules, found = one["candidate"], one["rules"], one["report"]
    at = candidate.get("provider")
    rows = [
        ("evaluation", one["id"]),
        ("candidate", candidate["model"] + (f" at {at}" if at else "")),
        ("edition", one["edition"]),
        ("state", one["state"]),
        ("why", one["said"]),
    ]
    if found is not None and found["agreement"] is not None:
        between = f"between {found['low']:.1%} and {found['high']:.1%}"
        rows.append(("agreement", f"{found['agreement']:.1%}, {between}; the floor is {rules['floor']:.1%}"))
        rows.append(
            ("rows", f"{found['rows']:,} of {found['held_out']:,} held out, {found['failed']:,} without an answer")
        )
        if found["valid"] is not None:
            rows.append(("valid", f"{found['valid']:.1%}; the floor is {rules['valid_floor']:.1%}"))
        if found["cost"] is not None:
            rows.append(("cost", f"${found['cost']:.4f}"))
    table = plain_table()
    table.show_header = False
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(label, Text(clean(text)))
    console().print(table)
    if found is not None and found["answers"]:
        _show_answers(found["answers"])


def _show_answers(answers: list[dict[str, Any]]) -> None:
    """Show the weakest answers, of those that have enough rows, else of all."""
    from rich.text import Text  # noqa: PLC0415

    judged = [each for each in answers if each["judged"]] or answers
    worst = sorted(judged, key=lambda each: (each["agreement"], -each["rows"]))[:_SHOWN]
    table = plain_table("the weakest answers")
    for name in ("answer", "rows", "agree"):
        table.add_column(name, justify="left" if name == "answer" else "right", overflow="fold")
    for each in worst:
        table.add_row(Text(clean(each["answer"])[:80]), f"{each['rows']:,}", f"{each['agreement']:.0%}")
    console().print()
    console().print(table)
