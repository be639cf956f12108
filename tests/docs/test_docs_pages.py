"""What the docs say is what the code does: blocks are run, tables are compared, links lead somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import logos_shift_openai

sys.path.append(str(Path(__file__).parents[1] / "cli"))
from command_lines import our_commands, read, shell_lines
from world import put_files

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_pages_are_command_lines(page, tmp_path, monkeypatch):
    """Every command of `logos-shift` on every page, also those that ask somebody else, has the options it names."""
    put_files(tmp_path / "here")
    (tmp_path / "here" / "mine.jsonl").touch()
    (tmp_path / "here" / "train.jsonl").touch()
    monkeypatch.chdir(tmp_path / "here")
    for words in our_commands(shell_lines(page.read_text(encoding="utf-8"))):
        assert read(words)


def test_settings_page():
    """The table of settings is the code's own."""
    done = subprocess.run(
        [sys.executable, "tools/settings_page.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_public_names():
    """Every public name exists, and the README names none that does not."""
    for name in logos_shift_openai.__all__:
        assert getattr(logos_shift_openai, name)
    for imported in re.findall(r"from logos_shift_openai import ([\w, ]+)", README):
        for name in imported.split(","):
            assert name.strip() in logos_shift_openai.__all__


def test_version_is_in_the_changelog():
    """The version of the package has its entry."""
    assert f"## {logos_shift_openai.__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_of_the_pages(page):
    """Each block of Python compiles, and what it takes from this package is there."""
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "logos_shift_openai":
                assert {one.name for one in node.names} <= set(logos_shift_openai.__all__)


def test_pages_are_built(tmp_path):
    """The pages are built without a warning, and each stands in the contents."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", tmp_path / "html"]
    done = subprocess.run(
        [*command, "-d", tmp_path / "trees"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "html" / "api.html").read_text().count("provide_feedback") > 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Links and paths of files that a page names exist."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
    for target in re.findall(r"`((?:tests|docs|client|core)/[\w./-]+\.\w+)`", text):
        assert (ROOT / target).exists() or (ROOT / "logos_shift_openai" / target).exists(), target
