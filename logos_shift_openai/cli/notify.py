"""`logos-shift notify`: the channels that events are told on, what was told, and a test.

Channels are of the environment of whoever delivers: of `logos-shift serve` where there is a server, else of each
command.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from logos_shift_openai.cli.keys import DatabaseUrl, Json  # noqa: TC001 - typer reads the annotations
from logos_shift_openai.cli.output import CommandError, age, clean, console, emit, now_ms, plain_table
from logos_shift_openai.cli.session import opened
from logos_shift_openai.errors import SettingsError

if TYPE_CHECKING:
    from logos_shift_openai.server.notifications.channels import Channel

app = typer.Typer(help="Tell people what was decided.", no_args_is_help=True, rich_markup_mode=None)


def named_channels() -> tuple[Channel, ...]:
    """Read the channels of the environment.

    Raises:
        CommandError: one cannot be meant.
    """
    from logos_shift_openai.server.notifications.channels import channels_from  # noqa: PLC0415

    try:
        return channels_from(os.environ)
    except SettingsError as error:
        raise CommandError(str(error)) from None


@app.command("test", epilog="Example:\n\n\b\n  logos-shift notify test ops")
def send_tests(
    channel: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The channel; none for all.")] = None,
    as_json: Json = False,
) -> None:
    """Send a test now, on the channels of this environment."""
    from logos_shift_openai.server.notifications.delivery import send_test  # noqa: PLC0415

    chosen = [one for one in named_channels() if channel in {None, one.name}]
    if not chosen:
        named = "no channel" if channel is None else f"no channel {channel}"
        raise CommandError(f"{named} in this environment: set LOGOS_SHIFT_NOTIFY_<NAME>_URL")
    faults = {one.name: send_test(one, now_ms()) for one in chosen}
    if as_json:
        emit([{"channel": name, "ok": fault is None, "fault": fault} for name, fault in faults.items()])
    else:
        for name, fault in faults.items():
            typer.echo(clean(f"{name}: {'taken' if fault is None else fault}"))
    if any(faults.values()):
        raise typer.Exit(1)


@app.command("list", epilog="Example:\n\n\b\n  logos-shift notify list")
def list_(as_json: Json = False) -> None:
    """List the channels of this environment; secrets are not shown."""
    from rich.text import Text  # noqa: PLC0415

    found = named_channels()
    if as_json:
        emit([{"name": one.name, "kind": one.kind, "where": one.where, "events": list(one.events)} for one in found])
        return
    if not found:
        typer.echo("No channel yet: set LOGOS_SHIFT_NOTIFY_<NAME>_URL.")
        return
    table = plain_table()
    for name in ("name", "kind", "where", "events"):
        table.add_column(name, overflow="fold")
    for one in found:
        table.add_row(*(Text(clean(cell)) for cell in (one.name, one.kind, one.where, ", ".join(one.events))))
    console().print(table)


@app.command("outbox", epilog="Example:\n\n\b\n  logos-shift notify outbox --limit 5")
def outbox(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=500, metavar="N", help="How many events.")] = 20,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """List the latest events, and how far each has come on each channel."""
    from rich.text import Text  # noqa: PLC0415

    from logos_shift_openai.server.notifications.outbox import list_outbox  # noqa: PLC0415

    with opened(ctx.obj, address=database_url) as store, store.reading() as connection:
        found = list_outbox(connection, limit)
    if as_json:
        emit(found)
        return
    if not found:
        typer.echo("Nothing was told yet.")
        return
    table, now = plain_table(), now_ms()
    for name in ("when", "event", "about", "told"):
        table.add_column(name, overflow="fold")
    for one in found:
        lost = any(way["state"] == "given_up" for way in one["deliveries"])
        ways = "; ".join(
            f"{way['channel']} {way['state'].replace('_', ' ')}" + (f" ({way['fault']})" if way["fault"] else "")
            for way in one["deliveries"]
        )
        cells = (
            f"{age(one['at'], now)} ago",
            one["kind"],
            one["experiment"] or one["dataset"] or "",
            (ways or "nobody") + (f"; retry {one['id']}" if lost else ""),
        )
        table.add_row(*(Text(clean(cell)) for cell in cells))
    console().print(table)


@app.command("retry", epilog="Example:\n\n\b\n  logos-shift notify retry --all")
def retry(
    ctx: typer.Context,
    event: Annotated[str | None, typer.Argument(metavar="[ID]", help="The event, as `notify outbox` shows it.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were given up.")] = False,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Tell an event once more where it was given up."""
    from logos_shift_openai.server.notifications.outbox import retry_given_up  # noqa: PLC0415

    if (event is None) is not every:
        raise CommandError("name an event, or say --all")
    with opened(ctx.obj, address=database_url) as store, store.writing() as connection:
        count = retry_given_up(connection, event, now_ms())
    if as_json:
        emit({"retried": count})
    elif count:
        typer.echo(f"{count} {'delivery is' if count == 1 else 'deliveries are'} tried again, from the first try on.")
    if not count:
        raise CommandError("nothing was given up" + ("" if event is None else f" of {event}"))
