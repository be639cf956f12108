"""Whether the live config can be read, and whether its experiments can work in this environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from logos_shift_openai.core.config_reading import parse_config
from logos_shift_openai.core.strict import ConfigError

from .finding import Finding, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.core.config import Config, Experiment


def config(on: Machine) -> Iterator[Finding]:
    """Look at the config file; that of a server is read where the server is asked."""
    embedded = on.place.home / "config.json"
    named = on.said("LOGOS_SHIFT_CONFIG")
    if named and not re.match(r"https?://", named):
        path = Path(named).expanduser()
    elif named or on.url:
        if embedded.exists():
            what = f"{embedded} is not read: LOGOS_SHIFT_{'CONFIG' if named else 'URL'} is set"
            yield Finding("config", "warning", what, "unset it for experiments of this machine alone")
        return
    else:
        path = embedded
    try:
        document = path.read_bytes()
        on.config_at = int(path.stat().st_mtime * 1000)
    except FileNotFoundError:
        if named:
            what = f"{path}: there is no such file"
            yield Finding("config", "broken", what, "set LOGOS_SHIFT_CONFIG right, or unset it")
        else:
            yield Finding("config", "ok", "no experiment yet", "logos-shift experiment start --help")
        return
    yield from judged(on, document, str(path))


def judged(on: Machine, document: bytes, where: str) -> Iterator[Finding]:
    """Judge a config document, and keep it for the checks that come after.

    Args:
        on: The machine.
        document: As it was read.
        where: What to call it.
    """
    try:
        found = parse_config(document)
    except ConfigError as error:
        cure = "correct it there; until then clients keep the last good one they read"
        yield Finding("config", "broken", f"{where}: {error}", cure)
        return
    on.config = found
    count = len(found.experiments)
    experiments = f"{count} experiment{'' if count == 1 else 's'}"
    yield Finding("config", "ok", f"{where}: version {found.version}, {experiments}")
    if not found.enabled:
        what = f"{where} has routing switched off: every call goes to its baseline"
        yield Finding("config", "warning", what, '"enabled": true')
    for one in found.experiments:
        if one.state == "running":
            yield from _experiment(on, found, one)


def _experiment(on: Machine, found: Config, one: Experiment) -> Iterator[Finding]:
    name = f"experiment {one.key}"
    provider = one.candidate.provider
    if provider is not None:
        variable = f"LOGOS_SHIFT_PROVIDER_{provider.upper()}_BASE_URL"
        if not on.said(variable):
            what = f"{name}: provider {provider} is not known here, its calls go to the baseline"
            cure = f"set {variable}, or name it in the client: LogosShift(providers=...)"
            yield Finding("experiment", "broken", what, cure)
    if one.share == 0:
        what = f"{name} runs with a share of 0: the candidate gets no call"
        yield Finding("experiment", "warning", what, f"logos-shift experiment share {one.key} 5")
    for other in found.experiments[: found.experiments.index(one)]:
        if other.dataset in {"*", one.dataset} and all(other.concerns(one.dataset, model) for model in one.match):
            what = f"{name} never gets a call: {other.key} ({other.state}) stands before it and takes them"
            yield Finding("experiment", "broken", what, f"move {one.key} in front of {other.key}")
