"""`/v1/tuning` and `/v1/examples` on a real server, with the background step as the server runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")
sys.path.insert(0, str(Path(__file__).parents[1] / "server"))

from served import Served
from sqlalchemy import update

from logos_shift_openai.core.examples import read_index
from logos_shift_openai.server.serve import make_service
from logos_shift_openai.server.store.database import open_store
from logos_shift_openai.server.store.schema import tuning_jobs
from logos_shift_openai.server.tuners.step import TuningStep, workshop


@pytest.fixture
def server(home):
    served = Served(home / "store.sqlite3")
    served.service.shop = workshop(served.store, home, "a-server", served.service.now)
    yield served
    served.close()


def test_a_candidate_with_examples_is_made_over_http(server, small):
    """Asked for twice, made once; its file is given to a key that may only read the config."""
    asked = {"tuner": "none", "edition": "small", "model": "gpt-5.4-nano", "examples": 4}
    first = server.ask("POST", "/v1/tuning", json=asked)
    assert (first.status_code, first.json()["state"]) == (200, "new")
    job_id = first.json()["id"]
    assert server.ask("POST", "/v1/tuning", json=asked).json()["id"] == job_id
    step = TuningStep(server.service.shop)
    for _ in range(3):
        step(server.store, server.service.now() + 1)
        step.join(90)
    job = server.ask("GET", f"/v1/tuning/{job_id}", "read").json()
    assert job["state"] == "succeeded", job
    found = job["candidate"]["examples"]
    assert (job["candidate"]["model"], found["count"]) == ("gpt-5.4-nano", 4)
    assert [one["id"] for one in server.ask("GET", "/v1/tuning", "read").json()["jobs"]] == [job_id]
    file = server.ask("GET", f"/v1/examples/{found['index']}", "ingest")
    assert file.headers["Content-Type"] == "application/x-ndjson"
    assert len(read_index(file.content, found["index"])) == 60
    assert server.ask("POST", f"/v1/tuning/{job_id}/cancel").json()["state"] == "succeeded"


def test_what_cannot_be_started_is_said(server, small):
    """Without an edition, without a key, without the right to."""
    asked = {"tuner": "openai", "edition": "../../etc", "model": "m", "provider": "nobody"}
    refused = server.ask("POST", "/v1/tuning", json=asked)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "cannot_start")
    assert "LOGOS_SHIFT_PROVIDER_NOBODY_BASE_URL is not set" in refused.json()["error"]["message"]
    outside = server.ask("POST", "/v1/tuning", json={**asked, "tuner": "none"})
    assert "no name of an edition" in outside.json()["error"]["message"]
    assert server.ask("POST", "/v1/tuning", "read", json=asked).status_code == 403
    for field in ("base_url", "command", "api_key"):
        assert server.ask("POST", "/v1/tuning", json={**asked, field: "x"}).status_code == 400


def test_a_cancel_over_http_is_done_by_the_background_work(server, lab, small):
    """The job that runs at the lab is cancelled there."""
    lab.faults.add("slow", on="tuning", between=600.0)
    asked = {"tuner": "openai", "edition": "small", "model": "tiny-base", "provider": "lab"}
    job_id = server.ask("POST", "/v1/tuning", json=asked).json()["id"]
    step = TuningStep(server.service.shop)
    step(server.store, server.service.now() + 1)
    step.join(90)
    assert server.ask("GET", f"/v1/tuning/{job_id}").json()["state"] == "running"
    assert server.ask("POST", f"/v1/tuning/{job_id}/cancel").json()["cancel_asked"] is True
    step(server.store, server.service.now() + 1)
    step.join(90)
    job = server.ask("GET", f"/v1/tuning/{job_id}").json()
    assert (job["state"], job["cancel_asked"]) == ("cancelled", False)


def test_a_server_with_a_home_tunes_in_its_background(tmp_path):
    """Its worker has the step."""
    store = open_store(tmp_path / "store.sqlite3")
    try:
        service = make_service(store, home=tmp_path)
        assert "tuning" in [state.name for state in service.worker.states]
        assert service.shop is not None
    finally:
        service.intake.close()
        service._readers.shutdown()
        store.close()


def test_a_job_that_rests_is_looked_at_again_when_somebody_asks(server, lab, small):
    """By the background work; one that goes on, or has ended, stays as it is."""
    lab.faults.add("slow", on="tuning", between=600.0)
    asked = {"tuner": "openai", "edition": "small", "model": "tiny-base", "provider": "lab", "deadline_hours": 1}
    job_id = server.ask("POST", "/v1/tuning", json=asked).json()["id"]
    step, hour = TuningStep(server.service.shop), 3_600_000
    step(server.store, server.service.now() + 1)
    step.join(90)
    assert server.ask("POST", f"/v1/tuning/{job_id}/look").json()["state"] == "running"
    with server.store.writing() as connection:
        connection.execute(update(tuning_jobs).values(deadline=server.service.now() - hour))
    step(server.store, server.service.now() + hour)
    step.join(90)
    assert server.ask("GET", f"/v1/tuning/{job_id}", "read").json()["state"] == "overdue"
    assert server.ask("POST", f"/v1/tuning/{job_id}/look", "read").status_code == 403
    assert server.ask("POST", f"/v1/tuning/{job_id}/look").json()["state"] == "running"
    server.ask("POST", f"/v1/tuning/{job_id}/cancel")
    step(server.store, server.service.now() + 1)
    step.join(90)
    assert server.ask("POST", f"/v1/tuning/{job_id}/look").json()["state"] == "cancelled"
    assert server.ask("POST", "/v1/tuning/none/look").status_code == 404
