"""Whether the program beside us swapped the import: the first thing to be forgotten.

Python files are read and parsed, never run; folders that hold what others wrote (environments, builds) and tests,
which call no model that is paid for, are passed over.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .finding import Finding, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS: Final = frozenset({"OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI"})
_OURS: Final = "logos_shift_openai"
_WORD: Final = re.compile(rb"\bopenai\b|logos_shift_openai")
_PASSED_OVER: Final = frozenset({"__pycache__", "build", "dist", "node_modules", "site-packages", "test", "tests"})
_FILES: Final = 5_000
_FILE_BYTES: Final = 1_000_000
_SHOWN: Final = 5


def imports(on: Machine) -> Iterator[Finding]:
    """Look for clients of the plain SDK in the sources of the project."""
    folder = on.project
    if folder is None or folder in {Path(folder.anchor), Path.home()}:
        return  # somebody's whole disk is no project
    plain: list[str] = []
    swapped = 0
    for path in _files(folder):
        ours, lines = _read(path)
        swapped += ours
        # A file with both chose which of the two it wants where.
        plain += [] if ours else [f"{path.relative_to(folder)}:{line}" for line in lines[:1]]
    if plain:
        more = f" and {len(plain) - _SHOWN} more" if len(plain) > _SHOWN else ""
        what = f"the plain OpenAI client in {', '.join(plain[:_SHOWN])}{more}: its calls are not recorded"
        yield Finding(
            "import", "warning", what, f"from {_OURS} import OpenAI, in the place of: from openai import OpenAI"
        )
    elif swapped:
        yield Finding("import", "ok", f"{swapped} file{'' if swapped == 1 else 's'} of {folder} import {_OURS}")


def plain_clients(source: str) -> tuple[bool, list[int]]:
    """Read a module: whether it imports us, and the lines in which it names a client of the plain SDK.

    Raises:
        SyntaxError, ValueError, RecursionError: it is no Python of this version.
    """
    lines: list[int] = []
    ours = False
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            ours = ours or (node.module or "").partition(".")[0] == _OURS
            if node.module == "openai" and CLIENTS & {alias.name for alias in node.names}:
                lines.append(node.lineno)
        elif isinstance(node, ast.Import):
            ours = ours or any(alias.name.partition(".")[0] == _OURS for alias in node.names)
        elif (
            isinstance(node, ast.Attribute)
            and node.attr in CLIENTS
            and isinstance(node.value, ast.Name)
            and node.value.id == "openai"
        ):
            lines.append(node.lineno)
    return ours, sorted(lines)


def _read(path: Path) -> tuple[bool, list[int]]:
    try:
        data = path.read_bytes() if path.stat().st_size <= _FILE_BYTES else b""
        return plain_clients(data.decode("utf-8")) if _WORD.search(data) else (False, [])
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return False, []  # no file of this Python, which others will tell


def _files(folder: Path) -> Iterator[Path]:
    count = 0
    for root, folders, names in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in _PASSED_OVER and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if name.endswith(".py") and not name.startswith("test_") and name != "conftest.py":
                count += 1
                if count > _FILES:
                    return
                yield here / name
