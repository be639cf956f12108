"""A reader at a real bash: types a page's commands one after the other, with what they showed at hand."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING

from blocks import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

SECONDS = 300
"""After so long a page's shell is ended: something waits that nobody answers."""
_STAYS = re.compile(r"logos-shift (serve|ui)\b|python -m logos_shift_openai\.lab")
_ANY_PORT = "--port 0"


class Shell:
    """One bash. A command that stays is left running, as in another window, once it says where it listens."""

    def __init__(self, bash: subprocess.Popen[str]) -> None:
        self._bash = bash
        self.shown = ""

    def type(self, command: str) -> str:
        """Give what a command shows, errors included.

        Raises:
            AssertionError: it failed.
        """
        if _STAYS.match(command):
            return self._leave_running(command)
        said, code = self._until(f"{command}\nprintf '\\n:ended %s\\n' $?", r"^:ended (\d+)$")
        assert code == "0", f"$ {command}\n{said}[exit {code}]"
        assert "Traceback" not in said, f"$ {command}\n{said}"
        return said

    def last(self, pattern: str) -> str:
        """Give the last match of a pattern in all that was shown."""
        found = re.findall(pattern, self.shown)
        assert found, f"nothing was shown that is {pattern}:\n{self.shown}"
        return str(found[-1])

    def _leave_running(self, command: str) -> str:
        command = re.sub(r" --port \d+|\s+#.*", "", command)  # a fixed port may be somebody else's
        line = f"{{ {command} {_ANY_PORT}; echo :gone; }} &"
        said, address = self._until(line, r"(http://127\.0\.0\.1:\d+)|^:gone$")
        assert address, f"$ {command}\n{said}"
        return said

    def _until(self, line: str, end: str) -> tuple[str, str | None]:
        assert self._bash.stdin
        assert self._bash.stdout
        self._bash.stdin.write(line + "\n")
        self._bash.stdin.flush()
        said = ""
        for answered in self._bash.stdout:
            found = re.search(end, answered)
            if found is None or not answered.startswith(":ended"):
                said += answered
                self.shown += answered
            if found:
                return said, found[1]
        raise AssertionError(f"the shell ended in {line}\n{said}")


@contextmanager
def shell(folder: Path, environ: Mapping[str, str]) -> Iterator[Shell]:
    """Open a bash in a folder, with `logos-shift` and `python` on its path; all that it started is ended with it."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name, runs in {
        "logos-shift": f"{sys.executable} -m logos_shift_openai.cli",
        "python": sys.executable,
        "curl": f"{shutil.which('curl')} --fail-with-body --max-time 60",  # a refusal is a failure here
    }.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {runs} "$@"\n')
        (programs / name).chmod(0o755)
    bash = subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    end: Callable[[], None] = lambda: os.killpg(bash.pid, signal.SIGKILL)  # noqa: E731 - bash waits to be reaped, so the group is there
    too_long = Timer(SECONDS, end)
    too_long.start()
    try:
        yield Shell(bash)
    finally:
        too_long.cancel()
        os.killpg(bash.pid, signal.SIGTERM)
        bash.stdin.close()  # type: ignore[union-attr]
        bash.stdout.read()  # type: ignore[union-attr] # until the last that it started has closed it
        bash.wait()
        bash.stdout.close()  # type: ignore[union-attr]
