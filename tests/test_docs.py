"""What the docs say is what the code does: blocks are run, tables are compared, links lead somewhere."""

from __future__ import annotations

import ast
import gzip
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import logos_shift_openai

sys.path.append(str(Path(__file__).parent / "cli"))
from command_lines import our_commands, read, shell_lines

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


OFFLINE = ["start.md", "doctor.md", "settings.md", "importing.md", "notifications.md"]
"""Pages whose commands are run; those of the others need a server, a provider or a container."""
OUTSIDE = ("logos-shift import openai", "logos-shift notify test")
"""Commands on them that ask somebody else."""
ONE_CALL = """
from logos_shift_openai import OpenAI
OpenAI().chat.completions.create(model="gpt-6.1-sol", messages=[{"role": "user", "content": "Hello"}])
"""


def prepare(folder):
    """Put the files there that pages speak of."""
    folder.mkdir(exist_ok=True)
    (folder / "src").mkdir()
    turn = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (folder / "conversations.jsonl").write_text(json.dumps({"messages": turn}) + "\n")
    seen = {"id": "o1", "traceId": "t1", "type": "GENERATION", "startTime": "2026-11-24T10:00:00Z", "model": "m"}
    seen |= {"input": turn[:1], "output": turn[1]}
    (folder / "observations.jsonl.gz").write_bytes(gzip.compress(json.dumps(seen).encode()))
    run = {"id": "7b1c1f0e-6d0a-4d7e-9a53-0d3f6f1f2a01", "run_type": "llm", "start_time": "2026-11-24T10:00:00"}
    run |= {"inputs": {"messages": turn[:1]}, "outputs": {"choices": [{"message": turn[1]}]}}
    (folder / "runs.json").write_text(json.dumps([run]))


class Anything(BaseHTTPRequestHandler):
    """Answers any chat completion of any model."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        message = {"role": "assistant", "content": "Paris, I think"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = json.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": asked["model"],
                "choices": [choice],
            }
        )
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def base_url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Anything)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_python_blocks_run(base_url, home):
    """The README's Python, pasted block after block, runs and leaves the records it speaks of."""
    env = {**os.environ, "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": base_url, "LOGOS_SHIFT_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks("python"))],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for path in home.glob("spool/local/*/*.ndjson") for line in path.read_text().splitlines()]
    calls = [line for line in lines if line["kind"] == "call"]
    assert [call["dataset"] for call in calls] == ["default", "support", "support"]
    assert len(lines) - len(calls) == 3


def test_console_blocks_run(home):
    """The README's commands of `logos-shift` run as written."""
    env = {**os.environ, "LOGOS_SHIFT_HOME": str(home), "OPENAI_API_KEY": "k"}
    script = "\n".join(
        line.removeprefix("$ ").replace("logos-shift ", f"{sys.executable} -m logos_shift_openai.cli ", 1)
        for block in blocks("console")
        for line in block.splitlines()
    )
    done = subprocess.run(
        ["bash", "-euc", script], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((home / "config.json").read_text())["experiments"][0]["share"] == 2_500


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_pages_are_command_lines(page, tmp_path, monkeypatch):
    """Every command of `logos-shift` on every page, also those that ask somebody else, has the options it names."""
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    for words in our_commands(shell_lines(page.read_text(encoding="utf-8"))):
        assert read(words)


@pytest.mark.parametrize("name", OFFLINE)
def test_commands_of_the_pages_run(name, home, tmp_path, base_url):
    """Typed in their order in a new home with a call in it, the commands that need nobody else all succeed."""
    folder = tmp_path / "here"
    prepare(folder)
    command = folder / "bin" / "logos-shift"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m logos_shift_openai.cli "$@"\n')
    command.chmod(0o755)
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    lines = [line for line in shell_lines(page) if line.startswith(("logos-shift ", "export "))]
    typed = [line for line in lines if not line.startswith(OUTSIDE)]
    assert typed
    env = {
        **os.environ,
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LOGOS_SHIFT_HOME": str(home),
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": base_url,
    }
    script = f"{sys.executable} -c {shlex.quote(ONE_CALL)}\n" + "\n".join(typed)
    done = subprocess.run(
        ["bash", "-euc", script], env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


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
