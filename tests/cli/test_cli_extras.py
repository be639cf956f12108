"""The extras of `setup.cfg`, the imports of the code and the packages that commands name as missing are one and the same."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from logos_shift_openai.cli.needed import COMMAND_LINE, SERVER, absent

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "logos_shift_openai"
NEW_IN_3_14 = {"compression"}
CLIENT = {"openai", "wrapt", "requests", "pydantic", "pydantic_core", "typing_extensions", "urllib3", "certifi"}
"""What the client needs, and what openai and requests are made of."""


def required(extra: str) -> set[str]:
    """Name what an extra asks for by itself, other extras that it takes in left out."""
    setup = configparser.RawConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.extras_require"][extra].split("\n")
    return {re.match(r"[\w.]+", line)[0] for line in lines if line and not line.startswith("%")}


def imported(*rooms: str) -> set[str]:
    """Name the packages that the rooms import anywhere, the standard library's and ours left out."""
    found = set()
    for room in rooms:
        for path in (PACKAGE / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - NEW_IN_3_14 - {PACKAGE.name, "__future__"}


def test_what_is_named_as_missing_is_what_the_extras_ask_for() -> None:
    """No package is asked for that no command looks for, and none looked for that is not asked for."""
    assert required("cli") | {"backports.zstd"} == set(COMMAND_LINE) | {"backports.zstd"}
    assert required("server") == set(SERVER)


def test_the_extras_cover_every_import() -> None:
    """What few need has an extra of its own; the driver of PostgreSQL is imported by SQLAlchemy."""
    extras = ("cli", "server", "s3", "prices", "neardup", "speed")
    asked = {name.partition(".")[0] for extra in extras for name in required(extra)}
    assert imported("cli", "server", "core", "client") - CLIENT == asked


def test_absent_looks_without_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the package that a dotted name lies in is missing."""
    monkeypatch.setitem(sys.modules, "rich", None)
    assert absent(("json", "rich", "no_such_package.zstd", "typer")) == "rich, no_such_package.zstd"


def ended(code: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    program = f"import sys\n{code}\nfrom logos_shift_openai.cli.main import run\nrun()"
    command = [sys.executable, "-c", program, "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})


@pytest.mark.parametrize("missing", SERVER)
def test_serve_names_its_extra(tmp_path: Path, missing: str) -> None:
    """In one line, and before anything is made."""
    result = ended(f"sys.modules[{missing!r}] = None", "serve", home=tmp_path / "new")
    wanted = f'logos-shift: {missing} not installed; the server comes with: pip install "logos_shift_openai[server]"\n'
    assert (result.returncode, result.stdout, result.stderr) == (1, "", wanted)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", [("serve",), ("keys", "list")])
def test_a_postgresql_without_its_driver_names_the_extra(tmp_path: Path, command: tuple[str, ...]) -> None:
    """The server runs on SQLite without it."""
    address = "postgresql://logos@127.0.0.1/logos"
    result = ended("sys.modules['psycopg'] = None", *command, "--database-url", address, home=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith('; a PostgreSQL needs: pip install "logos_shift_openai[postgresql]"\n')
