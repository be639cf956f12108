"""`/v1/session`: begin, show and end the session of a browser at the dashboard."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from logos_shift_openai.server.keys import hash_of
from logos_shift_openai.server.sessions import SESSION_MS, begin_session, end_session
from logos_shift_openai.version import __version__

from .browser import cookie_of, require_own_page, set_cookie
from .exchange import Answer, ApiError, Ask, Endpoint, to_json
from .gate import unauthorized

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Login(msgspec.Struct, forbid_unknown_fields=True):
    """With what a session is begun: a key of the scope read or admin, or the one-time token of `logos-shift ui`."""

    key: _Text | None = None
    token: _Text | None = None


class SessionShown(msgspec.Struct):
    """What the session may. `key_id` is null without a key; `local` where the store is this machine's own."""

    scope: Literal["ingest", "read", "admin"]
    key_id: str | None
    version: str
    local: bool


async def begin(ask: Ask) -> Answer:
    """Begin one."""
    service = ask.service
    _require_dashboard(ask)
    require_own_page(ask)
    client = ask.scope.get("client")
    wait = service.logins.take(str(client[0]) if client else "", service.clock())
    if wait:
        raise ApiError(429, "too_many_logins", "too many logins from this address", retry_after=wait)
    asked = await ask.read_json(Login)
    if asked.token is not None:
        accepted = service.sessions.accept(asked.token)
        if accepted is None:
            raise unauthorized(ask, "this link was used already; start `logos-shift ui` again")
        return _begun(ask, accepted[0], SessionShown("admin", None, __version__, service.embedded is not None))
    known = await service.keys.check((asked.key or "").strip().encode("utf-8", "replace"))
    if known is None:
        raise unauthorized(ask, "that is no key of this server, or it is revoked")
    if known.scope == "ingest":
        raise ApiError(403, "forbidden", "an ingest key may not read; take a key of the scope read or admin")
    token, _ = await service.write(lambda connection: begin_session(connection, known.id, service.now()))
    service.note_use(known.id)
    return _begun(ask, token, SessionShown(known.scope, known.id, __version__, service.embedded is not None))


async def show(ask: Ask) -> Answer:
    """Show it."""
    _require_dashboard(ask)
    caller = ask.caller
    scope = "admin" if caller is None else caller.scope
    key_id = None if caller is None else caller.key_id
    return Answer(to_json(SessionShown(scope, key_id, __version__, ask.service.embedded is not None)))


async def end(ask: Ask) -> Answer:
    """End it."""
    _require_dashboard(ask)
    require_own_page(ask)
    token = cookie_of(ask)
    if token is not None:
        ask.service.sessions.forget(token)
        await ask.service.write(lambda connection: end_session(connection, hash_of(token)))
        ask.service.sessions.forget(token)
    return Answer(to_json(Ended(True)), headers=[set_cookie(ask, "", 0)])


class Ended(msgspec.Struct):
    """The session is over."""

    ended: bool


def _begun(ask: Ask, token: str, shown: SessionShown) -> Answer:
    return Answer(to_json(shown), 201, [set_cookie(ask, token, SESSION_MS // 1000)])


def _require_dashboard(ask: Ask) -> None:
    if not ask.service.dashboard:
        raise ApiError(404, "not_found", "this server runs without the dashboard")


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/session",
        None,
        begin,
        "Begin a session of the dashboard with a key; its cookie stands for the key. For the server's own pages.",
        {
            201: (SessionShown, "Begun; the cookie is set."),
            401: (None, "No good key."),
            403: (None, "An ingest key, or not a page of this server."),
            404: (None, "The server runs without the dashboard."),
            429: (None, "Too many logins; wait for Retry-After seconds."),
        },
        body=Login,
    ),
    Endpoint(
        "GET",
        "/v1/session",
        "read",
        show,
        "Show what the asker may.",
        {200: (SessionShown, "The session, or the key."), 404: (None, "The server runs without the dashboard.")},
    ),
    Endpoint(
        "DELETE",
        "/v1/session",
        None,
        end,
        "End the session of the cookie.",
        {200: (Ended, "It is over."), 404: (None, "The server runs without the dashboard.")},
    ),
)
