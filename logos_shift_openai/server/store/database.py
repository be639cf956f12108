"""Open a store and give out its transactions, on SQLite and on PostgreSQL alike.

SQLite: WAL, `synchronous=FULL`, one writer at a time in this process, and every write begins with
`BEGIN IMMEDIATE`, so that writers of several processes wait in line for each other instead of failing half-way.
PostgreSQL: nothing is kept in a session (no prepared statements, settings or temporary tables), so a pooler in
transaction mode may stand in between; a reader's block sees one state of the store there too.
A fault of the database is raised as `StoreError` with the place and one line.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from logos_shift_openai.server.file_lock import LockBusyError, hold_lock

from .bodies import BodyStore, DatabaseBodies
from .codec import Codec
from .errors import StoreConflictError, StoreError, StoreFullError
from .migrate import SchemaError, prepare
from .schema import meta, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

__all__ = [
    "BUSY_SECONDS",
    "Store",
    "StoreConflictError",
    "StoreError",
    "StoreFullError",
    "empty_store",
    "open_store",
    "store_of",
]

BUSY_SECONDS: Final = 30.0
"""How long a writer waits for the others before it gives up."""

_CONNECT_SECONDS: Final = 10
_POOL: Final = 8
_CONFLICTS: Final = {"40001", "40P01"}  # serialization failure, deadlock
_DISK_FULL: Final = "53100"
_BODIES: Final = "bodies"
_SQLITE_FULL: Final = "database or disk is full"  # its words; the driver gives the code from Python 3.11 on


@dataclass(frozen=True, slots=True)
class Store:
    """An open store.

    Args:
        where: Its place, as shown to people; no password is in it.
        codec: How bodies are packed.
        bodies: Where bodies lie.
        fence: Looked at in each writer's transaction before it is committed; what it raises undoes the transaction.
    """

    engine: Engine
    where: str
    codec: Codec = field(default_factory=Codec)
    bodies: BodyStore = field(default_factory=DatabaseBodies)
    fence: Callable[[Connection], None] | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _closed: threading.Event = field(default_factory=threading.Event)

    @property
    def is_sqlite(self) -> bool:
        """Whether the store is a file of this machine, which one process at a time writes to."""
        return self.engine.dialect.name == "sqlite"

    @property
    def keeps_objects(self) -> bool:
        """Whether bodies, and editions beside them, lie in objects of an S3-compatible store."""
        return not isinstance(self.bodies, DatabaseBodies)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the store for the whole block."""
        with self._connection(writing=False) as connection:
            yield connection

    @contextmanager
    def writing(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """Give a writer's connection; the block is one transaction, with `snapshot` one that sees one state throughout.

        Raises:
            StoreConflictError: at any statement, where such a transaction meets what another has changed meanwhile.
        """
        turn = self._turn if self.is_sqlite else nullcontext()
        with turn, self._connection(writing=True, snapshot=snapshot) as connection:
            yield connection
            if self.fence is not None:
                self.fence(connection)

    def fenced(self, fence: Callable[[Connection], None]) -> Store:
        """Give the same store for a writer that may lose the right to write: see `fence`."""
        return replace(self, fence=fence)

    def sweep(self) -> None:
        """Give room that is free back to the machine; on SQLite the file is written anew.

        Raises:
            StoreError: others go on using the file, or there is no room for a second one.
        """
        turn = self._turn if self.is_sqlite else nullcontext()
        with turn, self._told(), self.engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            if self.is_sqlite:
                raw.execute("VACUUM")
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return
            raw.autocommit = True
            try:
                raw.execute("VACUUM ANALYZE")
            finally:
                raw.autocommit = False

    def close(self) -> None:
        """Let go of its connections; one that is in use just now is closed where it is given back."""
        self._closed.set()
        self.engine.dispose()

    @contextmanager
    def _connection(self, *, writing: bool, snapshot: bool = False) -> Iterator[Connection]:
        options: dict[str, Any] = {"logos_store": self}
        if self.is_sqlite:
            options["logos_begin"] = "BEGIN IMMEDIATE" if writing else "BEGIN"
        else:
            options["isolation_level"] = "READ COMMITTED" if writing and not snapshot else "REPEATABLE READ"
            options["postgresql_readonly"] = not writing
        with self._told(), self.engine.connect() as fresh:
            connection = fresh.execution_options(**options)
            try:
                with connection.begin():
                    yield connection
            finally:
                if self._closed.is_set() and not fresh.invalidated:
                    fresh.detach()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say where a fault of the database is from."""
        try:
            yield
        except (DBAPIError, PoolTimeoutError) as error:
            raise self._fault(getattr(error, "orig", None) or error) from error
        except self.engine.dialect.loaded_dbapi.Error as error:  # of the hot insert, or the set-up of a connection
            raise self._fault(error) from error

    def _fault(self, error: BaseException) -> StoreError:
        state = getattr(error, "sqlstate", None)
        full = state == _DISK_FULL or str(error) == _SQLITE_FULL
        kind = StoreConflictError if state in _CONFLICTS else StoreFullError if full else StoreError
        return kind(f"{self.where}: {_first_line(error)}")


def store_of(connection: Connection) -> Store:
    """Give the store that a connection was got from."""
    store: Store = connection.get_execution_options()["logos_store"]
    return store


def open_store(target: Path | str, *, create: bool = True, bodies_url: str | None = None) -> Store:
    """Open a store, making it or bringing it up to this version's schema.

    Args:
        target: A file for SQLite, or an address such as `postgresql+psycopg://user@host/name`.
        create: Make what is missing and upgrade what is old; otherwise that is a fault.
        bodies_url: Where bodies lie, if not in the database: `s3://bucket/prefix`. It is not asked anything yet.

    Raises:
        StoreError: it cannot be opened, is no store, or is of a newer version than this one knows.
    """
    store = _open(target, create=create)
    if not bodies_url:
        return store
    try:
        return replace(store, bodies=_bodies_at(store, bodies_url))
    except StoreError:
        store.close()
        raise


def _open(target: Path | str, *, create: bool) -> Store:
    if isinstance(target, Path) or "://" not in target:
        return _open_file(Path(target), create=create)
    try:
        url = make_url(target)
        if url.get_backend_name() == "sqlite":
            return _open_file(Path(url.database or ""), create=create)
        store = _open_server(url)
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError(f"no address of a store: {_first_line(error)}") from None
    except ImportError as error:
        needed = 'a PostgreSQL needs: pip install "logos_shift_openai[postgresql]"'
        raise StoreError(f"{_first_line(error)}; {needed}") from None
    _prepare(store, create=create)
    return store


def empty_store(where: str) -> Store:
    """Give an empty store in memory, for reading where there is none on disk yet."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    _begin_as_asked(engine)
    tables.create_all(engine)
    return Store(engine, where)


def _open_file(path: Path, *, create: bool) -> Store:
    try:
        if not create and not path.exists():
            raise StoreError(f"{path}: there is no store")
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_SECONDS})
        _begin_as_asked(engine)
        store = Store(engine, str(path))
        with hold_lock(path.parent / "lock", BUSY_SECONDS):
            _prepare(store, create=create)
    except LockBusyError as error:
        raise StoreError(str(error)) from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error
    return store


