"""What a training has cost, by what its provider tells: read, kept, shown."""

from __future__ import annotations

import pytest
from tuning_parts import begin, until

from logos_shift_openai.core.prices import Price
from logos_shift_openai.server.prices import keep_prices
from logos_shift_openai.server.tuners.bills import bill_of, money_in, nanodollars_in, whole_in
from logos_shift_openai.server.tuners.jobs import find_job, open_job
from logos_shift_openai.server.tuners.protocol import Progress, Settings


@pytest.mark.parametrize(
    ("told", "dollars"),
    [
        ({"currencyCode": "USD", "units": "3", "nanos": 250_000_000}, 3.25),
        ({"units": 2}, 2.0),
        ({"currencyCode": "", "nanos": 5_000_000}, 0.005),
        ({"currencyCode": "EUR", "units": "3"}, None),
        ({"currencyCode": "USD", "units": "0", "nanos": 0}, None),
        ({"units": "much"}, None),
        ({"units": [1]}, None),
        ("3.25", None),
        (None, None),
    ],
)
def test_money_as_fireworks_tells_it(told, dollars):
    """Units and nanos of US dollars; what is not understood is not known."""
    assert money_in({"estimatedCost": told}, "estimatedCost") == dollars


@pytest.mark.parametrize(
    ("told", "dollars"), [(1_500_000_000, 1.5), (0, None), (True, None), ("1", None), (None, None)]
)
def test_money_as_together_tells_it(told, dollars):
    """Nanodollars; 0 is what stands there before the tokens are counted."""
    assert nanodollars_in({"total_price": told}, "total_price") == dollars
    assert whole_in({}, "token_count") is None


@pytest.mark.parametrize(
    ("found", "bill"),
    [
        (Progress("running"), {}),
        (Progress("succeeded", trained_tokens=2_000_000), {"trained_tokens": 2_000_000, "cost": 6.0}),
        (Progress("succeeded", trained_tokens=10, cost=0.5), {"trained_tokens": 10, "cost": 0.5}),
        (Progress("succeeded", cost=0.5), {"cost": 0.5}),
    ],
)
def test_what_is_told_wins_over_the_price_table(store, found, bill):
    """And the table needs tokens."""
    with store.writing() as connection:
        keep_prices(connection, {"tiny-*": Price(1, 1, training=3.0)})
    with store.reading() as connection:
        assert bill_of(connection, "tiny-base", found) == bill
        unknown = bill_of(connection, "another", Progress("succeeded", trained_tokens=10))
        assert unknown == {"trained_tokens": 10}


def test_a_job_of_the_protocol_is_billed_by_its_trained_tokens(lab, small, shop, store):
    """At the user's own price for training; the job keeps both, and its JSON shows them."""
    with store.writing() as connection:
        keep_prices(connection, {"tiny-base": Price(1, 1, training=8.0)})
    job = until(shop, begin(shop, Settings("tiny-base", "lab", seed=1)).id, "succeeded")
    tokens = lab._service.tuning.all()[0].trained_tokens
    assert tokens
    assert (job.trained_tokens, job.cost) == (tokens, pytest.approx(tokens * 8 / 1e6))
    with store.reading() as connection:
        kept = find_job(connection, job.id).to_json()
    assert (kept["trained_tokens"], kept["cost"]) == (job.trained_tokens, job.cost)


def test_a_job_that_nobody_has_asked_for_has_no_bill(store, small):
    """Neither tokens nor a cost of 0."""
    job, _ = open_job(store, "openai", "small", Settings("m"), 1, 2)
    assert (job.trained_tokens, job.cost) == (None, None)
    assert job.to_json()["cost"] is None
