"""Fixtures of the lab's tests: a running lab, the official SDK against it, and training files."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING

import openai
import pytest

from logos_shift_openai.lab import Lab, data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openai.types.fine_tuning import FineTuningJob

FINAL = ("succeeded", "failed", "cancelled")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(latency=0) as running:
        yield running


@pytest.fixture
def client(lab: Lab) -> Iterator[openai.OpenAI]:
    plain = openai.DefaultHttpxClient(verify=False)  # no TLS here, and loading certificates takes time
    with openai.OpenAI(base_url=lab.base_url, api_key="sk-never-kept", max_retries=0, http_client=plain) as sdk:
        yield sdk


@pytest.fixture(scope="session")
def system() -> dict[str, str]:
    return {"role": "system", "content": "Name the customer's intent: " + ", ".join(data.labels())}


@pytest.fixture(scope="session")
def make_file(system: dict[str, str]) -> Callable[[int], bytes]:
    """Give a training file of some shipped train rows, always the same ones for the same number."""

    def make(examples: int) -> bytes:
        rows = data.rows("train")
        random.Random(7).shuffle(rows)
        lines = []
        for text, intent in rows[:examples]:
            answer = {"role": "assistant", "content": intent}
            lines.append(json.dumps({"messages": [system, {"role": "user", "content": text}, answer]}))
        return "\n".join(lines).encode()

    return make


@pytest.fixture
def upload(client: openai.OpenAI) -> Callable[[bytes], str]:
    def send(content: bytes) -> str:
        return client.files.create(file=("rows.jsonl", content), purpose="fine-tune").id

    return send


@pytest.fixture
def wait_for(client: openai.OpenAI) -> Callable[..., FineTuningJob]:
    """Poll a job until it has one of the states, for at most 30 seconds."""

    def wait(job_id: str, *states: str) -> FineTuningJob:
        deadline = time.monotonic() + 90
        while True:
            job = client.fine_tuning.jobs.retrieve(job_id)
            if job.status in (states or FINAL):
                return job
            assert job.status not in FINAL, f"{job.status}: {job.error}"
            assert time.monotonic() < deadline, f"still {job.status}"
            time.sleep(0.01)

    return wait
