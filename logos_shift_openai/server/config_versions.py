"""The server's config: append-only versions in the store, of which the highest is live.

Every change goes through `change_config`: it is made to the newest document, parsed as strictly as a client parses
it, and inserted as the next version. Of two at the same moment one finds its version taken and begins again from
what the other wrote, so none is lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.redaction import Redaction
from logos_shift_openai.core.strict import ConfigError

from .experiments import Document, ExperimentError, config_path, read_config
from .rollout_guard import refuse_under_way
from .store.schema import configs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from logos_shift_openai.core.config import Config

    from .store.database import Store

_T = TypeVar("_T")
_TRIES: Final = 20
_INSERT: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the config. `at` is in milliseconds since 1970; `by_key` the id of the key that made it."""

    version: int
    document: str
    at: int
    by_key: str | None
    why: str


NOTHING: Final = Version(0, '{"version": 0, "experiments": []}', 0, None, "nothing was configured yet")
"""What is live before the first change."""


def live_version(connection: Connection) -> int:
    """Tell the version of the live config, 0 before the first change."""
    return connection.scalar(select(func.max(configs.c.version))) or 0


def live_config(connection: Connection) -> Version:
    """Read the live config."""
    row = connection.execute(select(configs).order_by(configs.c.version.desc()).limit(1)).mappings().first()
    return NOTHING if row is None else Version(**row)


def list_versions(connection: Connection, before: int | None, limit: int) -> list[Version]:
    """List versions, the latest first; those before one where it is given."""
    query = select(configs).order_by(configs.c.version.desc()).limit(limit)
    if before is not None:
        query = query.where(configs.c.version < before)
    return [Version(**row) for row in connection.execute(query).mappings()]


def checked(document: object) -> Config:
    """Parse a document as strictly as clients do, the rules of redaction too.

    Raises:
        ConfigError: with the path of the first fault.
    """
    config = config_from(document)
    asked = config.redaction
    try:
        Redaction.build(asked.rules, asked.keys, asked.patterns)
    except ValueError as error:
        raise ConfigError(f"redaction: {error}") from None
    return config


def change_config(
    store: Store,
    change: Callable[[Document], _T],
    *,
    why: str,
    now: int,
    by_key: str | None = None,
    expected: int | None = None,
    at_least: int = 1,
) -> tuple[Version, _T]:
    """Make the next version of the config.

    Args:
        store: Where it is kept.
        change: Changes a document in place; may be called again with a newer one.
        why: Said with the version.
        now: Milliseconds since 1970.
        by_key: Id of the key that asks for it.
        expected: The version that must be live; None takes whichever is.
        at_least: The new version is this one or a higher.

    Returns:
        The new version, and what `change` returned.

    Raises:
        ConfigError: the changed document would be refused by clients; nothing was written.
        ExperimentError: another version is live than the one expected, the change itself says so, or it is about an
            experiment whose rollout is under way.
    """
    for _ in range(_TRIES):
        with store.writing() as connection:
            made = change_within(
                connection, change, why=why, now=now, by_key=by_key, expected=expected, at_least=at_least
            )
            if made is not None:
                return made
    raise ExperimentError("others change the config all the time; try again")


def change_within(
    connection: Connection,
    change: Callable[[Document], _T],
    *,
    why: str,
    now: int,
    by_key: str | None = None,
    expected: int | None = None,
    at_least: int = 1,
    by_rollout: bool = False,
) -> tuple[Version, _T] | None:
    """Make the next version in a writer's transaction, with whatever else is written there; as `change_config`.

    With `by_rollout` the change is a rollout's own, which may set what nobody else may.

    Returns:
        None where another writer has just taken the version: the transaction is to be undone and begun again.
    """
    before = live_config(connection)
    if expected is not None and before.version != expected:
        raise StaleError(f"version {before.version} is live, not {expected}")
    document: Document = json.loads(before.document)
    document["version"] = version = max(before.version + 1, at_least)
    result = change(document)
    document["version"] = version
    after = checked(document)
    if not by_rollout:
        refuse_under_way(connection, config_from(json.loads(before.document)), after)
    # ASCII, so that no text in it can be one that an engine does not keep
    text = json.dumps(document, ensure_ascii=True, allow_nan=False)
    made = Version(version, text, now, by_key, why)
    values = {name: getattr(made, name) for name in Version.__dataclass_fields__}
    insert = _INSERT[connection.dialect.name](configs).values(**values)
    inserted = connection.scalar(insert.on_conflict_do_nothing().returning(configs.c.version))
    return None if inserted is None else (made, result)


class StaleError(ExperimentError):
    """The config has changed since it was read."""


def adopt_embedded(store: Store, home: Path, now: int) -> Version | None:
    """Take the embedded config of a home folder over as the first version; None where there is none, or no need.

    Raises:
        ConfigError: the file is broken.
    """
    path = config_path(home)
    with store.reading() as connection:
        if live_version(connection) or not path.exists():
            return None

    embedded = read_config(home)
    document = json.loads(path.read_bytes())
    try:
        made, _ = change_config(
            store,
            lambda fresh: fresh.update(document),
            why=f"taken over from {path}",
            now=now,
            expected=0,
            at_least=embedded.version,  # so that a number never stands for two documents in the records
        )
    except StaleError:  # another process was first
        return None
    return made
