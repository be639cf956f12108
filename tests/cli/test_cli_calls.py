"""`logos-shift calls`: list and show, for people and for programs."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from logos_shift_openai.cli.calls import since_ms
from logos_shift_openai.core.records import Attempt, CallError


def test_an_empty_home_says_so(cli: Any, home: Any) -> None:
    """In words for people, as an empty array for programs, and both with exit code 0."""
    assert cli("calls", "list").out == f"No calls recorded in {home.path} yet.\n"
    assert cli("calls", "list", "--json").json == []


def test_a_home_that_is_not_there_is_not_made(cli: Any, home: Any) -> None:
    """Looking into a mistyped folder leaves nothing behind."""
    missing = home.path / "typo"
    ended = cli("--home", str(missing), "calls", "list")
    assert (ended.code, str(missing) in ended.out) == (0, True)
    assert not missing.exists()


def test_the_list_takes_the_spool_in_and_shows_the_latest_first(cli: Any, home: Any) -> None:
    """Whole ids, a line a call, within 80 columns."""
    home.spool(
        *(
            home.call(dataset="sales", experiment="x", assigned="candidate", served="baseline", duration_ms=512.0)
            for _ in range(5)
        ),
        home.call(error=CallError("RateLimitError", 429), requested_model="a-model-with-a-very-long-name-indeed"),
        home.call(provider_id="chatcmpl-1", complete=False),
        home.feedback("chatcmpl-1", label="success"),
    )
    listed = cli("calls", "list", "--json").json
    assert len(listed) == 7
    assert [one["at"] for one in listed] == sorted((one["at"] for one in listed), reverse=True)
    shown = cli("calls", "list").out.splitlines()
    assert shown[0].split() == ["id", "age", "model", "variant", "took", "end", "score"]
    assert [line.split()[0] for line in shown[1:]] == [one["id"] for one in listed]
    assert max(map(len, shown)) <= 80
    assert [line.split()[-1] for line in shown[1:4]] == ["1", "429", "ok"]
    assert "fallback" in shown[3]
    assert "512 ms" in shown[3]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--dataset", "sales"], {"a", "b"}),
        (["--model", "tiny"], {"b"}),
        (["--model", "gpt"], {"a", "b"}),
        (["--variant", "candidate"], {"b"}),
        (["--experiment", "x"], {"b"}),
        (["--feedback", "success"], {"a"}),
        (["--feedback", "failure"], {"b"}),
        (["--feedback", "none"], {"c"}),
        (["--errors"], {"c"}),
        (["--since", "2h"], {"a", "b"}),
        (["--limit", "1"], {"b"}),
        (["--dataset", "sales", "--errors"], set()),
    ],
)
def test_each_filter_holds(cli: Any, home: Any, options: list[str], expected: set[str]) -> None:
    """Filters are of what was recorded, and go together."""
    day = 86_400_000
    tiny = Attempt("candidate", "tiny", "lab", ok=True, duration_ms=1.0)
    home.spool(
        home.call(id="a", dataset="sales", requested_model="gpt"),
        home.call(
            id="b",
            dataset="sales",
            requested_model="gpt",
            experiment="x",
            assigned="candidate",
            attempts=(tiny,),
        ),
        home.call(id="c", requested_model="other", error=CallError("E"), at=home.now - day),
        home.feedback("a", label="success"),
        home.feedback("b", value=0.1),
    )
    assert {one["id"] for one in cli("calls", "list", "--json", *options).json} == expected
    if not expected:
        assert cli("calls", "list", *options).out == f"No call in {home.path} fits.\n"


def test_since_reads_ages_and_dates() -> None:
    """Everything else is said to be neither."""
    now = 1_764_000_000_000
    assert since_ms("90s", now) == now - 90_000
    assert since_ms(" 2w ", now) == now - 14 * 86_400_000
    assert since_ms("99999w", now) == 0
    assert since_ms("2026-11-24T00:00:00+00:00", now) == 1_795_478_400_000
    for text in ("yesterday", "", "2", "-2h", "2x"):
        with pytest.raises(typer.BadParameter):
            since_ms(text, now)


def test_show_has_everything_about_a_call(cli: Any, home: Any) -> None:
    """Conversation, tools, the route's why, attempts and feedback; by either id."""
    failed = Attempt(
        "candidate",
        "tiny",
        "lab",
        ok=False,
        duration_ms=21.0,
        error=CallError("NotFoundError", 404, "gone", "no model"),
    )
    request = {
        "model": "gpt",
        "temperature": 0,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "image_url"}]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ],
        "tools": [{"type": "function", "function": {"name": "look_up"}}],
    }
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": {"name": "look_up", "arguments": '{"id": 7}'}}],
    }
    response = {
        "choices": [{"message": message, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4},
    }
    home.spool(
        home.call(
            id="0199-a",
            parent="p",
            provider_id="chatcmpl-7",
            requested_model="gpt",
            request=request,
            response=response,
            experiment="x",
            assigned="candidate",
            served="baseline",
            share=500,
            why="user bucket 77 is below the share 500",
            attempts=(failed, Attempt("baseline", "gpt", None, ok=True, duration_ms=480.0)),
            user_id="u1",
            metadata={"plan": "pro"},
        ),
        home.feedback("chatcmpl-7", value=0.25, comment="too long", correction="Paris", by="ada"),
    )
    page = cli("calls", "show", "0199-a").out
    assert page == cli("calls", "show", "chatcmpl-7").out
    flat = " ".join(page.split())
    for part in (
        "call 0199-a",
        "experiment x, assigned candidate, served baseline, share 5 %: user bucket 77 is below the share 500",
        "attempt candidate tiny at lab, 21 ms, failed: NotFoundError 404 gone no model",
        "attempt baseline gpt, 480 ms, ok",
        "tokens 9 in, 4 out",
        'metadata {"plan": "pro"}',
        'parameters {"temperature": 0}',
        "tools look_up",
        "system Be brief.",
        "user Look: [image_url]",
        "tool c1 42",
        'assistant calls look_up({"id": 7})',
        "finish length",
        "feedback 0.25, \u201ctoo long\u201d, right answer: Paris",
        "by ada",
        "parent p",
    ):
        assert part in flat, part
    assert max(map(len, page.splitlines())) <= 80
    whole = cli("calls", "show", "chatcmpl-7", "--json").json
    assert (whole["request"], whole["response"]) == (request, response)
    assert whole["feedback"] == {"score": 0.25, "call_id": "0199-a"}
    assert whole["said"][0]["correction"] == "Paris"


@pytest.mark.parametrize(
    ("endpoint", "request_", "response", "expected"),
    [
        ("completions", {"prompt": "Say hi"}, {"choices": [{"text": "hi"}]}, ["prompt Say hi", "answer hi"]),
        (
            "responses",
            {"instructions": "Brief.", "input": "Hello"},
            {
                "status": "incomplete",
                "output": [
                    {"type": "reasoning", "summary": []},
                    {
                        "type": "message",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "Hi"}],
                    },
                    {"type": "function_call", "name": "f", "arguments": "{}"},
                ],
            },
            [
                "instructions Brief.",
                "user Hello",
                "assistant Hi",
                "assistant calls f({})",
                "status incomplete",
            ],
        ),
        (
            "embeddings",
            {"input": ["a", "b"]},
            {"data": [{"embedding": [1.0, 2.0]}]},
            ["input a", "1 vector of 2"],
        ),
        ("function", {"args": [1], "kwargs": {}}, "done", ['"args"', '"done"']),
        ("chat.completions", ["not", "a", "body"], [1], ['"not"', "response [ 1 ]"]),
        ("chat.completions", {"messages": "?"}, {"choices": [7, {"message": None}]}, ["answer 7"]),
        ("responses", {"input": [5, {"type": "x"}]}, {"output": "?"}, ["item 5"]),
    ],
)
def test_every_endpoint_has_its_page(
    cli: Any, home: Any, *, endpoint: str, request_: Any, response: Any, expected: list[str]
) -> None:
    """And a body of another shape is shown as JSON."""
    home.spool(home.call(id="a", endpoint=endpoint, request=request_, response=response))
    ended = cli("calls", "show", "a")
    assert ended.code == 0
    flat = " ".join(ended.out.split())
    for part in expected:
        assert part in flat, flat


