"""The round on real rows whose answers are JSON or calls: client, lab, store, training file, tuned model, held-out rows."""

from __future__ import annotations

import json

import pytest

from benchmarks.loop import run
from benchmarks.loop_rows import banking, bfcl, nlupp
from logos_shift_openai.core.json_schema import fits

TAKES = 40


def gone_round(asked, home):
    """Go round with a teacher that is always right; whatever the rows are, nothing is lost and all that is said is valid."""
    one = run(asked, home, accuracy=1.0)
    assert one.recorded == one.valid == len(asked)
    assert len(asked) * 0.95 <= one.examples + len(one.held_out) <= len(asked)  # some questions hold what is redacted
    assert one.held_out_valid == len(one.given) >= len(asked) // 10
    assert one.right(one.taught) == 100
    assert one.right(one.given) >= one.right(one.guessed)
    return one


@pytest.mark.parametrize("calls", [False, True], ids=["json", "calls"])
def test_labels_in_json_or_in_a_call_are_learnt_like_labels(home, calls):
    """Where an answer is one of ten, the candidate says mostly what the teacher says, and much more often than before."""
    one = gone_round(banking(250, calls=calls), home)
    assert one.agreement() >= 70
    assert one.right(one.guessed) < 30


def test_calls_are_of_what_was_offered_with_words_of_the_question(home):
    """The functions of these rows are hardly ever the same twice, so most arguments are found by the schema alone."""
    one = gone_round(bfcl()[:100], home)
    assert sum(one.known) < 10
    assert one.right(one.given) >= 25
    for row, (call,) in zip(one.held_out, one.given, strict=True):
        (offered,) = row.options["tools"]
        assert call.name == offered["function"]["name"]
        assert fits(offered["function"]["parameters"], json.loads(call.arguments))


def test_json_keeps_its_schema_and_its_words(home):
    """Whatever is said of a message, its slots are words that stand in it."""
    one = gone_round(nlupp()[:100], home)
    for row, given in zip(one.held_out, one.given, strict=True):
        said = json.loads(given)
        assert fits(row.options["response_format"]["json_schema"]["schema"], said)
        assert all(words in row.text for words in said["slots"].values())


@pytest.mark.parametrize(("read", "count"), [(nlupp, 1_039), (bfcl, 600)])
def test_the_rows_are_all_there_and_legal(read, count):
    """Every row has an answer that is right by its own labels, and names that the API takes."""
    rows = read()
    assert len(rows) == count
    assert [row.text for row in rows if not row.is_right(row.answer)] == []
    for row in rows:
        for tool in row.options.get("tools", ()):
            assert tool["function"]["name"].isidentifier()
            assert '"dict"' not in json.dumps(tool)
