"""The channels that events are told on, read from the environment, so that their secrets are in no store and no answer.

A channel's address says its kind. What it is shown as is its host: paths and queries of such addresses are secrets.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import SplitResult, urlsplit

from logos_shift_openai.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["webhook", "slack", "mail", "console"]

PREFIX: Final = "LOGOS_SHIFT_NOTIFY_"
_KINDS: Final = (
    "where: `https://...` is a webhook, `slack+https://...` an incoming webhook as of Slack, `smtp://host:587` "
    "(STARTTLS) or `smtps://host:465` a mail server, `console:` the log"
)
TABLE: Final = (
    ("URL", "an address", _KINDS),
    ("SECRET", "`whsec_` and base64 of 24 to 64 bytes", "signs a webhook; two, with a space, while one is changed"),
    ("USER", "a text", "login at the mail server"),
    ("PASSWORD", "a text", "its password"),
    ("FROM", "a mail address", "sender of the mail"),
    ("TO", "mail addresses, with commas", "receivers of the mail"),
    ("EVENTS", "kinds as in `rollout.*,tuning.failed`", "what is told here; without it everything"),
    ("PRIVATE", "on or off", "on: the address may be private or this machine, and without TLS"),
)
"""The variables of a channel: the end of the name, what it takes, what it means."""

_VARIABLE: Final = re.compile(rf"{PREFIX}([A-Z0-9_]+?)_({'|'.join(name for name, _, _ in TABLE)})")
_SCHEMES: Final[Mapping[str, Kind]] = {
    "http": "webhook", "https": "webhook", "slack+http": "slack", "slack+https": "slack",
    "smtp": "mail", "smtps": "mail", "console": "console",
}  # fmt: skip
_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"\\()\[\]]+@[^\s@<>,;:\"\\()\[\]]+")
_LONGEST_NAME: Final = 64
_SECRET_BYTES: Final = range(24, 65)  # what the standard of webhooks asks for
_FLAGS: Final = {**dict.fromkeys(("on", "1", "true", "yes"), True), **dict.fromkeys(("off", "0", "false", "no"), False)}


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel.

    Args:
        name: In lower case, as the environment names it.
        kind: What it is.
        url: Its address; may hold a secret.
        secrets: The keys that sign a webhook.
        user: Login of a mail server.
        password: Its password.
        sender: Address of the sender.
        receivers: Addresses of the receivers.
        events: Patterns of the kinds that are told here.
        private: Whether it may lie on a private address, and be spoken to without TLS.
    """

    name: str
    kind: Kind
    url: SplitResult = field(repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    sender: str = ""
    receivers: tuple[str, ...] = ()
    events: tuple[str, ...] = ("*",)
    private: bool = False

    @property
    def where(self) -> str:
        """What may be shown of where it leads."""
        if self.kind == "console":
            return "the log"
        return f"{self.url.scheme}://{self.url.hostname}" + (f":{self.url.port}" if self.url.port else "")

    def wants(self, kind: str) -> bool:
        """Whether events of a kind are told here; a test always is."""
        return kind == "test" or any(fnmatchcase(kind, pattern) for pattern in self.events)


def channels_from(environ: Mapping[str, str]) -> tuple[Channel, ...]:
    """Read the channels of an environment, by their names.

    Raises:
        SettingsError: a variable cannot be meant; the message names it, and never shows a secret.
    """
    parts: dict[str, dict[str, str]] = {}
    for variable, text in environ.items():
        match = _VARIABLE.fullmatch(variable)
        if match and text.strip():
            parts.setdefault(match[1], {})[match[2]] = text.strip()
    return tuple(_channel(name, parts[name]) for name in sorted(parts))


def _channel(name: str, part: Mapping[str, str]) -> Channel:
    stem = f"{PREFIX}{name}_"
    if len(name) > _LONGEST_NAME:
        raise SettingsError(f"{stem}...: the name of a channel has {_LONGEST_NAME} characters at most")
    private = _FLAGS.get(part.get("PRIVATE", "off").lower())
    if private is None:
        raise SettingsError(f"{stem}PRIVATE: its value is neither on nor off")
    if "URL" not in part:
        raise SettingsError(f"{stem}URL: missing beside {stem}{next(iter(part))}; it takes an address")
    url, kind = _url(f"{stem}URL", part["URL"], private=private)
    channel = Channel(
        name.lower(),
        kind,
        url,
        secrets=tuple(_secret(f"{stem}SECRET", text) for text in part.get("SECRET", "").split()),
        user=part.get("USER"),
        password=part.get("PASSWORD"),
        sender=part.get("FROM", ""),
        receivers=tuple(one.strip() for one in part.get("TO", "").split(",") if one.strip()),
        events=tuple(one.strip() for one in part.get("EVENTS", "*").split(",") if one.strip()),
        private=private,
    )
    _refuse_half(stem, channel)
    return channel


def _url(variable: str, text: str, *, private: bool) -> tuple[SplitResult, Kind]:
    try:
        url = urlsplit(text)
        kind = _SCHEMES[url.scheme]
        good = kind == "console" or (bool(url.hostname) and url.username is None and url.port != 0)
    except (ValueError, KeyError):
        good = False
    if not good or not text.isascii() or not text.isprintable() or " " in text:
        raise SettingsError(f"{variable}: its value is not an address as in https://host/path, without a user in it")
    if url.scheme in {"http", "slack+http"} and not private:
        raise SettingsError(
            f"{variable}: http is not taken; use https, or set {variable.removesuffix('URL')}PRIVATE=on"
        )
    return url, kind


def _secret(variable: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith("whsec_") or len(key) not in _SECRET_BYTES:
        raise SettingsError(f"{variable}: its value is not whsec_ and the base64 of 24 to 64 bytes")
    return key


def _refuse_half(stem: str, channel: Channel) -> None:
    """Refuse a channel that lacks what its kind needs."""
    if channel.kind == "webhook" and not channel.secrets:
        raise SettingsError(f"{stem}SECRET: missing; make one with: echo whsec_$(openssl rand -base64 32)")
    if channel.kind != "mail":
        return
    for end, addresses in (("FROM", (channel.sender,)), ("TO", channel.receivers)):
        if not addresses or not all(_ADDRESS.fullmatch(one) for one in addresses):
            raise SettingsError(f"{stem}{end}: a mail address is missing or is none")
    if (channel.user is None) != (channel.password is None):
        raise SettingsError(f"{stem}USER and {stem}PASSWORD belong together")