def test_an_unknown_id_is_one_line(cli: Any, home: Any) -> None:
    """It says what and where, on stderr, with exit code 1; JSON wanted or not."""
    for options in ([], ["--json"]):
        ended = cli("calls", "show", "nope", *options)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == f"logos-shift: no call with the id nope in {home.path / 'store.sqlite3'}\n"


EVIL = "\x1b]0;pwned\x07\x1b[2J[red]x[/red]\u202egnp\x9b31m\r:smile:"


def test_nothing_shown_can_steer_the_terminal(cli: Any, home: Any) -> None:
    """Neither a model's answer nor a caller's names, in no command, as text or as JSON."""
    home.spool(
        home.call(
            id="a" + EVIL,
            dataset=EVIL,
            requested_model=EVIL,
            why=EVIL,
            user_id=EVIL,
            metadata={EVIL: EVIL},
            experiment=EVIL,
            assigned="baseline",
            provider_id="p",
            error=CallError(EVIL, 500, EVIL, EVIL),
            request={"messages": [{"role": EVIL, "content": EVIL}], "tools": [{"name": EVIL}]},
            response={"choices": [{"message": {"content": EVIL}, "finish_reason": EVIL}]},
        ),
        home.feedback("p", label="success", comment=EVIL, by=EVIL),
        b'{"v":"' + b"\x1b[2J" + b'"}\n',
    )
    for command in (["calls", "list"], ["calls", "show", "p"], ["stats"], ["doctor"]):
        for options in ([], ["--json"]):
            ended = cli(*command, *options)
            for text in (ended.out, ended.err):
                steering = [c for c in text if (c < " " and c != "\n") or "\x7f" <= c <= "\x9f" or c == "\u202e"]
                assert steering == [], command
    page = cli("calls", "show", "p").out
    assert "[red]x[/red]" in page
    assert ":smile:" in page
    assert cli("calls", "show", "p", "--json").json["user_id"] == EVIL


