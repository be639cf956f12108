"""Real traffic into a server: Banking77 through the lab with an experiment, NLU++ and BFCL with their known answers."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from pathlib import Path

import openai
import pytest
from provider import Provider, completion
from served import wait_until

from logos_shift_openai import LogosShift, OpenAI
from logos_shift_openai.client import runtime
from logos_shift_openai.core.held_out import Rules
from logos_shift_openai.lab import Lab
from logos_shift_openai.lab.data import rows
from logos_shift_openai.server.autopilot.acts import Cockpit
from logos_shift_openai.server.autopilot.running import turn
from logos_shift_openai.server.evaluation.keeping import open_evaluation
from logos_shift_openai.server.evaluation.running import Bench, evaluate
from logos_shift_openai.server.notifications.delivery import Delivery
from logos_shift_openai.server.rollouts import tick
from logos_shift_openai.server.tuners.machine import advance
from logos_shift_openai.server.tuners.step import workshop

DATA = Path(__file__).parents[1] / "data"
LARGE, SMALL = "oracle-large", "tiny-base"
SHADOWED = 24
PRICES = [
    {"model": "oracle-large", "input": 10.0, "output": 30.0},
    {"model": "*tiny-base*", "input": 0.1, "output": 0.3},
]


def banking():
    """Give pairs of text and intent, of which the lab's large model knows most."""
    found = list(rows("train"))
    random.Random(5).shuffle(found)
    return found


def tools():
    """Give questions with their function and the call that is right, as the API takes them."""
    folder = DATA / "bfcl"
    asked = (folder / "BFCL_v4_simple_python.json").read_text(encoding="utf-8").splitlines()
    right = (folder / "answers_BFCL_v4_simple_python.json").read_text(encoding="utf-8").splitlines()
    for question, answer in zip(map(json.loads, asked), map(json.loads, right), strict=True):
        function = question["function"][0]
        function["name"] = function["name"].replace(".", "_")
        ((name, arguments),) = answer["ground_truth"][0].items()
        chosen = {key: values[0] for key, values in arguments.items() if values[0] != ""}
        parameters = json.loads(json.dumps(function.pop("parameters")).replace('"dict"', '"object"'))
        tool = {"type": "function", "function": {**function, "parameters": parameters}}
        yield question["question"][0], tool, name.replace(".", "_"), chosen


