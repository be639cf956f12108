"""Opening a store: made once, kept safe, and refused when it is none."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from logos_shift_openai.server.store.database import Store, StoreError, open_store
from logos_shift_openai.server.store.migrate import revision_of
from logos_shift_openai.server.store.schema import REVISION, meta

if TYPE_CHECKING:
    from pathlib import Path


def test_sqlite_is_set_up_to_keep_what_it_has_committed(sqlite_store: Store) -> None:
    """WAL and full synchronisation hold on every connection."""
    with sqlite_store.reading() as one, sqlite_store.reading() as two:
        for connection in (one, two):
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_writer_holds_the_lock_from_its_first_statement(sqlite_store: Store) -> None:
    """The transaction begins as `BEGIN IMMEDIATE`, so another writer fails at the start, not half-way."""
    with sqlite_store.writing():
        other = sqlite3.connect(sqlite_store.where, timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


def test_a_store_opened_again_is_the_same(tmp_path: Path) -> None:
    """Opening twice makes nothing anew."""
    for _ in range(2):
        store = open_store(tmp_path / "s.sqlite3")
        with store.reading() as connection:
            assert revision_of(connection) == REVISION
            assert connection.scalars(select(meta.c.value)).all() == []
        store.close()


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """The message says both versions and what to do."""
    store = open_store(tmp_path / "s.sqlite3")
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9001'")
    store.close()
    with pytest.raises(StoreError, match=rf"version 9001.*knows {REVISION}; upgrade"):
        open_store(tmp_path / "s.sqlite3")


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    """The file is named and stays as it is."""
    path = tmp_path / "s.sqlite3"
    path.write_bytes(b"hello, this is a text and no database" * 40)
    with pytest.raises(StoreError, match=r"s\.sqlite3: file is not a database"):
        open_store(path)
    assert path.read_bytes().startswith(b"hello")


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """The fault of the file system comes as one of the store."""
    (tmp_path / "home").write_text("x")
    with pytest.raises(StoreError, match="home"):
        open_store(tmp_path / "home" / "s.sqlite3")


def test_processes_that_open_a_new_store_at_once_all_get_it(tmp_path: Path) -> None:
    """The tables are made by one of them, and the others wait for it."""
    program = (
        "import sys, pathlib\n"
        "from logos_shift_openai.server.store.database import open_store\n"
        "open_store(pathlib.Path(sys.argv[1])).close()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "s.sqlite3")]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0], said


def test_a_connection_in_use_is_closed_once_its_store_is(store: Store) -> None:
    """A request that is still being answered while a server ends leaves no connection behind."""
    with store.reading() as connection:
        raw: Any = connection.connection.driver_connection
        store.close()
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    with pytest.raises(store.engine.dialect.loaded_dbapi.Error):
        raw.execute("SELECT 1")
