"""The arrow of imports: who may know whom. What breaks it is named by file and import."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "logos_shift_openai"
NAME = PACKAGE.name
STANDARD = sys.stdlib_module_names

# Room: the rooms it may import, and the packages beyond the standard library, each with where and why.
ROOMS = {
    "core": (set(), set()),
    "client": ({"core", "errors", "version"}, {"openai", "pydantic", "pydantic_core", "typing_extensions"}),
    "server": (
        {"core", "errors", "version", "file_lock"},
        # The last one only where it is installed: an extra of its own.
        {"sqlalchemy", "openai", "alembic", "msgspec", "uvicorn", "backports", "compression", "zstandard"},
    ),
    "cli": (
        {"core", "server", "client", "lab", "errors", "version"},
        {"typer", "rich", "click", "openai", "requests", "sqlalchemy"},
    ),
    "lab": ({"core", "version"}, set()),
}
# Imported inside functions only, so that importing the client stays light.
LAZY = {
    "client": {"requests", "wrapt", "urllib3"},
    "cli": {"requests"},
    "server": {"boto3", "botocore", "requests", "genai_prices", "rensa"},
}


def is_module(name):
    """Tell whether a dotted name is a module of ours."""
    place = PACKAGE.parent.joinpath(*name.split("."))
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def imports_of(path):
    """Give (name, is it inside a function or for type checkers only) of each import of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = set()
    for node in ast.walk(tree):
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if inside or typing_only:
            lazy.update(id(child) for child in ast.walk(node))
    package = path.relative_to(PACKAGE.parent).with_suffix("").parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in lazy
        elif isinstance(node, ast.ImportFrom):
            stem = ".".join(package[: len(package) - node.level]) + "." if node.level else ""
            source = f"{stem}{node.module or ''}".rstrip(".")
            for alias in node.names:
                yield f"{source}.{alias.name}" if is_module(f"{source}.{alias.name}") else source, id(node) in lazy


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrow(path):
    """A file imports only what its room may know."""
    room = path.relative_to(PACKAGE).parts[0]
    if room not in ROOMS:
        return
    rooms, packages = ROOMS[room]
    for name, lazy in imports_of(path):
        top = name.partition(".")[0]
        if top == NAME:
            target = ([*name.split("."), ""])[1]
            assert target in rooms | {room, ""}, f"{path}: {room} imports {name}"
        elif top not in STANDARD and top != "__future__":
            allowed = packages | (LAZY.get(room, set()) if lazy else set())
            assert top in allowed, f"{path}: {room} imports {name}{' lazily' if lazy else ''}"
        assert top not in {"httpx", "httpx2"} or lazy, f"{path}: {name} at module level"


def test_no_cycles():
    """No two modules import each other at module level."""
    graph = {}
    for path in FILES:
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        names = {name for name, lazy in imports_of(path) if name.startswith(NAME) and not lazy}
        graph[module] = names - {module}
    done, stack = set(), []

    def visit(module):
        if module in stack:
            raise AssertionError(" -> ".join([*stack[stack.index(module) :], module]))
        if module in done or module not in graph:
            return
        stack.append(module)
        for target in sorted(graph[module]):
            visit(target)
        stack.pop()
        done.add(module)

    for module in graph:
        visit(module)
