"""Editions over HTTP: made, listed, downloaded in parts, removed; by whom, and what is said where it cannot be."""

from __future__ import annotations

import hashlib
import json

import pytest


def fill(server, lines, count=60):
    calls = []
    for number in range(count):
        request = {"messages": [{"role": "user", "content": f"question {number} " + "word " * 400}]}
        answer = {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": f"a{number % 3}"}}]}
        calls.append(
            lines.call(dataset="d", request=json.dumps(request).encode(), response=json.dumps(answer).encode())
        )
    assert server.send(*calls).json()["new"] == count


def test_made_listed_downloaded_removed(server, lines):
    """The bytes that come are those whose hashes the manifest has."""
    fill(server, lines)
    made = server.ask("POST", "/v1/editions", json={"dataset": "d", "heldout": 2_000})
    assert made.status_code == 200, made.text
    edition = made.json()
    assert server.ask("POST", "/v1/editions", json={"dataset": "d", "heldout": 2_000}).json() == edition
    assert server.ask("GET", "/v1/editions?dataset=d", "read").json()["editions"] == [edition]
    assert server.ask("GET", f"/v1/editions/{edition['id'][:6]}", "read").json() == edition
    for name, said in edition["manifest"]["files"].items():
        if name.endswith(".jsonl"):
            whole = server.ask("GET", f"/v1/editions/{edition['id']}/{name}", "read")
            assert whole.headers["Content-Type"] == "application/x-ndjson"
            assert int(whole.headers["Content-Length"]) == said["bytes"] == len(whole.content)
            assert hashlib.sha256(whole.content).hexdigest() == said["sha256"]
    trl = server.ask("GET", f"/v1/editions/{edition['id']}/heldout.jsonl?dialect=trl", "read")
    rows = [json.loads(line) for line in trl.content.splitlines()]
    assert len(rows) == edition["manifest"]["counts"]["heldout"]
    assert set(rows[0]) == {"prompt", "completion"}
    other = server.ask("GET", f"/v1/editions/{edition['id']}/train.jsonl?dialect=openai-preference", "read")
    assert (other.status_code, other.json()["error"]["where"]) == (400, "dialect")
    assert server.ask("DELETE", f"/v1/editions/{edition['id']}").status_code == 200
    assert server.ask("GET", f"/v1/editions/{edition['id']}").status_code == 404


def test_by_whom(server, lines):
    """Reading needs a read key, making and removing an admin key."""
    fill(server, lines, 12)
    assert server.ask("GET", "/v1/datasets", "ingest").status_code == 403
    assert server.ask("POST", "/v1/editions", "read", json={"dataset": "d"}).status_code == 403
    assert server.ask("DELETE", "/v1/editions/abc", "read").status_code == 403
    assert server.ask("GET", "/v1/editions", "read").json() == {"editions": []}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"dataset": "none"}, 409),
        ({"dataset": "d\0"}, 409),
        ({"dataset": "d", "model": "another"}, 409),
        ({"dataset": "d", "heldout": 10_000}, 400),
        ({"dataset": "d", "near": 0}, 400),
        ({"dataset": "d", "nix": 1}, 400),
        ({}, 400),
    ],
)
def test_what_cannot_be_made_is_said(server, lines, body, status):
    """With the reason, and nothing is left behind."""
    fill(server, lines, 12)
    answer = server.ask("POST", "/v1/editions", json=body)
    assert (answer.status_code, bool(answer.json()["error"]["message"])) == (status, True)
    assert server.ask("GET", "/v1/editions").json() == {"editions": []}


def test_a_server_without_a_place_says_so(serve, lines):
    """It lists what others made, and makes none."""
    server = serve(editions=None)
    fill(server, lines, 12)
    answer = server.ask("POST", "/v1/editions", json={"dataset": "d"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_place")
