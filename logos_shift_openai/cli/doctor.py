"""`logos-shift doctor`: look for what commonly goes wrong, and say the cure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Final

import typer

from logos_shift_openai.cli.output import clean, console, emit, plain_table
from logos_shift_openai.core.home import VARIABLE

if TYPE_CHECKING:
    from logos_shift_openai.cli.checks import Finding

EXAMPLE: Final = "Example:\n\n\b\n  logos-shift doctor\n  logos-shift --home /srv/logos doctor --json"

_STYLES: Final = {"ok": "green", "warning": "yellow", "broken": "bold red"}


def doctor(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")] = False,
) -> None:
    """Look for common mistakes and say the cure; exit code 1 when something is broken."""
    from logos_shift_openai.cli import checks  # noqa: PLC0415

    environ = {**os.environ, VARIABLE: str(ctx.obj.home)}
    findings = checks.run_checks(checks.Machine(ctx.obj, environ))
    broken = sum(one.level == "broken" for one in findings)
    if as_json:
        emit({"broken": broken, "findings": [checks.as_json(one) for one in findings]})
    else:
        _print(findings)
        warnings = sum(one.level == "warning" for one in findings)
        typer.echo(f"\n{broken} broken, {warnings} to look at." if broken or warnings else "\nAll is well.")
    if broken:
        raise typer.Exit(1)


def _print(findings: list[Finding]) -> None:
    from rich.text import Text  # noqa: PLC0415

    table = plain_table()
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for one in findings:
        text = Text(clean(one.what))
        if one.cure:
            text.append(f"\n\u2192 {clean(one.cure)}", style="dim")
        table.add_row(Text(one.level, style=_STYLES[one.level]), Text(one.check), text)
    console().print(table)
