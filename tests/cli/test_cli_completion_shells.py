"""Completion in real shells: set up by our own command in a new home, then asked for as at a keyboard."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 60
"""How long a shell may take for what it is waited for; a second is usual."""
IN_CI = "CI" in os.environ
needs = {name: pytest.mark.skipif(not (IN_CI or shutil.which(name)), reason=f"no {name}") for name in ("zsh", "fish")}


@pytest.fixture
def user(home: Any, cli: Any, tmp_path: Path) -> dict[str, str]:
    """Give the environment of somebody with an experiment, our command on the path, and nothing set up in a shell."""
    assert cli("experiment", "start", "sales-tiny", "--model", "m", "--candidate", "t").code == 0
    command = tmp_path / "bin" / "logos-shift"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m logos_shift_openai.cli "$@"\n')
    command.chmod(0o755)
    (tmp_path / "user").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ZDOTDIR", "_TYPER"))}
    return {**kept, "PATH": f"{command.parent}:{kept['PATH']}", "HOME": str(tmp_path / "user"), "TERM": "dumb"}


class Keyboard:
    """A shell at a terminal: keys are pressed, and what it shows is read."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._shown = ""

    def press(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def until(self, pattern: str) -> None:
        """Read on until a pattern is shown, and forget what was shown up to its end.

        Raises:
            AssertionError: it is not shown.
        """
        while not (found := re.search(pattern, self._shown)):
            ready, _, _ = select.select([self._terminal], [], [], SECONDS)
            assert ready, f"{pattern} is not shown in {self._shown!r}"
            self._shown += os.read(self._terminal, 65_536).decode(errors="replace")
        self._shown = self._shown[found.end() :]


@contextmanager
def at_a_terminal(command: list[str], environ: dict[str, str]) -> Iterator[Keyboard]:
    """Run a shell at a terminal of its own, and end it."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as shell:
        os.close(theirs)
        try:
            yield Keyboard(ours)
        finally:
            shell.kill()
            os.close(ours)


@needs["zsh"]
def test_a_real_zsh_completes(user: dict[str, str]) -> None:
    """Commands, options, and the key of an experiment, at the press of the tabulator, also at the first of a session."""
    installed = "logos-shift --install-completion; exit $?\n"
    done = subprocess.run(["zsh"], input=installed, env=user, capture_output=True, text=True, check=False)
    assert (done.returncode, "zsh completion installed" in done.stdout) == (0, True), done.stdout + done.stderr
    with at_a_terminal(["zsh", "-i", "-o", "no_global_rcs"], user) as keys:
        keys.press("PS1='now''> '\n")
        keys.until("now> ")
        for written, completed in (
            ("logos-shift experim", "logos-shift experim.*ent "),
            ("logos-shift calls list --dat", "--dat.*aset "),
            ("logos-shift experiment show sa", "show sa.*les-tiny "),
        ):
            keys.press(f"{written}\t")
            keys.until(completed)
            keys.press("\x15")  # empties the line


@needs["fish"]
def test_a_real_fish_completes(user: dict[str, str]) -> None:
    """Commands, options, and the key of an experiment, as `complete -C` gives what the tabulator would."""

    def offered(typed: str) -> list[str]:
        done = subprocess.run(
            ["fish", "-c", 'complete -C "$TYPED"'],
            env={**user, "TYPED": typed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return [line.split("\t")[0] for line in done.stdout.splitlines()]

    installed = "logos-shift --install-completion; exit $status\n"
    done = subprocess.run(["fish"], input=installed, env=user, capture_output=True, text=True, check=False)
    assert (done.returncode, "fish completion installed" in done.stdout) == (0, True), done.stdout + done.stderr
    assert offered("logos-shift experim") == ["experiment"]
    assert offered("logos-shift calls list --dat") == ["--dataset"]
    assert offered("logos-shift experiment show sa") == ["sales-tiny"]
