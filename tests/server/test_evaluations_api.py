"""`/v1/evaluations`, an experiment's gate and `/v1/edition-builds` on a real server with a real lab."""

from __future__ import annotations

import json
import os

import pytest
from served import wait_until

from logos_shift_openai.lab import Lab, data
from logos_shift_openai.server.datasets.builds import lease_name, open_build
from logos_shift_openai.server.datasets.choosing import Choice
from logos_shift_openai.server.evaluation.desk import EvaluationDesk
from logos_shift_openai.server.evaluation.running import Bench
from logos_shift_openai.server.store import leases
from logos_shift_openai.server.tuners.step import workshop

ASKED = {"candidate": {"model": "oracle-large", "provider": "lab"}, "edition": "e1"}


@pytest.fixture
def lab(monkeypatch):
    with Lab(latency=0) as running:
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", running.base_url)
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_API_KEY", "lab-secret-key-1234")
        yield running


@pytest.fixture
def able(server):
    """The server, with an edition of sixty held-out rows in its home and what it takes to ask them."""
    folder = server.home / "editions" / "e1"
    folder.mkdir(parents=True)
    chats = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]}
        for text, answer in data.rows("test")[:60]
    ]
    (folder / "heldout.jsonl").write_text("".join(json.dumps(chat) + "\n" for chat in chats), "utf-8")
    (folder / "train.jsonl").write_text("", "utf-8")
    (folder / "manifest.json").write_text("{}", "utf-8")
    service = server.service
    service.shop = workshop(server.store, server.home, "a-server", service.now)
    service.evaluations = EvaluationDesk(Bench(server.store, server.home, os.environ, "a-server", service.now))
    return server


def ended(server, name):
    server.service.evaluations.join(90)
    return server.ask("GET", f"/v1/evaluations/{name}", "read").json()


def test_a_candidate_is_asked_once_and_gated(able, lab):
    """Begun twice, asked once; the report is for readers; a gate is chosen on it, set, and taken away."""
    begun = able.ask("POST", "/v1/evaluations", json=ASKED)
    assert (begun.status_code, begun.json()["state"] in {"open", "passed"}) == (200, True), begun.text
    name = begun.json()["id"]
    assert able.ask("POST", "/v1/evaluations", json=ASKED).json()["id"] == name
    told = ended(able, name)
    assert (told["state"], told["answered"], told["asking"]) == ("passed", 60, False), told
    assert able.ask("POST", "/v1/evaluations", json=ASKED).json()["state"] == "passed"
    again = able.ask("POST", "/v1/evaluations", json={**ASKED, "rules": {"floor": 0.999}}).json()
    assert again["id"] == name
    assert ended(able, name)["state"] == "failed"
    listed = able.ask("GET", "/v1/evaluations", "read").json()["evaluations"]
    assert [(one["id"], one["rules"]["floor"]) for one in listed] == [(name, 0.999)]

    plan = {"key": "big", "models": ["gpt-6.1-sol"], "candidate": "oracle-large", "provider": "lab"}
    assert able.ask("POST", "/v1/experiments", json=plan).status_code == 200
    gate = "/v1/experiments/big/gate"
    chosen = able.ask("GET", f"{gate}/choice?agreement=0.7", "read").json()
    assert chosen["coverage"] > 0.3
    put = able.ask("PUT", gate, json=chosen["gate"])
    assert put.json()["experiment"]["candidate"]["gate"] == chosen["gate"]
    assert "gate" not in able.ask("DELETE", gate).json()["experiment"]["candidate"]
    none = able.ask("GET", f"{gate}/choice?agreement=0.99", "read")
    assert (none.status_code, none.json()["error"]["code"]) == (409, "no_gate")


def test_what_is_broken_off_goes_on_when_it_is_asked_for_again(able, lab):
    """It stays open with its reason and rests, for asking costs."""
    lab.faults.add("status", status=404, message="no such model")
    name = able.ask("POST", "/v1/evaluations", json=ASKED).json()["id"]
    told = ended(able, name)
    assert (told["state"], told["asking"], told["answered"]) == ("open", False, 0)
    assert "404" in told["said"]
    lab.faults.clear()
    assert able.ask("POST", "/v1/evaluations", json=ASKED).json()["id"] == name
    assert ended(able, name)["state"] == "passed"


