"""Editions of other endpoints' calls and of shadows, and what held-out calls asked besides, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from edition_bench import Bench, answered, asked
from sqlalchemy import update

from logos_shift_openai.core.dialects import DIALECTS, line_faults
from logos_shift_openai.core.fingerprint import prompt_fingerprint
from logos_shift_openai.core.records import Attempt
from logos_shift_openai.server.datasets.asked import HeldOut, asked_in
from logos_shift_openai.server.evaluation.questions import asked_besides, questions
from logos_shift_openai.server.store.schema import shadows
from logos_shift_openai.server.tuners.edition import read_edition

if TYPE_CHECKING:
    from collections.abc import Callable

FUNCTION = {"name": "weather", "parameters": {"type": "object"}, "strict": True}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather", "arguments": '{"city": "Ulm"}'}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}


def output(*items: Any, **more: Any) -> dict[str, Any]:
    texts = [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": one}]}
        if isinstance(one, str)
        else one
        for one in items
    ]
    return {"id": "resp_1", "status": "completed", "output": texts, **more}


def faults(bench: Bench, edition: Any, dialect: str = "openai-chat") -> list[Any]:
    lines = [
        line
        for name in ("train.jsonl", "heldout.jsonl")
        for line in (bench.root / edition.id / name).read_bytes().splitlines()
    ]
    return [fault for line in lines for fault in line_faults(line, DIALECTS[dialect])]


def test_responses_and_completions_are_chats(bench: Bench) -> None:
    """The prompt's fingerprint is that of the request as it was asked, so that a config knows it again."""
    request = {
        "model": "m",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": "weather in Ulm? write to jo@example.com"}, REASONING],
        "tools": [{"type": "function", **FUNCTION}],
    }
    bench.add(endpoint="responses", request=request, response=output(REASONING, CALL))
    tool = {"type": "function_call_output", "call_id": "c1", "output": "sun"}
    bench.add(
        endpoint="responses",
        request={**request, "input": [{"role": "user", "content": "and Bonn?"}, REASONING, CALL, tool]},
        response=output("sunny"),
    )
    bench.add(
        endpoint="completions",
        request={"model": "m", "prompt": "2+2="},
        response={"choices": [{"index": 0, "text": "4", "finish_reason": "stop"}]},
    )
    bench.add("hello", "hi")
    edition = bench.make(heldout=0)
    assert edition.manifest["counts"]["left_out"] == {}
    assert faults(bench, edition) == []
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Ulm"}'}}
    first, second, third, fourth = bench.rows(edition)
    assert first == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "weather in Ulm? write to [redacted:email]"},
            {"role": "assistant", "tool_calls": [call]},
        ],
        "tools": [{"type": "function", "function": FUNCTION}],
    }
    assert second["messages"][2:] == [
        {"role": "assistant", "tool_calls": [call], "weight": 0},
        {"role": "tool", "content": "sun", "tool_call_id": "c1"},
        {"role": "assistant", "content": "sunny"},
    ]
    assert third == {"messages": [{"role": "user", "content": "2+2="}, {"role": "assistant", "content": "4"}]}
    assert fourth["messages"][-1]["content"] == "hi"
    assert edition.manifest["fingerprints"][prompt_fingerprint(request)] == 2


