"""The pages of the dashboard and their files, as they are sent.

A page is one shell of HTML that loads one module of JavaScript from `assets/pages/`; `PAGES` says which path has which.
All files are read once. Their addresses hold a digest of all of them, so a browser keeps them for good and never mixes
two versions. Nothing here needs a key: whatever is worth one comes from the API.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from importlib.abc import Traversable

    Send = Callable[[dict[str, Any]], Awaitable[None]]

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_SECURITY: Final = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_FOR_GOOD: Final = b"public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the dashboard.

    Args:
        path: Where it is; `{name}` stands for a part that its module is given, `{name+}` for one that may hold slashes.
        module: Its file in `assets/pages/`, without the ending.
        title: What the window is called.
        nav: Its name in the navigation; None where it is come to from another page.
    """

    path: str
    module: str
    title: str
    nav: str | None = None


PAGES: Final = (
    Page("/", "overview", "Overview", "Overview"),
    Page("/calls", "calls", "Calls", "Calls"),
    Page("/calls/{id+}", "call", "Call"),
    Page("/experiments", "experiments", "Experiments", "Experiments"),
    Page("/experiments/{key+}", "experiment", "Experiment"),
    Page("/datasets", "datasets", "Datasets", "Datasets"),
    Page("/datasets/{name+}", "dataset", "Dataset"),
    Page("/tuning", "tunings", "Tuning", "Tuning"),
    Page("/tuning/{id}", "tuning", "Tuning job"),
    Page("/autopilot/{dataset+}", "autopilot", "Autopilot"),
    Page("/refused", "refused", "Refused lines"),
    Page("/settings", "settings", "Settings", "Settings"),
    Page("/login", "login", "Log in"),
)


class Pages:
    """The files, ready to be sent."""

    def __init__(self) -> None:
        folder = files(__package__) / "assets"
        assets = dict(_read(folder, ""))
        digest = sha256()
        for name, body in sorted(assets.items()):
            digest.update(f"{name}\0{len(body)}\0".encode() + body)
        self.version = digest.hexdigest()[:16]
        base = f"/assets/{self.version}"
        self._assets = {f"{base}/{name}": _File.of(name, body, _FOR_GOOD) for name, body in assets.items()}
        shell = assets["shell.html"].decode()
        self._pages = [(_pattern(page.path), _shell(shell, page, base)) for page in PAGES]

    def find(self, path: str) -> _File | None:
        """Find what a path leads to."""
        asset = self._assets.get(path)
        if asset is not None:
            return asset
        return next((page for pattern, page in self._pages if pattern.fullmatch(path)), None)


@dataclass(frozen=True, slots=True)
class _File:
    """A file with its headers, as an application of its own."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(cls, name: str, body: bytes, cache: bytes) -> _File:
        kind = _TYPES[name.rpartition(".")[2]].encode()
        length = str(len(body)).encode()
        own = ((b"content-type", kind), (b"content-length", length), (b"cache-control", cache))
        return cls(body, (*own, *_SECURITY))

    async def __call__(self, scope: Any, send: Send) -> None:
        """Send it; the HTTP server leaves the body out where only the head was asked for."""
        await send({"type": "http.response.start", "status": 200, "headers": [*self.headers]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})


def _read(folder: Traversable, before: str) -> Iterator[tuple[str, bytes]]:
    for one in folder.iterdir():
        if one.is_dir():
            yield from _read(one, f"{before}{one.name}/")
        elif one.name.rpartition(".")[2] in _TYPES:
            yield before + one.name, one.read_bytes()


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{\w+}", r"[^/]+", re.sub(r"{\w+\+}", ".+", path)), re.DOTALL)


def _shell(shell: str, page: Page, base: str) -> _File:
    links = "".join(f'<li><a href="{escape(one.path)}">{escape(one.nav)}</a></li>' for one in PAGES if one.nav)
    parts = {"title": page.title, "module": page.module, "path": page.path, "assets": base}
    text = re.sub(r"{{(\w+)}}", lambda found: links if found[1] == "nav" else escape(parts[found[1]]), shell)
    return _File.of("shell.html", text.encode(), b"no-cache")
