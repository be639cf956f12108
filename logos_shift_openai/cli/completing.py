"""What a shell offers for an argument: names that are in the home folder's store and config.

A parameter is known by its name, in `_BY_NAME`, so that a new command has its names without asking for them. It runs at
every press of a key, so it asks the file of the store directly, takes nothing in, makes nothing, and offers nothing
where anything is wrong. Names were given by callers and go into a shell that evaluates them: those with characters that
mean something there are left out.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.core.home import default_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@/+-]{0,199}")
_MOST: Final = 50
_SECONDS: Final = 0.2
_ZSH_REGISTERS: Final = "\ncompdef %(complete_func)s %(prog_name)s\n"
_ZSH_COMPLETES: Final = """
if [[ "${funcstack[1]}" == "_%(prog_name)s" ]]; then
  %(complete_func)s "$@"
fi
"""


def complete(command: Any) -> None:
    """Give every parameter of a command, and of those beneath it, what it is to offer."""
    for below in getattr(command, "commands", {}).values():
        complete(below)
    for parameter in command.params:
        names = _BY_NAME.get(parameter.name)
        if names is not None and parameter._custom_shell_complete is None:  # noqa: SLF001 - set when it is made, only
            parameter._custom_shell_complete = _asking(names)  # noqa: SLF001


def press_once() -> None:
    """Have zsh complete at the first press of a session.

    Typer's script is loaded at that press, and only says what is to be called at the next one.
    """
    scripts = getattr(sys.modules.get("typer._completion_shared"), "_completion_scripts", None)
    if isinstance(scripts, dict) and str(scripts.get("zsh")).endswith(_ZSH_REGISTERS):
        scripts["zsh"] += _ZSH_COMPLETES


def datasets(ctx: Any, incomplete: str) -> list[str]:
    """Offer the datasets of which there are calls."""
    return _asked(ctx, incomplete, "SELECT DISTINCT dataset FROM evidence UNION SELECT dataset FROM evidence_deltas")


def experiments(ctx: Any, incomplete: str) -> list[str]:
    """Offer the experiments of the embedded config."""
    try:
        document = json.loads((_home(ctx) / "config.json").read_bytes())
        return _offered((str(one["key"]) for one in document["experiments"]), incomplete)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


def calls(ctx: Any, incomplete: str) -> list[str]:
    """Offer the latest calls, by our id."""
    return _asked(ctx, incomplete, "SELECT id FROM calls ORDER BY at DESC LIMIT 500")


def editions(ctx: Any, incomplete: str) -> list[str]:
    """Offer the editions, the latest first."""
    return _asked(ctx, incomplete, "SELECT id FROM editions ORDER BY at DESC LIMIT 500")


def jobs(ctx: Any, incomplete: str) -> list[str]:
    """Offer the tuning jobs."""
    return _asked(ctx, incomplete, "SELECT id FROM tuning_jobs ORDER BY created DESC LIMIT 500")


def keys(ctx: Any, incomplete: str) -> list[str]:
    """Offer the ids of the keys that are in force."""
    return _asked(ctx, incomplete, "SELECT id FROM api_keys WHERE revoked IS NULL ORDER BY created DESC LIMIT 500")


def models(ctx: Any, incomplete: str) -> list[str]:
    """Offer the models that were asked for of late."""
    query = "SELECT DISTINCT requested_model FROM (SELECT requested_model FROM calls ORDER BY at DESC LIMIT 2000)"
    return _asked(ctx, incomplete, query)


def channels(_ctx: Any, incomplete: str) -> list[str]:
    """Offer the channels that the environment names."""
    found = (re.fullmatch(r"LOGOS_SHIFT_NOTIFY_(\w+)_URL", name) for name in os.environ)
    return _offered(sorted(match[1].lower() for match in found if match), incomplete)


def _home(ctx: Any) -> Path:
    named: Any = ctx.find_root().params.get("home")
    return Path(named).expanduser() if named else default_home(os.environ)


def _asked(ctx: Any, incomplete: str, query: str) -> list[str]:
    import sqlite3  # noqa: PLC0415 - only here it is needed

    path = _home(ctx) / "store.sqlite3"
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_SECONDS)) as database:
            return _offered((row[0] for row in database.execute(query)), incomplete)
    except (sqlite3.Error, ValueError, OSError):
        return []  # no store yet, an older one, or one that is busy


def _offered(names: Iterable[str | None], incomplete: str) -> list[str]:
    fitting = (name for name in names if name and name.startswith(incomplete) and _SAFE.fullmatch(name))
    return [name for name, _ in zip(fitting, range(_MOST), strict=False)]


def _asking(names: Callable[[Any, str], list[str]]) -> Callable[[Any, Any, str], list[str]]:
    return lambda ctx, _parameter, incomplete: names(ctx, incomplete)


_BY_NAME: Final[Mapping[str, Callable[[Any, str], list[str]]]] = {
    "dataset": datasets,
    "experiment": experiments,
    "key": experiments,
    "call_id": calls,
    "edition": editions,
    "job": jobs,
    "key_id": keys,
    "model": models,
    "channel": channels,
}
