"""`logos-shift calls`: list, show, follow and export what was recorded."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from logos_shift_openai.cli.output import (
    CommandError,
    age,
    clean,
    console,
    emit,
    emit_lines,
    milliseconds,
    now_ms,
    plain_table,
    warn,
)
from logos_shift_openai.cli.session import opened, take_in_and_say

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table
    from rich.text import Text

    from logos_shift_openai.server.calls import FeedbackKind, Filters

app = typer.Typer(help="List, show, follow and export calls.", no_args_is_help=True, rich_markup_mode=None)

_TAIL_SECONDS: Final = 1.0
_MOST: Final = 1_000_000
_TAIL_FIRST: Final = 10
_WIDE: Final = 110
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]


class Variant(str, Enum):
    """The variant a call was assigned to."""

    baseline = "baseline"
    candidate = "candidate"


class Verdict(str, Enum):
    """The feedback that counts for a call."""

    success = "success"
    failure = "failure"
    none = "none"


_KINDS: Final[dict[Verdict, FeedbackKind]] = {
    Verdict.success: "success",
    Verdict.failure: "failure",
    Verdict.none: "none",
}


@app.command(
    "list",
    epilog="Example:\n\n\b\n  logos-shift calls list --dataset sales --feedback failure --since 2h\n"
    "  logos-shift calls list --errors --json --limit 100",
)
def list_(
    ctx: typer.Context,
    *,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Only this dataset.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Only this model, requested or answering.")] = None,
    variant: Annotated[
        Variant | None, typer.Option(metavar="VARIANT", help="baseline or candidate, as assigned.")
    ] = None,
    experiment: Annotated[str | None, typer.Option(metavar="KEY", help="Only calls of this experiment.")] = None,
    feedback: Annotated[
        Verdict | None, typer.Option(metavar="WORD", help="success, failure or none: the one that counts.")
    ] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only calls that ended in an error.")] = False,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="As 90s, 30m, 2h, 7d, or a date like 2026-11-24.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=_MOST, metavar="N", help="At most so many, the latest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List calls, the latest first."""
    from logos_shift_openai.server.calls import Filters, list_calls  # noqa: PLC0415

    filters = Filters(
        dataset=dataset,
        model=model,
        variant=variant and variant.value,
        experiment=experiment,
        feedback=None if feedback is None else _KINDS[feedback],
        errors=errors,
        since=None if since is None else since_ms(since, now_ms()),
        limit=limit,
    )
    with opened(ctx.obj) as store, store.reading() as connection:
        found = list_calls(connection, filters)
    if as_json:
        emit(found)
    elif found:
        console().print(_table(found))
    else:
        typer.echo(_nothing(filters, str(ctx.obj.home)))


@app.command("show", epilog="Example:\n\n\b\n  logos-shift calls show chatcmpl-9xKq2")
def show(
    ctx: typer.Context,
    call_id: Annotated[str, typer.Argument(metavar="ID", help="Our id, or the provider's own.")],
    as_json: Json = False,
) -> None:
    """Show one call: its conversation, route, attempts and feedback."""
    from logos_shift_openai.server.calls import find_call  # noqa: PLC0415

    with opened(ctx.obj) as store, store.reading() as connection:
        call = find_call(connection, call_id)
    if call is None:
        raise CommandError(f"no call with the id {call_id} in {ctx.obj.store_path}")
    if as_json:
        emit(call)
    else:
        from logos_shift_openai.cli.call_page import show_call  # noqa: PLC0415

        show_call(call, now_ms())


