"""The overview: counts, costs and savings against sums done by hand, and what waits for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.core.prices import Price
from logos_shift_openai.core.records import Attempt, CallError
from logos_shift_openai.server.config_versions import change_config
from logos_shift_openai.server.overview import overview
from logos_shift_openai.server.prices import keep_prices
from logos_shift_openai.server.store.evidence import HOUR_MS

if TYPE_CHECKING:
    from logos_shift_openai.server.overview import Overview
    from logos_shift_openai.server.store.database import Store

NOW = 1_764_000_000_000
HOUR = NOW - NOW % HOUR_MS


def seen(store: Store, **followers: tuple[int, int]) -> Overview:
    with store.reading() as connection:
        return overview(connection, NOW, followers, None)


def call(lines: Any, variant: str, model: str, *, at: int, served: str | None = None, **more: Any) -> bytes:
    usage = {"prompt_tokens": 1_000, "completion_tokens": 100}
    return bytes(
        lines.call(
            at=at,
            dataset="d",
            experiment="e",
            assigned=variant,
            served=served or variant,
            attempts=[Attempt(variant=served or variant, model=model, provider=None, ok=True, duration_ms=1.0)],
            response=json.dumps({"usage": usage}).encode(),
            **more,
        )
    )


def test_an_empty_store_has_an_overview(store: Store) -> None:
    """Nothing is divided by nothing."""
    one = seen(store)
    assert (one.calls, one.lately, one.last_at, one.series, one.datasets, one.waits) == (0, 0, None, [], [], [])
    assert (one.spending.cost, one.spending.saved, one.spending.priced) == (None, None, 0.0)


def test_costs_and_savings_are_those_done_by_hand(store: Store, lines: Any, take: Any) -> None:
    """A call that the baseline answered for the candidate saves nothing; the month is at today's share."""
    start = HOUR - 48 * HOUR_MS
    take(
        *(call(lines, "baseline", "big", at=start + number) for number in range(6)),
        *(call(lines, "candidate", "small", at=start + number) for number in range(3)),
        call(lines, "candidate", "big", at=start, served="baseline"),
    )
    plan = {"key": "e", "dataset": "d", "candidate": {"model": "small"}, "share": 5_000, "salt": "s"}
    change_config(store, lambda document: document.update(experiments=[plan]), why="test", now=NOW)
    with store.writing() as connection:
        keep_prices(connection, {"big": Price(10.0, 30.0), "small": Price(1.0, 3.0)})
    one = seen(store).spending
    big, small = 0.013, 0.0013  # dollars for a call of each
    assert one.priced == 1.0
    assert one.cost == pytest.approx(7 * big + 3 * small)
    assert one.saved == pytest.approx(3 * (big - small))
    days = (NOW - start) / 86_400_000
    assert one.saved_month == pytest.approx(10 * (big - (3 * small + big) / 4) * 0.5 * 30 / days)
    with store.writing() as connection:
        keep_prices(connection, {"big": Price(10.0, 30.0)})
    less = seen(store).spending
    assert (less.cost, less.priced, less.saved) == (pytest.approx(6 * big), pytest.approx(0.6), None)


def test_what_is_counted_by_hour_and_dataset(store: Store, lines: Any, take: Any) -> None:
    """Hours of which nothing came are left out; what is older than the series counts in the whole alone."""
    error = CallError(type="E", message="no")
    take(
        call(lines, "baseline", "big", at=HOUR),
        call(lines, "candidate", "small", at=HOUR + 1, error=error),
        call(lines, "baseline", "big", at=HOUR - 30 * HOUR_MS),
        lines.call(dataset="old", at=HOUR - 100 * HOUR_MS),
    )
    one = seen(store)
    assert (one.calls, one.lately, one.errors_lately, one.last_at) == (4, 2, 1, HOUR + 1)
    points = [(point.start, point.calls, point.errors, point.candidate) for point in one.series]
    assert points == [(HOUR - 30 * HOUR_MS, 1, 0, 0), (HOUR, 2, 1, 1)]
    assert [(line.dataset, line.calls, line.errors) for line in one.datasets] == [("d", 3, 1), ("old", 1, 0)]


def test_refused_lines_wait_for_a_person(store: Store, take: Any) -> None:
    """With the part at fault."""
    take(b'{"kind": "x"}\n')
    one = seen(store)
    assert sum(one.refused.values()) == 1
    assert [waits.kind for waits in one.waits] == ["refused"]
    assert one.waits[0].words.startswith("1 line was refused")
