"""The process between a tuning command and us: it starts the command once, waits, and writes down how it ended.

`python -m logos_shift_openai.server.tuners.command_run FOLDER COMMAND...`. It leads a session of its own, so the
command outlives a restart of ours and ends with its whole group. Its first act is to take the folder: a second one
for the same folder ends at once, so that nothing is trained twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

CLAIM: Final = "process.json"
RESULT: Final = "result.json"
OUTPUT: Final = "output.log"
ERRORS: Final = "errors.log"


def begun_at(pid: int) -> str | None:
    """Tell when a process began, as a text that no later process of the same number has; None for one that ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return _elsewhere(pid)
    return None if fields[0] in {"Z", "X"} else fields[19]


def _elsewhere(pid: int) -> str | None:
    """Ask `ps`, where there is no /proc."""
    if Path("/proc/self/stat").exists() or sys.platform == "win32":
        return None
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout.strip() or None


def write_whole(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file so that a reader finds all of it or nothing."""
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def main(arguments: list[str]) -> int:
    """Run the command in the folder."""
    folder, command = Path(arguments[0]), arguments[1:]
    try:
        with (folder / "claim").open("x"):
            pass
    except FileExistsError:
        return 0
    pid = os.getpid()
    write_whole(folder / CLAIM, {"pid": pid, "begun": begun_at(pid)})
    with (folder / OUTPUT).open("ab") as output, (folder / ERRORS).open("ab") as errors:
        try:
            code = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)  # noqa: S603
        except OSError as error:
            errors.write(f"{command[0]}: {error.strerror}\n".encode())
            code = 127
    write_whole(folder / RESULT, {"code": code})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
