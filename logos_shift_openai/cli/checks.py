"""What can be wrong on a machine, each check with its cure.

A check looks and says, and changes nothing but that the spool is taken in as by every command. Findings are
values, so that they are shown and written as JSON alike.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from logos_shift_openai.core.config import Config, ConfigError, Experiment, parse_config
from logos_shift_openai.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from logos_shift_openai.cli.session import Place

Level = Literal["ok", "warning", "broken"]

_FREE_BYTES: Final = 64 * 1024 * 1024
_ASK_SECONDS: Final = 5.0
_FLOOR, _CEILING = (1, 66), (4,)
_UNAUTHORIZED: Final = {401, 403}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Args:
        check: Its name.
        level: `broken` means that something does not work now.
        what: What was found.
        cure: What to do, empty where there is nothing to do.
    """

    check: str
    level: Level
    what: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the checks look at.

    Args:
        place: The home folder.
        environ: The environment.
    """

    place: Place
    environ: Mapping[str, str]

    @property
    def url(self) -> str:
        """The server's address, empty without one."""
        return self.environ.get("LOGOS_SHIFT_URL", "").strip().rstrip("/")


def run_checks(machine: Machine) -> list[Finding]:
    """Run every check; one that stumbles is a finding of its own."""
    findings: list[Finding] = []
    for check in _CHECKS:
        try:
            findings += check(machine)
        except Exception as error:  # noqa: BLE001 - the doctor reports what it meets
            name = check.__name__.strip("_")
            findings.append(Finding(name, "broken", f"cannot be checked: {type(error).__name__}: {error}"))
    return findings


def _packages(_machine: Machine) -> Iterator[Finding]:
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


def _settings(machine: Machine) -> Iterator[Finding]:
    from logos_shift_openai.client.settings import read_settings  # noqa: PLC0415 - it brings openai along

    try:
        read_settings({}, machine.environ)
    except SettingsError as error:
        yield Finding("settings", "broken", str(error), "set this variable right, or unset it")
        return
    for name, effect in (
        ("ENABLED", "nothing is routed or recorded"),
        ("ROUTING", "every call goes to its baseline"),
        ("LOGGING", "nothing is recorded"),
    ):
        variable = f"LOGOS_SHIFT_{name}"
        if machine.environ.get(variable, "").strip().lower() in {"0", "false", "no", "off"}:
            yield Finding("settings", "warning", f"{variable} is off: {effect}", f"unset {variable}")
    if machine.environ.get("LOGOS_SHIFT_FORCE_VARIANT", "").strip():
        what = "LOGOS_SHIFT_FORCE_VARIANT is set: the share of an experiment is not looked at"
        yield Finding("settings", "warning", what, "unset LOGOS_SHIFT_FORCE_VARIANT outside development")
    if not machine.environ.get("OPENAI_API_KEY"):
        what = "OPENAI_API_KEY is not set here"
        yield Finding("key", "warning", what, "set it, or give api_key to the client in your code")
    if machine.url and not machine.environ.get("LOGOS_SHIFT_API_KEY"):
        what = "LOGOS_SHIFT_API_KEY is not set here: only a server without keys takes records"
        yield Finding("key", "warning", what, "set the key of the server")


def _home(machine: Machine) -> Iterator[Finding]:
    home = machine.place.home
    nearest = next(folder for folder in (home, *home.parents) if folder.exists())
    if not nearest.is_dir():
        cure = "name another folder in LOGOS_SHIFT_HOME"
        yield Finding("home", "broken", f"{home} cannot be a folder: {nearest} is a file", cure)
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
    elif nearest != home:
        what = f"{home} is not there yet"
        yield Finding("home", "ok", what, "it is made with the first record")
    else:
        yield Finding("home", "ok", f"{home}, {free // 2**20:,} MiB free")