REFUSED = {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
CUT = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
PICTURE = [{"role": "user", "content": [{"type": "input_image", "image_url": "https://example.com/a.png"}]}]


@pytest.mark.parametrize(
    ("reason", "parts"),
    [
        ("context", {"request": {"input": "x", "previous_response_id": "resp_0"}}),
        ("tools", {"request": {"input": "x", "tools": [{"type": "web_search"}]}}),
        ("tools", {"response": output({"type": "web_search_call", "id": "w"}, "a")}),
        ("refused", {"response": output(REFUSED)}),
        ("cut", {"response": output("a", **CUT)}),
        ("no_answer", {"response": output(REASONING)}),
        ("media", {"request": {"input": PICTURE}}),
        (
            "invalid",
            {"request": {"input": "x", "text": {"format": {"type": "json_object"}}}, "response": output("{no")},
        ),
        ("unreadable", {"request": {"input": 7}}),
        ("unreadable", {"endpoint": "completions", "request": {"prompt": [1, 2]}, "response": {"choices": []}}),
        ("endpoint", {"endpoint": "embeddings"}),
    ],
)
def test_what_makes_no_chat_is_counted_by_its_reason(bench: Bench, reason: str, parts: dict[str, Any]) -> None:
    """As a chat's is."""
    bench.some(12)
    bench.add(**{"endpoint": "responses", "request": {"input": "x"}, "response": output("a"), **parts})
    edition = bench.make()
    assert edition.manifest["counts"]["left_out"] == {reason: 1}
    assert len(bench.rows(edition)) == 12


def test_held_out_questions_are_asked_as_the_calls_were(bench: Bench) -> None:
    """Each with its own form, tools and sampling, whatever its neighbours asked; redacted; the training part has none of it."""
    forms = {
        "a": {"response_format": {"type": "json_object"}, "temperature": 0.2, "user": "u1", "seed": None},
        "b": {"max_tokens": 5, "stop": ["jo@example.com"]},
        "c": {},
    }
    ids = {name: bench.add(name, '{"a":1}', request=asked(name, **more)) for name, more in forms.items()}
    wanted = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    ids["d"] = bench.add(
        endpoint="responses",
        request={"instructions": "Name it.", "input": "d", "text": {"format": wanted}, "max_output_tokens": 7},
        response=output('{"a":1}'),
    )
    bench.some(40)
    edition = bench.make(heldout=9_000)
    folder = bench.root / edition.id
    beside = list(asked_in((folder / "heldout-asked.jsonl").read_bytes().splitlines()))
    rows = bench.rows(edition, "heldout.jsonl")
    assert len(beside) == len(rows) == edition.manifest["files"]["heldout-asked.jsonl"]["rows"]
    found = {one.call: one for one in beside}
    schema = {"name": "n", "schema": {"type": "object"}}
    told = {
        "a": {"response_format": {"type": "json_object"}, "temperature": 0.2},
        "b": {"max_tokens": 5, "stop": ["[redacted:email]"]},
        "c": {},
        "d": {"response_format": {"type": "json_schema", "json_schema": schema}, "max_completion_tokens": 7},
    }
    held_out = [name for name in ids if ids[name] in found]
    assert len(held_out) >= 2
    assert all(found[ids[name]] == HeldOut(ids[name], told[name]) for name in held_out)
    home = bench.root.parent
    opened = read_edition(home, edition.id)
    with bench.store.reading() as connection:
        assert asked_besides(connection, opened) == {}
    bodies = {one.body["messages"][-1]["content"]: one.body for one in questions(opened, {"never": 1}, 99)}
    for name in held_out:
        assert {key: value for key, value in bodies[name].items() if key != "messages"} == told[name]
    assert b"response_format" not in (folder / "train.jsonl").read_bytes()
    assert b"response_format" not in (folder / "heldout.jsonl").read_bytes()


def test_an_edition_without_what_was_asked_takes_what_its_calls_agree_on(bench: Bench) -> None:
    """As one that was built before is."""
    for number in range(30):
        bench.add(f"q{number}", '{"a":1}', request=asked(f"q{number}", temperature=0.2, top_p=number))
    edition = bench.make(heldout=5_000)
    (bench.root / edition.id / "heldout-asked.jsonl").unlink()
    opened = read_edition(bench.root.parent, edition.id)
    with bench.store.reading() as connection:
        besides = asked_besides(connection, opened)
    assert besides == {"temperature": 0.2}
    assert all(one.body["temperature"] == 0.2 for one in questions(opened, besides, 99))


@pytest.fixture
def mirror(bench: Bench) -> Callable[..., str]:
    """Add a call with its shadow, and what a judge said."""

    def add(text: str, ours: str, theirs: Any, judged: float | None = None, **more: Any) -> str:
        call_id = bench.add(text, ours, **more)
        response = answered(theirs) if isinstance(theirs, str) else theirs
        line = bench.lines.call(
            dataset="d", shadow_of=call_id, experiment="x", served="candidate", request=b"null", response=response,
            attempts=(Attempt("candidate", "small", "lab", True, 5.0),), endpoint=more.get("endpoint", "chat.completions"),
        )  # fmt: skip
        assert bench.take(line).refused == ()
        if judged is not None:
            with bench.store.writing() as connection:
                connection.execute(
                    update(shadows).where(shadows.c.shadow_of == call_id).values(judged=judged, judge="j")
                )
        return call_id

    return add


def test_pairs_of_shadows(bench: Bench, mirror: Any) -> None:
    """By the judge, else by the caller's success; a candidate's answer is preferred only where candidates' are asked for."""
    worse = mirror("worse", "good", "write to jo@example.com", 0.0)
    mirror("better", "bad", "good", 1.0)
    mirror("tie", "one", "two", 0.5)
    mirror("unsaid", "one", "two")
    liked = mirror("liked", "fine", "odd")
    failed = mirror("failed", "odd", "fine")
    both = mirror("both", "odd", "fine", 1.0)
    mirror("same", "same", "same", 0.0)
    mirror("none", "some", {"choices": []}, 0.0)
    corrected = mirror("corrected", "wrong", "other", 0.0)
    bench.take(
        bench.lines.feedback(liked, label="success"),
        bench.lines.feedback(failed, label="failure"),
        bench.lines.feedback(both, label="success"),
        bench.lines.feedback(corrected, correction="right"),
    )

    def pairs(**choice: Any) -> set[tuple[str, str, str]]:
        edition = bench.make(kind="preference", heldout=5_000, **choice)
        assert faults(bench, edition, "openai-preference") == []
        kept = (bench.root / edition.id / "heldout-asked.jsonl").read_bytes().splitlines()
        assert len(kept) == len(bench.rows(edition, "heldout.jsonl"))
        sources = (bench.root / edition.id / "sources.txt").read_text().split("\n")
        assert any(line.startswith(f"{worse}\t") for line in sources)
        assert sum(edition.manifest["counts"]["left_out"].values()) + len(bench.rows(edition)) == 10
        return {
            (row["input"]["messages"][1]["content"], row["preferred_output"][0]["content"],
             row["non_preferred_output"][0]["content"])
            for row in bench.rows(edition)
        }  # fmt: skip

    ours = {("worse", "good", "write to [redacted:email]"), ("liked", "fine", "odd"), ("corrected", "right", "wrong")}
    assert pairs() == ours
    assert pairs(answers="any") == {*ours, ("better", "good", "bad"), ("both", "fine", "odd")}


def test_pairs_of_shadows_of_responses(bench: Bench, mirror: Any) -> None:
    """Said as chats, as the calls are."""
    for number in range(4):
        mirror(
            "x", "y", output(REASONING, "worse"), 0.0,
            endpoint="responses", request={"input": f"q{number}"}, response=output("better"),
        )  # fmt: skip
    edition = bench.make(kind="preference", heldout=0)
    assert [row["non_preferred_output"][0] for row in bench.rows(edition)] == [
        {"role": "assistant", "content": "worse"}
    ] * 4
    assert edition.manifest["counts"]["train"] == 4
