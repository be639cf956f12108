"""All settings in one table: what each is called, what it takes, what it is when nobody says.

Arguments beat the environment, the environment beats the defaults. A value that cannot be meant raises `SettingsError`
when a client is made, never later.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logos_shift_openai.core.home import default_home
from logos_shift_openai.core.redaction import Redaction
from logos_shift_openai.errors import SettingsError

from .providers import Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off"})
_PROVIDER = re.compile(r"LOGOS_SHIFT_PROVIDER_([A-Z0-9_]+?)_(BASE_URL|API_KEY)")


def _flag(text: str) -> bool:
    if text.strip().lower() in _YES:
        return True
    if text.strip().lower() in _NO:
        return False
    raise ValueError


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError
    return text.strip()


def _url(text: str) -> str:
    text = text.strip().rstrip("/")
    if not re.match(r"https?://[^/\s]+", text):
        raise ValueError
    return text


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 <= rate <= 1:
        raise ValueError
    return rate


def _size(text: str) -> int:
    match = re.fullmatch(r"\s*(\d+)\s*([kmg]i?b?)?\s*", text.lower())
    if not match:
        raise ValueError
    return int(match[1]) * 1 << 10 * " kmg".index((match[2] or " ")[0])


def _record_size(text: str) -> int:
    size = _size(text)
    if size < 4096:  # noqa: PLR2004 - a record has to hold its own head
        raise ValueError
    return size


def _variant(text: str) -> str:
    if text.strip().lower() not in {"baseline", "candidate"}:
        raise ValueError
    return text.strip().lower()


class Setting(NamedTuple):
    """A row of the table.

    Args:
        argument: Name of the argument of `LogosShift` and of the field of `Settings`.
        takes: What it takes, in words; also the end of its error message.
        default: What it is when nobody says, in words.
        meaning: What it does.
        read: Turns the text of the variable into the value; ValueError when it cannot.
    """

    argument: str
    takes: str
    default: str
    meaning: str
    read: Callable[[str], Any]

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return "LOGOS_SHIFT_" + self.argument.upper()


TABLE: Final = (
    Setting("url", "an http(s) address", "none: records stay on this machine", "Server that records go to", _url),
    Setting("api_key", "a key of that server", "none", "Key for the server, never for a model provider", _text),
    Setting("home", "a folder", "the platform's user data folder", "Embedded store, config and spool", _text),
    Setting("config", "a file or an http(s) address", "the server's, else config.json in home", "Where the live config is read", _text),  # noqa: E501 - a row
    Setting("enabled", "on or off", "on", "Off: the plain SDK, nothing routed or recorded", _flag),
    Setting("routing", "on or off", "on", "Off: every call goes to its baseline", _flag),
    Setting("logging", "on or off", "on", "Off: nothing is recorded", _flag),
    Setting("force_variant", "baseline or candidate", "none", "Overrules the hash, for development", _variant),
    Setting("dataset", "a text", "default", "Dataset of calls that name none", _text),
    Setting("sample_rate", "a number from 0 to 1", "1", "Part of the calls that is recorded", _rate),
    Setting("redact", "rule names as in secrets,email,key:metadata.ssn, or off", "secrets", "What is taken out of records", Redaction.parse),  # noqa: E501 - a row
    Setting("record_bytes", "a size from 4096 on, as in 1MB", "1MB", "Longest record; longer ones are cut visibly", _record_size),  # noqa: E501 - a row
    Setting("shadow", "on or off", "on", "Off: nothing is mirrored to a candidate, whatever the config asks", _flag),
    Setting("spool_bytes", "a size, as in 1GB", "1GB", "Most bytes the spool may hold on disk", _size),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What the environment and the arguments came to. Two equal ones share one recorder and one spool."""

    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    home: Path = field(default_factory=lambda: default_home(os.environ))
    config: str | None = None
    enabled: bool = True
    routing: bool = True
    logging: bool = True
    force_variant: Any = None
    dataset: str = "default"
    sample_rate: float = 1.0
    redact: Any = field(default_factory=Redaction.build)
    record_bytes: int = 2**20
    shadow: bool = True
    spool_bytes: int = 2**30
    filename: Path | None = None
    providers: Mapping[str, Provider] = field(default_factory=dict, repr=False)


def read_settings(arguments: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Make the settings of arguments and the environment.

    Args:
        arguments: By name; None counts as not given.
        environ: The environment, `os.environ` unless said otherwise.

    Raises:
        SettingsError: a value cannot be meant; the message names it and says what it takes.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for setting in TABLE:
        given = arguments.get(setting.argument)
        if given is not None:
            values[setting.argument] = _argument(setting, given)
        elif (text := environ.get(setting.variable)) is not None and text.strip():
            values[setting.argument] = _variable(setting, text)
    values["home"] = Path(values["home"]).expanduser().absolute() if "home" in values else default_home(environ)
    if arguments.get("filename") is not None:
        values["filename"] = Path(arguments["filename"]).expanduser().absolute()
    values["providers"] = {**_providers_of(environ), **_providers_given(arguments.get("providers") or {})}
    return Settings(**values)


def _variable(setting: Setting, text: str) -> Any:
    try:
        return setting.read(text)
    except ValueError as error:
        shown = "its value" if setting.argument == "api_key" else repr(text)
        because = f" ({error})" if setting.argument == "redact" else ""
        raise SettingsError(f"{setting.variable}: {shown} is not {setting.takes}{because}") from None


def _argument(setting: Setting, given: Any) -> Any:
    if isinstance(given, Redaction) or (setting.argument == "redact" and callable(given)):
        return given
    if isinstance(given, bool) and setting.read is not _flag:
        raise SettingsError(f"{setting.argument}: {given!r} is not {setting.takes}")
    try:
        return setting.read(str(given))
    except ValueError as error:
        shown = "its value" if setting.argument == "api_key" else repr(given)
        because = f" ({error})" if setting.argument == "redact" else ""
        raise SettingsError(f"{setting.argument}: {shown} is not {setting.takes}{because}") from None


def _providers_of(environ: Mapping[str, str]) -> dict[str, Provider]:
    parts: dict[str, dict[str, str]] = {}
    for variable, text in environ.items():
        match = _PROVIDER.fullmatch(variable)
        if match and text.strip():
            parts.setdefault(match[1].lower(), {})[match[2].lower()] = text.strip()
    providers = {}
    for name, part in parts.items():
        stem = f"LOGOS_SHIFT_PROVIDER_{name.upper()}_"
        if "base_url" not in part:
            raise SettingsError(f"{stem}BASE_URL: missing beside {stem}API_KEY; it takes an http(s) address")
        try:
            providers[name] = Provider(base_url=_url(part["base_url"]), api_key=part.get("api_key"))
        except ValueError:
            raise SettingsError(f"{stem}BASE_URL: {part['base_url']!r} is not an http(s) address") from None
    return providers


def _providers_given(given: Mapping[str, Any]) -> dict[str, Provider]:
    providers = {}
    for name, one in given.items():
        if isinstance(one, Provider):
            providers[name.lower()] = one
        elif hasattr(one, "request") and hasattr(one, "chat"):
            providers[name.lower()] = Provider(client=one)
        else:
            raise SettingsError(
                f"providers[{name!r}]: {type(one).__name__} is neither a Provider nor a client of the SDK"
            )
    return providers
