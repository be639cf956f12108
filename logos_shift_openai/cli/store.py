"""`logos-shift store`: the store itself: its schema, its sizes, its rules for keeping, and moving it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from logos_shift_openai.cli.output import CommandError, clean, console, emit, now_ms, plain_table
from logos_shift_openai.cli.progress import counted
from logos_shift_openai.cli.session import BODIES_URL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.cli.session import Place
    from logos_shift_openai.server.store.database import Store

app = typer.Typer(
    help="Look after the store: schema, sizes, time to keep, moving.", no_args_is_help=True, rich_markup_mode=None
)

_Address = Annotated[
    str | None,
    typer.Option(metavar="URL", envvar="LOGOS_SHIFT_DATABASE_URL", help="A PostgreSQL, instead of the home folder."),
]
_AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]
_KIB: Final = 1024
_LONGEST: Final = 36_500


@app.command(epilog="Example:\n\n\b\n  logos-shift store migrate --database-url postgresql://db/logos")
def migrate(ctx: typer.Context, database_url: _Address = None, as_json: _AsJson = False) -> None:
    """Make the store, or bring it up to this version's schema."""
    from logos_shift_openai.server.store.schema import REVISION  # noqa: PLC0415

    with _opened(ctx.obj, database_url, create=True) as store:
        where = store.where
    if as_json:
        emit({"store": where, "schema": REVISION})
    else:
        typer.echo(f"{clean(where)}: its schema is version {REVISION}.")


@app.command(epilog="Example:\n\n\b\n  logos-shift store stats --json")
def stats(ctx: typer.Context, database_url: _Address = None, as_json: _AsJson = False) -> None:
    """Show what the store holds and takes."""
    from logos_shift_openai.server.store.sizes import sizes  # noqa: PLC0415

    with _opened(ctx.obj, database_url) as store:
        found = sizes(store)
    if as_json:
        emit({**asdict(found), "per_call": found.per_call})
        return
    table = plain_table()
    table.show_header = False
    table.add_row("store", clean(found.where))
    table.add_row("schema", f"{found.revision} on {found.engine}")
    table.add_row("on disk", _bytes(found.size) + ("" if found.per_call is None else f", {found.per_call:,.0f} a call"))
    for name, count in found.rows.items():
        table.add_row(name.replace("_", " "), f"{count:,}")
    table.add_row(
        "packed bodies", _bytes(found.bodies) + (f", {found.elsewhere:,} elsewhere" if found.elsewhere else "")
    )
    if found.partitions:
        table.add_row("days with a partition", f"{found.partitions:,}")
    console().print(table)


@app.command(short_help="Pack bodies better and give room back.", epilog="Example:\n\n\b\n  logos-shift store vacuum")
def vacuum(ctx: typer.Context, database_url: _Address = None, as_json: _AsJson = False) -> None:
    """Pack old bodies better, remove what is past its time, and give room back."""
    from logos_shift_openai.server.retention import enforce  # noqa: PLC0415
    from logos_shift_openai.server.store.sizes import sizes  # noqa: PLC0415
    from logos_shift_openai.server.vacuum import vacuum as run  # noqa: PLC0415

    with _opened(ctx.obj, database_url) as store:
        before = sizes(store).size
        removed = enforce(store, now_ms())
        with counted("looking at bodies") as advance:
            repacked = run(store, now_ms(), advance)
        after = sizes(store).size
    if as_json:
        emit({"removed": asdict(removed), "repacked": asdict(repacked), "before": before, "after": after})
        return
    typer.echo(f"{removed.calls:,} calls and {removed.bodies:,} bodies were past their time.")
    typer.echo(f"{repacked.bodies:,} bodies packed anew: {_bytes(repacked.before)} became {_bytes(repacked.after)}.")
    if repacked.moved:
        typer.echo(f"{repacked.moved:,} bodies were still in the database, and lie in the other store now.")
    if removed.objects:
        typer.echo(f"{removed.objects:,} objects that nothing names any more were removed.")
    typer.echo(f"The store takes {_bytes(after)} now; it took {_bytes(before)}.")


