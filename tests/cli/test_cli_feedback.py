"""`logos-shift feedback`: said once, kept, and shown."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("verdict", "score"), [("success", 1.0), ("Failure", 0.0), ("0.7", 0.7), ("0", 0.0), ("1", 1.0)]
)
def test_a_verdict_counts_for_its_call(cli: Any, home: Any, verdict: str, score: float) -> None:
    """By the provider's id as well as ours."""
    home.spool(home.call(id="a", provider_id="chatcmpl-1"))
    assert cli("feedback", "chatcmpl-1", verdict).out == "Kept for the call chatcmpl-1.\n"
    (listed,) = cli("calls", "list", "--json").json
    assert listed["feedback"] == {"score": score, "call_id": "a"}


def test_comments_and_corrections_come_along(cli: Any, home: Any) -> None:
    """A correction that is an object is kept as one, everything else as the text it is."""
    home.spool(home.call(id="a"))
    cli("feedback", "a", "failure", "--comment", "hm", "--correction", '{"city": "Paris"}', "--by", "ada")
    ended = cli("feedback", "a", "--correction", "42", "--json")
    assert ended.json["call_known"] is True
    first, second = cli("calls", "show", "a", "--json").json["said"]
    assert (first["label"], first["comment"], first["correction"], first["by"]) == (
        "failure",
        "hm",
        {"city": "Paris"},
        "ada",
    )
    assert (second["value"], second["correction"]) == (None, "42")


def test_feedback_may_come_before_its_call(cli: Any, home: Any) -> None:
    """It says so, and counts once the call is there."""
    ended = cli("feedback", "chatcmpl-later", "success")
    assert ended.code == 0
    assert "No call chatcmpl-later is in" in ended.out
    home.spool(home.call(provider_id="chatcmpl-later"))
    assert cli("calls", "list", "--json").json[0]["feedback"]["score"] == 1.0


@pytest.mark.parametrize("arguments", [["a", "great"], ["a", "1.5"], ["a", "nan"], ["a", "-1"], ["a"], ["a", ""], []])
def test_what_is_no_verdict_is_a_usage_fault(cli: Any, arguments: list[str]) -> None:
    """Exit code 2, and nothing is kept."""
    ended = cli("feedback", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Error" in ended.err
    assert cli("stats", "--json").json["totals"]["feedback"] == 0


def test_an_id_that_cannot_be_kept_is_refused(cli: Any) -> None:
    """With the reason, and exit code 1."""
    ended = cli("feedback", "x" * 600, "success")
    assert (ended.code, ended.err) == (
        1,
        "logos-shift: feedback refused: call_id: longer than 512 characters\n",
    )
