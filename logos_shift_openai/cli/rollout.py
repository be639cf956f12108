"""`logos-shift rollout`: begin a rollout, see where it stands and why, and step in by hand.

Every command looks first, as the server does by itself: the spool is taken in, and what the calls prove is decided.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from logos_shift_openai.cli.experiment import Json, Key, Unit
from logos_shift_openai.cli.output import CommandError, clean, console, emit, moment, now_ms, percent, plain_table
from logos_shift_openai.cli.session import Place, opened, take_in_and_say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.server.rollouts import Rollout
    from logos_shift_openai.server.store.database import Store

app = typer.Typer(
    help="Let an experiment be ramped, promoted or rolled back by what its calls prove.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_BARS: Final = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
_WATCH_SECONDS: Final = 2.0
_SHOWN: Final = 40


@app.command(
    "start",
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
    as_json: Json = False,
) -> None:
    """Begin a rollout at the first share of its ladder, with the experiment if it is new."""
    from logos_shift_openai.core.config import ConfigError  # noqa: PLC0415
    from logos_shift_openai.core.policy import policy_from  # noqa: PLC0415
    from logos_shift_openai.server import config_versions, experiments, rollouts  # noqa: PLC0415

    if (candidate is None) != (not model):
        raise typer.BadParameter("--model and --candidate belong together", param_hint="--candidate")
    try:
        decides = policy_from(_read(policy))
    except ConfigError as error:
        raise CommandError(f"{policy}: {error}") from None
    with _looked(ctx.obj, create=True) as (store, home):
        rollouts.check_policy(decides)  # before anything is written
        if candidate is not None:
            rollouts.check_shadow(decides, provider)
            plan = experiments.Plan(key, tuple(model or ()), candidate, provider, dataset, unit=unit.value)
            if home is not None:
                experiments.start(home, plan)
            else:
                salt = experiments.new_salt()
                config_versions.change_config(
                    store, lambda fresh: experiments.start_in(fresh, plan, salt), why="rollout start", now=now_ms()
                )
        rollouts.begin_rollout(store, key, decides, now_ms(), home)
        _show(store, key, as_json=as_json)


@app.command("status", epilog="Example:\n\n\b\n  logos-shift rollout status sales-tiny --watch")
def status(
    ctx: typer.Context,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Name of the experiment; none for all.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Look now, and show where a rollout stands and why."""
    from logos_shift_openai.server.rollouts import list_rollouts, tick  # noqa: PLC0415

    with _looked(ctx.obj) as (store, home):
        while True:
            with store.reading() as connection:
                keys = [one.experiment for one in list_rollouts(connection)] if key is None else [key]
            if not keys and not as_json:
                typer.echo("No rollout yet.")
            if as_json and key is None:
                emit([_as_json(store, one) for one in keys])
            else:
                for one in keys:
                    _show(store, one, as_json=as_json)
            if not watch:
                return
            time.sleep(_WATCH_SECONDS)
            if home is not None:
                take_in_and_say(store, ctx.obj)
                tick(store, now_ms(), home)


@app.command("pause", epilog="Example:\n\n\b\n  logos-shift rollout pause sales-tiny")
def pause(ctx: typer.Context, key: Key, as_json: Json = False) -> None:
    """Decide nothing until it is resumed; the share stays, and its clocks stand still."""
    _by_hand(ctx.obj, key, "pause", as_json=as_json)


@app.command("resume", epilog="Example:\n\n\b\n  logos-shift rollout resume sales-tiny")
def resume(ctx: typer.Context, key: Key, as_json: Json = False) -> None:
    """Go on after a pause, or after an alarm with a new count."""
    _by_hand(ctx.obj, key, "resume", as_json=as_json)


@app.command("promote", epilog="Example:\n\n\b\n  logos-shift rollout promote sales-tiny")
def promote(ctx: typer.Context, key: Key, as_json: Json = False) -> None:
    """Give the candidate the calls without waiting for the proof."""
    _by_hand(ctx.obj, key, "promote", as_json=as_json)


@app.command("rollback", epilog="Example:\n\n\b\n  logos-shift rollout rollback sales-tiny")
def rollback(ctx: typer.Context, key: Key, as_json: Json = False) -> None:
    """Send every call to the baseline and end the rollout."""
    _by_hand(ctx.obj, key, "roll_back", as_json=as_json)