@app.command(
    short_help="Show or set how long records are kept.",
    epilog="Example:\n\n\b\n  logos-shift store keep\n  logos-shift store keep --days 90 --body-days 30\n"
    "  logos-shift store keep sales --days 365",
)
def keep(
    ctx: typer.Context,
    *,
    dataset: Annotated[
        str,
        typer.Argument(metavar="DATASET", help="Whose; * for all without a rule."),
    ] = "*",
    days: Annotated[
        int | None, typer.Option(min=1, max=_LONGEST, metavar="N", help="Keep calls and feedback so long.")
    ] = None,
    body_days: Annotated[
        int | None, typer.Option(min=1, max=_LONGEST, metavar="N", help="Keep their bodies so long.")
    ] = None,
    forever: Annotated[bool, typer.Option("--forever", help="Keep everything.")] = False,
    database_url: _Address = None,
    as_json: _AsJson = False,
) -> None:
    """Show or set how long records are kept; counts of what is removed stay."""
    from logos_shift_openai.server.retention import Rule, rules, set_rule  # noqa: PLC0415

    changes = forever or days is not None or body_days is not None
    if forever and (days is not None or body_days is not None):
        raise typer.BadParameter("it goes with no number of days", param_hint="--forever")
    with _opened(ctx.obj, database_url, create=changes) as store:
        if changes:
            with store.writing() as connection:
                set_rule(connection, Rule(dataset, days, body_days))
        with store.reading() as connection:
            found = list(rules(connection).values())
    if as_json:
        emit([asdict(one) for one in found])
        return
    for one in found:
        calls = "for good" if one.days is None else f"{one.days} days"
        bodies = "as long" if one.body_days is None else f"{one.body_days} days"
        typer.echo(f"{clean(one.dataset)}: calls {calls}, bodies {bodies}")
    if not found:
        typer.echo("Everything is kept for good.")


@app.command(
    short_help="Copy the store into another one.",
    epilog="Example:\n\n\b\n  logos-shift store move postgresql+psycopg://logos@db/logos",
)
def move(
    ctx: typer.Context,
    target: Annotated[str, typer.Argument(metavar="URL", help="Where to: an address, or another file.")],
    bodies_url: Annotated[
        str | None,
        typer.Option(metavar="URL", envvar=BODIES_URL, help="s3://bucket/prefix for the bodies there, or database."),
    ] = None,
    as_json: _AsJson = False,
) -> None:
    """Copy the home folder's store into another one; may be run again to go on."""
    from logos_shift_openai.server.store.moving import move as run  # noqa: PLC0415

    there = replace(ctx.obj, bodies_url=None if bodies_url in {None, "", "database"} else bodies_url)
    with _opened(ctx.obj, None) as source, _opened(there, target, create=True) as other:
        if source.where == other.where:
            raise CommandError("a store cannot be moved into itself")
        with counted("copying records") as advance:
            compared = run(source, other, advance)
    missing = sum(one.missing for one in compared)
    if as_json:
        emit([asdict(one) for one in compared])
    else:
        table = plain_table()
        for name in ("", "here", "there", "missing"):
            table.add_column(name, justify="left" if not name else "right")
        for one in compared:
            table.add_row(one.table.replace("_", " "), f"{one.source:,}", f"{one.target:,}", f"{one.missing:,}")
        console().print(table)
    if missing:
        raise CommandError("rows came in while it was moved; run it again to bring them over")


@contextmanager
def _opened(place: Place, address: str | None, *, create: bool = False) -> Iterator[Store]:
    """Open the store that is meant; what it is asked fails with one line."""
    from logos_shift_openai.server.store.database import StoreError  # noqa: PLC0415

    try:
        store = place.open_store(address, create=create)
        try:
            yield store
        finally:
            store.close()
    except StoreError as error:
        raise CommandError(str(error)) from None


def _bytes(size: int) -> str:
    if size < _KIB * _KIB:
        return f"{size / _KIB:,.1f} KB"
    return f"{size / _KIB / _KIB:,.1f} MB"
