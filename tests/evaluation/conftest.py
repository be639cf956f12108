"""A real lab, a store, an edition whose answers the lab's large model knows, and the bench over them."""

from __future__ import annotations

import json
import os
import random
import time

import pytest

from logos_shift_openai.lab import Lab, data
from logos_shift_openai.server.evaluation.running import Bench
from logos_shift_openai.server.store.database import open_store


@pytest.fixture
def lab(monkeypatch):
    with Lab(latency=0) as running:
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", running.base_url)
        yield running


@pytest.fixture
def store(home):
    opened = open_store(home / "store.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def bench(store, home):
    return Bench(store, home, os.environ, "holder", lambda: time.time_ns() // 1_000_000)


@pytest.fixture
def edition(home):
    """Make an edition of so many held-out rows; shuffled, every question has the answer of another one."""

    def make(name, rows, *, shuffled=False):
        found = data.rows("test")[:rows]
        answers = [answer for _, answer in found]
        if shuffled:
            random.Random(5).shuffle(answers)
        folder = home / "editions" / name
        folder.mkdir(parents=True)
        lines = [
            json.dumps({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]})
            for (text, _), answer in zip(found, answers, strict=True)
        ]
        (folder / "heldout.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "train.jsonl").write_text(lines[0] + "\n", encoding="utf-8")
        (folder / "manifest.json").write_text("{}", encoding="utf-8")
        return name

    return make
