"""A real PostgreSQL of the tests' own: made in a temporary folder, on a port of its own, stopped at the end.

Works as root too (PostgreSQL itself does not): its programs are then run as `postgres`. Each test gets a database of
its own; as all migrations take half a second, it is a copy of one that they have made, unless it is to be empty.
Without PostgreSQL the tests are skipped, except in CI, where they fail.
With LOGOS_SHIFT_TEST_PGBOUNCER=1 the addresses given out are those of a PgBouncer in transaction mode before it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEHIND = os.environ.get("LOGOS_SHIFT_TEST_PGBOUNCER") == "1"  # read before a test's environment is emptied
_ROOTS = ("/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/homebrew/opt/postgresql/bin")


def programs() -> Path | None:
    """Find the folder with `initdb`, that of the highest version first."""
    found = [path.parent for root in _ROOTS for path in Path(root).glob("**/initdb")]
    there = shutil.which("initdb")
    if there:
        found.append(Path(there).parent)
    return max(found, key=lambda path: [int(part) if part.isdigit() else 0 for part in path.parts], default=None)


class Postgres:
    """A cluster; `start`, `stop` and `kill` may be called again and again."""

    def __init__(self, bin_folder: Path) -> None:
        self._bin = bin_folder
        self._folder = Path(tempfile.mkdtemp(prefix="logos-pg-"))
        self.port = _free_port()
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(self._folder, "postgres")
        self._data = self._folder / "data"
        self._run(
            *("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"),
            "--no-sync",
        )
        self._made = 0
        self._template = ""
        self._door = self.port

    def start(self) -> None:
        """Start it and wait until it answers."""
        # No machine loses its power here: what a process had written when it was killed, the system keeps.
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder} -c fsync=off"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-l", log, "-w", "-t", "60", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is as if the power had gone."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def new_database(self, template: str = "template1") -> str:
        """Make a database, an empty one if it is a copy of no other, and give its address for a store."""
        self._made += 1
        name = f"store_{self._made}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-T", template, name)
        return f"postgresql+psycopg://postgres@127.0.0.1:{self._door}/{name}"

    def new_store(self) -> str:
        """Make a database that is as `open_store` leaves an empty one, and give its address."""
        if not self._template:
            from logos_shift_openai.server.store.database import open_store

            name = self.new_database().rpartition("/")[2]
            # Past the pooler, which would stay connected; nobody may be while it is copied.
            open_store(f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}").close()
            self._template = name
        return self.new_database(self._template)

    @property
    def is_behind_a_pooler(self) -> bool:
        """Whether the addresses given out are those of one."""
        return self._door != self.port

    def put_behind(self, bouncer: PgBouncer) -> None:
        """Give out addresses of the pooler from here on."""
        self._door = bouncer.port

    def drop(self, address: str) -> None:
        """Remove a database, also one that is still in use."""
        name = address.rpartition("/")[2]
        self._run("dropdb", "--force", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        with tempfile.TemporaryFile() as said:  # a pipe would be held open by the server that pg_ctl starts
            command = [*self._as, str(self._bin / program), *arguments]
            code = subprocess.run(command, stdout=said, stderr=said, cwd="/", check=False).returncode
            said.seek(0)
            assert code == 0, said.read().decode()


class PgBouncer:
    """A pooler in transaction mode: each transaction of a client may run in another session of the database.

    Three sessions for each database, so that connections take turns; what a session is left with, the next client gets.
    """

    def __init__(self, program: str, cluster_port: int) -> None:
        self.port = _free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="logos-bouncer-"))
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(
            f"""[databases]
* = host=127.0.0.1 port={cluster_port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
server_idle_timeout = 5
{_no_prepared_statements(program)}
"""
        )
        user = []
        if os.geteuid() == 0:  # which it refuses to run as
            user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(self._folder, "postgres")
        self._log = self._folder / "log"
        with self._log.open("w") as said:
            command = [*user, program, str(settings)]
            self._process = subprocess.Popen(command, stdout=said, stderr=said, cwd="/")
        for _ in range(500):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, self._log.read_text()
            time.sleep(0.02)
        raise AssertionError(self._log.read_text())

    def close(self) -> None:
        """End it and leave nothing behind."""
        self._process.terminate()
        self._process.wait(90)
        shutil.rmtree(self._folder, ignore_errors=True)


def _no_prepared_statements(program: str) -> str:
    """Give the setting that turns them off, for versions that know them at all."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    version = [int(part) for part in said.split()[1].split(".")]
    return "max_prepared_statements = 0" if version >= [1, 21] else ""


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed; CI must test both engines")
    pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The cluster, started when the first test wants it."""
    bin_folder = programs()
    if bin_folder is None:
        _missing("PostgreSQL")
    bouncer = None
    cluster = Postgres(bin_folder)
    cluster.start()
    try:
        if _BEHIND:
            program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
            bouncer = PgBouncer(program or _missing("PgBouncer"), cluster.port)
            cluster.put_behind(bouncer)
        yield cluster
    finally:
        if bouncer is not None:
            bouncer.close()
        cluster.stop()
        cluster.remove()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A database with nothing but the tables of a store in it."""
    address = postgres.new_store()
    yield address
    postgres.drop(address)


@pytest.fixture
def empty_postgres_url(postgres: Postgres) -> Iterator[str]:
    """A database with nothing in it."""
    address = postgres.new_database()
    yield address
    postgres.drop(address)
