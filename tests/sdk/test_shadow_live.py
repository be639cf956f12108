"""The mirror: what the candidate is asked in the shadow, what is recorded of it, and what the caller never notices."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import openai
import pytest
from provider import MESSAGES, Provider, completion, experiment, records, wait_until

import logos_shift_openai as ours
from logos_shift_openai import LogosShift, context, headers

ALWAYS = {"rate": 1, "calls_per_minute": 1_000}


@pytest.fixture
def lab():
    """The candidate's provider, another one than the caller's."""
    return Provider()


@pytest.fixture
def mirrored(provider, lab, home):
    """Give a client whose calls are mirrored to the lab, and the LogosShift behind it."""

    def make(kind=ours.OpenAI, *, shadow=ALWAYS, share=0, change=None, **more):
        experiment(home, share=share, provider="lab", shadow=shadow, change=change or {})
        shift = LogosShift(providers={"lab": lab.client(openai.OpenAI, api_key="sk-of-the-lab")}, **more)
        return provider.client(kind, logos_shift=shift), shift

    return make


def ask(client, **more):
    return client.chat.completions.create(model="m", messages=MESSAGES, **more)


def settled(shift, **counts):
    """Wait until the counters of the mirror stand there, then give all of them that are its own."""
    assert ours.flush(60)
    wait_until(lambda: all(shift.stats().get(f"shadow_{name}") == count for name, count in counts.items()))
    found = {name: count for name, count in shift.stats().items() if name.startswith("shadow_") and count}
    assert found == {f"shadow_{name}": count for name, count in counts.items() if count}


def both(home, count=2):
    """Give the calls and their shadows, in order, when so many are there."""
    wait_until(lambda: len(records(home)) >= count)
    found = records(home)
    return [one for one in found if "shadow_of" not in one], [one for one in found if "shadow_of" in one]


def test_a_call_is_mirrored_after_it_has_ended(mirrored, provider, lab, home):
    """The candidate is asked the same, by its own parameters; the record names the call and is assigned to nobody."""
    change = {"params": {"drop": ["seed"], "set": {"temperature": 0}}, "prompt": {"prune": ["Be brief."]}}
    client, shift = mirrored(change=change)
    answer = ask(client, seed=7, user="u")
    assert answer.model == "m"
    (call,), (shadow,) = both(home)
    assert lab.body() == {"model": "cheap", "messages": [MESSAGES[1]], "user": "u", "temperature": 0}
    assert lab.headers()["authorization"] == "Bearer sk-of-the-lab"
    assert provider.models() == ["m"]
    assert call["id"] == answer.logos_shift_id == shadow["shadow_of"]
    assert shadow["response"]["model"] == "cheap"
    assert (call["assigned"], call["served"]) == ("baseline", "baseline")
    assert shadow["served"] == "candidate"
    assert not {"assigned", "unit", "bucket", "user_id", "metadata"} & set(shadow)
    assert shadow["request"] is None
    assert shadow["attempts"][0]["model"] == "cheap"
    assert shadow["attempts"][0]["provider"] == "lab"
    settled(shift, sent=1)


def test_a_stream_is_mirrored_unstreamed(mirrored, lab, home):
    """The candidate gets no `stream`; a stream that its caller left half read is no answer to compare with."""
    client, shift = mirrored()
    for _chunk in ask(client, stream=True, stream_options={"include_usage": True}):
        pass
    with ask(client, stream=True) as stream:
        next(iter(stream))
    settled(shift, sent=1)
    calls, shadows = both(home, 3)
    assert len(calls) == 2
    assert len(shadows) == 1
    assert not {"stream", "stream_options"} & set(lab.body())


@pytest.mark.parametrize("raw", [False, True])
def test_asynchronous_calls_are_mirrored(mirrored, lab, home, raw):
    """The mirror works in threads of its own, never in the caller's loop."""
    import asyncio

    client, _shift = mirrored(ours.AsyncOpenAI)

    async def main():
        chat = client.chat.completions.with_raw_response if raw else client.chat.completions
        await chat.create(model="m", messages=MESSAGES)

    asyncio.run(main())
    assert len(both(home)[1]) == 1
    assert lab.models() == ["cheap"]


def test_what_is_not_mirrored(mirrored, provider, home):
    """Nothing that failed, was not to be logged or routed, or is the candidate's own anyway."""
    client, shift = mirrored()
    provider.answer("m", 400)
    with pytest.raises(openai.BadRequestError):
        ask(client)
    provider.answers.clear()
    ask(client, extra_headers=headers(log=False))
    ask(client, extra_headers=headers(route=False))
    client.chat.completions.create(model="another", messages=MESSAGES)
    settled(shift)
    assert not both(home, 3)[1]