def _open_server(url: URL) -> Store:
    if url.get_backend_name() != "postgresql":
        raise ArgumentError(f"{url.get_backend_name()!r} is neither sqlite nor postgresql")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(
        url,
        connect_args={"prepare_threshold": None, "connect_timeout": _CONNECT_SECONDS},
        pool_pre_ping=True,
        pool_size=_POOL,
        max_overflow=_POOL,
    )
    return Store(engine, url.render_as_string(hide_password=True))


def _bodies_at(store: Store, url: str) -> BodyStore:
    """Open the part of a bucket that is this store's own: stores that share one sweep up their own objects alone."""
    from .bucket import bucket_at  # noqa: PLC0415 - with its library, which few need
    from .s3 import S3Bodies  # noqa: PLC0415

    bucket = bucket_at(url)
    named = select(meta.c.value).where(meta.c.name == _BODIES)
    with store.reading() as connection:
        own = connection.scalar(named)
    if own is None:
        insert = sqlite.insert if store.is_sqlite else postgresql.insert
        with store.writing() as connection:
            fresh = insert(meta).values(name=_BODIES, value=token_hex(6))
            connection.execute(fresh.on_conflict_do_nothing())
            own = connection.scalar(named)
    return S3Bodies(bucket.below(str(own)))


def _begin_as_asked(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        cursor.execute("PRAGMA page_size=8192")  # of a new file: a page of 4 KB holds three bodies and a gap
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("logos_begin", "BEGIN"))


def _prepare(store: Store, *, create: bool) -> None:
    try:
        prepare(store.reading, store.writing, create=create)
    except SchemaError as error:
        store.close()
        raise StoreError(f"{store.where}: {error}") from None
    except StoreError:
        store.close()
        raise


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]
