"""What the tests of the autopilot are made of: calls of an expensive model in a store, and a cockpit over a real lab."""

from __future__ import annotations

import json
import os
import random

from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.records import CallRecord, call_line
from logos_shift_openai.lab import data
from logos_shift_openai.server.autopilot.acts import Cockpit
from logos_shift_openai.server.evaluation.running import Bench
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.tuners.step import workshop

DATASET = "banking"
HOUR = 3_600_000


def put_calls(store, now, rows, model="gpt-big", system=None, seed=1):
    """Put answered calls into a store, one a second before now."""
    dice = random.Random(seed)
    lines = []
    for number, (text, answer) in enumerate(rows):
        at = now - 1_000 * (len(rows) - number)
        said = [] if system is None else [{"role": "system", "content": system}]
        request = {"model": model, "messages": [*said, {"role": "user", "content": text}]}
        message = {"role": "assistant", "content": answer}
        response = {"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": message}]}
        lines.append(
            call_line(
                CallRecord(
                    id=uuid7(at, dice.randbytes(10)), at=at, endpoint="chat.completions", dataset=DATASET,
                    requested_model=model, request=json.dumps(request).encode(), complete=True,
                    response=json.dumps(response).encode(),
                )
            )
        )  # fmt: skip
    receipt = ingest(store, lines, now)
    assert not receipt.refused


def some_rows(count, seed=3):
    rows = data.rows("train")
    random.Random(seed).shuffle(rows)
    return rows[:count]


def cockpit_of(store, home, clock, holder="holder"):
    """Over the embedded config of a home folder, with the tuners and providers of the environment."""
    return Cockpit(workshop(store, home, holder, clock), Bench(store, home, os.environ, holder, clock), home)
