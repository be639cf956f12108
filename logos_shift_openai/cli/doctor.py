"""`logos-shift doctor`: look for what commonly goes wrong, and say the cure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from logos_shift_openai.cli.output import clean, console, emit, now_ms, plain_table
from logos_shift_openai.core.home import VARIABLE, default_home

if TYPE_CHECKING:
    from logos_shift_openai.cli.checks import Finding

EXAMPLE: Final = (
    "Example:\n\n\b\n  logos-shift doctor\n  logos-shift doctor --project src --online\n"
    "  logos-shift --home /srv/logos doctor --json"
)

_STYLES: Final = {"ok": "green", "warning": "yellow", "broken": "bold red"}


def doctor(
    ctx: typer.Context,
    project: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Whose Python files are looked at.", exists=True, file_okay=False)
    ] = Path(),
    online: Annotated[bool, typer.Option("--online", help="Ask providers which models they still have.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")] = False,
) -> None:
    """Look for common mistakes and say the cure; exit code 1 when something is broken."""
    from logos_shift_openai.cli import checks  # noqa: PLC0415

    machine = checks.Machine(
        ctx.obj,
        {**os.environ, VARIABLE: str(ctx.obj.home)},
        now_ms(),
        project=project.absolute(),
        homes=_others(ctx.obj.home),
        online=online,
    )
    findings = checks.run_checks(machine)
    broken = sum(one.level == "broken" for one in findings)
    if as_json:
        emit({"broken": broken, "findings": [checks.as_json(one) for one in findings]})
    else:
        _print(findings)
        warnings = sum(one.level == "warning" for one in findings)
        typer.echo(f"\n{broken} broken, {warnings} to look at." if broken or warnings else "\nAll is well.")
    if broken:
        raise typer.Exit(1)


def _others(home: Path) -> tuple[Path, ...]:
    """Name the homes that programs have with this environment, and without our variable in it."""
    unset = {name: value for name, value in os.environ.items() if name != VARIABLE}
    named = (default_home(os.environ).absolute(), default_home(unset).absolute())
    return tuple(dict.fromkeys(one for one in named if one != home.absolute()))


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
