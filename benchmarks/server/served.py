"""The server as a process of its own, and what it has used; and the PostgreSQL that the tests start as well."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.collector import child_environment
from benchmarks.measure import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A server that listens on loopback."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.key = ""
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env=child_environment()
            )
        for line in self._process.stdout or ():
            if key := re.search(r"ls_admin_\w+", line):
                self.key = key[0]
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                return
        raise RuntimeError(log.read_text())

    def cpu(self) -> float:
        """Give the seconds of CPU that all its threads have used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> float:
        """Give its resident memory, in MiB."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self._process.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0

    def end(self) -> None:
        """Let it finish."""
        self._process.terminate()
        self._process.communicate(timeout=60)


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="logos-shift-benchmark-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def served(home: Path, address: str | None = None) -> Iterator[Process]:
    """Run `logos-shift serve` on the home folder, or on a database; the key of the first start stays in the folder."""
    command = [
        sys.executable,
        "-m",
        "logos_shift_openai.cli",
        "--home",
        str(home),
        "serve",
        "--port",
        "0",
        "--rate",
        "0",
    ]
    process = Process([*command, *(["--database-url", address] if address else [])], home / "server.log")
    key = home / "first-key"
    if process.key:
        key.write_text(process.key)
    process.key = key.read_text()
    try:
        yield process
    finally:
        process.end()


@contextmanager
def postgres() -> Iterator[Any]:
    """Run a PostgreSQL of our own, or give None where none is installed."""
    spec = importlib.util.spec_from_file_location("postgres", ROOT / "tests" / "stores" / "postgres.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    programs = module.programs()
    if programs is None:
        print("no PostgreSQL here; its figures are left out", file=sys.stderr)
        yield None
        return
    cluster = module.Postgres(programs)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()
        cluster.remove()