def test_the_candidates_own_calls_are_not_mirrored(mirrored, lab, home):
    """At full share there is nothing of the baseline's."""
    client, shift = mirrored(share=10_000)
    ask(client)
    settled(shift)
    assert len(records(home)) == 1
    assert len(lab.seen) == 1


@pytest.mark.parametrize("more", [{"shadow": None}, {"shadow": {"rate": 0}}])
def test_the_config_asks_for_it(mirrored, lab, home, more):
    """Without the config's word nothing is mirrored."""
    client, shift = mirrored(**more)
    ask(client)
    settled(shift)
    assert not lab.seen


def test_the_client_may_switch_it_off(provider, lab, home, monkeypatch):
    """Whatever the config asks, by argument or environment."""
    experiment(home, share=0, provider="lab", shadow=ALWAYS)
    providers = {"lab": lab.client(openai.OpenAI)}
    ask(provider.client(logos_shift=LogosShift(providers=providers, shadow=False)))
    monkeypatch.setenv("LOGOS_SHIFT_SHADOW", "off")
    shift = LogosShift(providers=providers)
    ask(provider.client(logos_shift=shift))
    settled(shift)
    assert not lab.seen


def test_the_budget_of_a_minute(mirrored, lab, home):
    """So many in a minute and no more; the rest is counted."""
    client, shift = mirrored(shadow={"calls_per_minute": 2})
    for _ in range(5):
        ask(client)
    settled(shift, sent=2, over_budget=3)
    assert len(lab.seen) == 2


def test_calls_whose_bodies_are_left_behind(mirrored, lab, home):
    """There would be no answer to compare with."""
    client, shift = mirrored()
    shift.runtime.start()
    document = json.loads((home / "config.json").read_text())
    (home / "config.json").write_text(json.dumps({**document, "version": 2, "sampling": {"bodies": {"rate": 0}}}))
    wait_until(lambda: shift.stats()["config_version"] == 2)
    ask(client)
    settled(shift)
    assert not lab.seen


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 500},
        {"status": 400},
        {"body": {"hello": "page"}},
        {"body": {"choices": "x" * 2_000_000}},
        {"error": RuntimeError("sabotage")},
        {"error": MemoryError()},
    ],
)
def test_a_candidate_in_trouble_is_the_shadows_alone(mirrored, lab, home, trouble):
    """The caller's answer is as ever; the shadow's record says what happened, and the next call is mirrored again."""
    client, shift = mirrored()
    lab.answer("cheap", **trouble)
    assert ask(client).model == "m"
    (_call,), (shadow,) = both(home)
    assert shadow["error"]["type"]
    assert shadow["complete"] is False
    assert shadow["response"] is None
    settled(shift, sent=1, failed=1)
    lab.answers.clear()
    ask(client)
    wait_until(lambda: len(records(home)) == 4)
    assert "internal_error" not in shift.stats()


def test_an_answer_that_is_too_long(mirrored, lab, home):
    """It is not read to its end."""
    client, _shift = mirrored(record_bytes=4_096)
    lab.answer("cheap", body=completion("cheap", "x" * 100_000))
    ask(client)
    (_call,), (shadow,) = both(home)
    assert shadow["error"]["message"] == "the answer is longer than 4096 bytes"


def test_a_candidate_that_hangs(mirrored, lab, home):
    """Callers go on; what waits is bounded, and counted where it does not fit."""
    let_go = threading.Event()
    client, shift = mirrored()
    answer = lab.__class__.__call__

    class Hanging(Provider):
        def __call__(self, request):
            assert let_go.wait(90)
            return answer(self, request)

    lab.__class__ = Hanging
    try:
        for _ in range(40):
            assert ask(client).model == "m"
        assert len(records(home)) == 40
        wait_until(lambda: shift.stats()["shadow_sent"] == 2)
        settled(shift, sent=2, queue_full=40 - 2 - 32)
    finally:
        let_go.set()
    settled(shift, sent=34, queue_full=6)
    wait_until(lambda: len(records(home)) == 74)


def test_a_config_that_has_changed_its_mind(mirrored, lab, home):
    """What waits is not sent to a candidate that the config mirrors to no more."""
    client, shift = mirrored()
    shadow = shift.runtime.shadow
    taken = []
    shadow.offer, offer = taken.append, shadow.offer
    ask(client)
    assert ours.flush(60)
    document = json.loads((home / "config.json").read_text())
    document["experiments"][0]["shadow"] = None
    (home / "config.json").write_text(json.dumps({**document, "version": 2}))
    wait_until(lambda: shift.stats()["config_version"] == 2)
    offer(taken[0])
    settled(shift, too_late=1)
    assert not lab.seen


