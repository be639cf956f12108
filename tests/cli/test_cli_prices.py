"""`logos-shift prices`, and the cost on a call's page."""

from __future__ import annotations

from typing import Any

import pytest

from logos_shift_openai.core.records import Attempt

USAGE = {
    "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "prompt_tokens_details": {"cached_tokens": 0}}
}


def answered(home: Any, call_id: str, model: str, provider: str | None = None) -> bytes:
    attempts = (Attempt("baseline", model, provider, ok=True, duration_ms=1.0),)
    return home.call(id=call_id, requested_model=model, attempts=attempts, response=USAGE)


def test_a_price_of_your_own_comes_first(cli: Any, home: Any) -> None:
    """Set, shown, used on a call's page, and taken away again."""
    home.spool(answered(home, "own", "tiny:ft-1"), answered(home, "listed", "gpt-4o-mini-2024-07-18"))
    assert "No prices of your own" in cli("prices", "list").out
    assert "price of tiny:ft-1 is not known" in cli("calls", "show", "own").out
    assert cli("calls", "show", "own", "--json").json["cost"] is None
    assert cli("prices", "set", "tiny:*", "--input", "0.1", "--output", "1", "--json").json == {
        "tiny:*": {"input": 0.1, "output": 1.0}
    }
    assert cli("calls", "show", "own", "--json").json["cost"] == pytest.approx(0.2)
    assert "$0.200000" in cli("calls", "show", "own").out
    listed = cli("calls", "show", "listed", "--json").json["cost"]
    assert listed > 0
    cli("prices", "set", "gpt-4o*", "--input", "100", "--output", "0")
    assert cli("calls", "show", "listed", "--json").json["cost"] == pytest.approx(100)
    assert "Dollars for a million tokens." in cli("prices", "list").out
    assert cli("prices", "remove", "gpt-4o*").code == 0
    assert cli("calls", "show", "listed", "--json").json["cost"] == listed
    assert "your table has no price of gpt-4o*" in cli("prices", "remove", "gpt-4o*").err


def test_a_provider_that_nobody_knows_has_no_prices(cli: Any, home: Any) -> None:
    """A model that has a price elsewhere may cost anything on a machine of one's own."""
    home.spool(answered(home, "mine", "gpt-4o-mini", "my-own-box"))
    assert cli("calls", "show", "mine", "--json").json["cost"] is None
    assert cli("prices", "list", "gpt-4o-mini", "--json").json["gpt-4o-mini"]["input"] > 0
    assert "is not known" in cli("prices", "list", "gpt-4o-mini", "--provider", "my-own-box").err
    assert cli("prices", "set", "m", "--input", "9999999", "--output", "1").code == 1


@pytest.mark.parametrize(
    ("gate", "cost"),
    [
        (None, 0.2),
        ({"passed": True, "mean": 0.9}, 0.2),
        ({"passed": False}, 0.2),  # it was not even asked
        (
            {"passed": False, "model": "cheap", "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 2_000_000}},
            0.2 + 0.01 + 0.04,
        ),
        ({"passed": False, "model": "cheap"}, None),  # a stream that told no usage
        ({"passed": False, "model": "of no price", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}, None),
    ],
)
def test_an_answer_that_a_gate_held_back_is_paid_for(cli: Any, home: Any, gate: Any, cost: float | None) -> None:
    """Both calls are counted, and what is not known of one of them is not guessed."""
    attempts = (Attempt("baseline", "tiny:ft-1", None, ok=True, duration_ms=1.0),)
    home.spool(home.call(id="one", requested_model="tiny:ft-1", attempts=attempts, response=USAGE, gate=gate))
    cli("prices", "set", "tiny:*", "--input", "0.1", "--output", "1")
    cli("prices", "set", "cheap", "--input", "0.01", "--output", "0.02")
    found = cli("calls", "show", "one", "--json").json["cost"]
    assert found is None if cost is None else found == pytest.approx(cost)
