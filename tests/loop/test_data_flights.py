"""JSON answers and calls of functions through the autopilot, with no hand on it: real rows, real HTTP, our own client."""

from __future__ import annotations

import pytest

from benchmarks.autopilot_data import Flight, mixed, shuffled
from benchmarks.loop_rows import bfcl, nlupp

TAKES = 40


@pytest.mark.parametrize("read", [nlupp, bfcl])
def test_real_rows_fly_to_the_rollout_and_shuffled_ones_to_the_floor(read):
    """Compared by fields; what is learnt is far over a floor that nothing learnt from shuffled rows comes near."""
    known = mixed(read())[:160]
    with Flight(known, 0.5) as flight:
        flight.ask_all()
        assert flight.fly().state.phase == "rolling"
        assert flight.steps() == ["policy", "began", "edition", "tuning", "tuned", "passed", "rollout"]
        assert flight.report()["agreement"] >= 0.5
        assert flight.report()["valid"] == 1
    with Flight(shuffled(known), 0.5) as flight:
        flight.ask_all()
        flight.fly()
        assert flight.steps()[-1] == "under_the_floor"
        assert flight.report()["agreement"] < 0.4
