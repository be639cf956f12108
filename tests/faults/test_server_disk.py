"""A full disk under the server's store: a no with its reason, nothing half-written, and a yes when there is room."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")
import psycopg
from served_faults import ServerProcess, check_whole, ids, kept, make_batches

from logos_shift_openai.server.fold import settle
from logos_shift_openai.server.store.database import open_store

DISK = "size=32m"


@pytest.fixture
def small_disk():
    """A file system of some megabytes, where PostgreSQL's own user gets to as well."""
    folder = Path(tempfile.mkdtemp(prefix="logos-disk-"))
    try:
        command = ["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("a file system cannot be mounted here: this needs root, and a container that may")
        folder.chmod(0o755)
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
    finally:
        folder.rmdir()


@pytest.fixture
def small_database(small_disk, postgres, postgres_url):
    """A database of PostgreSQL whose tables lie on the small disk; its log does not, as it should be."""
    space = small_disk / "space"
    space.mkdir()
    shutil.chown(space, "postgres")
    server, _, name = postgres_url.replace("+psycopg", "").rpartition("/")

    def run(*statements):
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    run(f"CREATE TABLESPACE small LOCATION '{space}'", f"ALTER DATABASE {name} SET TABLESPACE small")
    yield postgres_url
    run(f"DROP DATABASE {name} WITH (FORCE)", f"CREATE DATABASE {name}", "DROP TABLESPACE small")


def fill(folder):
    """Take all the room there is."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as out:
        try:
            while out.write(bytes(4096)):
                pass
        except OSError:
            return ballast


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_full_disk_is_a_503_and_nothing_half_written(engine, small_disk, tmp_path, request):
    """Reads go on, the process stays, and a batch that was refused is taken when there is room again."""
    url = request.getfixturevalue("small_database") if engine == "postgresql" else None
    home = tmp_path / "home" if url else small_disk / "home"
    batches = make_batches(80, seed=51, size=40)
    server = ServerProcess(home, url, log=tmp_path / "stderr.txt")
    try:
        taken, refused = batches[:20], []
        assert [server.send(batch).status_code for batch in taken] == [200] * 20
        ballast = fill(small_disk)
        for batch in batches[20:]:
            answer = server.send(batch)
            if answer.status_code == 200:  # into room that the files had of their own
                taken.append(batch)
                continue
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_full")
            assert int(answer.headers["Retry-After"]) >= 10
            refused.append(batch)
        assert len(refused) >= 20
        assert server.get("/v1/stats").status_code == 200
        store = open_store(url or home / "store.sqlite3", create=False)
        assert kept(store) == ids(taken)
        ballast.unlink()
        assert [server.send(batch).status_code for batch in refused] == [200] * len(refused)
        assert server.end() == 0
        assert kept(store) == ids(batches)
        settle(store, time.time_ns() // 1_000_000)
        check_whole(store)
        store.close()
    finally:
        server.kill()