def tuned(base_url, taught):
    """Tune the lab's small model on rows, through the official SDK."""
    lines = [
        json.dumps({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": intent}]})
        for text, intent in taught
    ]
    with openai.OpenAI(base_url=base_url, api_key="none") as client:
        file = client.files.create(file=("train.jsonl", "\n".join(lines).encode()), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(model=SMALL, training_file=file.id)
        while job.status not in {"succeeded", "failed", "cancelled"}:
            time.sleep(0.1)
            job = client.fine_tuning.jobs.retrieve(job.id)
        assert job.status == "succeeded", job
    return job.fine_tuned_model


PLAN = {"models": [LARGE], "dataset": "banking77", "provider": "lab", "unit": "call"}
POLICY = {
    "margin": 0.1,
    "ladder": [2500, 5000, 10000],
    "step_seconds": 0,
    "shadow_pairs": 20,
    "shadow_per_minute": 6000,
    "guardrails": [
        {"metric": "errors", "direction": "lower"},
        {"metric": "latency", "direction": "lower", "cap": 2000},
    ],
}
CHANNEL = {"LOGOS_SHIFT_NOTIFY_OPS_URL": "console:"}


def fill(server, home, calls=160):
    """Send traffic of three datasets to a server; a rollout goes its way over one of them, and one is trained on.

    Args:
        server: As `served.Served`, with its keys.
        home: A folder for the client's spool.
        calls: Of Banking77, beside those of its shadow; of the others an eighth.
    """
    server.ask("PUT", "/v1/prices", json={"prices": PRICES})
    known = banking()
    with Lab(latency=0.0) as lab, openai.OpenAI(base_url=lab.base_url, api_key="none") as candidates:
        candidate = tuned(lab.base_url, known[: 3 * calls])
        begun = server.ask(
            "POST", "/v1/rollouts/banking-tiny", json={"policy": POLICY, "plan": {**PLAN, "candidate": candidate}}
        )
        assert begun.ok, begun.text
        shift = LogosShift(
            home=home,
            url=server.url,
            api_key=server.keys["ingest"],
            dataset="banking77",
            providers={"lab": candidates},
        )
        client = OpenAI(base_url=lab.base_url, api_key="none", logos_shift=shift)
        shift.runtime.source.load()
        asked = known[3 * calls :][: calls + SHADOWED]
        for number, (text, intent) in enumerate(asked[:SHADOWED]):
            ask(shift, client, number, text, intent)
        wait_until(lambda: shift.stats().get("shadow_sent", 0) >= POLICY["shadow_pairs"])
        for part in range(0, calls, calls // 4):
            assert shift.flush(30)
            tick(server.store, server.service.now())
            asyncio.run_coroutine_threadsafe(server.service.config.refresh(), server.loop).result(20)
            shift.runtime.source.load()
            for number, (text, intent) in enumerate(asked[SHADOWED + part :][: calls // 4], part):
                ask(shift, client, number, text, intent)
        with_known_answers(shift, calls // 8)
        assert shift.flush(30)
        tick(server.store, server.service.now())
        train(server, lab)
    server.send(b'{"kind": "call", "v": 1}\n', b"no record\n", b'{"kind": "wish"}\n')
    Delivery(server.service.channels).step(server.store, server.service.now())
    runtime.close_home(home, time.monotonic() + 5.0)


def train(server, lab):
    """Cut an edition and tune the small model on it, in the way of the server's own background work."""
    edition = server.ask(
        "POST", "/v1/editions", json={"dataset": "banking77", "feedback": "any", "heldout": 3_000}
    ).json()
    shop = server.service.shop = workshop(server.store, server.home, "test", server.service.now)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", lab.base_url)
        environment.setenv("LOGOS_SHIFT_PROVIDER_LAB_API_KEY", "none")
        for epochs in (8, 4):
            wanted = {"tuner": "openai", "edition": edition["id"], "model": SMALL, "provider": "lab", "epochs": epochs}
            job = server.ask("POST", "/v1/tuning", json=wanted).json()["id"]
            if epochs == 4:
                server.ask("POST", f"/v1/tuning/{job}/cancel")
            wait_until(lambda job=job: advance(shop, job).state in {"succeeded", "cancelled"}, 60)
        first = server.ask("GET", "/v1/tuning", "read").json()["jobs"][-1]
        judge(server, edition["id"], first["candidate"])
    fly(server)


def judge(server, edition, candidate):
    """Ask the candidate what is held out, in the way of the command line."""
    service = server.service
    with server.store.writing() as connection:
        asked = open_evaluation(connection, edition, candidate, Rules(rows=5, per_answer=2), service.now())
    found = evaluate(Bench(server.store, server.home, os.environ, "test", service.now), asked.id)
    assert found.report is not None, found.said


def fly(server):
    """Give a dataset an autopilot, and let it go until it asks for a word."""
    policy = {"models": ["gpt-6.1-*"], "base": SMALL, "new_examples": 5, "rows": 1, "money_per_month": 25, "price": 3}
    assert server.ask("PUT", "/v1/autopilot/nlupp", json={"policy": policy}).ok
    shop = server.service.shop
    step = turn(Cockpit(shop, Bench(server.store, server.home, os.environ, "test", shop.now), None), "nlupp")
    assert (step.do, step.of) == ("ask", "tune"), step


def ask(shift, client, number, text, intent):
    system = "Name the intent of the customer's message in one word."
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    with shift.context(user_id=f"user-{number % 60}", metadata={"plan": "pro" if number % 3 else "free"}):
        answer = client.chat.completions.create(model=LARGE, messages=messages)
    if answer.choices[0].message.content == intent:
        shift.provide_feedback(answer, "success")
    elif number % 2:
        shift.provide_feedback(answer, "failure", comment="another intent", correction=intent)


def with_known_answers(shift, calls):
    """NLU++ and BFCL: a provider inside the process gives the answer that the data has."""
    provider = Provider()
    client = provider.client(logos_shift=shift)
    meant = json.loads((DATA / "nlupp" / "banking_fold0.json").read_text(encoding="utf-8"))
    for row in meant[:calls]:
        said = json.dumps({"intents": row.get("intents", []), "slots": row.get("slots", {})})
        provider.answer("gpt-6.1-sol", body=completion("gpt-6.1-sol", said))
        with shift.context(dataset="nlupp"):
            messages = [{"role": "system", "content": "Answer as JSON."}, {"role": "user", "content": row["text"]}]
            client.chat.completions.create(
                model="gpt-6.1-sol", messages=messages, response_format={"type": "json_object"}
            )
    for number, (messages, tool, name, arguments) in zip(range(calls), tools(), strict=False):
        called = {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        provider.answer("gpt-6.1-sol", body=completion("gpt-6.1-sol", None, tool_calls=[called]))
        with shift.context(dataset="bfcl", conversation_id=f"agent-{number // 4}"):
            answer = client.chat.completions.create(model="gpt-6.1-sol", messages=messages, tools=[tool])
            if number % 2 == 0:
                message = answer.choices[0].message.model_dump(exclude_none=True)
                result = {"role": "tool", "tool_call_id": called["id"], "content": '{"result": 25.0}'}
                provider.answer("gpt-6.1-sol", body=completion("gpt-6.1-sol", "It is 25."))
                client.chat.completions.create(model="gpt-6.1-sol", messages=[*messages, message, result], tools=[tool])
    provider.answer("gpt-6.1-sol", 429, message="Rate limit reached for gpt-6.1-sol")
    for _ in range(3):
        try:
            client.chat.completions.create(
                model="gpt-6.1-sol", messages=[{"role": "user", "content": "Are you there?"}]
            )
        except openai.RateLimitError:
            continue
