"""The real command line over a real home folder, with a spool as a client writes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from logos_shift_openai.cli.application import app
from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.records import CallRecord, FeedbackRecord, call_line, feedback_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_OURS_TO_SET = {"NO_COLOR", "FORCE_COLOR", "PYTHONUNBUFFERED"}


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Home:
    """A home folder and what clients spool into it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = time.time_ns() // 1_000_000
        self._dice = Random(3)
        self._count = 0

    def spool(self, *lines: bytes) -> None:
        """Leave lines behind as a process that has ended."""
        self._count += 1
        made = self.path / f"{self._count}-made"
        made.mkdir()
        (made / "lock").touch()
        (made / "000001.ndjson").write_bytes(b"".join(lines))
        folder = self.path / "spool" / "local" / f"{self._count}-gone"
        folder.parent.mkdir(parents=True, exist_ok=True)
        made.rename(folder)  # at a stroke: nobody holds its lock, so a command that runs would take the half of it

    def call(self, **parts: Any) -> bytes:
        self._count += 1
        for name in ("request", "response"):
            if name in parts and not isinstance(parts[name], bytes):
                parts[name] = json.dumps(parts[name]).encode()
        parts.setdefault("at", self.now - 60_000 + self._count)
        parts.setdefault("id", uuid7(parts["at"], self._dice.randbytes(10)))
        parts.setdefault("endpoint", "chat.completions")
        parts.setdefault("requested_model", "gpt-6.1-sol")
        parts.setdefault("request", b'{"model":"gpt-6.1-sol","messages":[]}')
        return call_line(CallRecord(**parts))

    def feedback(self, call_id: str, **parts: Any) -> bytes:
        self._count += 1
        at = parts.setdefault("at", self.now - 60_000 + self._count)
        return feedback_line(FeedbackRecord(id=uuid7(at, self._dice.randbytes(10)), call_id=call_id, **parts))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    path = tmp_path / "home"
    path.mkdir()
    return Home(path)


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own settings reaches the commands."""
    for name in list(os.environ):
        if name.startswith(("LOGOS_SHIFT_", "OPENAI_")) or name in _OURS_TO_SET:
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def cli(home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run a command within this process."""
    monkeypatch.setenv("LOGOS_SHIFT_HOME", str(home.path))

    def run(*arguments: str) -> Ended:
        result = CliRunner().invoke(app, list(arguments), prog_name="logos-shift")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def process(home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.Popen[str]]:
    """Start a command as a process of its own."""
    monkeypatch.setenv("LOGOS_SHIFT_HOME", str(home.path))

    def run(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "logos_shift_openai.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run
