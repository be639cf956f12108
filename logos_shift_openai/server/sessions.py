"""Sessions of the dashboard: begun with a key or with a token of `logos-shift ui`, found by their cookie, ended.

A session is 256 random bits of which only a hash is kept. It may what its key may, and ends with it, at its time, or
by hand. Those of `logos-shift ui` have no key; they live in its process alone and end with it.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, delete, insert, select

from .keys import BELIEVED_SECONDS, hash_of
from .store.schema import sessions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SESSION_MS: Final = 12 * 3_600_000
"""How long a session lasts."""

_MOST_REMEMBERED: Final = 4096
_TOKEN_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class Session:
    """A session. `key_id` is None for one of `logos-shift ui`; `expires` is milliseconds since 1970."""

    key_id: str | None
    expires: int


def begin_session(connection: Connection, key_id: str, now: int) -> tuple[str, Session]:
    """Begin a session of a key, within the caller's transaction; what has expired is swept up.

    Returns:
        Its token for the cookie, which is kept nowhere, and the session.
    """
    token, session = secrets.token_hex(32), Session(key_id, now + SESSION_MS)
    connection.execute(delete(sessions).where(sessions.c.expires <= now))
    connection.execute(
        insert(sessions).values(token_hash=hash_of(token), key_id=key_id, created=now, expires=session.expires)
    )
    return token, session


def find_session(connection: Connection, token_hash: bytes) -> Session | None:
    """Find a session by the hash of its token, expired or not."""
    row = connection.execute(select(sessions).where(sessions.c.token_hash == token_hash)).mappings().first()
    return None if row is None else Session(row["key_id"], row["expires"])


def end_session(connection: Connection, token_hash: bytes) -> None:
    """End a session, if there is one."""
    connection.execute(delete(sessions).where(sessions.c.token_hash == token_hash))


class Sessions:
    """The sessions in use, looked up once in a while instead of at every request.

    Args:
        look_up: Finds a session in the store, by the hash of its token.
        now: Milliseconds since 1970.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        look_up: Callable[[bytes], Awaitable[Session | None]],
        now: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._look_up = look_up
        self._now = now
        self._clock = clock
        self._found: dict[bytes, tuple[float, Session | None]] = {}
        self._local: dict[bytes, Session] = {}
        self._invitation: bytes | None = None
        self._invited: Callable[[], None] = lambda: None

    async def check(self, token: str) -> Session | None:
        """Find the session whose token this is; None if there is none or it has expired."""
        if len(token) != _TOKEN_LENGTH or not token.isascii():
            return None
        token_hash = hash_of(token)
        session = self._local.get(token_hash)
        if session is None:
            looked, session = self._found.get(token_hash, (None, None))
            asked = self._clock()
            if looked is None or asked - looked >= BELIEVED_SECONDS:
                session = await self._look_up(token_hash)
                if len(self._found) >= _MOST_REMEMBERED:
                    self._found.pop(next(iter(self._found)))
                self._found[token_hash] = (asked, session)
        return None if session is None or session.expires <= self._now() else session

    def forget(self, token: str) -> None:
        """End it here: of one that lies in the store nothing is believed any more."""
        self._local.pop(hash_of(token), None)
        self._found.pop(hash_of(token), None)

    def invite(self, used: Callable[[], None] = lambda: None) -> str:
        """Make the token with which one browser on this machine may begin a session without a key, once.

        Args:
            used: Called when it was.
        """
        token = secrets.token_hex(32)
        self._invitation, self._invited = hash_of(token), used
        return token

    def accept(self, token: str) -> tuple[str, Session] | None:
        """Begin a session with the token that `invite` gave; None if it is another one or was used."""
        if self._invitation is None or not hmac.compare_digest(hash_of(token), self._invitation):
            return None
        self._invitation = None
        self._invited()
        fresh, session = secrets.token_hex(32), Session(None, self._now() + SESSION_MS)
        self._local[hash_of(fresh)] = session
        return fresh, session
