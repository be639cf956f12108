"""The round on real rows whose answers are JSON or calls: client, lab, store, training file, tuned model, held-out rows."""

from __future__ import annotations

import json

import pytest

from benchmarks.loop import run
from benchmarks.loop_rows import bfcl, nlupp
from logos_shift_openai.core.json_schema import fits


@pytest.fixture(scope="module")
def rows():
    return {"nlupp": nlupp()[:100], "bfcl": bfcl()[:100]}


@pytest.mark.parametrize("name", ["nlupp", "bfcl"])
def test_the_round_goes_through(rows, home, name):
    """Every call is recorded, and valid by our own check; all are learnt from; all that the tuned model says is valid."""
    one = run(rows[name], home, accuracy=1.0)
    assert (one.recorded, one.examples, len(one.held_out)) == (80, 80, 20)
    assert one.valid == one.recorded
    assert one.held_out_valid == len(one.given) == 20
    assert one.right(one.taught) == 100
    assert one.right(one.given) >= one.right(one.guessed)


def test_calls_are_of_what_was_offered_with_words_of_the_question(rows, home):
    """The functions of these rows are hardly ever the same twice, so most arguments were found by the schema alone."""
    one = run(rows["bfcl"], home, accuracy=1.0)
    assert sum(one.known) < 10
    assert one.right(one.given) >= 25
    for row, (call,) in zip(one.held_out, one.given, strict=True):
        (offered,) = row.options["tools"]
        assert call.name == offered["function"]["name"]
        assert fits(offered["function"]["parameters"], json.loads(call.arguments))


def test_json_keeps_its_schema_and_its_words(rows, home):
    """Whatever is said of a message, its slots are words that stand in it."""
    one = run(rows["nlupp"], home, accuracy=1.0)
    for row, given in zip(one.held_out, one.given, strict=True):
        said = json.loads(given)
        assert fits(row.options["response_format"]["json_schema"]["schema"], said)
        assert all(words in row.text for words in said["slots"].values())


@pytest.mark.parametrize(("read", "count"), [(nlupp, 311), (bfcl, 400)])
def test_the_rows_are_all_there_and_legal(read, count):
    """Every row has an answer that is right by its own labels, and names that the API takes."""
    rows = read()
    assert len(rows) == count
    assert [row.text for row in rows if not row.is_right(row.answer)] == []
    for row in rows:
        for tool in row.options.get("tools", ()):
            assert tool["function"]["name"].isidentifier()
            assert '"dict"' not in json.dumps(tool)
