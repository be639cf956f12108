"""`logos-shift serve`: run the server."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import Annotated, Final

import typer

from logos_shift_openai.cli.needed import SERVER, absent
from logos_shift_openai.cli.notify import named_channels
from logos_shift_openai.cli.output import CommandError, now_ms
from logos_shift_openai.cli.session import BODIES_URL

EXAMPLE: Final = (
    "Example:\n\n\b\n  logos-shift serve\n"
    "  logos-shift serve --host 0.0.0.0 --cors-origin https://app.example.com\n"
    "  logos-shift serve --database-url postgresql+psycopg://logos@db/logos"
)


def serve(
    ctx: typer.Context,
    *,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, metavar="PORT", help="0 takes a free one.")] = 8787,
    database_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="LOGOS_SHIFT_DATABASE_URL",
            help="A PostgreSQL, instead of SQLite in the home folder.",
        ),
    ] = None,
    bodies_url: Annotated[
        str | None,
        typer.Option(metavar="URL", envvar=BODIES_URL, help="s3://bucket/prefix for bodies, instead of the database."),
    ] = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="No keys; on this machine only.")] = False,
    cors_origin: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="Web pages that may give feedback; may be repeated.")
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Proxy whose X-Forwarded-* is believed; may be repeated."),
    ] = None,
    rate: Annotated[float, typer.Option(min=0, metavar="N", help="Requests a second of one key; 0 for any.")] = 1000,
    shutdown_seconds: Annotated[
        float, typer.Option(min=1, max=600, metavar="SECONDS", help="For requests in flight after a SIGTERM.")
    ] = 20,
    background: Annotated[
        bool, typer.Option("--background/--no-background", help="Whether this process may do background work.")
    ] = True,
    dashboard: Annotated[
        bool, typer.Option("--dashboard/--no-dashboard", help="Whether there are pages for people.")
    ] = True,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log every request.")] = False,
) -> None:
    """Serve records, feedback, config and statistics over HTTP."""
    missing = absent(SERVER)
    if missing:
        raise CommandError(f'{missing} not installed; the server comes with: pip install "logos_shift_openai[server]"')
    from logos_shift_openai.server import serve as serving  # noqa: PLC0415
    from logos_shift_openai.server.limits import Limits  # noqa: PLC0415
    from logos_shift_openai.server.listening import NoRoomError, look_for_room  # noqa: PLC0415
    from logos_shift_openai.server.store.database import StoreError  # noqa: PLC0415
    from logos_shift_openai.server.store.s3 import S3Bodies  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for name in ("uvicorn.error", "boto3", "botocore", "s3transfer"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if no_auth and not serving.is_loopback(host):
        raise CommandError(f"--no-auth serves this machine alone, and {host} can be reached by others; leave it out")
    channels = named_channels()
    limits = Limits(requests_per_second=rate, shutdown_seconds=shutdown_seconds)
    try:
        look_for_room(host, port)
        store = replace(ctx.obj, bodies_url=bodies_url or None).open_store(database_url)
        if isinstance(store.bodies, S3Bodies):
            store.bodies.bucket.check()
        home = None if database_url else ctx.obj.home
        first_key = serving.prepare(store, home, now_ms(), no_auth=no_auth)
        service = serving.make_service(
            store,
            limits=limits,
            no_auth=no_auth,
            cors_origins=cors_origin or (),
            background=background,
            dashboard=dashboard,
            home=ctx.obj.home,
            channels=channels,
        )
        server = serving.server_for(
            service,
            serving.Address(host, port),
            trusted_proxies=trusted_proxy or (),
            access_log=access_log,
            started=lambda url: _say(url, store.where, first_key, no_auth=no_auth),
        )
    except (StoreError, serving.ServeError, NoRoomError) as error:
        raise CommandError(str(error)) from None
    try:
        server.run()
    finally:
        store.close()


def _say(url: str, where: str, first_key: str | None, *, no_auth: bool) -> None:
    if first_key is not None:
        typer.echo(f"The first key, which may do everything. It is shown this once:\n\n  {first_key}\n")
    typer.echo(f"Serving {where} on {url}" + (", without keys" if no_auth else ""))
    sys.stdout.flush()
