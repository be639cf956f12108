"""`/v1/autopilot` on a real server, with its background steps taken by hand, over a real lab."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")
sys.path.insert(0, str(Path(__file__).parents[1] / "server"))

from autopilot_parts import DATASET, put_calls, some_rows
from served import Served

from logos_shift_openai.server.autopilot.acts import Cockpit
from logos_shift_openai.server.autopilot.running import AutopilotStep
from logos_shift_openai.server.evaluation.running import Bench
from logos_shift_openai.server.tuners.step import TuningStep, workshop

POLICY = {
    "models": ["gpt-big"],
    "base": "oracle-large",
    "tuner": "none",
    "provider": "lab",
    "new_examples": 100,
    "rows": 50,
    "heldout": 2_500,
    "gate": {"rows": 10},
}
PATH = f"/v1/autopilot/{DATASET}"


@pytest.fixture
def server(home):
    served = Served(home / "store.sqlite3")
    served.service.shop = workshop(served.store, home, "a-server", served.service.now)
    yield served
    served.close()


def test_a_round_on_a_server(server, home, lab):
    """The policy is put, each word is given over HTTP, and the experiment stands in the server's config."""
    put_calls(server.store, server.service.now(), some_rows(150))
    put = server.ask("PUT", PATH, json={"policy": POLICY})
    assert (put.status_code, put.json()["mode"], put.json()["phase"]) == (200, "notify", "waiting")
    shop = server.service.shop
    step = AutopilotStep(Cockpit(shop, Bench(server.store, home, os.environ, "a-server", shop.now), None))
    tuning = TuningStep(shop)

    def look():
        for _ in range(3):
            for one in (tuning, step):
                one(server.store, server.service.now() + 1)
                one.join(90)
        return server.ask("GET", PATH, "read").json()

    for wanted in ("tune", "evaluate"):
        assert look()["asks"] == wanted
        other = server.ask("POST", f"{PATH}/approve?step=roll_out")
        assert (other.status_code, other.json()["error"]["where"]) == (409, "step")
        waits = server.ask("GET", "/v1/overview", "read").json()["waits"]
        assert [(one["kind"], one["dataset"]) for one in waits] == [("autopilot", DATASET)]
        assert server.ask("POST", f"{PATH}/approve").status_code == 200
    assert look()["asks"] == "roll_out"
    assert server.ask("POST", f"{PATH}/mode", json={"mode": "on"}).json()["mode"] == "on"
    assert look()["phase"] == "rolling"
    assert server.ask("GET", "/v1/rollouts/banking-auto-1", "read").json()["phase"] == "ramping"
    steps = server.ask("GET", f"{PATH}/history?limit=3", "read").json()["steps"]
    assert [one["step"] for one in steps] == ["rollout", "policy", "asks"]
    assert [one["dataset"] for one in server.ask("GET", "/v1/autopilot", "read").json()["autopilots"]] == [DATASET]
    job = server.ask("GET", "/v1/tuning", "read").json()["jobs"][0]["id"]
    (report,) = server.ask("GET", f"/v1/tuning/{job}/evaluations", "read").json()["evaluations"]
    assert (report["state"], report["edition"]) == ("passed", server.ask("GET", PATH).json()["state"]["edition"])
    assert report["report"]["rows"] > 10


def test_what_cannot_be_is_said(server):
    """A policy with a fault by its path; a reader may change nothing."""
    bad = server.ask("PUT", PATH, json={"policy": {**POLICY, "gate": {"floor": 3}}})
    assert (bad.status_code, "policy.gate.floor" in bad.json()["error"]["message"]) == (400, True)
    assert server.ask("PUT", PATH, "read", json={"policy": POLICY}).status_code == 403
    for method, path in (("GET", PATH), ("POST", f"{PATH}/approve")):
        assert server.ask(method, path).status_code == 404
    assert server.ask("PUT", PATH, json={"policy": POLICY}).status_code == 200
    nothing = server.ask("POST", f"{PATH}/approve")
    assert "asks for nothing" in nothing.json()["error"]["message"]
