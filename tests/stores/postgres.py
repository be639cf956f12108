"""A real PostgreSQL of the tests' own: made in a temporary folder, on a port of its own, stopped at the end.

Works as root too (PostgreSQL itself does not): its programs are then run as `postgres`. Each test gets a database of
its own. Without PostgreSQL the tests are skipped, except in CI, where they fail.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(self._folder, "postgres")
        self._data = self._folder / "data"
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8")
        self._made = 0

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-l", log, "-w", "-t", "60", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is as if the power had gone."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def new_database(self) -> str:
        """Make an empty database and give its address for a store."""
        self._made += 1
        name = f"store_{self._made}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The cluster, started when the first test wants it."""
    bin_folder = programs()
    if bin_folder is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed; CI must test both engines")
        pytest.skip("PostgreSQL is not installed")
    cluster = Postgres(bin_folder)
    cluster.start()
    yield cluster
    cluster.stop()
    cluster.remove()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """An empty database."""
    address = postgres.new_database()
    yield address
    postgres.drop(address)
