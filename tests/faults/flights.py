"""SIGKILL at random points of whole rounds of an autopilot: whatever is made or paid for is made once.

LOGOS_SHIFT_TEST_FLIGHT_KILLS sets another number of kills than the tests' own.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "autopilot"))
from autopilot_parts import DATASET, put_calls, some_rows

from logos_shift_openai.core.autopilot_policy import autopilot_from
from logos_shift_openai.lab import Lab
from logos_shift_openai.server.autopilot.keeping import find_autopilot, history, set_policy
from logos_shift_openai.server.evaluation.keeping import list_evaluations, read_answers
from logos_shift_openai.server.rollout_reading import list_rollouts
from logos_shift_openai.server.store.database import open_store
from logos_shift_openai.server.tuners.jobs import list_jobs

KILLS = os.environ.get("LOGOS_SHIFT_TEST_FLIGHT_KILLS")  # read before the fixture of all tests takes it away
PROGRAM = Path(__file__).parent / "flight_program.py"
POLICY = {
    "mode": "on",
    "models": ["gpt-big"],
    "base": "tiny-base",
    "provider": "lab",
    "settings": {"seed": 1},
    "new_examples": 100,
    "rows": 50,
    "heldout": 3_000,
    "gate": {"rows": 20, "floor": 0.2, "answer_floor": 0.0},
    "unit": "call",
    "rollout": {"unit": "call"},
}
_MOST_A_ROUND = 5
PART = 16
"""Rows that are asked together; those of the part in which it was killed are asked again."""


class Lives:
    """The processes of one round, one after the other.

    Args:
        home: Its home folder.
        url: Of a PostgreSQL; None for the store of the home folder.
    """

    def __init__(self, home, url):
        self._program = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(home), url or "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NO_PROXY": "*"},
        )

    def one(self, over):
        """Let one live until it is to be over, then kill it; gives whether it had to be killed."""
        self._program.stdin.write("\n")
        self._program.stdin.flush()
        child = int(self._program.stdout.readline())
        done = threading.Event()

        def kill():
            while not done.wait(0.002):
                if over():
                    os.kill(child, signal.SIGKILL)
                    return

        killing = threading.Thread(target=kill)
        killing.start()
        ended = int(self._program.stdout.readline())
        done.set()
        killing.join()
        assert ended in {0, signal.SIGKILL}, "it fell over by itself"
        return ended != 0

    def end(self):
        self._program.stdin.close()
        self._program.wait(90)
        self._program.stdout.close()


def check_flights(folder, urls, most):
    """Fly rounds, each over a store and a lab of its own, until so many processes were killed.

    Args:
        folder: For the homes.
        urls: Gives the address of a fresh PostgreSQL database, or None.
        most: How many, unless KILLS says another number.
    """
    most = int(KILLS or most)
    dice = random.Random(11)
    kills, phases = 0, Counter()
    for number in range(most):
        if kills >= most:
            break
        home = folder / f"round-{number}"
        home.mkdir()
        kills += _round(home, urls(), dice, min(_MOST_A_ROUND, most - kills), phases)
    print(f"{kills} kills: {dict(phases)}")
    assert kills == most
    assert {"tuning", "evaluating"} <= set(phases) or most < 20


def _round(home, url, dice, most, phases):
    with Lab(latency=0) as lab, pytest.MonkeyPatch.context() as environment:
        environment.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", lab.base_url)
        store = open_store(url or home / "store.sqlite3")
        try:
            at = time.time_ns() // 1_000_000
            put_calls(store, at, some_rows(150))
            with store.writing() as connection:
                set_policy(connection, DATASET, autopilot_from(POLICY), at)
            lives, kills = Lives(home, url), 0
            try:
                while True:
                    if not lives.one(_over(lab, dice, kills) if kills < most else lambda: False):
                        break
                    kills += 1
                    with store.reading() as connection:
                        phases[find_autopilot(connection, DATASET).state.phase] += 1
            finally:
                lives.end()
            _check(store, home, lab, kills)
        finally:
            store.close()
    return kills


def _over(lab, dice, number):
    """Say when a life is over: after some time, or after some requests, which are near each other in time."""
    if number % 3 == 0:
        end = time.monotonic() + dice.uniform(0.0, 0.5)
        return lambda: time.monotonic() >= end
    end = len(lab.requests) + dice.randint(1, 8 if number < 3 else 24)
    return lambda: len(lab.requests) >= end


def _check(store, home, lab, kills):
    """One edition, one file of each part, one job, one answer a row, one rollout; each step told once, paid for once."""
    with store.reading() as connection:
        (job,), (evaluation,), (rollout,) = (
            list_jobs(connection),
            list_evaluations(connection),
            list_rollouts(connection),
        )
        answers = read_answers(connection, evaluation.id)
        steps = [one["step"] for one in reversed(history(connection, DATASET))]
        spent = find_autopilot(connection, DATASET).spent
    assert (job.state, evaluation.state) == ("succeeded", "passed")
    assert steps == ["policy", "began", "edition", "tuning", "tuned", "passed", "rollout"]
    assert [jobs for jobs, _ in spent.values()] == [1]
    (edition,) = [path for path in (home / "editions").iterdir() if not path.name.startswith(".")]
    files = [one.filename for one in lab._service.files.all() if one.purpose == "fine-tune"]
    assert sorted(files) == sorted(set(files))
    assert len(files) == 2
    assert len(lab._service.tuning.all()) == 1
    held_out = (edition / "heldout.jsonl").read_text().splitlines()
    assert sorted(answers) == list(range(1, len(held_out) + 1))
    whole = [one for one in lab.requests if one.path.endswith("/chat/completions") and one.body]  # not cut by a kill
    asked = Counter(one.body["messages"][-1]["content"] for one in whole)
    pings = asked.pop("ping", 0)
    assert 1 <= pings <= 1 + kills
    again = sum(asked.values()) - len(held_out)
    assert 0 <= again <= PART * kills
    assert len(asked) == len(held_out)
    (experiment,) = json.loads((home / "config.json").read_bytes())["experiments"]
    assert experiment["key"] == rollout.experiment
