"""From a lab that answers, through the real client and a server, to what is known of a call and what is decided by it."""

from __future__ import annotations

import time

import pytest
from served import wait_until

import logos_shift_openai as ours
from logos_shift_openai.core.policy import Policy
from logos_shift_openai.core.prices import Price
from logos_shift_openai.lab import Lab
from logos_shift_openai.server.prices import keep_prices
from logos_shift_openai.server.rollout_reading import get_rollout, history
from logos_shift_openai.server.rollouts import begin_rollout, tick

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": CITY}}
ROWS = [("Where is Bonn?", '{"city": "Bonn"}')]


@pytest.fixture
def lab():
    with Lab(latency=0, accuracy=1.0, rows=ROWS) as running:
        yield running


@pytest.fixture
def client(lab, server, monkeypatch):
    monkeypatch.setenv("LOGOS_SHIFT_URL", server.url)
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.keys["ingest"])
    with ours.OpenAI(base_url=lab.base_url, api_key="sk-never-kept", max_retries=0) as sdk:
        yield sdk


def ask(client, text="Where is Bonn?", **more):
    return client.chat.completions.create(
        model="oracle-large", messages=[{"role": "user", "content": text}], response_format=FORMAT, **more
    )


def test_what_is_known_of_a_call_arrives(client, server):
    """Of answers given whole and in a stream, with the cost by a price of one's own."""
    with server.store.writing() as connection:
        keep_prices(connection, {"oracle-*": Price(1_000_000, 0)})
    good = ask(client).logos_shift_id
    with ask(client, stream=True, stream_options={"include_usage": True}) as stream:
        streamed = stream.logos_shift_id
        list(stream)
    with ask(client, stream=True, max_tokens=1) as stream:
        cut = stream.logos_shift_id
        list(stream)
    assert ours.flush(60)
    calls = {call_id: server.ask("GET", f"/v1/calls/{call_id}", "read").json() for call_id in (good, streamed, cut)}
    usual = {"refused": False, "cut": False}
    assert [one["checks"] for one in calls.values()] == [
        {"valid": True, **usual},
        {"valid": True, **usual},
        {"valid": False, "refused": False, "cut": True},
    ]
    assert len({one["fingerprint"] for one in calls.values()}) == 1
    assert calls[good]["cost"] == calls[streamed]["cost"] == calls[good]["tokens_in"] > 0
    assert calls[cut]["cost"] is None  # its stream told no tokens


def test_a_candidate_whose_answers_break_off_is_rolled_back(client, server):
    """The policy that names no guardrails finds by itself that the calls ask for JSON, which half an answer is not."""
    for _ in range(100):
        ask(client)
    assert ours.flush(60)
    plan = {"key": "e", "models": ["oracle-large"], "candidate": "tiny-base", "share": 0, "unit": "call"}
    plan["set"] = {"max_tokens": 1}
    assert server.ask("POST", "/v1/experiments", json=plan).status_code < 300
    begin_rollout(server.store, "e", Policy(ladder=(5_000, 10_000)), int(time.time() * 1000))
    assert [one.metric for one in get_rollout(server.store, "e").policy.guarded] == ["success", "errors", "valid"]
    follows(5_000)
    for _ in range(60):
        ask(client)
    assert ours.flush(60)
    tick(server.store, int(time.time() * 1000))
    found = get_rollout(server.store, "e")
    assert found.state.phase == "rolled_back"
    with server.store.reading() as connection:
        assert "validity of the asked-for JSON" in history(connection, "e")[0]["why"]


def test_asking_the_same_again_is_seen(client, server):
    """By the same user; nothing of the question is in its hash."""
    plan = {"key": "e", "models": ["oracle-large"], "candidate": "tiny-base", "share": 0}
    server.ask("POST", "/v1/experiments", json=plan)
    ask(client)  # the first call lets the client look for a config
    follows(0)
    for user in ("a", "a", "b"):
        with ours.context(user_id=user):
            ask(client)
    assert ours.flush(60)
    questions = [one["question"] for one in reversed(server.calls()) if one["user_id"]]
    assert len(questions) == 3
    assert questions[0] == questions[1] != questions[2]


def follows(share):
    """Wait until the client has the experiment with this share."""
    wait_until(lambda: ours.explain(model="oracle-large").share == share)