def test_one_that_another_process_is_at_is_left_to_it(able, lab):
    """Its rules stay, and it is said that somebody asks."""
    name = able.ask("POST", "/v1/evaluations", json=ASKED).json()["id"]
    ended(able, name)
    with able.store.writing() as connection:
        leases.acquire(connection, f"evaluation-{name}", "another", 60_000, able.service.now())
    other = able.ask("POST", "/v1/evaluations", json={**ASKED, "rules": {"floor": 0.5}}).json()
    assert (other["rules"]["floor"], other["state"]) == (0.8, "passed")


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({}, 422, "name a tuning job, or a candidate"),
        ({"job": "j", "candidate": {"model": "m"}}, 422, "name a tuning job, or a candidate"),
        ({"job": "tune-none"}, 422, "there is no tuning job tune-none"),
        ({"candidate": {"model": "m"}}, 422, "name the edition"),
        ({"candidate": {"model": "m"}, "edition": "../../etc"}, 422, "no name of an edition"),
        ({"candidate": {"model": "m"}, "edition": "e2"}, 422, "there is no edition e2"),
        ({"candidate": {"model": "m", "provider": "x"}, "edition": "e1"}, 422, "LOGOS_SHIFT_PROVIDER_X_BASE_URL"),
        ({"candidate": {"model": "m", "base_url": "http://x"}, "edition": "e1"}, 400, "candidate.base_url"),
        ({"candidate": {"model": "m"}, "edition": "e1", "rules": {"floor": 7}}, 400, "rules.floor"),
        ({"candidate": {"model": "m"}, "edition": "e1", "api_key": "sk-x"}, 400, "api_key"),
    ],
)
def test_what_cannot_begin_is_said_and_not_written(able, asked, status, said):
    """By its part; and no address and no key can be sent."""
    refused = able.ask("POST", "/v1/evaluations", json=asked)
    assert (refused.status_code, said in refused.json()["error"]["message"]) == (status, True), refused.text
    assert able.ask("GET", "/v1/evaluations", "read").json() == {"evaluations": []}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/evaluations", ASKED),
        ("PUT", "/v1/experiments/x/gate", {"least": 0.5}),
        ("DELETE", "/v1/experiments/x/gate", None),
        ("POST", "/v1/edition-builds", {"dataset": "d"}),
        ("POST", "/v1/tuning/x/look", None),
    ],
)
def test_changes_need_an_admin_key(able, method, path, body):
    """The refusal is the same whatever there is; a key that may only send records learns nothing of reports."""
    for key in ("read", "ingest"):
        assert able.ask(method, path, key, json=body).status_code == 403
    for read in ("/v1/evaluations", "/v1/evaluations/x", "/v1/edition-builds", "/v1/experiments/x/gate/choice"):
        assert able.ask("GET", read, "ingest").status_code == 403


def fill(server, lines):
    asked = [json.dumps({"messages": [{"role": "user", "content": f"question {n}"}]}).encode() for n in range(40)]
    message = {"role": "assistant", "content": "a"}
    said = json.dumps({"choices": [{"finish_reason": "stop", "message": message}]}).encode()
    server.send(*(lines.call(dataset="d", request=one, response=said) for one in asked))


def test_an_edition_is_made_beside_the_requests(server, lines):
    """Answered at once; its end has the edition; the same choice again is the same build and the same edition."""
    fill(server, lines)
    begun = server.ask("POST", "/v1/edition-builds", json={"dataset": "d", "heldout": 2_000})
    assert begun.status_code == 200, begun.text
    name = begun.json()["id"]

    def build():
        return server.ask("GET", f"/v1/edition-builds/{name}", "read").json()

    wait_until(lambda: build()["state"] != "running")
    made = build()
    assert (made["state"], made["read"]) == ("made", 40), made
    edition = server.ask("GET", f"/v1/editions/{made['edition']}", "read").json()
    assert edition["manifest"]["counts"]["train"] > 0
    assert server.ask("POST", "/v1/edition-builds", json={"dataset": "d", "heldout": 2_000}).json()["id"] == name
    wait_until(lambda: build()["state"] == "made")
    assert build()["edition"] == edition["id"]
    assert [one["id"] for one in server.ask("GET", "/v1/edition-builds", "read").json()["builds"]] == [name]
    failed = server.ask("POST", "/v1/edition-builds", json={"dataset": "none"}).json()["id"]
    wait_until(lambda: server.ask("GET", f"/v1/edition-builds/{failed}").json()["state"] == "failed")
    assert "no calls of the dataset 'none'" in server.ask("GET", f"/v1/edition-builds/{failed}").json()["said"]


@pytest.mark.parametrize("path", ["/v1/editions", "/v1/edition-builds", "/v1/datasets/preview"])
def test_half_a_character_names_no_dataset(server, path):
    """A clear no, for no store can look it up."""
    refused = server.ask("POST", path, data=b'{"dataset": "a\\udb25"}', headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_body"), refused.text


def test_a_build_of_another_process_is_joined_and_one_whose_process_has_ended_is_lost(server, lines):
    """It is made anew when it is asked for again."""
    fill(server, lines)
    choice, now = Choice("d"), server.service.now()
    with server.store.writing() as connection:
        build, mine = open_build(connection, choice, "another", now)
    assert mine
    joined = server.ask("POST", "/v1/edition-builds", json={"dataset": "d"}).json()
    assert (joined["id"], joined["state"]) == (build.id, "running")
    with server.store.writing() as connection:
        lease = leases.acquire(connection, lease_name(build.id), "another", 60_000, now)
        leases.release(connection, lease)
    assert server.ask("GET", f"/v1/edition-builds/{build.id}", "read").json()["state"] == "lost"
    assert server.ask("POST", "/v1/edition-builds", json={"dataset": "d"}).json()["state"] == "running"
    wait_until(lambda: server.ask("GET", f"/v1/edition-builds/{build.id}").json()["state"] == "made")
