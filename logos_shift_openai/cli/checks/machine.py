"""Whether this machine has what a client needs: packages, settings, a home folder with room in it."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from importlib import metadata
from typing import TYPE_CHECKING, Final

from logos_shift_openai.errors import SettingsError

from .finding import Finding, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

_FREE_BYTES: Final = 64 * 1024 * 1024
_SCARCE_BYTES: Final = 512 * 1024 * 1024
_FLOOR, _CEILING = (1, 66), (4,)


def packages(_on: Machine) -> Iterator[Finding]:
    """Look at the SDK that is installed."""
    try:
        version = metadata.version("openai")
    except metadata.PackageNotFoundError:
        yield Finding("packages", "broken", "openai is not installed", 'pip install "openai>=1.66,<4"')
        return
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if _FLOOR <= numbers < _CEILING:
        yield Finding("packages", "ok", f"openai {version}")
    else:
        what = f"openai {version} is out of the range that is supported, 1.66 up to 4"
        yield Finding("packages", "broken", what, 'pip install "openai>=1.66,<4"')


def settings(on: Machine) -> Iterator[Finding]:
    """Read the settings as a client does, and name what is switched off."""
    from logos_shift_openai.client.settings import read_settings  # noqa: PLC0415 - it brings openai along

    try:
        read_settings({}, on.environ)
    except SettingsError as error:
        yield Finding("settings", "broken", str(error), "set this variable right, or unset it")
        return
    for name, effect in (
        ("ENABLED", "nothing is routed or recorded"),
        ("ROUTING", "every call goes to its baseline"),
        ("LOGGING", "nothing is recorded"),
    ):
        variable = f"LOGOS_SHIFT_{name}"
        if on.said(variable).lower() in {"0", "false", "no", "off"}:
            yield Finding("settings", "warning", f"{variable} is off: {effect}", f"unset {variable}")
    if on.said("LOGOS_SHIFT_FORCE_VARIANT"):
        what = "LOGOS_SHIFT_FORCE_VARIANT is set: the share of an experiment is not looked at"
        yield Finding("settings", "warning", what, "unset LOGOS_SHIFT_FORCE_VARIANT outside development")
    if not on.said("OPENAI_API_KEY"):
        what = "OPENAI_API_KEY is not set here"
        yield Finding("key", "warning", what, "set it, or give api_key to the client in your code")
    if on.url and not on.said("LOGOS_SHIFT_API_KEY"):
        what = "LOGOS_SHIFT_API_KEY is not set here: only a server without keys takes records"
        yield Finding("key", "warning", what, "set the key of the server")


def home(on: Machine) -> Iterator[Finding]:
    """Look whether the home folder can be written and has room."""
    folder = on.place.home
    nearest = next(one for one in (folder, *folder.parents) if one.exists())
    if not nearest.is_dir():
        cure = "name another folder in LOGOS_SHIFT_HOME"
        yield Finding("home", "broken", f"{folder} cannot be a folder: {nearest} is a file", cure)
        return
    try:
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(b"\0" * 4096)
            file.flush()
    except OSError as error:
        first = "make room" if error.errno == errno.ENOSPC else "make it writable"
        cure = f"{first}, or name another folder in LOGOS_SHIFT_HOME"
        yield Finding("home", "broken", f"{nearest} cannot be written: {error.strerror or error}", cure)
        return
    free = shutil.disk_usage(nearest).free
    if free < _FREE_BYTES:
        cure = "make room, or name another folder in LOGOS_SHIFT_HOME"
        yield Finding("home", "broken", f"the disk of {nearest} is nearly full: {free:,} bytes left", cure)
    elif free < _SCARCE_BYTES:
        cure = "make room, set how long records are kept (logos-shift store keep), or name another LOGOS_SHIFT_HOME"
        yield Finding("home", "warning", f"the disk of {nearest} has {free // 2**20:,} MiB left", cure)
    elif nearest != folder:
        what = f"{folder} is not there yet"
        yield Finding("home", "ok", what, "it is made with the first record")
    else:
        yield Finding("home", "ok", f"{folder}, {free // 2**20:,} MiB free")


def homes(on: Machine) -> Iterator[Finding]:
    """Look whether records lie in another home folder of the same user."""
    for other in on.homes:
        if any((other / name).exists() for name in ("store.sqlite3", "spool")):
            what = f"records lie in {other} too, which nobody looks at from here"
            cure = f"set LOGOS_SHIFT_HOME alike for every program, or look there: logos-shift --home {other} doctor"
            yield Finding("homes", "warning", what, cure)
