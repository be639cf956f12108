"""The tuner `command`: the user's own training script.

The script gets the edition's paths in its environment and says what came of it in the last line of its output:
`{"model": ..., "provider": ...}`. Lines of JSON with a `step` before it are points of the loss curve. It runs in a
process group of its own and outlives a restart of ours; its folder tells who runs it and how it ended. The command is
this process's own setting and never comes over HTTP.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from .command_run import CLAIM, ERRORS, OUTPUT, RESULT, begun_at
from .edition import Edition, problems_of
from .protocol import AwayError, Candidate, Handle, Progress, RefusedError, Settings, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

FOLDER: Final = "tuning"
_TAIL_BYTES: Final = 256 * 1024
_POINTS: Final = 200
_HOOK_SECONDS: Final = 900.0


class CommandTuner:
    """See the module.

    Args:
        command: The program and its arguments.
        home: Where the folders of its jobs lie.
        ask: Makes sure that a model of a provider answers; None where this process does not know the provider.
        grace: Seconds that a cancelled script has to end by itself.
    """

    def __init__(
        self,
        command: Sequence[str],
        home: Path,
        ask: Callable[[str, str | None], None] | None = None,
        *,
        grace: float = 10.0,
    ) -> None:
        self._command = list(command)
        self._home = home
        self._ask = ask
        self._grace = grace

    def check(self, edition: Edition, settings: Settings) -> list[str]:
        """Look at the edition and for the command."""
        if not self._command:
            return ["there is no command: set LOGOS_SHIFT_TUNER_COMMAND, as in `python train.py`"]
        return problems_of(edition, settings.method)

    def find(self, task: Task) -> Handle | None:
        """Look into the folder that an earlier try made."""
        folder = self._home / FOLDER / task.key
        return {"folder": task.key} if (folder / "claim").exists() else None

    def start(self, task: Task) -> Handle:
        """Start the script, unless it was."""
        folder = self._home / FOLDER / task.key
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        process = subprocess.Popen(  # noqa: S603 - the user's own command
            [sys.executable, "-m", "logos_shift_openai.server.tuners.command_run", str(folder), *self._command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environment(task, folder)},
            start_new_session=True,
        )
        threading.Thread(target=process.wait, name=f"tuning-{task.key}", daemon=True).start()  # reaps it
        return {"folder": task.key}

    def status(self, handle: Handle) -> Progress:
        """Look at the folder and the process."""
        folder = self._home / FOLDER / str(handle["folder"])
        lines = _tail(folder / OUTPUT)
        points = _points(lines)
        fraction = None
        if points and points[-1].get("total_steps"):
            fraction = min(1.0, points[-1]["step"] / points[-1]["total_steps"])
        alive = _alive(folder)  # asked before the result: it may end in between
        ended = _read(folder / RESULT)
        if ended is None:
            if alive is not False:
                return Progress("running", lines[-1][:200] if lines else "", fraction, points)
            return Progress("failed", "the script was ended from outside, or this machine was", points=points)
        if ended.get("code") != 0:
            said = (_tail(folder / ERRORS) or [""])[-1]
            return Progress("failed", f"the script ended with code {ended.get('code')}: {said[:300]}", points=points)
        made = _made(lines)
        if made is None:
            said = 'the last line of its output is no {"model": ..., "provider": ...}'
            return Progress("failed", said, points=points)
        return Progress("succeeded", f"made {made['model']}", 1.0, points, made["model"])

    def cancel(self, handle: Handle) -> None:
        """End the script and all that it started."""
        folder = self._home / FOLDER / str(handle["folder"])
        claim = _read(folder / CLAIM)
        if claim is None or not _alive(folder):
            return
        pid = int(claim["pid"])
        _signal(pid, signal.SIGTERM)
        waited = threading.Event()
        for _ in range(int(self._grace * 20)):
            if not _alive(folder):
                break
            waited.wait(0.05)
        _signal(pid, signal.SIGKILL)  # the rest of its group, or all of one that did not listen

    def serve(self, handle: Handle) -> Candidate:
        """Ask the model something, where this process knows its provider."""
        made = _made(_tail(self._home / FOLDER / str(handle["folder"]) / OUTPUT))
        if made is None:
            raise RefusedError("the script's output is gone")
        if self._ask is not None:
            self._ask(made["model"], made.get("provider"))
        return Candidate(made["model"], made.get("provider"))


def environment(task: Task, folder: Path) -> dict[str, str]:
    """What the script is told, beside our own environment."""
    settings = task.settings
    given = {
        "TRAIN": str(task.edition.train),
        "HELDOUT": str(task.edition.heldout),
        "MANIFEST": str(task.edition.train.with_name("manifest.json")),
        "OUTPUT": str(folder / "output"),
        "ID": task.edition.id,
    }
    told = {f"LOGOS_SHIFT_EDITION_{name}": value for name, value in given.items()}
    told["LOGOS_SHIFT_TUNING_KEY"] = task.key
    for name in ("model", "method", "provider", "epochs", "batch_size", "learning_rate", "suffix", "seed"):
        value = getattr(settings, name)
        if value is not None:
            told[f"LOGOS_SHIFT_TUNING_{name.upper()}"] = str(value)
    return told


def run_hook(command: Sequence[str], model: str, *, seconds: float = _HOOK_SECONDS) -> str:
    """Run a deploy step: it gets the model in LOGOS_SHIFT_TUNED_MODEL and prints the name that answers.

    Args:
        command: The program and its arguments.
        model: The tuned model.
        seconds: How long it may take.

    Raises:
        AwayError: it failed; it is run again later.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
            env={**os.environ, "LOGOS_SHIFT_TUNED_MODEL": model},
        )
    except subprocess.TimeoutExpired:
        raise AwayError(f"the deploy step did not end within {seconds:g} seconds") from None
    except OSError as error:
        raise AwayError(f"the deploy step could not be run: {error.strerror}") from None
    lines = [line for line in done.stdout.split("\n") if line.strip()]
    if done.returncode != 0:
        said = ([*done.stderr.splitlines()] or [""])[-1]
        raise AwayError(f"the deploy step ended with code {done.returncode}: {said[:300]}")
    made = _made(lines)
    return model if made is None else made["model"]


def _made(lines: Sequence[str]) -> dict[str, Any] | None:
    found = _json(lines[-1]) if lines else None
    if found is None or not isinstance(found.get("model"), str) or not found["model"]:
        return None
    return found if isinstance(found.get("provider"), (str, type(None))) else None


def _points(lines: Sequence[str]) -> tuple[Mapping[str, float], ...]:
    found = []
    for line in lines:
        one = _json(line) if line.startswith("{") else None
        if one is not None and isinstance(one.get("step"), (int, float)):
            found.append({name: float(value) for name, value in one.items() if isinstance(value, (int, float))})
    return tuple(found[-_POINTS:])


def _json(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line for line in text.split("\n") if line.strip()]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return _json(path.read_text(encoding="utf-8"))
    except OSError:
        return None


def _alive(folder: Path) -> bool | None:
    """Tell whether the script runs; None while it has only just been started."""
    claim = _read(folder / CLAIM)
    if claim is None:
        return None
    begun = begun_at(int(claim["pid"]))
    return begun is not None and begun == claim["begun"]


def _signal(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (OSError, AttributeError):
        return  # it has ended, or groups are not known here
