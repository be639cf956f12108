"""The entry point of `logos-shift`: it says in one line what is missing, or hands over to the application."""

from __future__ import annotations

import sys

from logos_shift_openai.cli.needed import COMMAND_LINE, absent


def run() -> None:
    """Run the command line with the process's own arguments, and leave the process."""
    missing = absent(COMMAND_LINE)
    if missing:
        sys.stderr.write(
            f"logos-shift: {missing} not installed; "
            'the command line comes with: pip install "logos_shift_openai[cli]"\n'
        )
        sys.exit(1)
    from logos_shift_openai.cli.application import app  # noqa: PLC0415 - only here it is known to be importable

    app(prog_name="logos-shift")
