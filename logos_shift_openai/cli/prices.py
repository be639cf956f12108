"""`logos-shift prices`: what models cost, by the user's own table and by the data that come with the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from logos_shift_openai.cli.output import CommandError, clean, console, emit, now_ms, plain_table
from logos_shift_openai.cli.session import opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logos_shift_openai.core.prices import Price

app = typer.Typer(help="Say what models cost, in dollars.", no_args_is_help=True, rich_markup_mode=None)

_Address = Annotated[
    str | None,
    typer.Option(metavar="URL", envvar="LOGOS_SHIFT_DATABASE_URL", help="The server's PostgreSQL, if it has one."),
]
_Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]
_Model = Annotated[str, typer.Argument(metavar="MODEL", help="Its name; * and ? stand for others.")]


@app.command("set", epilog="Example:\n\n\b\n  logos-shift prices set 'tiny-base:*' --input 0.1 --output 0.4")
def set_(
    ctx: typer.Context,
    *,
    model: _Model,
    input_: Annotated[float, typer.Option("--input", min=0, metavar="USD", help="For a million tokens in.")],
    output: Annotated[float, typer.Option(min=0, metavar="USD", help="For a million tokens out.")],
    cached: Annotated[
        float | None, typer.Option(min=0, metavar="USD", help="For a million tokens in, from a cache.")
    ] = None,
    training: Annotated[
        float | None, typer.Option(min=0, metavar="USD", help="For a million tokens that it is trained on.")
    ] = None,
    database_url: _Address = None,
    as_json: _Json = False,
) -> None:
    """Say what a model costs; it comes before the data of the package."""
    from logos_shift_openai.core.prices import Price, prices_from  # noqa: PLC0415
    from logos_shift_openai.server.prices import keep_prices, read_prices  # noqa: PLC0415

    price = Price(input_, output, cached, training)
    prices_from({model: price.to_json()})  # refuses what could not be read back
    with opened(ctx.obj, create=True, address=database_url) as store, store.writing() as connection:
        table = {**read_prices(connection).table, model: price}
        keep_prices(connection, table)
    _show(table, as_json=as_json)


@app.command("remove", epilog="Example:\n\n\b\n  logos-shift prices remove 'tiny-base:*'")
def remove(ctx: typer.Context, model: _Model, database_url: _Address = None, as_json: _Json = False) -> None:
    """Take a price out of your table."""
    from logos_shift_openai.server.prices import keep_prices, read_prices  # noqa: PLC0415

    with opened(ctx.obj, address=database_url) as store:
        with store.reading() as connection:
            table = dict(read_prices(connection).table)
        if table.pop(model, None) is None:
            raise CommandError(f"your table has no price of {model}; `logos-shift prices list` shows it")
        with store.writing() as connection:
            keep_prices(connection, table)
    _show(table, as_json=as_json)


@app.command("list", epilog="Example:\n\n\b\n  logos-shift prices list\n  logos-shift prices list gpt-6.1-sol")
def list_(
    ctx: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Only what this one costs today.")] = None,
    provider: Annotated[str | None, typer.Option(metavar="NAME", help="Its provider, if it has one.")] = None,
    database_url: _Address = None,
    as_json: _Json = False,
) -> None:
    """Show your own prices, or what one model costs today."""
    from logos_shift_openai.server.prices import read_prices  # noqa: PLC0415

    with opened(ctx.obj, address=database_url) as store, store.reading() as connection:
        prices = read_prices(connection)
    if model is None:
        _show(prices.table, as_json=as_json)
        return
    found = prices.price(model, provider, now_ms())
    if found is None:
        raise CommandError(f"the price of {model} is not known; `logos-shift prices set` tells it")
    _show({model: found}, as_json=as_json)


def _show(table: Mapping[str, Price], *, as_json: bool) -> None:
    if as_json:
        emit({model: price.to_json() for model, price in table.items()})
        return
    if not table:
        typer.echo("No prices of your own; those that come with the package count.")
        return
    from rich.text import Text  # noqa: PLC0415

    shown = plain_table()
    for name in ("model", "input", "cached", "output", "training"):
        shown.add_column(name, overflow="fold", justify="left" if name == "model" else "right")
    for model, price in sorted(table.items()):
        cached = price.input if price.cached is None else price.cached
        trained = "" if price.training is None else f"{price.training:g}"
        shown.add_row(Text(clean(model)), f"{price.input:g}", f"{cached:g}", f"{price.output:g}", trained)
    console().print(shown)
    typer.echo("Dollars for a million tokens.")
