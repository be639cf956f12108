"""Builds of editions as the store keeps them, so that every process of a server can say how far one has come.

Rule: whoever builds holds the build's lease. A build that is running and whose lease nobody holds is lost with its
process: nothing of it is to be seen, and asking for the same again makes it anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import delete, insert, select, update

from logos_shift_openai.server.holding import LEASE_MS
from logos_shift_openai.server.store import leases
from logos_shift_openai.server.store.schema import edition_builds

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

    from .choosing import Choice

State = Literal["running", "made", "failed", "lost"]
_KEPT_MS: Final = 7 * 86_400_000


class NoBuildError(Exception):
    """There is no such build."""


@dataclass(frozen=True, slots=True)
class Build:
    """An edition in the making.

    Args:
        state: `running` until it is `made` or has `failed`; `lost` where its process, or its way to the store, has
            ended before.
        read: Calls looked at.
        edition: Id of what was made.
        said: Why it failed.
        created: Milliseconds since 1970, as all times here.
    """

    id: str
    dataset: str
    state: State
    read: int
    edition: str | None
    said: str
    created: int
    updated: int


def lease_name(name: str) -> str:
    """Name the lease of a build."""
    return f"edition-{name}"


def build_id(choice: Choice) -> str:
    """Name the build of a choice."""
    asked = json.dumps(choice.said(), sort_keys=True)
    return "build-" + hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def open_build(connection: Connection, choice: Choice, holder: str, now: int) -> tuple[Build, bool]:
    """Write down that an edition is to be made, and take its lease.

    Args:
        connection: A writer's connection.
        choice: What it is made of.
        holder: Names who builds among all.
        now: Milliseconds since 1970.

    Returns:
        The build, and whether it is the caller's to do: not where somebody is at the same one.
    """
    name = build_id(choice)
    at = now if connection.dialect.name == "sqlite" else None
    if leases.acquire(connection, lease_name(name), holder, LEASE_MS, at) is None:
        return find_build(connection, name, now), False
    old = (edition_builds.c.updated < now - _KEPT_MS) & (edition_builds.c.state != "running")
    connection.execute(delete(edition_builds).where(old | (edition_builds.c.id == name)))
    row = {
        "id": name, "dataset": choice.dataset, "state": "running", "read": 0, "edition": None, "said": "",
        "created": now, "updated": now,
    }  # fmt: skip
    connection.execute(insert(edition_builds).values(row))
    return find_build(connection, name, now), True


def note_build(connection: Connection, name: str, now: int, **values: Any) -> None:
    """Note how far a build has come, or how it ended."""
    connection.execute(update(edition_builds).where(edition_builds.c.id == name).values(updated=now, **values))


def find_build(connection: Connection, name: str, now: int) -> Build:
    """Read a build.

    Raises:
        NoBuildError: there is none.
    """
    row = connection.execute(select(edition_builds).where(edition_builds.c.id == name)).mappings().first()
    if row is None:
        raise NoBuildError(f"there is no build {name}")
    return _build(connection, row, now)


def list_builds(connection: Connection, now: int, limit: int = 50) -> list[Build]:
    """List them, the latest first."""
    query = select(edition_builds).order_by(edition_builds.c.created.desc(), edition_builds.c.id).limit(limit)
    return [_build(connection, row, now) for row in connection.execute(query).mappings().all()]


def _build(connection: Connection, row: RowMapping, now: int) -> Build:
    found = dict(row)
    at = now if connection.dialect.name == "sqlite" else None
    if found["state"] == "running" and not leases.is_held(connection, lease_name(found["id"]), at):
        found |= {"state": "lost", "said": "it was broken off with its process or its store; ask for the same again"}
    return Build(**found)
