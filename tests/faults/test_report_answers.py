"""No answer to what a process says of itself changes the way of its records: servers old, full, hostile or hanging."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from fault_servers import Collector, Provider

import logos_shift_openai as ours
from logos_shift_openai.client.runtime import EXIT_SECONDS, sole_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as one:
        monkeypatch.setenv("LOGOS_SHIFT_URL", one.url)
        yield one


def ask(client: ours.OpenAI, times: int = 3) -> None:
    for _ in range(times):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello"}])


@pytest.mark.parametrize("answer", [200, 302, 400, 401, 403, 404, 405, 413, 429, 500, 503, "garbage", "hang"])
def test_the_records_arrive_whatever_a_report_is_answered(collector: Collector, answer: int | str) -> None:
    """Those before, those behind it, and at the end; none of it is a fault of the uploads."""
    collector.to_reports = answer
    with Provider() as provider:
        client = ours.OpenAI(base_url=f"{provider.url}/v1", api_key="k")
        runtime = sole_runtime()
        ask(client)
        runtime.reports._due = 0.0
        assert ours.flush(60)
        assert len(collector.records) == 3
        assert len(collector.reports) == 1
        ask(client)
        assert ours.flush(60)
        assert len(collector.records) == 6
        assert len(collector.reports) == 1  # no sooner than in a minute
        assert not {"send_failed", "unauthorized"} & set(ours.stats())
        ask(client)
        since = time.monotonic()
        runtime.close(since + EXIT_SECONDS)
        assert len(collector.records) == 9
        assert collector.reports[-1]["ended"]
        client.close()


def test_a_server_that_is_away_is_told_nothing(collector: Collector) -> None:
    """The records wait for it, and so does the report."""
    with Provider() as provider:
        client = ours.OpenAI(base_url=f"{provider.url}/v1", api_key="k")
        runtime = sole_runtime()
        collector.fault = 503
        ask(client)
        runtime.reports._due = 0.0
        assert not ours.flush(2)
        runtime.close(time.monotonic() + EXIT_SECONDS)
        assert collector.reports == []
        assert collector.records == {}
        client.close()
