"""Real traffic into a server: Banking77 through the lab with an experiment, NLU++ and BFCL with their known answers."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import openai
from provider import Provider, completion

from logos_shift_openai import LogosShift, OpenAI
from logos_shift_openai.client import runtime
from logos_shift_openai.lab import Lab
from logos_shift_openai.lab.data import rows

DATA = Path(__file__).parents[1] / "data"
LARGE, SMALL = "oracle-large", "tiny-base"
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


def fill(server, home, calls=160):
    """Send traffic of three datasets to a server.

    Args:
        server: As `served.Served`, with its keys.
        home: A folder for the client's spool.
        calls: Of Banking77; of the others an eighth.
    """
    server.ask("PUT", "/v1/prices", json={"prices": PRICES})
    shift = LogosShift(home=home, url=server.url, api_key=server.keys["ingest"], dataset="banking77")
    known = banking()
    with Lab(latency=0.0) as lab:
        candidate = tuned(lab.base_url, known[: 3 * calls])
        plan = {
            "key": "banking-tiny",
            "models": [LARGE],
            "candidate": candidate,
            "dataset": "banking77",
            "share": 2_500,
        }
        assert server.ask("POST", "/v1/experiments", json=plan).ok
        client = OpenAI(base_url=lab.base_url, api_key="none", logos_shift=shift)
        shift.runtime.source.load()
        for number, (text, intent) in enumerate(known[3 * calls :][:calls]):
            ask(shift, client, number, text, intent)
    with_known_answers(shift, calls // 8)
    assert shift.flush(30)
    runtime.close_home(home, time.monotonic() + 5.0)


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
