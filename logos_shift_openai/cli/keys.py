"""`logos-shift keys`: make, list and revoke the server's keys, straight in its store."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from logos_shift_openai.cli.output import CommandError, age, clean, console, emit, now_ms, plain_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.cli.session import Place
    from logos_shift_openai.server.store.database import Store

app = typer.Typer(help="Make, list and revoke keys of the server.", no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", envvar="LOGOS_SHIFT_DATABASE_URL", help="The server's PostgreSQL, if it has one."),
]


class KeyScope(str, Enum):
    """What a key may do."""

    ingest = "ingest"
    read = "read"
    admin = "admin"


@app.command("create", epilog="Example:\n\n\b\n  logos-shift keys create ingest --label checkout-service")
def create(
    ctx: typer.Context,
    scope: Annotated[
        KeyScope, typer.Argument(metavar="SCOPE", help="ingest: write records, read the config; read; admin: all.")
    ],
    label: Annotated[str, typer.Option(metavar="TEXT", help="Whose it is.")] = "",
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Make a key; it is shown this once."""
    from logos_shift_openai.server.keys import create_key  # noqa: PLC0415

    with _store(ctx.obj, database_url) as store, store.writing() as connection:
        text, key = create_key(connection, scope.value, label, now_ms())
    if as_json:
        emit({"key": text, **asdict(key)})
    else:
        typer.echo(text)


@app.command("list", epilog="Example:\n\n\b\n  logos-shift keys list --json")
def list_(ctx: typer.Context, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """List the keys, revoked ones too; their secrets are not kept."""
    from logos_shift_openai.server.keys import list_keys  # noqa: PLC0415

    with _store(ctx.obj, database_url) as store, store.reading() as connection:
        found = list_keys(connection)
    if as_json:
        emit([asdict(key) for key in found])
        return
    if not found:
        typer.echo("No key yet.")
        return
    from rich.text import Text  # noqa: PLC0415

    now = now_ms()
    table = plain_table()
    for name in ("id", "scope", "label", "made", "last used", "state"):
        table.add_column(name, overflow="fold")
    for key in found:
        used = "never" if key.last_used is None else f"{age(key.last_used, now)} ago"
        state = "in force" if key.revoked is None else f"revoked {age(key.revoked, now)} ago"
        cells = (key.id, key.scope, key.label, f"{age(key.created, now)} ago", used, state)
        table.add_row(*(Text(clean(cell)) for cell in cells))
    console().print(table)


@app.command("revoke", epilog="Example:\n\n\b\n  logos-shift keys revoke 3f9c2a71b0de")
def revoke(
    ctx: typer.Context,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")],
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Revoke a key for good; servers follow within five seconds."""
    from logos_shift_openai.server.keys import revoke_key  # noqa: PLC0415

    with _store(ctx.obj, database_url) as store, store.writing() as connection:
        key = revoke_key(connection, key_id, now_ms())
    if key is None:
        raise CommandError(f"there is no key {key_id}; `logos-shift keys list` shows those there are")
    if as_json:
        emit(asdict(key))
    else:
        typer.echo(f"Revoked the {key.scope} key {key.id}.")


@app.command(
    "feedback-token",
    short_help="Make a token for feedback from a web page.",
    epilog="Example:\n\n\b\n  LOGOS_SHIFT_API_KEY=ls_ingest_... \\\n    logos-shift keys feedback-token chatcmpl-9xKq2",
)
def feedback_token(
    call_id: Annotated[str, typer.Argument(metavar="ID", help="The call that may be spoken of.")],
    minutes: Annotated[int, typer.Option(min=1, max=10_080, metavar="N", help="How long it holds.")] = 60,
    as_json: Json = False,
) -> None:
    """Make a token with which a web page may give feedback on one call."""
    from logos_shift_openai.core.feedback_tokens import mint  # noqa: PLC0415

    api_key = os.environ.get("LOGOS_SHIFT_API_KEY")
    if not api_key:
        raise CommandError("LOGOS_SHIFT_API_KEY is not set; a token is signed with an ingest key")
    until = now_ms() // 1000 + minutes * 60
    try:
        token = mint(api_key.strip(), call_id, until)
    except ValueError as error:
        raise CommandError(f"LOGOS_SHIFT_API_KEY: {error}") from None
    if as_json:
        emit({"token": token, "call_id": call_id, "until": until * 1000})
    else:
        typer.echo(token)


@contextmanager
def _store(place: Place, database_url: str | None) -> Iterator[Store]:
    from logos_shift_openai.server.store.database import StoreError  # noqa: PLC0415

    try:
        store = place.open_store(database_url)
        try:
            yield store
        finally:
            store.close()
    except StoreError as error:
        raise CommandError(str(error)) from None
