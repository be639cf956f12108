"""`logos-shift ui`: look at this machine's own calls in the browser.

The pages are served on the loopback alone. The browser is let in once, by a token behind the `#` of the address, which
no request carries; so it stands in no log, and nobody else on the machine can come in with the address alone. Nor does
it stand in the browser's command line: that names a file, see `ui_file`.
"""

from __future__ import annotations

import logging
import sys
import webbrowser
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from logos_shift_openai.cli.needed import SERVER, absent
from logos_shift_openai.cli.notify import named_channels
from logos_shift_openai.cli.output import CommandError, warn
from logos_shift_openai.cli.ui_file import LeadingFile

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLE: Final = "Example:\n\n\b\n  logos-shift ui\n  logos-shift ui --no-browser --port 8788"


def ui(
    ctx: typer.Context,
    *,
    port: Annotated[int, typer.Option(min=0, max=65_535, metavar="PORT", help="0 takes a free one.")] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open it, or only say where it is, with the one-time token.")
    ] = True,
) -> None:
    """Show this machine's calls in the browser, until Ctrl-C."""
    missing = absent(SERVER)
    if missing:
        raise CommandError(f'{missing} not installed; the pages come with: pip install "logos_shift_openai[server]"')
    from logos_shift_openai.server import serve as serving  # noqa: PLC0415
    from logos_shift_openai.server.config_place import embedded_home  # noqa: PLC0415
    from logos_shift_openai.server.store.database import StoreError  # noqa: PLC0415

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stderr)
    place = ctx.obj
    channels = named_channels()
    leading = LeadingFile(place.home)
    try:
        store = place.open_store()
        service = serving.make_service(
            store, home=place.home, channels=channels, embedded=embedded_home(store, place.home)
        )
        invitation = service.sessions.invite(leading.remove)
        server = serving.server_for(
            service,
            serving.Address("127.0.0.1", port),
            started=lambda url: _show(url, invitation, leading if browser else None),
        )
    except (StoreError, serving.ServeError) as error:
        raise CommandError(str(error)) from None
    try:
        server.run()
    finally:
        leading.remove()
        store.close()


def _show(
    url: str, invitation: str, leading: LeadingFile | None, open_: Callable[[str], bool] = webbrowser.open
) -> None:
    """Open the browser; where there is none, or none is wanted, print the address for a person to open, once."""
    address = f"{url}/login#{invitation}"
    opened = False
    if leading is not None:
        with suppress(OSError):
            opened = open_(leading.lead_to(address))
        if not opened:
            leading.remove()
            warn("no browser could be opened")
    if opened:
        typer.echo(f"The dashboard is open in your browser, at {url}. Ctrl-C ends it.")
        typer.echo("A browser that may not read files of your home (a snap) shows nothing: logos-shift ui --no-browser")
    else:
        typer.echo(f"Open this address, it works once:\n\n  {address}\n\nCtrl-C ends it.")
    sys.stdout.flush()
