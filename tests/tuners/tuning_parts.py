"""What the tests of tuners are made of: editions, jobs, a clock put on by hand."""

from __future__ import annotations

import json
import time

from logos_shift_openai.lab import data
from logos_shift_openai.server.tuners.edition import read_edition
from logos_shift_openai.server.tuners.jobs import open_job
from logos_shift_openai.server.tuners.machine import advance

HOUR = 3_600_000
KEY = "k" * 24


def chat(text, answer):
    system = {"role": "system", "content": "Name the customer's intent: " + ", ".join(data.labels())}
    return {"messages": [system, {"role": "user", "content": text}, {"role": "assistant", "content": answer}]}


def write_edition(home, train, heldout=(), name="e1"):
    """Put an edition where the builder of editions would."""
    folder = home / "editions" / name
    folder.mkdir(parents=True)
    for part, rows in (("train", train), ("heldout", heldout)):
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps({"id": name, "rows": len(train)}), encoding="utf-8")
    return read_edition(home, name)


def begin(shop, settings, tuner="openai", edition="small", hours=24, **more):
    return open_job(shop.store, tuner, edition, settings, shop.now(), shop.now() + hours * HOUR, **more)[0]


def until(shop, job_id, *states, seconds=120):
    """Take a job on until it is in one of these states; whatever it waits for is real."""
    end = time.monotonic() + seconds
    while True:
        job = advance(shop, job_id)
        if job.state in states:
            return job
        assert time.monotonic() < end, f"still {job.state}: {job.said}"
        time.sleep(0.02)
