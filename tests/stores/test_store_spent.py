"""What attempts used whose answers nobody got: read from their records, kept with the head, counted in the cost."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from test_store_lines import careful, values

from logos_shift_openai.core.prices import Price
from logos_shift_openai.core.records import Attempt, CallError
from logos_shift_openai.server.calls import find_call
from logos_shift_openai.server.measures import measured
from logos_shift_openai.server.prices import keep_prices, read_prices
from logos_shift_openai.server.store.lines import _fast, read
from logos_shift_openai.server.store.rows import Rest

FAILED = CallError("NoAnswerError", None, None, "the candidate's answer has no choices")
ANSWER = {"usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0}}
TOLD = {"prompt_tokens": 2_000_000, "completion_tokens": 1_000_000, "prompt_tokens_details": {"cached_tokens": 500_000}}
PRICES = {"big": Price(10.0, 20.0), "small": Price(1.0, 2.0, 0.5)}


def line(lines: Any, usage: Any, **more: Any) -> bytes:
    failed = Attempt("candidate", "small", "lab", ok=False, duration_ms=1.0, error=FAILED, usage=usage)
    attempts = (failed, Attempt("baseline", "big", None, ok=True, duration_ms=2.0))
    return lines.call(id="a", requested_model="big", attempts=attempts, response=ANSWER, **more)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (TOLD, 10.0 + 1.5 + 0.25 + 2.0),
        ({"input_tokens": 1_000_000, "output_tokens": 1_000_000}, 10.0 + 1.0 + 2.0),
        (None, 10.0),
    ],
)
def test_the_cost_of_a_call_has_it(store: Any, lines: Any, take: Any, usage: Any, cost: float) -> None:
    """At the price of the model that failed; what said nothing is not guessed."""
    with store.writing() as connection:
        keep_prices(connection, PRICES)
    assert take(line(lines, usage)).new == 1
    with store.reading() as connection:
        found = find_call(connection, "a")
        prices = read_prices(connection)
    assert found is not None
    assert found["cost"] == pytest.approx(cost)
    assert found["attempts"][0].get("usage") == usage
    assert ("spent" in found) is (usage is not None)
    head, _pack = read(line(lines, usage), 5)
    row = {name: getattr(head, name) for name in head.__struct_fields__} | {"score": None}
    assert measured(row, msgspec.json.decode(head.rest, type=Rest), prices)["cost"] == pytest.approx(cost)


def test_a_model_without_a_price_leaves_the_cost_unknown(store: Any, lines: Any, take: Any) -> None:
    """Half a cost would make the candidate look cheap."""
    with store.writing() as connection:
        keep_prices(connection, {"big": PRICES["big"]})
    take(line(lines, TOLD))
    with store.reading() as connection:
        found = find_call(connection, "a")
    assert found is not None
    assert found["cost"] is None


@pytest.mark.parametrize(
    "usage", [None, "none", 3, [], {}, {"prompt_tokens": -1}, {"prompt_tokens": "1"}, {"prompt_tokens_details": {}}]
)
def test_what_is_no_usage_costs_no_record(lines: Any, usage: Any) -> None:
    """It is left out, whichever way the line goes."""
    record = json.loads(line(lines, TOLD))
    record["attempts"][0]["usage"] = usage
    head, pack = read(json.dumps(record).encode(), 5)
    assert b"spent" not in head.rest
    assert b"usage" not in pack.partition(b'"attempts"')[2]


@pytest.mark.parametrize("ok", [True, False])
def test_a_usage_goes_the_fast_way(lines: Any, ok: bool) -> None:
    """And gives there what it gives on the careful one; of an attempt that went well nothing is counted twice."""
    record = json.loads(line(lines, {**TOLD, "input_tokens_details": {}}))
    record["attempts"][0]["ok"] = ok
    text = json.dumps(record).encode()
    assert values(_fast(text, 5)) == values(careful(text))
    assert (b"spent" in _fast(text, 5)[0].rest) is not ok
