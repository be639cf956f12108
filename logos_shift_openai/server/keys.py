"""Keys of the server: made, shown once, listed, revoked, and looked up for every request.

A key is `ls_<scope>_<id>_<secret>`. Only the SHA-256 of its secret is kept: the secret is 256 random bits, so a
slow hash would add nothing. A looked-up key is believed for `BELIEVED_SECONDS` at most; so long a revoked one
may still work in other processes.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import Connection, RowMapping, insert, select, update

from .store.schema import api_keys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Scope = Literal["ingest", "read", "admin"]

SCOPES: Final[tuple[Scope, ...]] = ("ingest", "read", "admin")
BELIEVED_SECONDS: Final = 3.0
_KEY: Final = re.compile(rb"ls_(ingest|read|admin)_([0-9a-f]{12})_([0-9a-f]{64})")
_MOST_REMEMBERED: Final = 4096
_LABEL_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Key:
    """A key as people see it: everything but its secret. Times are milliseconds since 1970."""

    id: str
    scope: Scope
    label: str
    created: int
    revoked: int | None
    last_used: int | None


@dataclass(frozen=True, slots=True)
class Known:
    """A key as it is checked."""

    id: str
    scope: Scope
    secret_hash: bytes
    revoked: bool


def create_key(connection: Connection, scope: Scope, label: str, now: int) -> tuple[str, Key]:
    """Make a key, within the caller's transaction.

    Args:
        connection: A writer's connection.
        scope: What it may do.
        label: Whose it is, for people.
        now: Milliseconds since 1970.

    Returns:
        Its text, which nobody can ever show again, and what is kept of it.
    """
    key_id, secret = secrets.token_hex(6), secrets.token_hex(32)
    label = label[:_LABEL_LENGTH].replace("\0", "\N{REPLACEMENT CHARACTER}")
    row = {"id": key_id, "scope": scope, "label": label, "created": now, "revoked": None, "last_used": None}
    connection.execute(insert(api_keys).values(**row, secret_hash=hash_of(secret)))
    return f"ls_{scope}_{key_id}_{secret}", Key(key_id, scope, label, now, None, None)


def create_first_key(connection: Connection, now: int) -> str | None:
    """Make the first admin key where there has never been any key; None where there has.

    The caller holds whatever keeps two processes from asking this at the same moment.
    """
    if connection.scalar(select(api_keys.c.id).limit(1)) is not None:
        return None
    return create_key(connection, "admin", "first key", now)[0]


def list_keys(connection: Connection) -> list[Key]:
    """List all keys, revoked ones too, in the order in which they were made."""
    rows = connection.execute(select(api_keys).order_by(api_keys.c.created, api_keys.c.id)).mappings()
    return [_shown(row) for row in rows]


def revoke_key(connection: Connection, key_id: str, now: int) -> Key | None:
    """Revoke a key for good; the time of its first revocation stays. None if there is no such key."""
    connection.execute(
        update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked.is_(None)).values(revoked=now)
    )
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).mappings().first()
    return None if row is None else _shown(row)


def note_used(connection: Connection, used: dict[str, int]) -> None:
    """Write down when keys were last used, by their ids."""
    for key_id, at in sorted(used.items()):
        connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used=at))


def find_known(connection: Connection, key_id: str) -> Known | None:
    """Find what a key is checked against."""
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).mappings().first()
    if row is None:
        return None
    return Known(row["id"], row["scope"], bytes(row["secret_hash"]), row["revoked"] is not None)


def hash_of(secret: str | bytes) -> bytes:
    """Hash a secret as it is kept."""
    return sha256(secret.encode() if isinstance(secret, str) else secret).digest()


class KeyRing:
    """The keys in use, looked up once in a while instead of at every request.

    Args:
        look_up: finds a key by its id in the store.
        clock: seconds that never go back.
    """

    def __init__(
        self, look_up: Callable[[str], Awaitable[Known | None]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._found: dict[str, tuple[float, Known | None]] = {}
        self._looking: dict[str, asyncio.Task[Known | None]] = {}
        self.used: dict[str, int] = {}
        """Milliseconds since 1970 of the last use, by id, for `note_used`; whoever writes it down empties it."""

    async def check(self, presented: bytes) -> Known | None:
        """Find the key whose text this is; None if there is none, it is wrong, or it is revoked."""
        match = _KEY.fullmatch(presented)
        if match is None:
            return None
        known = await self.find(match[2].decode())
        # Compared even where there is none, so that the time says nothing of which ids exist.
        right = hmac.compare_digest(hash_of(match[3]), b"" if known is None else known.secret_hash)
        if known is None or not right or known.scope != match[1].decode():
            return None
        return known

    async def find(self, key_id: str) -> Known | None:
        """Find a key that is not revoked by its id."""
        found = self._found.get(key_id)
        if found is None or self._clock() - found[0] >= BELIEVED_SECONDS:
            looking = self._looking.get(key_id)
            if looking is None:
                looking = asyncio.ensure_future(self._refresh(key_id))
                self._looking[key_id] = looking
                looking.add_done_callback(lambda _: self._looking.pop(key_id, None))
            known = await asyncio.shield(looking)
        else:
            known = found[1]
        return None if known is None or known.revoked else known

    def forget(self, key_id: str) -> None:
        """Believe nothing of a key any more: it was changed here."""
        self._found.pop(key_id, None)

    async def _refresh(self, key_id: str) -> Known | None:
        asked = self._clock()  # before the answer was true, not after
        known = await self._look_up(key_id)
        if len(self._found) >= _MOST_REMEMBERED:
            self._found.pop(next(iter(self._found)))
        self._found.pop(key_id, None)
        self._found[key_id] = (asked, known)
        return known


def _shown(row: RowMapping) -> Key:
    return Key(row["id"], row["scope"], row["label"], row["created"], row["revoked"], row["last_used"])