@app.command("history", epilog="Example:\n\n\b\n  logos-shift rollout history sales-tiny --json")
def history_(ctx: typer.Context, key: Key, as_json: Json = False) -> None:
    """List the decisions, the latest first; as JSON with the evidence of each."""
    from rich.text import Text  # noqa: PLC0415

    from logos_shift_openai.server.rollouts import get_rollout, history  # noqa: PLC0415

    with _looked(ctx.obj) as (store, _home):
        get_rollout(store, key)
        with store.reading() as connection:
            told = history(connection, key)
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


def sparkline(values: list[float]) -> str:
    """Draw logarithms of wealth, from 1 up to the highest, as bars; what lies below 1 is the lowest bar."""
    top = max([*values, 1e-9])
    return "".join(_BARS[min(len(_BARS) - 1, int(max(0.0, value) / top * (len(_BARS) - 1)))] for value in values)


@contextmanager
def _looked(place: Place, *, create: bool = False) -> Iterator[tuple[Store, Path | None]]:
    """Open the store and look at all rollouts; give it and the home of the embedded config, if that counts."""
    from logos_shift_openai.core.rollout_by_hand import RolloutError  # noqa: PLC0415
    from logos_shift_openai.server.experiments import ExperimentError  # noqa: PLC0415
    from logos_shift_openai.server.rollouts import embedded_home, tick  # noqa: PLC0415

    with opened(place, create=create) as store:
        home = embedded_home(store, place.home)
        try:
            if place.home.is_dir():
                tick(store, now_ms(), home)
            yield store, home
        except (RolloutError, ExperimentError) as error:
            raise CommandError(str(error)) from None


def _by_hand(place: Place, key: str, what: str, *, as_json: bool) -> None:
    from logos_shift_openai.server.rollouts import change_rollout  # noqa: PLC0415

    with _looked(place) as (store, home):
        change_rollout(store, key, what, now_ms(), home)
        _show(store, key, as_json=as_json)


def _read(path: Path | None) -> Any:
    if path is None:
        return {}
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path} is not JSON: {error}") from None


def _as_json(store: Store, key: str) -> dict[str, Any]:
    from logos_shift_openai.server.rollouts import get_rollout, history  # noqa: PLC0415
    from logos_shift_openai.server.shadows import shadow_totals  # noqa: PLC0415

    one: Rollout = get_rollout(store, key)
    with store.reading() as connection:
        told = history(connection, key, _SHOWN)
        shadow = shadow_totals(connection, key)
    look = next((each["document"]["look"] for each in told if each["document"]["look"]), None)
    return {
        "experiment": key,
        "phase": one.state.phase,
        "share": one.state.share,
        "ladder": list(one.policy.ladder),
        "why": told[0]["why"],
        "look": look,
        "harm": [each["document"]["look"]["harm"] for each in reversed(told) if each["document"]["look"]],
        "shadow": shadow,
        "policy": one.policy.to_json(),
        "state": one.state.to_json(),
    }


def _show(store: Store, key: str, *, as_json: bool) -> None:
    from rich.text import Text  # noqa: PLC0415

    found = _as_json(store, key)
    if as_json:
        emit(found)
        return
    ladder = "  ".join(f"[{percent(one)}]" if one == found["share"] else percent(one) for one in found["ladder"])
    rows = [
        ("rollout", key),
        ("phase", f"{found['phase'].replace('_', ' ')}, {percent(found['share'])} to the candidate"),
        ("ladder", ladder),
    ]
    for one in (found["look"] or {"metrics": []})["metrics"]:
        means = (f"{name} {one[name]:.4f}" for name in ("baseline", "candidate") if one[name] is not None)
        rows.append((one["metric"], f"{', '.join(means) or 'no scores yet'}; {one['units']} units"))
    if found["harm"]:
        rows.append(("harm", f"{sparkline(found['harm'])} (logarithm {found['harm'][-1]:.2f})"))
    if (shadow := found["shadow"]) is not None:
        agree = "" if shadow["agreement"] is None else f", {shadow['agreement']:.1%} agree"
        spent = f"{shadow['tokens_in']} tokens in, {shadow['tokens_out']} out"
        told = f"{shadow['asked']} asked, {shadow['failed']} failed, {shadow['compared']} compared{agree}; {spent}"
        rows.append(("shadow", told))
    rows.append(("why", found["why"]))
    table = plain_table()
    table.show_header = False
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(label, Text(clean(text)))
    console().print(table)
