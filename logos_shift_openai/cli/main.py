"""The entry point of `logos-shift`: it says in one line what is missing, or hands over to the application."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

_NEEDED: Final = ("typer", "rich", "sqlalchemy", "alembic", "msgspec", "zstandard")


def run() -> None:
    """Run the command line with the process's own arguments, and leave the process."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"logos-shift: {', '.join(missing)} not installed; "
            'the command line comes with: pip install "logos_shift_openai[cli]"\n'
        )
        sys.exit(1)
    from logos_shift_openai.cli.application import app  # noqa: PLC0415 - only here it is known to be importable

    app(prog_name="logos-shift")
