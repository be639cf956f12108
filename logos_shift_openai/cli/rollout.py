"""`logos-shift rollout`: begin a rollout, see where it stands and why, and step in by hand.

With `--database-url` they are a database's, with `--url` or `LOGOS_SHIFT_URL` a server's, otherwise the home folder's;
all three show the same, in words and in JSON.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from logos_shift_openai.cli.experiment import Json, Key, Unit, Url
from logos_shift_openai.cli.keys import DatabaseUrl  # noqa: TC001 - typer reads the annotation
from logos_shift_openai.cli.output import CommandError, clean, console, emit, moment, percent, plain_table, warn
from logos_shift_openai.cli.rollout_places import Shown, rollouts_of

if TYPE_CHECKING:
    from logos_shift_openai.cli.session import Place

app = typer.Typer(
    help="Let an experiment be ramped, promoted or rolled back by what its calls prove.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_BARS: Final = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
_WATCH_SECONDS: Final = 2.0
_SHOWN: Final = 100
_WIDTH: Final = 40


@app.command(
    "start",
    short_help="Begin a rollout at the first share of its ladder.",
    epilog="Example:\n\n\b\n  logos-shift rollout start sales-tiny --dataset sales \\\n"
    "    --model gpt-6.1-sol --candidate tiny-base:ft-1",
)
def start(
    ctx: typer.Context,
    *,
    key: Key,
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Requested model, * and ? allowed; may be repeated.")
    ] = None,
    candidate: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model that may take over; none: the experiment runs.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its endpoint, as named in your environment.")
    ] = None,
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Only calls of this dataset; * for all.")] = "*",
    unit: Annotated[Unit, typer.Option(metavar="UNIT", help="What keeps its variant.")] = Unit.user,
    policy: Annotated[Path | None, typer.Option(metavar="FILE", help="How it decides, as JSON.")] = None,
    force: Annotated[
        str | None, typer.Option(metavar="WHY", help="Begin although the candidate failed at the held-out questions.")
    ] = None,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Begin a rollout at the first share of its ladder, with the experiment if it is new."""
    from logos_shift_openai.core.policy import policy_from  # noqa: PLC0415
    from logos_shift_openai.core.strict import ConfigError  # noqa: PLC0415
    from logos_shift_openai.server.experiments import Plan  # noqa: PLC0415

    if (candidate is None) != (not model):
        raise typer.BadParameter("--model and --candidate belong together", param_hint="--candidate")
    try:
        decides = policy_from(_read(policy))
    except ConfigError as error:
        raise CommandError(f"{policy}: {error}") from None
    plan = None
    if candidate is not None:
        plan = Plan(key, tuple(model or ()), candidate, provider, dataset, unit=unit.value)
    with rollouts_of(ctx.obj, url, database_url, create=True) as rollouts:
        _show(rollouts.start(key, decides, plan, force), as_json=as_json)