def test_export_writes_a_line_a_call(cli: Any, home: Any) -> None:
    """On stdout and nothing else there, with bodies and feedback; a home that is not there has none."""
    assert cli("calls", "export").out == ""
    call = home.call(dataset="sales", request={"messages": [{"role": "user", "content": "h\u00e9\u202e"}]})
    name = json.loads(call)["id"]
    home.spool(call, home.call(dataset="other"), home.feedback(name, value=1.0, comment="good"))
    (line,) = cli("calls", "export", "--dataset", "sales", "--rated", "--since", "1h").out.splitlines()
    found = json.loads(line)
    assert found["request"]["messages"][0]["content"] == "h\u00e9\u202e"
    assert (found["id"], found["score"], found["said"][0]["comment"]) == (name, 1.0, "good")
    assert len(cli("calls", "export").out.split("\n")) == 3
    failed = cli("calls", "export", "--database-url", "mysql://x/y")
    assert (failed.code, failed.out) == (1, "")


def test_a_call_whose_bodies_were_left_behind_says_so(cli: Any, home: Any) -> None:
    """In place of what was said; its tokens are there all the same."""
    home.spool(home.call(id="a", request=b"null", response={"usage": {"prompt_tokens": 7}}, bodies=False))
    shown = cli("calls", "show", "a").out
    assert "not kept (sampled)" in shown
    assert "7 in" in shown
    assert "usage" not in shown
    assert cli("calls", "show", "a", "--json").json["bodies"] is False


def test_sampled_calls_are_marked_in_the_list(cli: Any, home: Any) -> None:
    """And no other; whoever has none has no column for it."""
    home.spool(home.call(id="whole"))
    assert "text" not in cli("calls", "list").out.splitlines()[0].split()
    home.spool(home.call(id="a", request=b"null", response={"usage": {"prompt_tokens": 7}}, bodies=False))
    header, *rows = (line.split() for line in cli("calls", "list").out.splitlines())
    assert "text" in header
    assert {row[0]: "sampled" in row for row in rows} == {"a": True, "whole": False}
    listed = cli("calls", "list", "--json").json
    assert {one["id"]: one.get("bodies") for one in listed} == {"a": False, "whole": None}


def test_an_export_says_how_many_lines_have_no_text(cli: Any, home: Any) -> None:
    """Apart for each reason, on stderr; the lines themselves are all there, and each says it once."""
    old = home.now - 40 * 86_400_000
    sampled = {"request": b"null", "response": {"usage": {"prompt_tokens": 7}}, "bodies": False}
    home.spool(home.call(id="old", at=old), home.call(id="olds", at=old, **sampled), home.call(id="new", **sampled))
    home.spool(home.call(id="whole"))
    assert cli("store", "keep", "--body-days", "30").code == 0
    assert cli("calls", "list").code == 0
    assert cli("store", "vacuum", "--json").json["removed"]["bodies"] == 2
    ended = cli("calls", "export")
    lines = ended.out.splitlines()
    assert {json.loads(line)["id"]: json.loads(line).get("bodies") for line in lines} == {
        "old": None, "olds": False, "new": False, "whole": None,
    }  # fmt: skip
    assert all(line.count('"bodies"') <= 1 for line in lines)
    assert "1 lines without text: its text is not kept any more" in ended.err
    assert "2 lines without text: its client kept no text of it" in ended.err
    assert "bodies not kept any more" in " ".join(cli("calls", "show", "old").out.split())
    assert "not kept (sampled)" in cli("calls", "show", "olds").out


def test_a_call_shows_what_was_checked(cli: Any, home: Any) -> None:
    """In words; a record without checks has no such line."""
    home.spool(
        home.call(id="checked", checks={"valid": False, "refused": False, "cut": True}, fingerprint="0123456789ab"),
        home.call(id="plain"),
    )
    line = next(line for line in cli("calls", "show", "checked").out.splitlines() if line.startswith("checks"))
    assert line.split(maxsplit=1)[1] == "JSON not as asked for, not refused, cut at its length"
    assert "checks" not in cli("calls", "show", "plain").out
    shown = cli("calls", "show", "checked", "--json").json
    assert (shown["checks"], shown["fingerprint"], shown["question"]) == (
        {"valid": False, "refused": False, "cut": True},
        "0123456789ab",
        None,
    )
