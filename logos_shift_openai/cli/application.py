"""The application: the nouns put together, the options they all share, and the end of every command.

A fault that is known ends in one line on stderr and exit code 1, a usage fault in 2, Ctrl-C in 130.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from logos_shift_openai.cli import (
    autopilot,
    calls,
    candidate,
    completing,
    dataset,
    demo,
    doctor,
    experiment,
    feedback,
    gate,
    imports,
    keys,
    notify,
    prices,
    replay,
    rollout,
    serve,
    stats,
    store,
    tune,
    ui,
)
from logos_shift_openai.cli.output import CommandError, clean, warn
from logos_shift_openai.cli.session import BODIES_URL, Place
from logos_shift_openai.core.home import default_home
from logos_shift_openai.core.strict import ConfigError

_ORDER = (
    "demo",
    "calls",
    "stats",
    "feedback",
    "import",
    "experiment",
    "rollout",
    "replay",
    "dataset",
    "tune",
    "candidate",
    "gate",
    "autopilot",
    "prices",
    "ui",
    "serve",
    "keys",
    "notify",
    "store",
    "doctor",
)
_INTERRUPTED = 130
_PIPE_CLOSED = 141


class _Commands(TyperGroup):
    """The group of all commands: what one of them raises becomes its exit code."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        completing.complete(self)
        completing.press_once()

    def list_commands(self, ctx: Any) -> list[str]:
        """Name them in the order in which they are come to need."""
        return sorted(super().list_commands(ctx), key=_ORDER.index)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse bytes that are no text: they could be neither kept nor shown."""
        for one in args:
            try:
                one.encode()
            except UnicodeEncodeError:
                raise typer.BadParameter(f"{clean(ascii(one))} is not UTF-8", ctx) from None
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (CommandError, ConfigError) as error:
            warn(str(error))
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(_INTERRUPTED) from None
        except BrokenPipeError:
            # The reader has gone; nothing may be flushed into the closed pipe when the process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(_PIPE_CLOSED) from None
        except OSError as error:
            if error.filename is None:
                raise
            warn(f"{error.filename}: {error.strerror}; another home folder is named by --home or LOGOS_SHIFT_HOME")
            raise typer.Exit(1) from None


app = typer.Typer(
    name="logos-shift",
    cls=_Commands,
    help="Calls, feedback and experiments of logos_shift_openai on this machine.",
    epilog="Example:\n\n\b\n  logos-shift doctor\n  logos-shift calls list --since 2h\n  logos-shift stats",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(calls.app, name="calls")
app.add_typer(experiment.app, name="experiment", short_help="Start, set, pause and stop experiments.")
app.add_typer(rollout.app, name="rollout", short_help="Ramp, promote or roll back on proof.")
app.add_typer(tune.app, name="tune", short_help="Train a cheaper model, or make one that needs none.")
app.add_typer(candidate.app, name="candidate", short_help="Ask a candidate what was held out.")
app.add_typer(gate.app, name="gate", short_help="Let a candidate answer only where it is sure.")
app.add_typer(autopilot.app, name="autopilot", short_help="From good examples to a promoted candidate.")
app.add_typer(prices.app, name="prices")
app.add_typer(dataset.app, name="dataset")
app.add_typer(keys.app, name="keys")
app.add_typer(notify.app, name="notify")
app.add_typer(store.app, name="store")
app.command(name="ui", short_help="Look at it in the browser.", epilog=ui.EXAMPLE)(ui.ui)
app.command(name="serve", short_help="Run the server.", epilog=serve.EXAMPLE)(serve.serve)
app.command(name="replay", short_help="Ask a candidate what others were asked.", epilog=replay.EXAMPLE)(replay.replay)
app.command(name="stats", short_help="Count per variant.", epilog=stats.EXAMPLE)(stats.stats)
app.command(name="feedback", short_help="Say how good a call was.", epilog=feedback.EXAMPLE)(feedback.feedback)
app.command(name="import", short_help="Take in logs kept elsewhere.", epilog=imports.EXAMPLE)(imports.import_)
app.command(name="demo", short_help="Show the whole round on real questions.", epilog=demo.EXAMPLE)(demo.demo)
app.command(name="doctor", short_help="Look for common mistakes.", epilog=doctor.EXAMPLE)(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        from logos_shift_openai.version import __version__  # noqa: PLC0415

        typer.echo(f"logos_shift_openai {__version__}")
        raise typer.Exit


@app.callback()
def _shared(
    ctx: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Folder of store, config and spool, instead of LOGOS_SHIFT_HOME."),
    ] = None,
    version: Annotated[  # noqa: ARG001 - seen to by its callback
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    folder = _possible(home.expanduser().absolute() if home is not None else default_home(os.environ))
    ctx.obj = Place(folder, os.environ.get(BODIES_URL, "").strip() or None)


def _possible(home: Path) -> Path:
    """Refuse a folder that no disk can have; whether this one is there and good is for the commands to say."""
    try:
        home.stat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise CommandError(f"the home folder cannot be {str(home)[:80]}…: {error.strerror}") from None
    return home
