"""The file by which `logos-shift ui` opens a browser, so that its token stands in no command line.

The arguments of a browser that is started can be read by every user of the machine (`ps`); a file can be read by its
owner alone. So the browser is told of a page in the home folder, mode 0600, that leads on to the address. It is taken
away as soon as the token was used, and at the end. Jupyter opens its notebooks in the same way.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Final

_PAGE: Final = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}">
<title>Logos</title>
<p><a href="{address}">To the dashboard</a>, once.</p>
"""


class LeadingFile:
    """A page that leads to an address, for its owner alone.

    Args:
        home: The folder it lies in; it is there.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path: Path | None = None

    def lead_to(self, address: str) -> str:
        """Write it, and give its own address.

        Args:
            address: Where it leads, with the token.

        Raises:
            OSError: it cannot be written.
        """
        handle, name = tempfile.mkstemp(prefix="open-", suffix=".html", dir=self._home)  # mode 0600, and no link
        self._path = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_PAGE.format(address=escape(address)))
        return self._path.resolve().as_uri()

    def remove(self) -> None:
        """Take it away, if it is there."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()
            self._path = None
