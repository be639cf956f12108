"""A candidate with examples, from its tuning job to the calls: the home folder, a server, and what is missing."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from tuning_parts import begin, until

import logos_shift_openai as ours
from logos_shift_openai import LogosShift
from logos_shift_openai.core.examples import Example, index_bytes, name_of
from logos_shift_openai.server.experiments import Plan, start
from logos_shift_openai.server.tuners.protocol import Settings

SYSTEM = {"role": "system", "content": "Name the intent."}
ASKED = {"role": "user", "content": "My card has not arrived"}
CONTENT = index_bytes([Example("Where is my card?", "card_arrival"), Example("card not arrived", "card_arrival")])
NAME = name_of(CONTENT)


def experiment(home, name=NAME, count=2):
    examples = {"index": name, "count": count}
    home.mkdir(exist_ok=True)
    start(home, Plan("e", ("oracle-large",), "tiny-base", share=10_000, unit="call", examples=examples))


class Late:
    """A client that is made when it is first used, so that a test may write the config before."""

    def __init__(self, lab):
        self.lab, self.made = lab, None

    def __getattr__(self, name):
        if self.made is None:
            shift = LogosShift()
            self.made = ours.OpenAI(base_url=self.lab.base_url, api_key="any", max_retries=0, logos_shift=shift)
        return getattr(self.made, name)


@pytest.fixture
def client(lab):
    late = Late(lab)
    yield late
    late.close()


def ask(client, messages=(SYSTEM, ASKED)):
    return client.chat.completions.create(model="oracle-large", messages=list(messages)).model


def read_now(client):
    """Let the background read the files, as it does by itself after the first call."""
    assert client._logos_shift.runtime.examples.thread.run_now(20)


def bodies(lab):
    return [one.body for one in lab.requests if one.path == "/v1/chat/completions"]


def test_from_the_job_to_the_prompt(lab, client, small, shop, home):
    """The tuner `none` makes the candidate; the first call starts the reading, the next has four examples."""
    job = until(shop, begin(shop, Settings("tiny-base", "lab", examples=4), "none").id, "succeeded")
    experiment(home, job.candidate["examples"]["index"], 4)
    ask(client)
    read_now(client)
    known = json.loads(small.train.read_text().splitlines()[7])["messages"]
    assert ask(client, [SYSTEM, known[1]]) == "tiny-base"
    sent = bodies(lab)[-1]["messages"]
    assert [one["role"] for one in sent] == ["system", *["user", "assistant"] * 4, "user"]
    assert (sent[0], sent[-1]) == (SYSTEM, known[1])
    assert sent[-3:-1] == known[1:]


def test_until_they_are_here_calls_go_to_the_baseline(lab, client, home):
    """With the why in the record, and a count; the caller notices nothing."""
    experiment(home)
    assert [ask(client), ask(client)] == ["oracle-large", "oracle-large"]
    assert client._logos_shift.stats()["examples_missing"] == 2
    client._logos_shift.runtime.flush(60)
    lines = [json.loads(line) for path in home.glob("spool/local/*/*.ndjson") for line in path.read_text().splitlines()]
    assert {line["why"] for line in lines} == {
        f"call bucket {line['bucket']} is below the share 10000; the examples of the candidate are not here yet"
        for line in lines
    }
    assert {line["assigned"] for line in lines} == {"candidate"}


@pytest.mark.parametrize("content", [b"", CONTENT[:-5], b"{}"])
def test_a_broken_file_is_no_file(lab, client, home, content):
    """Its content is not its name: counted, and the baseline answers."""
    experiment(home)
    (home / "examples").mkdir()
    (home / "examples" / f"{NAME}.jsonl").write_bytes(content)
    ask(client)
    read_now(client)
    assert ask(client) == "oracle-large"
    assert client._logos_shift.stats()["examples_failed"] >= 1
    (home / "examples" / f"{NAME}.jsonl").write_bytes(CONTENT)
    read_now(client)
    assert ask(client) == "tiny-base"


def test_a_chat_without_a_question_goes_to_the_baseline(lab, client, home):
    """Nothing can be near to nothing."""
    experiment(home)
    (home / "examples").mkdir()
    (home / "examples" / f"{NAME}.jsonl").write_bytes(CONTENT)
    ask(client)
    read_now(client)
    assert ask(client, [SYSTEM, {"role": "user", "content": " "}]) == "oracle-large"
    assert ask(client) == "tiny-base"


def test_the_server_gives_the_file_once(lab, home, tmp_path):
    """A client on another machine fetches it in its background with its own key, and keeps it."""
    pytest.importorskip("uvicorn")
    sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
    from served import Served

    from logos_shift_openai.server.tuners.example_files import keep_index

    server = Served(tmp_path / "server" / "store.sqlite3")
    try:
        keep_index(server.store, tmp_path / "server", NAME, CONTENT, 1)
        plan = {"key": "e", "models": ["oracle-large"], "candidate": "tiny-base", "share": 10_000, "unit": "call"}
        made = server.ask("POST", "/v1/experiments", json={**plan, "examples": {"index": NAME, "count": 2}})
        assert made.status_code == 200, made.text
        shift = LogosShift(url=server.url, api_key=server.keys["ingest"])
        with ours.OpenAI(base_url=lab.base_url, api_key="any", max_retries=0, logos_shift=shift) as client:
            end = time.monotonic() + 90
            while ask(client) != "tiny-base":
                assert time.monotonic() < end
        assert (home / "examples" / f"{NAME}.jsonl").read_bytes() == CONTENT
    finally:
        server.close()
