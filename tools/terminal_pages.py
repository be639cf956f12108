"""Show how the command line looks: each command in a real terminal of 80 columns, its screen written to a file.

`python tools/terminal_pages.py [FOLDER]` fills a home folder in a temporary place with calls, feedback, an experiment,
a rollout and an edition, runs the commands in tmux, and leaves one text file a command in FOLDER (else a new folder
beneath the system's temporary one). What to look at: nothing is cut where it matters, no column is squeezed to a
letter, no line is broken in the middle of an id.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.records import (
    Attempt,
    CallError,
    CallRecord,
    FeedbackRecord,
    Unit,
    call_line,
    feedback_line,
)

COLUMNS, LINES = 80, 60
SOCKET = f"logos-pages-{os.getpid()}"
PAGES = [
    "--help",
    "doctor",
    "calls list --limit 8",
    "calls list --experiment support-mini --limit 5",
    "calls show chatcmpl-7",
    "calls show chatcmpl-11",
    "stats",
    "experiment list",
    "experiment show support-mini",
    "rollout status",
    "rollout history support-mini",
    "prices list gpt-5.4-nano",
    "dataset list",
    "dataset build support --feedback any",
    "tune list",
    "autopilot status",
    "candidate report",
    "candidate list",
    "gate --help",
    "keys list",
    "notify list",
    "notify outbox",
    "store stats",
    "store keep",
    "calls show nothing-of-this-name",
    "calls list --since tomorrow",
    "rollout start --help",
    "rollout status nothing-of-this-name",
    "serve --host 192.0.2.1",
    "experiment list --url logos.example.com",
    "--home /proc/home experiment start a --model m --candidate t",
]
QUESTIONS = (
    "Where is my parcel?",
    "How do I change my plan?",
    "My card was charged twice, please help.",
    "你好 退款吗",
)


def fill(home: Path) -> None:
    """Leave a spool behind as clients do, with everything that a page may show."""
    now, dice = time.time_ns() // 1_000_000, Random(5)
    lines: list[bytes] = []
    for number in range(120):
        at = now - (120 - number) * 400_000
        candidate = number % 3 == 0
        parts: dict[str, Any] = {"experiment": "support-mini", "share": 3_300, "bucket": 7 if candidate else 7_000}
        parts["assigned"] = parts["served"] = "candidate" if candidate else "baseline"
        question = QUESTIONS[number % len(QUESTIONS)]
        tools = [{"type": "function", "function": {"name": "find_parcel", "parameters": {"type": "object"}}}]
        request = {
            "model": "gpt-6.1-sol",
            "messages": [
                {"role": "system", "content": "You are the support of a shop. Answer in two sentences."},
                {"role": "user", "content": f"{question} Order {1_000 + number}."},
            ],
            "tools": tools,
            "temperature": 0.2,
        }
        answer = {
            "id": f"chatcmpl-{number}",
            "model": "gpt-6.1-mini" if candidate else "gpt-6.1-sol-2026-09-30",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": f"Of course. {'I look. ' * 12}"}}],
            "usage": {"prompt_tokens": 220 + number, "completion_tokens": 48, "total_tokens": 268 + number},
        }
        if number == 11:  # noqa: PLR2004 - the one that calls a tool
            call = {"id": "t1", "type": "function", "function": {"name": "find_parcel", "arguments": '{"order": 1011}'}}
            answer["choices"] = [{"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [call]}}]
        if candidate and number % 9 == 0:
            fault = CallError("RateLimitError", 429, "rate_limit", "too many requests for this model, try again")
            parts["attempts"] = (
                Attempt("candidate", "gpt-6.1-mini", "together", ok=False, duration_ms=51.0, error=fault),
                Attempt("baseline", "gpt-6.1-sol", None, ok=True, duration_ms=812.0),
            )
            parts["served"] = "baseline"
        call_id = uuid7(at, dice.randbytes(10))
        lines.append(
            call_line(
                CallRecord(
                    id=call_id, at=at, endpoint="chat.completions", request=json.dumps(request).encode(),
                    response=json.dumps(answer).encode(), dataset="support", requested_model="gpt-6.1-sol",
                    unit=Unit("user", f"user-{number % 40}"), user_id=f"user-{number % 40}",
                    metadata={"plan": "pro", "page": "help"}, provider_id=f"chatcmpl-{number}",
                    duration_ms=400.0 + 9 * number, stream=number % 2 == 0, first_token_ms=90.0, **parts,
                )
            )
        )  # fmt: skip
        if number % 2:
            label = "failure" if number % 7 == 0 else "success"
            comment = "too long, and it did not look at the order" if label == "failure" else None
            at += 60_000
            lines.append(
                feedback_line(
                    FeedbackRecord(uuid7(at, dice.randbytes(10)), at, call_id, label=label, comment=comment)  # type: ignore[arg-type]
                )
            )
    folder = home / "spool" / "local" / "1-gone"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    (folder / "000001.ndjson").write_bytes(b"".join(lines))


def tmux(*arguments: str) -> str:
    """Run tmux with a server of its own."""
    done = subprocess.run(["tmux", "-L", SOCKET, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def screen_of(command: str, environ: dict[str, str], folder: Path) -> str:
    """Run one command in a terminal, and give its screen when it has ended."""
    done = folder / "done"
    done.unlink(missing_ok=True)
    run = " ".join(shlex.quote(part) for part in (sys.executable, "-m", "logos_shift_openai.cli", *command.split()))
    script = f"clear; printf '$ logos-shift %s\\n' {shlex.quote(command)}; {run}; echo \"[exit $?]\"; touch {done}; cat"
    sets = [part for name, value in environ.items() for part in ("-e", f"{name}={value}")]
    size = ("-x", str(COLUMNS), "-y", str(LINES))
    tmux("new-session", "-d", "-s", "page", *size, *sets, "-c", str(folder), f"sh -c {shlex.quote(script)}")
    try:
        until = time.monotonic() + 60
        while not done.exists() and time.monotonic() < until:
            time.sleep(0.1)
        return tmux("capture-pane", "-p", "-S", "-500", "-t", "=page:").rstrip() + "\n"
    finally:
        tmux("kill-session", "-t", "=page")


def main() -> None:
    """Write all pages, and say where."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="logos-pages-"))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary) / "home"
        fill(home)
        environ = {
            "LOGOS_SHIFT_HOME": str(home),
            "XDG_DATA_HOME": temporary,
            "OPENAI_API_KEY": "sk-none",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "LOGOS_SHIFT_NOTIFY_TEAM_URL": "slack+http://127.0.0.1:9/hooks/none",
            "LOGOS_SHIFT_NOTIFY_TEAM_PRIVATE": "on",
        }
        start = "rollout start support-mini --model gpt-6.1-sol --candidate gpt-6.1-mini --dataset support"
        for command in (start, "keys create ingest --label checkout-service"):
            done = subprocess.run(
                [sys.executable, "-m", "logos_shift_openai.cli", *command.split()],
                env={**os.environ, **environ},
                check=False,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                sys.exit(done.stderr)
        tmux("new-session", "-d", "-s", "keeper", "cat")  # a server without a session would end between two pages
        try:
            for number, command in enumerate(PAGES):
                name = f"{number:02}-{command.replace(' ', '-').strip('-')[:40]}.txt"
                (out / name).write_text(screen_of(command, environ, Path(temporary)), encoding="utf-8")
        finally:
            tmux("kill-server")
    print(out)


if __name__ == "__main__":
    main()
