"""What a page takes for granted: calls in the home, files in the folder, what was done before, and what names stand for."""

from __future__ import annotations

import gzip
import json
import random
import re
import time
from typing import TYPE_CHECKING

from blocks import PAGES, blocks_of

from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.records import CallRecord, FeedbackRecord, call_line, feedback_line
from logos_shift_openai.lab import data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shell import Shell

_TUNED = (
    "logos-shift dataset build sales",
    "logos-shift tune start --edition 6ca15d0b --model gpt-5.4-nano --provider lab --watch",
)
_SERVED = (
    "logos-shift serve",
    "export ADMIN=$(logos-shift keys create admin) READ=$(logos-shift keys create read)",
    "export INGEST=$(logos-shift keys create ingest)",
)
_STARTED = "logos-shift experiment start support-small --model gpt-6.1-sol --candidate gpt-6.1-mini"
GIVEN = {
    "tuning.md": _TUNED[:1],
    "http-api.md": _SERVED,
    "notifications.md": ("export LOGOS_SHIFT_NOTIFY_OPS_PRIVATE=on LOGOS_SHIFT_NOTIFY_TEAM_PRIVATE=on",),
    "datasets.md": ("cp conversations.jsonl mine.jsonl",),
}
"""Page -> what its reader has done before."""
BEFORE = {
    ("self-hosting.md", "logos-shift experiment share support-small 25"): (_STARTED,),
    ("autopilot.md", "logos-shift candidate evaluate --job tune-4f1c0d9a83b2"): _TUNED,
    ("autopilot.md", "logos-shift gate choose sales-tiny --agreement 0.95 --set"): (
        "logos-shift experiment start sales-tiny --model gpt-6.1-sol --candidate ft:tiny-base: --provider lab --dataset support",
    ),
}
"""Page and command -> what is typed before it, as it is of what another page tells."""


def stand_in(
    command: str, shell: Shell, home: Path, provider: str, database: Callable[[], str], bucket: Callable[[], str]
) -> str:
    """Put what is there in the place of what only a page has: addresses, keys, ids."""
    said: dict[str, Callable[[re.Match[str]], str]] = {
        r"https://logos\.example\.com": lambda _: shell.last(r"http://127\.0\.0\.1:\d+"),
        r"ls_(admin|ingest)_\w*\.\.\.": lambda found: shell.last(rf"ls_{found[1]}_\w+"),
        r"postgresql\+psycopg://logos:\.\.\.@db/logos": lambda _: database(),
        r"https://minio\.example\.com": lambda _: bucket(),
        r"--host 0\.0\.0\.0": lambda _: "--host 127.0.0.1",
        r"\b(6ca15d0b|4f1c0d)\b": lambda _: (
            max((home / "editions").iterdir(), key=lambda one: one.stat().st_mtime).name
        ),
        r"\btune-4f1c0d9a83b2": lambda _: shell.last(r"\btune-[0-9a-f]{12}"),
        r"ft:tiny-base:(?= )": lambda _: shell.last(r"ft:tiny-base:[\w:-]+"),
        r'(?<=If-Match: ")\w+': lambda _: shell.last(r'"revision": ?"(\w+)"'),
        r"https://(example\.com|hooks\.slack\.com)/": lambda _: provider.replace("https", "http") + "/hooks/",
    }
    for pattern, there in said.items():
        command = re.sub(pattern, there, command)
    return command


def put_calls(home: Path) -> None:
    """Leave behind what a program did: 1,000 calls of `sales` and some of `support`, a part of them with feedback."""
    rows, dice, now = list(data.rows("train")), random.Random(3), time.time_ns() // 1_000_000
    dice.shuffle(rows)
    lines = []
    for number, (text, answer) in enumerate(rows[:1_000]):
        at = now - 90_000_000 + number * 60_000
        request = {"model": "gpt-6.1-sol", "messages": [{"role": "user", "content": text}]}
        choice = {"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
        call = CallRecord(
            id=uuid7(at, dice.randbytes(10)),
            at=at,
            endpoint="chat.completions",
            requested_model="gpt-6.1-sol",
            dataset="support" if number % 20 == 0 else "sales",
            request=json.dumps(request).encode(),
            response=json.dumps({"choices": [choice]}).encode(),
            complete=True,
        )
        lines.append(call_line(call))
        if number % 2:
            lines.append(feedback_line(FeedbackRecord(uuid7(at, dice.randbytes(10)), at, call.id, label="success")))
    folder = home / "spool" / "local" / "1-gone"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    (folder / "000001.ndjson").write_bytes(b"".join(lines))


def put_files(folder: Path) -> None:
    """Put the files there that pages speak of; the rows for the lab are those that its page shows."""
    (folder / "src").mkdir(parents=True)
    turn = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    rows = [
        f'{{"messages": {json.dumps([{"role": "user", "content": text}, turn[1]])}}}\n'
        for text, _ in data.rows("test")[:50]
    ]
    (folder / "conversations.jsonl").write_text("".join(rows), "utf-8")
    seen = {"id": "o1", "traceId": "t1", "type": "GENERATION", "startTime": "2026-11-24T10:00:00Z", "model": "m"}
    seen |= {"input": turn[:1], "output": turn[1]}
    (folder / "observations.jsonl.gz").write_bytes(gzip.compress(json.dumps(seen).encode()))
    run = {"id": "7b1c1f0e-6d0a-4d7e-9a53-0d3f6f1f2a01", "run_type": "llm", "start_time": "2026-11-24T10:00:00"}
    run |= {"inputs": {"messages": turn[:1]}, "outputs": {"choices": [{"message": turn[1]}]}}
    (folder / "runs.json").write_text(json.dumps([run]), "utf-8")
    shown = next(
        block.text for page in PAGES if page.name == "lab.md" for block in blocks_of(page) if block.language == "json"
    )
    (folder / "rows.jsonl").write_text(shown, "utf-8")
