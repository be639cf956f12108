"""What tokens cost."""

import pytest

from logos_shift_openai.core.prices import Price, price_of, prices_from
from logos_shift_openai.core.strict import ConfigError


def test_the_cost_of_a_call():
    assert Price(2.0, 10.0, 0.5).cost(1_000_000, 100_000, 400_000) == pytest.approx(1.2 + 0.2 + 1.0)
    assert Price(2.0, 10.0).cost(1_000_000, 0, 400_000) == 2.0
    assert Price(2.0, 10.0, 0.0).cost(10, 0, 99) == 0.0  # more from a cache than there was: no cost below 0


def test_the_name_comes_before_patterns_and_the_longest_pattern_before_others():
    table = prices_from(
        {"*": {"input": 1, "output": 1}, "a*": {"input": 2, "output": 2}, "ab": {"input": 3, "output": 3, "cached": 1}}
    )
    assert [price_of(table, model).input for model in ("x", "ac", "ab")] == [1, 2, 3]
    assert price_of({}, "x") is None
    assert prices_from({model: price.to_json() for model, price in table.items()}) == table


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([], "the document: not an object"),
        ({"m": 1}, "m: 1 is not an object"),
        ({"m": {"input": 1}}, "m.output: missing"),
        ({"m": {"input": -1, "output": 1}}, "m.input: -1 is not in"),
        ({"m": {"input": 1, "output": float("nan")}}, "m.output: NaN is not in"),
        ({"m": {"input": 1, "output": 1, "more": 1}}, "m.more: not known here"),
    ],
)
def test_a_table_with_a_fault_is_refused_with_its_path(data, why):
    with pytest.raises(ConfigError, match=why.replace(".", "[.]")):
        prices_from(data)
