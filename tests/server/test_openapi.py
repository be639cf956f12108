"""The OpenAPI document is true: it names the routes there are, and answers are as it says."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest
from served import NDJSON, ids

from logos_shift_openai.server.app import ENDPOINTS


@pytest.fixture
def document(server):
    return server.ask("GET", "/openapi.json", None).json()


def test_it_names_every_route_and_no_other(server, document):
    """Asked for on the wire: what a path takes stands in `Allow`; OPTIONS and HEAD go without saying."""
    said = {path: {method.upper() for method in methods} for path, methods in document["paths"].items()}
    assert {(method, path) for path, methods in said.items() for method in methods} == {
        (one.method, one.path) for one in ENDPOINTS
    }
    for path, methods in said.items():
        refused = server.ask("PATCH", re.sub(r"{\w+}", "x", path))
        assert (refused.status_code, refused.json()["error"]["code"]) == (405, "no_method")
        assert set(refused.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"} == methods
    nothing = server.ask("GET", "/v2/records")
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (404, "not_found")
    for path in ("/health", "/v1/calls"):
        head, whole = server.ask("HEAD", path), server.ask("GET", path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Type"] == whole.headers["Content-Type"]


def test_it_is_whole(document):
    """Every reference leads somewhere, every id stands once."""
    text = json.dumps(document)
    for name in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert name in document["components"]["schemas"]
    operations = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(set(operations)) == len(operations)
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_what_is_answered_is_as_it_says(server, lines, document):
    """Each operation is asked, the refusals too; status and body must be in the document."""
    one = lines.call(experiment="e", assigned="candidate", dataset="d")
    plan = {"key": "e", "models": ["m"], "candidate": "c"}
    own = {"X-Logos-Shift": "test", "Sec-Fetch-Site": "same-origin"}
    key_id = server.ask("POST", "/v1/keys", json={"scope": "read"}).json()["id"]
    asked = [
        ("POST", "/v1/records", "/v1/records", {"data": one + b"no\n", "headers": NDJSON}),
        ("POST", "/v1/records", "/v1/records", {"data": one, "headers": {"Content-Type": "a/b"}}),
        ("POST", "/v1/clients", "/v1/clients", {"json": {"process": "a" * 32, "sequence": 1, "counts": {"closed": 1}}}),
        ("POST", "/v1/clients", "/v1/clients", {"json": {"process": "a", "sequence": 1, "counts": {}}}),
        ("GET", "/v1/clients", "/v1/clients", {}),
        ("POST", "/v1/feedback", "/v1/feedback", {"json": {"call_id": ids(one), "value": 0.5, "correction": {"a": 1}}}),
        ("POST", "/v1/feedback", "/v1/feedback", {"json": {"call_id": "c"}}),
        ("POST", "/v1/feedback-tokens", "/v1/feedback-tokens", {"json": {"call_id": "c"}}),
        ("GET", "/v1/calls", "/v1/calls?limit=1&feedback=success", {}),
        ("GET", "/v1/calls", "/v1/calls?limit=0", {}),
        ("GET", "/v1/calls/{id}", f"/v1/calls/{ids(one)}", {}),
        ("GET", "/v1/calls/{id}", "/v1/calls/none", {}),
        ("GET", "/v1/stats", "/v1/stats?dataset=d", {}),
        ("POST", "/v1/experiments", "/v1/experiments", {"json": plan}),
        ("POST", "/v1/experiments", "/v1/experiments", {"json": plan}),
        ("POST", "/v1/experiments/{key}/share", "/v1/experiments/e/share", {"json": {"share": 1}}),
        ("POST", "/v1/experiments/{key}/pause", "/v1/experiments/e/pause", {}),
        ("POST", "/v1/experiments/{key}/resume", "/v1/experiments/e/resume", {}),
        ("GET", "/v1/autopilot", "/v1/autopilot", {}),
        ("GET", "/v1/autopilot/{dataset}", "/v1/autopilot/d", {}),
        ("PUT", "/v1/autopilot/{dataset}", "/v1/autopilot/d", {"json": {"policy": {"models": ["m"], "base": "b"}}}),
        ("POST", "/v1/autopilot/{dataset}/mode", "/v1/autopilot/d/mode", {"json": {"mode": "off"}}),
        ("POST", "/v1/autopilot/{dataset}/approve", "/v1/autopilot/d/approve", {}),
        ("GET", "/v1/autopilot/{dataset}/history", "/v1/autopilot/d/history", {}),
        ("GET", "/v1/rollouts/{experiment}", "/v1/rollouts/e", {}),
        ("POST", "/v1/rollouts/{experiment}", "/v1/rollouts/e", {"json": {"policy": {"margin": 7}}}),
        ("POST", "/v1/rollouts/{experiment}", "/v1/rollouts/e", {"json": {}}),
        ("POST", "/v1/rollouts/{experiment}", "/v1/rollouts/e", {"json": {}}),
        ("POST", "/v1/experiments/{key}/share", "/v1/experiments/e/share", {"json": {"share": 7}}),
        ("POST", "/v1/rollouts/{experiment}/pause", "/v1/rollouts/e/pause", {"headers": {"If-Match": '"x"'}}),
        ("POST", "/v1/rollouts/{experiment}/pause", "/v1/rollouts/e/pause", {}),
        ("POST", "/v1/rollouts/{experiment}/resume", "/v1/rollouts/e/resume", {}),
        ("PUT", "/v1/rollouts/{experiment}/policy", "/v1/rollouts/e/policy", {"json": {"policy": {"unit": "call"}}}),
        ("PUT", "/v1/rollouts/{experiment}/policy", "/v1/rollouts/e/policy", {"json": {"policy": {"alpha": 0.2}}}),
        ("POST", "/v1/rollouts/{experiment}/promote", "/v1/rollouts/e/promote", {}),
        ("POST", "/v1/rollouts/{experiment}/rollback", "/v1/rollouts/e/rollback", {}),
        ("POST", "/v1/rollouts/{experiment}/rollback", "/v1/rollouts/e/rollback", {}),
        ("GET", "/v1/rollouts/{experiment}", "/v1/rollouts/e", {}),
        ("GET", "/v1/rollouts", "/v1/rollouts", {}),
        ("GET", "/v1/rollouts/{experiment}/decisions", "/v1/rollouts/e/decisions?limit=1", {}),
        ("GET", "/v1/rollouts/{experiment}/decisions", "/v1/rollouts/nix/decisions", {}),
        ("POST", "/v1/experiments/{key}/stop", "/v1/experiments/nix/stop", {}),
        ("POST", "/v1/experiments/{key}/stop", "/v1/experiments/e/stop", {}),
        ("GET", "/v1/experiments/{key}", "/v1/experiments/e", {}),
        ("GET", "/v1/experiments", "/v1/experiments", {}),
        ("POST", "/v1/tuning", "/v1/tuning", {"json": {"tuner": "none", "edition": "e", "model": "m"}}),
        ("POST", "/v1/tuning", "/v1/tuning", {"json": {"tuner": "nobody", "edition": "e", "model": "m"}}),
        ("GET", "/v1/tuning", "/v1/tuning", {}),
        ("GET", "/v1/tuning/{id}", "/v1/tuning/none", {}),
        ("GET", "/v1/tuning/{id}/evaluations", "/v1/tuning/none/evaluations", {}),
        ("GET", "/v1/evaluations/{id}/answers", "/v1/evaluations/none/answers", {}),
        ("GET", "/v1/evaluations/{id}/answers", "/v1/evaluations/none/answers?limit=0", {}),
        ("GET", "/v1/refused", "/v1/refused", {}),
        ("POST", "/v1/tuning/{id}/cancel", "/v1/tuning/none/cancel", {}),
        ("POST", "/v1/tuning/{id}/look", "/v1/tuning/none/look", {}),
        ("GET", "/v1/evaluations", "/v1/evaluations?limit=1", {}),
        ("POST", "/v1/evaluations", "/v1/evaluations", {"json": {"candidate": {"model": "m"}, "edition": "e"}}),
        ("POST", "/v1/evaluations", "/v1/evaluations", {"json": {"rules": {"floor": 2}}}),
        ("GET", "/v1/evaluations/{id}", "/v1/evaluations/none", {}),
        ("GET", "/v1/experiments/{key}/gate/choice", "/v1/experiments/e/gate/choice", {}),
        ("GET", "/v1/experiments/{key}/gate/choice", "/v1/experiments/e/gate/choice?agreement=2", {}),
        ("PUT", "/v1/experiments/{key}/gate", "/v1/experiments/e/gate", {"json": {"least": 0.5}}),
        ("DELETE", "/v1/experiments/{key}/gate", "/v1/experiments/e/gate", {}),
        ("DELETE", "/v1/experiments/{key}/gate", "/v1/experiments/nix/gate", {}),
        ("POST", "/v1/edition-builds", "/v1/edition-builds", {"json": {"dataset": "d"}}),
        ("POST", "/v1/edition-builds", "/v1/edition-builds", {"json": {"dataset": "d", "heldout": -1}}),
        ("GET", "/v1/edition-builds", "/v1/edition-builds", {}),
        ("GET", "/v1/edition-builds/{id}", "/v1/edition-builds/none", {}),
        ("GET", "/v1/examples/{name}", "/v1/examples/none", {}),
        ("GET", "/v1/config", "/v1/config", {}),
        ("PUT", "/v1/config", "/v1/config", {"json": {"document": {}}}),
        ("PUT", "/v1/config", "/v1/config", {"json": {"document": {}, "expected_version": 0}}),
        ("GET", "/v1/config/versions", "/v1/config/versions", {}),
        ("GET", "/v1/datasets", "/v1/datasets", {}),
        ("POST", "/v1/editions", "/v1/editions", {"json": {"dataset": "d"}}),
        ("POST", "/v1/editions", "/v1/editions", {"json": {"dataset": "d", "heldout": 10_000}}),
        ("GET", "/v1/editions", "/v1/editions?dataset=d", {}),
        ("GET", "/v1/editions/{id}", "/v1/editions/none", {}),
        ("GET", "/v1/editions/{id}/train.jsonl", "/v1/editions/none/train.jsonl", {}),
        ("GET", "/v1/editions/{id}/heldout.jsonl", "/v1/editions/none/heldout.jsonl?dialect=nix", {}),
        ("GET", "/v1/editions/{id}/heldout-asked.jsonl", "/v1/editions/none/heldout-asked.jsonl", {}),
        ("DELETE", "/v1/editions/{id}", "/v1/editions/none", {}),
        ("GET", "/v1/keys", "/v1/keys", {}),
        ("POST", "/v1/keys", "/v1/keys", {"json": {"scope": "ingest"}}),
        ("POST", "/v1/keys", "/v1/keys", {"json": {"scope": "king"}}),
        ("DELETE", "/v1/keys/{id}", f"/v1/keys/{key_id}", {}),
        ("GET", "/v1/notifications", "/v1/notifications?limit=1", {}),
        ("GET", "/v1/notifications", "/v1/notifications?limit=0", {}),
        ("POST", "/v1/notifications/test", "/v1/notifications/test", {"json": {}}),
        ("POST", "/v1/notifications/test", "/v1/notifications/test", {"json": {"channel": "none"}}),
        ("GET", "/v1/overview", "/v1/overview", {}),
        ("GET", "/v1/prices", "/v1/prices", {}),
        ("PUT", "/v1/prices", "/v1/prices", {"json": {"prices": [{"model": "m", "input": 1, "output": 2}]}}),
        ("GET", "/v1/shadows", "/v1/shadows?experiment=none&differ=true", {}),
        ("GET", "/v1/shadows", "/v1/shadows?limit=0", {}),
        ("POST", "/v1/datasets/preview", "/v1/datasets/preview", {"json": {"dataset": "d"}}),
        ("POST", "/v1/datasets/preview", "/v1/datasets/preview", {"json": {"dataset": "d", "near": 2}}),
        ("POST", "/v1/redaction", "/v1/redaction", {"json": {"body": {"a": "b"}, "rules": "secrets"}}),
        ("POST", "/v1/redaction", "/v1/redaction", {"json": {"body": "x", "rules": "no such rule"}}),
        ("POST", "/v1/session", "/v1/session", {"json": {"key": server.keys["read"]}, "headers": own}),
        ("POST", "/v1/session", "/v1/session", {"json": {"key": "no"}, "headers": own}),
        ("POST", "/v1/session", "/v1/session", {"json": {"key": "no"}}),
        ("GET", "/v1/session", "/v1/session", {}),
        ("DELETE", "/v1/session", "/v1/session", {"headers": own}),
        ("GET", "/health", "/health", {}),
        ("GET", "/ready", "/ready", {}),
        ("GET", "/metrics", "/metrics", {}),
        ("GET", "/openapi.json", "/openapi.json", {}),
    ]
    seen = set()
    for method, path, address, options in asked:
        answer = server.ask(method, address, **options)
        seen.add((method, path))
        responses = document["paths"][path][method.lower()]["responses"]
        assert str(answer.status_code) in responses, (method, address, answer.text)
        ((media, content),) = responses[str(answer.status_code)]["content"].items()
        assert answer.headers["Content-Type"].startswith(media)
        if media == "application/json":
            schema = {**content["schema"], "components": document["components"]}
            jsonschema.Draft202012Validator(schema).validate(answer.json())
    assert seen == {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}


def test_metrics_are_in_the_text_format(server):
    """Each series has its HELP and TYPE before it, and a number after it."""
    server.ask("GET", "/v1/calls", "read")
    answer = server.ask("GET", "/metrics", "read")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    declared = set()
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            declared.add(line.split()[2])
        elif not line.startswith("#"):
            series, number = line.rsplit(" ", 1)
            float(number)
            name = series.partition("{")[0]
            assert name in declared or name.rsplit("_", 1)[0] in declared
    assert 'logos_http_request_seconds_count{route="/v1/calls"} 1' in answer.text