def _store(machine: Machine) -> Iterator[Finding]:
    from logos_shift_openai.cli.session import take_spool_in  # noqa: PLC0415
    from logos_shift_openai.server.statistics import totals  # noqa: PLC0415
    from logos_shift_openai.server.store.database import StoreError, open_store  # noqa: PLC0415

    place = machine.place
    if not place.home.is_dir():
        return
    try:
        store = open_store(place.store_path)
    except StoreError as error:
        yield Finding("store", "broken", str(error), "move the file away to begin with an empty store")
        return
    try:
        result = take_spool_in(store, place)
        for fault in result.faults:
            yield Finding("spool", "broken", fault, "see to that folder, then run this again")
        with store.reading() as connection:
            everything = totals(connection)
    except StoreError as error:
        yield Finding("store", "broken", str(error), "see to the disk; what was not taken in is still in the spool")
        return
    finally:
        store.close()
    taken = f", {result.new:,} records taken in just now" if result.new else ""
    calls = f"{everything.calls:,} calls, {everything.feedback:,} feedback{taken}"
    yield Finding("store", "ok", calls)
    if everything.refused:
        lines = sum(everything.refused.values())
        by_part = ", ".join(f"{part} {count:,}" for part, count in everything.refused.items())
        cure = f"look into {place.home / 'spool' / 'local' / 'refused'}; the reasons stand beside the lines"
        yield Finding("refused", "warning", f"{lines:,} lines refused so far, by part: {by_part}", cure)


def _spool(machine: Machine) -> Iterator[Finding]:
    from logos_shift_openai.server.spool_folders import LOCAL, REFUSED, waiting  # noqa: PLC0415

    mine = hashlib.sha256(machine.url.encode()).hexdigest()[:16] if machine.url else None
    for one in waiting(machine.place.home, {}):
        refused = machine.place.home / "spool" / one.destination / REFUSED
        if one.destination != LOCAL and refused.is_dir() and any(refused.iterdir()):
            cure = f"look into {refused}"
            yield Finding("refused", "warning", "the server refused records of this machine", cure)
        if one.destination == LOCAL or not one.records:
            continue
        what = f"{one.records:,} records ({one.size:,} bytes) wait for "
        if one.destination == mine:
            cure = "they are sent as soon as it answers a process of yours" if one.orphans else ""
            level: Level = "warning" if one.orphans else "ok"
            left = f"; {len(one.orphans)} of {one.owners} folders have no process" if one.orphans else ""
            yield Finding("spool", level, f"{what}{machine.url}{left}", cure)
        else:
            cure = (
                "run a client with the LOGOS_SHIFT_URL they were recorded for, or remove "
                f"{machine.place.home / 'spool' / one.destination}"
            )
            yield Finding("spool", "warning", f"{what}a server that is not set here", cure)


