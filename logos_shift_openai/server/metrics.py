"""Counts of one server process, in the text format of Prometheus.

Owns the table of what is counted: a name that does not stand in it cannot be. Format: Prometheus text format
0.0.4. Labels have few values each: routes are templates, never paths that were asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
_BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

# Name: kind, labels, meaning.
COUNTERS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "logos_http_requests_total": (("method", "route", "status"), "Requests answered."),
    "logos_records_total": (("outcome",), "Lines of batches, by what became of them: new, seen or refused."),
    "logos_batches_turned_away_total": ((), "Batches answered 503 because the queue was full."),
    "logos_rate_limited_total": (("by",), "Requests answered 429, by the key's rate or by failures of an address."),
    "logos_unauthorized_total": ((), "Requests without a good key."),
    "logos_errors_total": (("kind",), "Requests that ended in a fault of ours: store or internal."),
    "logos_shift_client_records_kept_total": ((), "Records that clients' spools took, as their reports here say."),
    "logos_shift_client_records_lost_total": (("reason",), "Records that clients lost, as their reports here say."),
    "logos_clients_gone_total": ((), "Clients that went away before their request was whole."),
}
GAUGES: Final[Mapping[str, str]] = {
    "logos_queue_batches": "Batches being written or waiting.",
    "logos_queue_bytes": "Bytes of these batches.",
    "logos_config_version": "Version of the live config.",
    "logos_config_waiting": "Long polls that wait for a new config.",
    "logos_leader": "1 where this process does the background work.",
    "logos_step_failures": "Background steps of this process whose last turn failed.",
    "logos_start_time_seconds": "When this process started, seconds since 1970.",
}
_DURATION: Final = "logos_http_request_seconds"


class Metrics:
    """What this process counted since it started."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, tuple[str, ...]], int] = {
            (name, ()): 0 for name, of in COUNTERS.items() if not of[0]
        }
        self._times: dict[str, list[float]] = {}

    def add(self, name: str, *labels: str, count: int = 1) -> None:
        """Count something; `labels` in the order of the table."""
        key = (name, labels)
        self._counts[key] = self._counts.get(key, 0) + count

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request and the time it took."""
        self.add("logos_http_requests_total", method, route, str(status))
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = [0.0] * (len(_BOUNDS) + 2)  # each bound, beyond them all, the sum
        times[next((index for index, bound in enumerate(_BOUNDS) if seconds <= bound), len(_BOUNDS))] += 1
        times[-1] += seconds

    def value(self, name: str, *labels: str) -> int:
        """Give a count."""
        return self._counts.get((name, labels), 0)

    def text(self, gauges: Mapping[str, float]) -> bytes:
        """Write everything out.

        Args:
            gauges: What is measured now, by the names of the table.
        """
        return ("\n".join(self._lines(gauges)) + "\n").encode()

    def _lines(self, gauges: Mapping[str, float]) -> Iterable[str]:
        for name, (labels, meaning) in COUNTERS.items():
            yield from _head(name, "counter", meaning)
            for (of, values), counted in sorted(self._counts.items()):
                if of == name:
                    yield f"{name}{_labels(labels, values)} {counted}"
        for name, meaning in GAUGES.items():
            yield from _head(name, "gauge", meaning)
            yield f"{name} {gauges[name]:.17g}"
        yield from _head(_DURATION, "histogram", "Time to answer, by route.")
        for route, times in sorted(self._times.items()):
            total = 0.0
            for bound, count in zip((*map(str, _BOUNDS), "+Inf"), times, strict=False):
                total += count
                yield f"{_DURATION}_bucket{_labels(('route', 'le'), (route, bound))} {total:.0f}"
            yield f"{_DURATION}_sum{_labels(('route',), (route,))} {times[-1]:.6f}"
            yield f"{_DURATION}_count{_labels(('route',), (route,))} {total:.0f}"


def _head(name: str, kind: str, meaning: str) -> tuple[str, str]:
    return f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    if not names:
        return ""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
