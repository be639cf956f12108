"""The tuner `openai` against aimock, a server of this protocol that nobody here wrote.

Run as a process, as in `tests/sdk/test_aimock.py`; without `npm install` in `tests/sdk/aimock` the test is skipped, but
in CI it fails. Its chat endpoint knows no tuned model, so the last step is left unserved there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tuning_parts import begin

from logos_shift_openai.server.tuners.jobs import ask_to_cancel
from logos_shift_openai.server.tuners.machine import advance
from logos_shift_openai.server.tuners.protocol import Settings, Task

HERE = Path(__file__).parents[1] / "sdk" / "aimock"
SERVER = HERE / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
MINI = Settings("gpt-4o-mini", "aimock", epochs=3, suffix="intents", seed=5)


@pytest.fixture
def aimock(tmp_path, monkeypatch):
    node = shutil.which("node")
    if node is None or not SERVER.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("aimock or node is not installed")
    log = tmp_path / "aimock.log"
    command = [node, SERVER, "--port", "0", "--fixtures", HERE / "fixtures", "--log-level", "info"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 90
        while "listening on " not in log.read_text() or not log.read_text().endswith("\n"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        url = log.read_text().rpartition("listening on ")[2].split()[0]
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_AIMOCK_BASE_URL", f"{url}/v1")
        yield url
    finally:
        process.terminate()
        process.wait(90)


def test_from_files_to_a_model(aimock, small, shop):
    """Files, job, polls, events; the job is found by its key; a second look makes nothing new."""
    job = advance(shop, begin(shop, MINI).id)
    assert job.state == "running", job.said
    tuner = shop.tuner_for("openai", "aimock")
    task = Task(job.key, small, MINI)
    assert tuner.find(task) == job.handle
    assert len(tuner._files(task)) == 2
    for _ in range(5):
        job = advance(shop, job.id)
    assert job.handle["model"].startswith("ft:gpt-4o-mini:aimock:intents:")
    assert job.state in {"deploying", "succeeded"}


def test_a_cancel(aimock, small, shop, clock):
    """Is done there, too."""
    job = advance(shop, begin(shop, MINI).id)
    with shop.store.writing() as connection:
        ask_to_cancel(connection, job.id, clock())
    assert advance(shop, job.id).state == "cancelled"
    assert shop.tuner_for("openai", "aimock").status(job.handle).phase == "cancelled"
