"""`logos-shift tune start` as a process of its own, killed in the middle; the job is found again and begun once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from tuning_parts import until

from logos_shift_openai.server.holding import BusyError
from logos_shift_openai.server.store.database import open_store
from logos_shift_openai.server.tuners.jobs import list_jobs
from logos_shift_openai.server.tuners.machine import advance
from logos_shift_openai.server.tuners.step import workshop

JOBS = "/v1/fine_tuning/jobs"


def count(lab, path):
    return sum(one.method == "POST" and one.path == path for one in lab.requests)


@pytest.mark.parametrize("place", ["files", "jobs.create"])
def test_killed_by_the_system(lab, small, home, place):
    """While the first file goes up, or while the job is created; the lease of the dead one runs out first."""
    lab.faults.add("slow", on=place, before=600.0, count=2 if place == "files" else 1)  # one lists, one uploads
    command = [sys.executable, "-m", "logos_shift_openai.cli", "--home", str(home), "tune", "start"]
    asked = ["--edition", "small", "--model", "tiny-base", "--provider", "lab", "--seed", "1"]
    process = subprocess.Popen([*command, *asked], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 90
        wanted = "/v1/files" if place == "files" else JOBS
        while not any(one.path == wanted and (place == "files" or one.method == "POST") for one in lab.requests):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(90)
    lab.faults.clear()
    store = open_store(home / "store.sqlite3")
    try:
        with store.reading() as connection:
            (job,) = list_jobs(connection)
        assert job.state == "starting"
        ahead = 0
        shop = workshop(store, home, "another", lambda: time.time_ns() // 1_000_000 + ahead)
        with pytest.raises(BusyError):
            advance(shop, job.id)
        ahead = 91_000
        assert until(shop, job.id, "succeeded").candidate
    finally:
        store.close()
    assert count(lab, "/v1/files") == 2
    created = [one for one in lab._service.tuning.all() if one.metadata]
    assert len(created) == 1