@app.command("status", epilog="Example:\n\n\b\n  logos-shift rollout status sales-tiny --watch")
def status(
    ctx: typer.Context,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Name of the experiment; none for all.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    recount: Annotated[bool, typer.Option("--recount", help="Count all calls of KEY's run anew, and compare.")] = False,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Look now, and show where a rollout stands and why."""
    if recount and key is None:
        raise typer.BadParameter("--recount is about one rollout", param_hint="KEY")
    with rollouts_of(ctx.obj, url, database_url) as rollouts:
        if recount and key is not None:
            _say_recount(rollouts.recount(key), as_json=as_json)
            return
        while True:
            found = rollouts.all() if key is None else [rollouts.one(key)]
            if as_json and key is None:
                emit(found)
            elif not found:
                typer.echo("No rollout yet.")
            else:
                for one in found:
                    _show(one, as_json=as_json)
            if not watch:
                return
            time.sleep(_WATCH_SECONDS)
            rollouts.look()


@app.command(
    "pause",
    short_help="Decide nothing until it is resumed.",
    epilog="Example:\n\n\b\n  logos-shift rollout pause sales-tiny",
)
def pause(
    ctx: typer.Context, key: Key, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False
) -> None:
    """Decide nothing until it is resumed; the share stays, and its clocks stand still."""
    _by_hand(ctx.obj, url, database_url, key, "pause", as_json=as_json)


@app.command("resume", epilog="Example:\n\n\b\n  logos-shift rollout resume sales-tiny")
def resume(
    ctx: typer.Context, key: Key, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False
) -> None:
    """Go on after a pause, or after an alarm with a new count."""
    _by_hand(ctx.obj, url, database_url, key, "resume", as_json=as_json)


@app.command("promote", epilog="Example:\n\n\b\n  logos-shift rollout promote sales-tiny")
def promote(
    ctx: typer.Context, key: Key, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False
) -> None:
    """Give the candidate the calls without waiting for the proof."""
    _by_hand(ctx.obj, url, database_url, key, "promote", as_json=as_json)


@app.command("rollback", epilog="Example:\n\n\b\n  logos-shift rollout rollback sales-tiny")
def rollback(
    ctx: typer.Context, key: Key, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False
) -> None:
    """Send every call to the baseline and end the rollout."""
    _by_hand(ctx.obj, url, database_url, key, "rollback", as_json=as_json)


@app.command(
    "history",
    short_help="List the decisions, the latest first.",
    epilog="Example:\n\n\b\n  logos-shift rollout history sales-tiny --json",
)
def history_(
    ctx: typer.Context,
    key: Key,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="So many at most.")] = _SHOWN,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """List the decisions, the latest first; as JSON with the evidence of each."""
    from rich.text import Text  # noqa: PLC0415

    with rollouts_of(ctx.obj, url, database_url) as rollouts:
        told = rollouts.history(key, limit)
    if as_json:
        emit(told)
        return
    table = plain_table()
    for name in ("at", "action", "share", "why"):
        table.add_column(name, overflow="fold")
    for one in told:
        cells = (moment(one["at"]), one["action"].replace("_", " "), percent(one["share"]), one["why"])
        table.add_row(*(Text(clean(cell)) for cell in cells))
    console().print(table)


def sparkline(values: list[float], line: float | None = None) -> str:
    """Draw logarithms of wealth as bars; what lies below 1 is the lowest bar.

    Args:
        values: In their order.
        line: What the highest bar stands for; None takes the highest value.
    """
    top = max([*values, 1e-9]) if line is None else max(line, 1e-9)
    full = len(_BARS) - 1
    return "".join(_BARS[min(full, int(max(0.0, value) / top * full))] for value in values)


def _by_hand(place: Place, url: str | None, database_url: str | None, key: str, verb: str, *, as_json: bool) -> None:
    with rollouts_of(place, url, database_url) as rollouts:
        _show(rollouts.act(key, verb), as_json=as_json)


def _say_recount(found: Shown, *, as_json: bool) -> None:
    """Say whether the counts that are kept are those of the calls."""
    if as_json:
        emit(found)
    elif found["agrees"] is None:
        typer.echo("Records are coming in that are not counted yet; try again.")
    elif found["agrees"]:
        typer.echo(f"The calls give the counts that are kept: {found['scores']:,} units and scores.")
    else:
        typer.echo(
            f"The calls give {found['anew']:,} units and scores, {found['scores']:,} are kept. Where retention has "
            "removed calls since the run began this is as it must be; else please report it."
        )


def _read(path: Path | None) -> Any:
    if path is None:
        return {}
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path} is not JSON: {error}") from None


def _show(found: Shown, *, as_json: bool) -> None:
    from rich.text import Text  # noqa: PLC0415

    if as_json:
        emit(found)
        return
    ladder = "  ".join(f"[{percent(one)}]" if one == found["share"] else percent(one) for one in found["ladder"])
    rows = [
        ("rollout", found["experiment"]),
        ("phase", f"{found['phase'].replace('_', ' ')}, {percent(found['share'])} to the candidate"),
        ("ladder", ladder),
    ]
    for one in (found["look"] or {"metrics": []})["metrics"]:
        means = (f"{name} {one[name]:.4f}" for name in ("baseline", "candidate") if one[name] is not None)
        rows.append((one["metric"], f"{', '.join(means) or 'no scores yet'}; {one['units']} units"))
    rows += _courses(found)
    if (shadow := found.get("shadow")) is not None:
        agree = "" if shadow["agreement"] is None else f", {shadow['agreement']:.1%} agree"
        spent = f"{shadow['tokens_in']} tokens in, {shadow['tokens_out']} out"
        told = f"{shadow['asked']} asked, {shadow['failed']} failed, {shadow['compared']} compared{agree}; {spent}"
        rows.append(("shadow", told))
    rows.append(("why", found["why"]))
    if found.get("offer"):
        rows.append(("next", found["offer"]))
    table = plain_table()
    table.show_header = False
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(label, Text(clean(text)))
    console().print(table)
    for said in found["warnings"]:
        warn(said)


def _courses(found: Shown) -> list[tuple[str, str]]:
    """Draw the wealth of the two proofs, each as high as its line, which is the full bar."""
    trail = found["trail"][:: -max(1, math.ceil(len(found["trail"]) / _WIDTH))][::-1]
    rows = []
    for label, name, line in (("harm", "harm", found["harm_needed"]), ("next step", "proof", None)):
        points = [(one[name], line or one["needed"]) for one in trail if one[name] is not None]
        if points:
            now, needed = points[-1]
            bars = sparkline([value / full for value, full in points], 1.0)
            rows.append((label, f"{bars} proof at {math.exp(min(now, needed)):.1f} of {math.exp(needed):.0f}"))
    return rows
