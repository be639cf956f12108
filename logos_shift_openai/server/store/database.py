"""Open a store and give out its transactions.

SQLite: WAL, `synchronous=FULL`, and every write begins with `BEGIN IMMEDIATE`, so that writers of several
processes wait in line for each other instead of failing half-way. A fault of the database is raised as
`StoreError` with the place and one line.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, insert, inspect, select
from sqlalchemy.exc import DBAPIError

from logos_shift_openai.server.file_lock import hold_lock

from .schema import SCHEMA_VERSION, meta, tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

BUSY_SECONDS: Final = 30.0
"""How long a writer waits for the others before it gives up."""


class StoreError(Exception):
    """The store cannot be opened, read or written; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Store:
    """An open store.

    Args:
        where: Its place, as shown to people.
    """

    engine: Engine
    where: str

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the store for the whole block."""
        with self._connection("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give the one writer's connection; the block is one transaction."""
        with self._connection("BEGIN IMMEDIATE") as connection:
            yield connection

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()

    @contextmanager
    def _connection(self, begin: str) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                connection = connection.execution_options(logos_begin=begin)  # noqa: PLW2901 - the same one
                with connection.begin():
                    yield connection
        except DBAPIError as error:
            raise StoreError(f"{self.where}: {error.orig}") from error
        except sqlite3.Error as error:  # from the set-up of a connection, which SQLAlchemy does not wrap
            raise StoreError(f"{self.where}: {error}") from error


def open_store(path: Path) -> Store:
    """Open the store in this file, making it and its folder if they are missing.

    Raises:
        StoreError: it cannot be opened, is no store, or is of a newer version than this one knows.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        store = _opened(URL.create("sqlite", database=str(path)), str(path))
        with hold_lock(path.parent / "lock", BUSY_SECONDS):
            _prepare(store)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error
    return store


def empty_store(where: str) -> Store:
    """Give an empty store in memory, for reading where there is none on disk yet."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    _begin_as_asked(engine)
    tables.create_all(engine)
    return Store(engine, where)


def _opened(url: URL, where: str) -> Store:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    _begin_as_asked(engine)
    return Store(engine, where)


def _begin_as_asked(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("logos_begin", "BEGIN"))


def _prepare(store: Store) -> None:
    """Make the tables of a new file; check the version of an old one. The caller holds the home's lock."""
    with store.reading() as connection:
        known = inspect(connection).has_table("meta")
        version = _version(connection) if known else None
    if version is None:
        _create(store)
    elif version != SCHEMA_VERSION:
        raise StoreError(
            f"{store.where}: its schema is version {version}, this logos_shift_openai knows "
            f"{SCHEMA_VERSION}; upgrade the package"
        )


def _create(store: Store) -> None:
    with store.writing() as connection:
        tables.create_all(connection)
        connection.execute(insert(meta).values(name="schema_version", value=str(SCHEMA_VERSION)))


def _version(connection: Connection) -> int | None:
    text = connection.scalar(select(meta.c.value).where(meta.c.name == "schema_version"))
    return int(text) if text is not None and text.isdigit() else None
