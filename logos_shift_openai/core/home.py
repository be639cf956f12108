"""Where everything of ours on a machine lives: config, embedded store and spool.

One rule for clients, CLI and server: `LOGOS_SHIFT_HOME`, else the platform's folder for a user's data.
The environment and the platform are passed in; nothing is made or looked at on the disk.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "LOGOS_SHIFT_HOME"
NOWHERE: Final = Path(os.devnull)
"""The home of a user without one: no folder can be made in it, so records wait in memory until they are sent."""
EXAMPLES: Final = "examples"
"""Folder in it of the files of examples, `<name>.jsonl`."""
_FOLDER: Final = "logos_shift"


def default_home(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    r"""Name the home folder.

    Args:
        environ: The environment; an empty variable counts as unset.
        platform: As `sys.platform` names it.

    Returns:
        `LOGOS_SHIFT_HOME`, else `%LOCALAPPDATA%\logos_shift` on Windows,
        `~/Library/Application Support/logos_shift` on macOS, and `$XDG_DATA_HOME/logos_shift` or
        `~/.local/share/logos_shift` elsewhere. Source: XDG Base Directory Specification 0.8, by which
        a relative `XDG_DATA_HOME` is ignored. A folder in `NOWHERE` for a user without a home.
    """
    chosen = environ.get(VARIABLE)
    if chosen:
        return _user_home(environ, platform) / chosen[2:] if chosen.startswith("~/") else Path(chosen)
    if platform == "win32":
        local = environ.get("LOCALAPPDATA")
        return (Path(local) if local else _user_home(environ, platform) / "AppData" / "Local") / _FOLDER
    if platform == "darwin":
        return _user_home(environ, platform) / "Library" / "Application Support" / _FOLDER
    data = environ.get("XDG_DATA_HOME", "")
    base = Path(data) if data.startswith("/") else _user_home(environ, platform) / ".local" / "share"
    return base / _FOLDER


def _user_home(environ: Mapping[str, str], platform: str) -> Path:
    named = environ.get("USERPROFILE" if platform == "win32" else "HOME")
    try:
        return Path(named) if named else Path("~").expanduser()
    except RuntimeError:  # a user whom the system does not know, as in many containers
        return NOWHERE
