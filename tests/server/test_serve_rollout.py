"""A live `serve` decides by itself: records in over HTTP, a decision and the next config out."""

from __future__ import annotations

import time

import requests
from served import NDJSON, Lines, wait_until

from logos_shift_openai.core.policy import Policy
from logos_shift_openai.core.records import CallError, Unit
from logos_shift_openai.server import experiments
from logos_shift_openai.server.rollouts import begin_rollout
from logos_shift_openai.server.store.database import open_store


def calls(count, bad):
    """Calls of now, each its own unit, of which the candidate's fail."""
    lines, made = Lines(), []
    for number in range(count):
        fails = number % (count // bad) == 0
        made.append(
            lines.call(
                id=f"c{number:04}", at=time.time_ns() // 1_000_000 + 1_000, unit=Unit("call", f"c{number:04}"),
                experiment="x", assigned="candidate" if fails else "baseline",
                served="candidate" if fails else "baseline", share=100, bucket=5 if fails else 500,
                error=CallError("E", 500) if fails else None,
            )
        )  # fmt: skip
    return made


def test_a_candidate_that_fails_is_taken_out_by_the_server_itself(process, tmp_path):
    """Nobody asks it to look: the config of the next clients says so, and a second server on the store agrees."""
    home = tmp_path / "process"
    store = open_store(home / "store.sqlite3")
    experiments.start(home, experiments.Plan("x", ("big",), "small", unit="call"))
    begin_rollout(store, "x", Policy(), time.time_ns() // 1_000_000, home)
    store.close()
    one = process()
    headers = {"Authorization": f"Bearer {one.key}"}

    def share():
        found = requests.get(f"{one.url}/v1/config", headers=headers, timeout=90).json()
        return found["experiments"][0]["share"]

    assert share() == 100
    body = b"".join(calls(400, 10))
    answer = requests.post(f"{one.url}/v1/records", data=body, headers={**headers, **NDJSON}, timeout=90)
    assert answer.json()["new"] == 400
    wait_until(lambda: share() == 0, 90)
    assert one.end()[0] == 0
