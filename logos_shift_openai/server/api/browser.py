"""What makes a request of the dashboard's own pages one that may: its cookie, and that it comes from a page of ours.

Rule: a cookie alone changes nothing. A request that changes something by a cookie must carry the header
`X-Logos-Shift`, which a foreign page can only send after a preflight that this server never grants it, and the browser
must say that it comes from this very origin (`Sec-Fetch-Site`, or `Origin` where a browser has none).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .exchange import ApiError

if TYPE_CHECKING:
    from .exchange import Ask

MARK: Final = b"x-logos-shift"
_NAMES: Final = {True: "__Host-logos_shift", False: "logos_shift"}
_SAFE: Final = frozenset({"GET", "HEAD"})


def cookie_of(ask: Ask) -> str | None:
    """Give the token in the session's cookie; None where there is none."""
    wanted = _NAMES[_is_secure(ask)]
    for part in (ask.header(b"cookie") or b"").decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted and value:
            return value
    return None


def set_cookie(ask: Ask, token: str, seconds: int) -> tuple[bytes, bytes]:
    """Give the header that sets the session's cookie; 0 seconds takes it away."""
    secure = _is_secure(ask)
    parts = [f"{_NAMES[secure]}={token}", "Path=/", f"Max-Age={seconds}", "HttpOnly", "SameSite=Strict"]
    return b"set-cookie", "; ".join([*parts, *(["Secure"] if secure else [])]).encode()


def require_own_page(ask: Ask) -> None:
    """Refuse a change that may have been sent by a page of another origin.

    Raises:
        ApiError: 403.
    """
    if ask.scope["method"] in _SAFE:
        return
    site = ask.header(b"sec-fetch-site")
    if site is None:
        origin, host = ask.header(b"origin"), ask.header(b"host") or b""
        own = origin is not None and origin.lower() == ask.scope.get("scheme", "http").encode() + b"://" + host.lower()
    else:
        own = site == b"same-origin"
    if not own or ask.header(MARK) is None:
        raise ApiError(403, "foreign_page", "a change by cookie must come from a page of this server")


def _is_secure(ask: Ask) -> bool:
    return bool(ask.scope.get("scheme") == "https")
