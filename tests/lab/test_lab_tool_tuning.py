"""The small model tuned on JSON answers and calls, through the fine-tuning API."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import openai
import pytest

from logos_shift_openai.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from openai.types.fine_tuning import FineTuningJob

    Upload = Callable[[bytes], str]
    Wait = Callable[..., FineTuningJob]

TOWNS = ["Rome", "Oslo", "Bern", "Kyiv", "Riga", "Bonn", "Lima", "Cork"]
SCHEMA = {
    "type": "object",
    "properties": {"town": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["town"],
}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": about, "parameters": SCHEMA}}
    for name, about in (("weather", "How the weather will be"), ("hotel", "Book a room"))
]


def examples() -> list[tuple[str, str, dict[str, object]]]:
    """Give questions, the function each wants, and the arguments: a town, and for a hotel the days."""
    found: list[tuple[str, str, dict[str, object]]] = []
    for number, town in enumerate(TOWNS, start=2):
        found.append((f"Will it rain in {town} this week?", "weather", {"town": town}))
        found.append((f"How warm is it in {town} now?", "weather", {"town": town}))
        found.append((f"I need a room in {town} for {number} days", "hotel", {"town": town, "days": number}))
        found.append((f"Book me {number} days in {town}, a room please", "hotel", {"town": town, "days": number}))
    return found


def training_file(*, calls: bool) -> bytes:
    lines = []
    for text, name, arguments in examples():
        written = json.dumps(arguments)
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": written}}
        said = {"tool_calls": [call]} if calls else {"content": json.dumps({"intent": name, **arguments})}
        messages = [{"role": "user", "content": text}, {"role": "assistant", **said}]
        lines.append(json.dumps({"messages": messages, **({"tools": TOOLS} if calls else {})}))
    return "\n".join(lines).encode()


def tuned(client: openai.OpenAI, upload: Upload, wait_for: Wait, *, calls: bool) -> str:
    file = upload(training_file(calls=calls))
    job = wait_for(client.fine_tuning.jobs.create(model="tiny-base", training_file=file, seed=1).id)
    assert job.fine_tuned_model, job.error
    return job.fine_tuned_model


def ask(client: openai.OpenAI, model: str, text: str, **options: Any) -> Any:
    messages: Any = [{"role": "user", "content": text}]
    return client.chat.completions.create(model=model, messages=messages, **options).choices[0]


def called(choice: Any) -> list[tuple[str, Any]]:
    return [(one.function.name, json.loads(one.function.arguments)) for one in choice.message.tool_calls or ()]


def test_calls_are_learnt_with_words_it_has_never_seen(client: openai.OpenAI, upload: Upload, wait_for: Wait) -> None:
    """Function and arguments are right for new towns and numbers; a function not offered is not called."""
    model = tuned(client, upload, wait_for, calls=True)
    assert called(ask(client, model, "Will it rain in Turin this week?", tools=TOOLS)) == [
        ("weather", {"town": "Turin"})
    ]
    room = "I need a room in Ulm for 31 days"
    choice = ask(client, model, room, tools=TOOLS, logprobs=True)
    assert called(choice) == [("hotel", {"town": "Ulm", "days": 31})]
    assert (choice.finish_reason, choice.logprobs) == ("tool_calls", None)
    assert {name for name, _ in called(ask(client, model, room, tools=TOOLS[:1]))} == {"weather"}
    assert ask(client, model, room).message.content == "I am not sure."


def test_a_function_it_was_never_taught_is_called_from_its_schema(
    client: openai.OpenAI, upload: Upload, wait_for: Wait
) -> None:
    """With only that one on offer, what was learnt of other functions helps to find its arguments."""
    model = tuned(client, upload, wait_for, calls=True)
    taxi = {"type": "function", "function": {"name": "taxi", "parameters": SCHEMA}}
    assert called(ask(client, model, "I need a taxi in Ulm for 31 days", tools=[taxi])) == [
        ("taxi", {"town": "Ulm", "days": 31})
    ]


def test_json_is_learnt_with_logprobs_of_its_own(client: openai.OpenAI, upload: Upload, wait_for: Wait) -> None:
    """The JSON is of a shape it has seen, holds the question's words, and is told to be less than certain."""
    model = tuned(client, upload, wait_for, calls=False)
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "required": ["intent"]}}}
    choice = ask(client, model, "I need a room in Ulm for 31 days", logprobs=True, response_format=form)
    assert json.loads(choice.message.content) == {"intent": "hotel", "town": "Ulm", "days": 31}
    pieces = [token.logprob for token in choice.logprobs.content]
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
    assert 0.2 < math.exp(sum(pieces)) < 1.0
    drawn = ask(client, model, "mumble 7", logprobs=True)
    assert sum(token.logprob for token in drawn.logprobs.content) < sum(pieces)


def test_a_job_says_how_many_held_out_answers_came_out_exactly(
    client: openai.OpenAI, upload: Upload, wait_for: Wait
) -> None:
    """The steps' accuracy is about shapes, so the whole answers are counted besides, in an event of their own."""
    content = b"\n".join([training_file(calls=True), training_file(calls=True).replace(b"room", b"bed")])
    job = wait_for(client.fine_tuning.jobs.create(model="tiny-base", training_file=upload(content), seed=1).id)
    assert job.status == "succeeded"
    said = [event.message for event in client.fine_tuning.jobs.list_events(job.id)]
    assert sum("held-out answers exact" in message for message in said) == 1, said


def test_a_tuned_model_with_gaps_outlives_a_restart(
    tmp_path: Path, wait_until: Callable[[openai.OpenAI, str], str]
) -> None:
    """Stored and read again it answers alike, to the last digit."""
    text = "I need a room in Ulm for 31 days"
    answers = []
    with Lab(latency=0, state_dir=tmp_path) as lab, openai.OpenAI(base_url=lab.base_url, api_key="x") as client:
        file = client.files.create(file=("a.jsonl", training_file(calls=False)), purpose="fine-tune").id
        model = wait_until(client, client.fine_tuning.jobs.create(model="tiny-base", training_file=file).id)
        answers.append(ask(client, model, text, logprobs=True, top_logprobs=3))
    with Lab(latency=0, state_dir=tmp_path) as lab, openai.OpenAI(base_url=lab.base_url, api_key="x") as client:
        answers.append(ask(client, model, text, logprobs=True, top_logprobs=3))
    assert answers[0] == answers[1]


@pytest.fixture
def wait_until() -> Callable[[openai.OpenAI, str], str]:
    def wait(client: openai.OpenAI, job_id: str) -> str:
        while (job := client.fine_tuning.jobs.retrieve(job_id)).finished_at is None:
            pass
        return job.fine_tuned_model or ""

    return wait