def _server(machine: Machine) -> Iterator[Finding]:
    if not machine.url:
        yield Finding("server", "ok", "none is set: records stay on this machine")
        return
    import requests  # noqa: PLC0415 - only here it is needed

    key = machine.environ.get("LOGOS_SHIFT_API_KEY", "").strip()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = requests.get(f"{machine.url}/v1/config", headers=headers, timeout=_ASK_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        what = f"{machine.url} does not answer ({type(error).__name__}); records wait in the spool"
        yield Finding("server", "broken", what, "start the server, or set LOGOS_SHIFT_URL right")
        return
    if answer.status_code in _UNAUTHORIZED:
        what = f"{machine.url} does not accept the key ({answer.status_code})"
        yield Finding("server", "broken", what, "set LOGOS_SHIFT_API_KEY to a key of that server")
    elif answer.status_code != requests.codes.ok:
        what = f"{machine.url}/v1/config answers {answer.status_code}"
        yield Finding("server", "broken", what, "check that LOGOS_SHIFT_URL is the address of a Logos server")
    else:
        yield Finding("server", "ok", f"{machine.url} answers")
        yield from _judged(machine, answer.content, f"{machine.url}/v1/config")


def _config(machine: Machine) -> Iterator[Finding]:
    embedded = machine.place.home / "config.json"
    named = machine.environ.get("LOGOS_SHIFT_CONFIG", "").strip()
    if named and not re.match(r"https?://", named):
        path = Path(named).expanduser()
    elif named or machine.url:
        if embedded.exists():
            what = f"{embedded} is not read: LOGOS_SHIFT_{'CONFIG' if named else 'URL'} is set"
            yield Finding("config", "warning", what, "unset it for experiments of this machine alone")
        return
    else:
        path = embedded
    try:
        document = path.read_bytes()
    except FileNotFoundError:
        if named:
            what = f"{path}: there is no such file"
            yield Finding("config", "broken", what, "set LOGOS_SHIFT_CONFIG right, or unset it")
        else:
            yield Finding("config", "ok", "no experiment yet", "logos-shift experiment start --help")
        return
    yield from _judged(machine, document, str(path))


def _judged(machine: Machine, document: bytes, where: str) -> Iterator[Finding]:
    """Judge a config document, and whether its experiments can work in this environment."""
    try:
        config = parse_config(document)
    except ConfigError as error:
        cure = "correct it there; until then clients keep the last good one they read"
        yield Finding("config", "broken", f"{where}: {error}", cure)
        return
    count = len(config.experiments)
    experiments = f"{count} experiment{'' if count == 1 else 's'}"
    yield Finding("config", "ok", f"{where}: version {config.version}, {experiments}")
    if not config.enabled:
        what = f"{where} has routing switched off: every call goes to its baseline"
        yield Finding("config", "warning", what, '"enabled": true')
    for one in config.experiments:
        if one.state == "running":
            yield from _experiment(machine, config, one)


def _experiment(machine: Machine, config: Config, one: Experiment) -> Iterator[Finding]:
    name = f"experiment {one.key}"
    provider = one.candidate.provider
    if provider is not None:
        variable = f"LOGOS_SHIFT_PROVIDER_{provider.upper()}_BASE_URL"
        if not machine.environ.get(variable, "").strip():
            what = f"{name}: provider {provider} is not known here, its calls go to the baseline"
            cure = f"set {variable}, or name it in the client: LogosShift(providers=...)"
            yield Finding("experiment", "broken", what, cure)
    if one.share == 0:
        what = f"{name} runs with a share of 0: the candidate gets no call"
        yield Finding("experiment", "warning", what, f"logos-shift experiment share {one.key} 5")
    before = config.experiments[: config.experiments.index(one)]
    for other in before:
        if other.dataset in {"*", one.dataset} and all(other.concerns(one.dataset, model) for model in one.match):
            what = f"{name} never gets a call: {other.key} ({other.state}) stands before it and takes them"
            yield Finding("experiment", "broken", what, f"move {one.key} in front of {other.key}")


def _guards(machine: Machine) -> Iterator[Finding]:
    """Say what is kept of models that end and prompts that have changed."""
    from logos_shift_openai.cli.output import now_ms  # noqa: PLC0415
    from logos_shift_openai.server.prompt_drift import drifts  # noqa: PLC0415
    from logos_shift_openai.server.retirement import retiring  # noqa: PLC0415
    from logos_shift_openai.server.rollouts import config_of, embedded_home  # noqa: PLC0415
    from logos_shift_openai.server.store.database import open_store  # noqa: PLC0415

    if not machine.place.store_path.exists():
        return
    store = open_store(machine.place.store_path, create=False)
    try:
        home = embedded_home(store, machine.place.home)
        with store.reading() as connection:
            config = config_of(connection, home)
            ending, changed = retiring(connection, config, now_ms()), drifts(connection, config, now_ms())
    finally:
        store.close()
    for one in ending:
        yield Finding("models", "warning", one.words, "choose another model before that day, or train one anew")
    for drift in changed:
        if drift.much:
            yield Finding("prompts", "warning", drift.words, "cut an edition of today's calls and train anew")


_CHECKS: Final[tuple[Callable[[Machine], Iterator[Finding]], ...]] = (
    _packages,
    _settings,
    _home,
    _store,
    _config,
    _server,
    _spool,
    _guards,
)


def as_json(finding: Finding) -> dict[str, Any]:
    """Give a finding as a plain object."""
    return {name: getattr(finding, name) for name in ("check", "level", "what", "cure")}
