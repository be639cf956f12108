"""The table per variant, against figures worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.core.records import CallError
from logos_shift_openai.server.statistics import Tokens, totals, variant_statistics, wilson

if TYPE_CHECKING:
    from logos_shift_openai.server.store.database import Store


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # worked out apart from the formula's closed form, by solving the score equation
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (263, 500, 0.4822, 0.5694),
        (0.5, 1, 0.0546, 0.9454),
    ],
)
def test_wilson_intervals(successes: float, trials: int, low: float, high: float) -> None:
    """The ends are those of the score test turned around."""
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_each_variant_gets_its_own_figures(store: Store, lines: Any, take: Any) -> None:
    """Calls, errors, fallbacks, cut streams, scores, times and tokens are counted where the call was assigned."""
    usage = {"usage": {"prompt_tokens": 10, "completion_tokens": 3}}
    base = {"dataset": "sales", "experiment": "x"}
    error = CallError("RateLimitError", 429)
    batch = [
        lines.call(id=f"b{ms}", assigned="baseline", served="baseline", duration_ms=float(ms), response=usage, **base)
        for ms in range(1, 22)
    ]
    batch += [
        lines.call(id="c1", assigned="candidate", served="candidate", duration_ms=5.0, first_token_ms=2.0, **base),
        lines.call(id="c2", assigned="candidate", served="baseline", duration_ms=90.0, first_token_ms=8.0, **base),
        lines.call(id="c3", assigned="candidate", error=error, duration_ms=9_000.0, **base),
        lines.call(id="c4", assigned="candidate", served="candidate", complete=False, duration_ms=7.0, **base),
        *(lines.feedback(f"b{ms}", label="success") for ms in range(1, 9)),
        *(lines.feedback(f"b{ms}", label="failure") for ms in range(9, 11)),
        lines.feedback("c1", value=0.5),
    ]
    take(*batch)
    with store.reading() as connection:
        baseline, candidate = variant_statistics(connection, experiment="x")
    assert (baseline.variant, baseline.calls, baseline.errors, baseline.fallbacks) == ("baseline", 21, 0, 0)
    assert baseline.success.scored == 10
    assert baseline.success.mean == 0.8
    assert (baseline.success.low, baseline.success.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert (baseline.latency_ms.median, baseline.latency_ms.p95) == pytest.approx((11.0, 20.0), rel=0.005)
    assert baseline.first_token_ms.median is None
    assert baseline.tokens == Tokens(calls=21, input=210, output=63, cached=0)
    assert (candidate.calls, candidate.errors, candidate.incomplete, candidate.fallbacks) == (4, 1, 1, 1)
    assert (candidate.success.scored, candidate.success.mean) == (1, 0.5)
    assert (candidate.latency_ms.median, candidate.latency_ms.p95) == pytest.approx((7.0, 90.0), rel=0.005)
    assert (candidate.first_token_ms.median, candidate.first_token_ms.p95) == pytest.approx((2.0, 8.0), rel=0.005)


def test_groups_are_kept_apart_and_filters_hold(store: Store, lines: Any, take: Any) -> None:
    """Datasets, experiments and functions do not mix; a filter that fits nothing gives nothing."""
    take(
        lines.call(dataset="a", at=1_000),
        lines.call(dataset="a", at=2_000, endpoint="function"),
        lines.call(dataset="a", at=3_000, experiment="x", assigned="baseline"),
        lines.call(dataset="b", at=4_000, experiment="x"),
    )
    with store.reading() as connection:
        groups = variant_statistics(connection)
        assert [(one.dataset, one.experiment, one.functions, one.variant, one.calls) for one in groups] == [
            ("a", "x", False, "baseline", 1),
            ("a", None, False, None, 1),
            ("a", None, True, None, 1),
            ("b", "x", False, None, 1),
        ]
        assert [one.dataset for one in variant_statistics(connection, dataset="b")] == ["b"]
        assert [one.calls for one in variant_statistics(connection, since=3_500)] == [1]
        assert variant_statistics(connection, experiment="unknown") == []


def test_totals_count_everything(store: Store, lines: Any, take: Any) -> None:
    """Calls, feedback, the span of time, and refused lines by the part at fault."""
    with store.reading() as connection:
        empty = totals(connection)
    assert (empty.calls, empty.first_at) == (0, None)
    take(lines.call(at=5), lines.call(at=9), lines.feedback("x", value=1), b"bad", b'{"v":9}')
    with store.reading() as connection:
        found = totals(connection)
    assert (found.calls, found.feedback, found.first_at, found.last_at) == (2, 1, 5, 9)
    assert found.refused == {"not JSON": 1, "v": 1}
