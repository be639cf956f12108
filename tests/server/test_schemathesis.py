"""Schemathesis makes requests of the OpenAPI document, right ones and wrong ones: no 5xx, and answers as documented."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

TAKES = 30
schemathesis = pytest.importorskip("schemathesis")


@schemathesis.serializer("application/x-ndjson", "application/ndjson", "application/jsonl")
def ndjson(_context, value):
    """Send what it makes as it stands."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.mark.filterwarnings("ignore")
def test_requests_made_of_the_document(serve):
    """A bounded number for each operation."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    server = serve(limits={"requests_per_second": 0, "failures_per_second": 0})
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    headers = {"Authorization": f"Bearer {server.keys['admin']}"}
    checks = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
    asked = set()
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=25,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def attempt(case):
            if case.path == "/v1/config" and case.method == "GET":
                case.query = {**(case.query or {}), "wait": 0}
            case.call_and_validate(headers=headers, checks=checks)

        for mode in schemathesis.GenerationMode:
            strategy = operation.as_strategy(generation_mode=mode)
            with contextlib.suppress(Unsatisfiable):  # where nothing can be asked wrongly
                given(case=strategy)(attempt)()
        asked.add(operation.label)
    assert len(asked) > 15
