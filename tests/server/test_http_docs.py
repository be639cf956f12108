"""The page on the API has the table of the endpoints, and the page on the server its limits and options."""

from __future__ import annotations

from pathlib import Path

from logos_shift_openai.server.app import ENDPOINTS
from logos_shift_openai.server.limits import MEBIBYTE, Limits

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_of_endpoints_is_the_code_s():
    """Row by row, in its order."""
    page = (DOCS / "http-api.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith(("| `GET", "| `POST", "| `PUT", "| `DELETE"))]
    assert rows == [f"| `{one.method} {one.path}` | {one.scope or 'none'} | {one.summary} |" for one in ENDPOINTS]


def test_the_limits_are_the_code_s():
    """As they are by default."""
    page = (DOCS / "self-hosting.md").read_text(encoding="utf-8")
    limits = Limits()
    for said in (
        f"| {limits.body_bytes // MEBIBYTE} MiB / {limits.inflated_bytes // MEBIBYTE} MiB |",
        f"| {limits.lines:,} |",
        f"| {limits.line_bytes // MEBIBYTE} MiB |",
        f"| {limits.header_seconds:g} s / {limits.body_seconds:g} s |",
        f"| {limits.queue_batches}, or {limits.queue_bytes // MEBIBYTE} MiB |",
        f"| {limits.requests_per_second:,.0f} a second",
        f"| {limits.failures_per_second:g} a second |",
        f"`--shutdown-seconds` ({limits.shutdown_seconds:g})",
    ):
        assert said in page