@app.command("tail", epilog="Example:\n\n\b\n  logos-shift calls tail --json | jq .requested_model")
def tail(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show the last calls and each new one as it comes, until Ctrl-C."""
    from logos_shift_openai.server.calls import Filters, list_calls  # noqa: PLC0415
    from logos_shift_openai.server.following import calls_since, latest  # noqa: PLC0415

    ctx.obj.home.mkdir(parents=True, exist_ok=True)
    with opened(ctx.obj) as store:
        with store.reading() as connection:
            cursor = latest(connection)
            fresh = list_calls(connection, Filters(limit=_TAIL_FIRST))[::-1]
        first = True
        while True:
            for call in fresh if as_json else ():
                emit(call, lines=True)
            if not as_json and (fresh or first):
                console().print(_table(fresh, header=first, follow=True))
            first = False
            time.sleep(_TAIL_SECONDS)
            take_in_and_say(store, ctx.obj)
            with store.reading() as connection:
                fresh = calls_since(connection, cursor)


@app.command(
    "export",
    short_help="Write calls to stdout, one JSON object a line.",
    epilog="Example:\n\n\b\n  logos-shift calls export > calls.ndjson\n"
    "  logos-shift calls export --dataset sales --rated | gzip > sales.gz",
)
def export(
    ctx: typer.Context,
    *,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Only this dataset.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="As 90s, 30m, 2h, 7d, or a date like 2026-11-24.")
    ] = None,
    rated: Annotated[bool, typer.Option("--rated", help="Only calls with a score.")] = False,
    database_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", envvar="LOGOS_SHIFT_DATABASE_URL", help="A PostgreSQL, instead of the home folder."
        ),
    ] = None,
) -> None:
    """Write calls to stdout with their bodies and feedback, one JSON object a line, the oldest first."""
    from logos_shift_openai.core.left_out import REASONS  # noqa: PLC0415
    from logos_shift_openai.server.export import Tally, Wanted, export_calls  # noqa: PLC0415

    begun, tally = None if since is None else since_ms(since, now_ms()), Tally()
    with opened(ctx.obj, address=database_url) as store:
        emit_lines(export_calls(store, Wanted(dataset=dataset, since=begun, rated=rated), tally))
    for why, count in sorted(tally.left_out.items()):
        warn(f"{count:,} lines without text: {REASONS[why].meaning}")


def since_ms(text: str, now: int) -> int:
    """Read a point in time: an age like `2h`, or a date or time in ISO 8601 (of this machine's time zone).

    Raises:
        typer.BadParameter: it is neither.
    """
    match = re.fullmatch(r"(\d{1,9})\s*([smhdw])", text.strip())
    if match:
        return max(0, now - int(match[1]) * _UNITS[match[2]] * 1000)
    try:
        return max(0, int(datetime.fromisoformat(text.strip()).timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(
            f"{text!r} is neither an age like 90s, 30m, 2h, 7d, 2w nor a date like 2026-11-24",
            param_hint="--since",
        ) from None


def _table(found: list[dict[str, Any]], *, header: bool = True, follow: bool = False) -> Table:
    now, width = now_ms(), console().width
    columns = [_ID, _AGE, _MODEL]
    if width >= _WIDE:
        columns.append(_DATASET)
    if follow or any(call["assigned"] for call in found):
        columns.append(_VARIANT)
    columns += [_TOOK, _END]
    if not follow and any("bodies" in call for call in found):
        columns.append(_TEXT)
    if not follow and any(call["feedback"] for call in found):
        columns.append(_SCORE)
    table = plain_table()
    table.show_header = header
    room = width - sum(column.width + 1 for column in columns if column is not _MODEL)
    for column in columns:
        size = max(room, column.width) if column is _MODEL else column.width
        table.add_column(
            column.name,
            justify=column.justify,
            no_wrap=True,
            overflow="ellipsis",
            min_width=column.width,
            max_width=size,
        )
    for call in found:
        table.add_row(*(column.cell(call, now) for column in columns))
    return table


def _model(call: dict[str, Any]) -> str:
    return str(call["served_model"] or call["requested_model"] or call["name"] or call["endpoint"])


def _variant(call: dict[str, Any]) -> tuple[str, str]:
    if call["assigned"] == "candidate" and call["served"] == "baseline":
        return "fallback", "yellow"
    return call["assigned"] or "", "cyan" if call["assigned"] == "candidate" else ""


def _end(call: dict[str, Any]) -> tuple[str, str]:
    if call["error"] is not None:
        return str(call["error"]["status"] or "err"), "red"
    return ("ok", "") if call["complete"] else ("cut", "yellow")


def _score(call: dict[str, Any]) -> tuple[str, str]:
    if call["feedback"] is None:
        return "", ""
    score = call["feedback"]["score"]
    return f"{score:.3g}", "green" if score >= 0.5 else "red"  # noqa: PLR2004 - as --feedback


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    width: int
    text: Callable[[dict[str, Any], int], tuple[str, str]]
    justify: Literal["left", "right"] = "left"

    def cell(self, call: dict[str, Any], now: int) -> Text:
        from rich.text import Text  # noqa: PLC0415

        text, style = self.text(call, now)
        return Text(clean(text), style=style)


_ID: Final = _Column("id", 36, lambda call, _now: (call["id"], ""))
_AGE: Final = _Column("age", 4, lambda call, now: (age(call["at"], now), "dim"), "right")
_MODEL: Final = _Column("model", 11, lambda call, _now: (_model(call), ""))
_DATASET: Final = _Column("dataset", 16, lambda call, _now: (call["dataset"], ""))
_VARIANT: Final = _Column("variant", 9, lambda call, _now: _variant(call))
_TOOK: Final = _Column("took", 6, lambda call, _now: (milliseconds(call["duration_ms"]), ""), "right")
_END: Final = _Column("end", 3, lambda call, _now: _end(call))
_TEXT: Final = _Column("text", 7, lambda call, _now: ("" if call.get("bodies", True) else "sampled", "dim"))
_SCORE: Final = _Column("score", 5, lambda call, _now: _score(call))


def _nothing(filters: Filters, home: str) -> str:
    asked = filters.limit is not None and any(
        value for name in filters.__dataclass_fields__ if name != "limit" and (value := getattr(filters, name))
    )
    return f"No call in {clean(home)} fits." if asked else f"No calls recorded in {clean(home)} yet."