def test_an_ending_process_mirrors_nothing(mirrored, lab, home):
    """What is offered at the end is counted, and nothing waits for it."""
    client, shift = mirrored()
    shift.runtime.shadow.close()
    ask(client)
    settled(shift, too_late=1)
    assert not lab.seen


def test_an_asynchronous_client_alone_is_not_used(provider, lab, home):
    """Its connections are of the caller's loop; above all nobody else is asked in its place."""
    experiment(home, share=0, provider="lab", shadow=ALWAYS)
    shift = LogosShift(providers={"lab": lab.client(openai.AsyncOpenAI)})
    ask(provider.client(logos_shift=shift))
    settled(shift, unsendable=1)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "mcp", "server_url": "http://x"}]},
        {"tools": [{"type": "web_search"}]},
        {"conversation": "conv_1"},
    ],
)
def test_what_could_be_done_twice_is_not_mirrored(mirrored, lab, more):
    """Tools that the provider runs, and what writes into a conversation."""
    client, shift = mirrored()
    ask(client, extra_body=more)
    settled(shift, unsendable=1)
    assert not lab.seen


def test_the_callers_own_tools_are_only_asked_for(mirrored, lab, home):
    """Nobody runs what the candidate calls; nothing is stored at its provider."""
    client, shift = mirrored()
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    ask(client, tools=tools, store=True)
    settled(shift, sent=1)
    both(home)
    assert lab.body()["tools"] == tools
    assert "store" not in lab.body()


def test_the_callers_own_redaction_sees_the_shadow_whole(mirrored, home):
    """It may count on a request; what it takes out of the answer is out, and the request is not kept twice."""
    seen = []

    def redact(record):
        seen.append(record["request"]["model"])
        record["response"]["choices"][0]["message"]["content"] = "-"
        return record

    client, _shift = mirrored(redact=redact)
    ask(client)
    (_call,), (shadow,) = both(home)
    assert seen == ["m", "cheap"]
    assert shadow["response"]["choices"][0]["message"]["content"] == "-"
    assert shadow["request"] is None


def test_metadata_and_parents_stay_with_the_call(mirrored, home):
    """What was said of the call is said once."""
    client, _shift = mirrored()
    with context(dataset="sales", user_id="u", metadata={"a": 1}):
        ask(client)
    (call,), (shadow,) = both(home)
    assert call["metadata"] == {"a": 1}
    assert shadow["dataset"] == "sales"
    assert not {"metadata", "user_id", "parent"} & set(shadow)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_begins_anew(mirrored, home):
    """What waits in the parent is the parent's; the child's own calls are mirrored by threads of its own."""
    client, shift = mirrored()
    ask(client)
    both(home)
    shift.runtime.shadow._waiting.append("the parent's")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            left = len(shift.runtime.shadow._waiting)
            ask(client)
            ours.flush()
            wait_until(lambda: shift.stats().get("shadow_sent") == 1)
            os.write(writing, b"%d" % left)
        finally:
            os._exit(0)
    shift.runtime.shadow._waiting.clear()
    os.close(writing)
    assert os.read(reading, 10) == b"0"
    os.close(reading)
    os.waitpid(child, 0)


PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from provider import MESSAGES, Provider
import logos_shift_openai as ours
shift = ours.LogosShift()
client = Provider().client(logos_shift=shift)
print(client.chat.completions.create(model="m", messages=MESSAGES).model, flush=True)
shift.flush()
sys.stdin.readline()
sys.exit(3)
"""


def test_a_process_ends_while_the_candidate_hangs(home):
    """By real HTTP: the candidate has taken the request and never answers; the exit waits for nothing, its code is kept."""
    experiment(home, share=0, provider="lab", shadow=ALWAYS)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        environment = {
            **os.environ,
            "LOGOS_SHIFT_HOME": str(home),
            "LOGOS_SHIFT_PROVIDER_LAB_BASE_URL": address,
            "LOGOS_SHIFT_SHADOW": "on",
        }
        command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        ) as running:
            taken, _ = server.accept()
            with taken:
                assert b"POST /v1/chat/completions" in taken.recv(65_536)
                out, err = running.communicate(b"\n", timeout=90)
    assert (running.returncode, out, err) == (3, b"m\n", b"")
