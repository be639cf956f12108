"""Comparers of two answers, and what a number of pairs proves."""

from __future__ import annotations

from random import Random

import pytest

from logos_shift_openai.core.agreement import (
    COMPARERS,
    IncomparableError,
    counts_of,
    fields,
    interval,
    json_equal,
    log_apart,
    standing,
)
from logos_shift_openai.core.evidence import GRID


def said(*texts, **message):
    return {
        "choices": [
            {"index": index, "message": {"role": "assistant", "content": text, **message}}
            for index, text in enumerate(texts)
        ]
    }


def called(*calls):
    tools = [{"id": str(n), "function": {"name": name, "arguments": given}} for n, (name, given) in enumerate(calls)]
    return said(None, tool_calls=tools)


@pytest.mark.parametrize(
    ("one", "other", "exact", "json", "text"),
    [
        (said("yes"), said("yes"), 1, 1, 1),
        (said("yes"), said(" yes\n"), 0, 1, 1),
        (said("Yes  sir"), said("yes sir"), 0, 0, 1),
        (said("yes"), said("no"), 0, 0, 0),
        (said('{"a": 1, "b": [2]}'), said('{"b":[2.0],"a":1e0}'), 0, 1, 0),
        (said('{"a": 1}'), said('{"a": true}'), 0, 0, 0),
        (said('{"a": [1, 2]}'), said('{"a": [2, 1]}'), 0, 0, 0),
        (said('{"a": NaN}'), said('{"a":NaN}'), 0, 0, 0),
        (said("a", "b"), said("a", "c"), 0.5, 0.5, 0.5),
        (said("a", "b"), said("a"), 0.5, 0.5, 0.5),
        (called(("f", '{"x": 1}')), called(("f", '{"x":1.0}')), 0, 1, 1),
        (called(("f", '{"x": 1}')), called(("g", '{"x": 1}')), 0, 0, 0),
        (called(("f", "{}"), ("g", "{}")), called(("g", "{}"), ("f", "{}")), 0, 1, 1),
        (called(("f", "{}")), said(None), 0, 0, 0),
        (called(("f", "{}"), ("f", "{}")), called(("f", "{}"), ("g", "{}")), 0, 0, 0),
        (said(None, refusal="No."), said("No."), 1, 1, 1),
        (said([{"type": "text", "text": "yes"}]), said("yes"), 1, 1, 1),
        (said("yes"), {"error": "x"}, 0, 0, 0),
        (said("yes"), None, 0, 0, 0),
        (said("[" * 5_000), said("[" * 5_000 + " 1"), 0, 0, 0),
    ],
)
def test_what_counts_as_the_same(one, other, exact, json, text):
    """Each comparer forgives what it says and nothing else."""
    found = {name: compare(one, other) for name, compare in COMPARERS.items()}
    del found["fields"]
    assert found == {"exact": exact, "json": json, "text": text}


def test_responses_are_compared_too():
    """Texts and calls of the items of a response; what is thought in between does not count."""
    item = {"type": "function_call", "name": "f", "arguments": '{"x": 1}'}
    message = {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}
    assert json_equal({"output": [{"type": "reasoning"}, message, item]}, {"output": [message, item]}) == 1
    assert json_equal({"output": [message]}, {"output": [message, item]}) == 0


@pytest.mark.parametrize("nothing", [None, "page", {}, {"choices": []}, {"choices": [{"message": None}]}])
def test_without_an_answer_of_the_baseline_there_is_nothing_to_compare(nothing):
    """It is said, and counted neither way."""
    with pytest.raises(IncomparableError, match="the baseline has no answer"):
        json_equal(nothing, said("x"))


def test_order_of_choices_is_their_index():
    """Choices may come in any order."""
    assert json_equal(said("a", "b"), {"choices": said("a", "b")["choices"][::-1]}) == 1


def test_no_pairs_prove_nothing():
    """The interval is everything."""
    found = standing({})
    assert (found.pairs, found.mean) == (0, None)
    assert found.low == pytest.approx(0, abs=1e-9)
    assert found.high == pytest.approx(1, abs=1e-9)
    assert found.differ == pytest.approx(1, abs=1e-9)


def test_all_alike_bounds_the_loss():
    """Of 300 pairs that agree, at most some 2 % can differ; the mean is in its interval, which narrows."""
    found = standing({GRID: 300})
    assert found.mean == 1.0
    assert found.high == pytest.approx(1, abs=1e-9)
    assert 0.01 < found.differ < 0.03
    assert standing({GRID: 3_000}).differ < found.differ / 5


def test_half_an_agreement_differs_all_the_same():
    """A pair that agrees in part is a call with another answer."""
    found = standing({GRID // 2: 400})
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.2
    assert found.differ > 0.99


@pytest.mark.parametrize("truth", [0.03, 0.5, 0.9, 0.99])
def test_the_interval_holds_at_every_look(truth):
    """Looked at after every few pairs of 200 runs, it leaves the truth out in no more than 5 % of them."""
    dice = Random(5)
    missed = 0
    for _ in range(200):
        counts = {0: 0, GRID: 0}
        out = False
        for number in range(1, 241):
            counts[GRID if dice.random() < truth else 0] += 1
            if number % 30 == 0:
                low, high = interval(counts)
                out = out or not low <= truth <= high
        missed += out
    assert missed <= 10


def test_proof_of_too_little_agreement():
    """It comes with few pairs where they disagree, and not where they agree as much as is wanted."""
    assert log_apart({0: 12, GRID: 0}, 0.8) > 3
    assert log_apart(counts_of([1.0] * 80 + [0.0] * 20), 0.8) < 1
    assert log_apart({GRID: 50}, 0.8) < 0


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (said('{"a": 1, "b": {"c": "x", "d": []}}'), said('{"b":{"d":[],"c":"y"},"a":1.0}'), 2 / 3),
        (said('{"intents": ["a", "b"], "slots": {}}'), said('{"intents": ["b"], "slots": {}}'), 4 / 5),
        (said('{"a": [1, 2]}'), said('{"a": [2, 1]}'), 1),
        (said('{"a": 1}'), said('{"a": true}'), 0),
        (said("yes"), said(" yes "), 1),
        (said("yes"), said('"yes"'), 0),
        (said(""), said(""), 1),
        (called(("f", '{"x": 1, "y": 2}')), called(("f", '{"x": 1, "y": 3}')), 2 / 3),
        (called(("f", "{}")), called(("f", "{}")), 1),
        (called(("f", '{"x": 1}')), called(("g", '{"x": 1}')), 0),
        (called(("f", '{"x": 1}')), said('{"x": 1}'), 0),
        (called(("f", '{"x":')), called(("f", '{"x":')), 1),
    ],
)
def test_fields_are_shared_one_by_one(one, other, shared):
    """Dice's part of paths with values, whichever way round; lists without order, calls by their names and arguments."""
    assert fields(one, other) == fields(other, one) == pytest.approx(shared)
