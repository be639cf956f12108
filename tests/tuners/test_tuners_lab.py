"""The tuner `openai` against the lab: the whole way, and every place where a process may be killed."""

from __future__ import annotations

import json

import openai
import pytest
from tuning_parts import begin, until

from logos_shift_openai.lab import data
from logos_shift_openai.server.tuners.jobs import ask_to_cancel, find_job
from logos_shift_openai.server.tuners.machine import advance
from logos_shift_openai.server.tuners.protocol import Settings

TINY = Settings("tiny-base", "lab", seed=1, suffix="intents")


def sdk(lab):
    return openai.OpenAI(base_url=lab.base_url, api_key="any", max_retries=0)


def sent(lab, method, path):
    return [one for one in lab.requests if one.method == method and one.path == path]


def test_from_an_edition_to_answers(lab, edition, shop):
    """500 shipped rows: files, job, curves, model; it answers at least .93 of the held-out rows."""
    job = until(shop, begin(shop, TINY, edition="e1").id, "succeeded", "failed")
    assert job.state == "succeeded", job.said
    assert job.candidate["model"].startswith("ft:tiny-base:lab:intents:")
    assert job.candidate["provider"] == "lab"
    assert job.fraction == 1.0
    assert job.points[-1]["valid_loss"] < job.points[0]["train_loss"]
    right = 0
    with sdk(lab) as client:
        for line in data.rows("test"):
            system = json.loads(edition.train.read_text().splitlines()[0])["messages"][0]
            answer = client.chat.completions.create(
                model=job.candidate["model"], messages=[system, {"role": "user", "content": line[0]}]
            )
            right += answer.choices[0].message.content == line[1]
    assert right / len(data.rows("test")) >= 0.93


def test_no_key_is_kept_or_shown(lab, small, shop, home, caplog):
    """Neither in the store, nor in what is shown, nor in the log; the lab's own text is quoted without it."""
    lab.faults.add("status", on="jobs.create", count=1, status=400, message="bad key lab-secret-key-1234")
    job = advance(shop, begin(shop, TINY).id)
    assert (job.state, job.said) == ("failed", "creating the job: bad key [key]")
    assert b"lab-secret-key-1234" not in (home / "store.sqlite3").read_bytes()
    assert "lab-secret-key-1234" not in json.dumps(job.to_json()) + caplog.text


class Killed(BaseException):
    """The process ends here."""


KILLED_AFTER = {
    "nothing": ("files", "create", "before"),
    "the first file": ("files", "create", "after"),
    "the files": ("jobs", "create", "before"),
    "the job": ("jobs", "create", "after"),
}


@pytest.mark.parametrize("place", KILLED_AFTER)
def test_killed_at_the_start_and_found_again(lab, small, shop, monkeypatch, place):
    """Whatever was there is found; in the end there are two files and one job."""
    noun, verb, when = KILLED_AFTER[place]
    target = openai.resources.Files if noun == "files" else openai.resources.fine_tuning.Jobs
    real = getattr(target, verb)

    def dies(self, *args, **kwargs):
        if when == "after":
            real(self, *args, **kwargs)
        raise Killed

    job = begin(shop, TINY)
    with monkeypatch.context() as patched:
        patched.setattr(target, verb, dies)
        with pytest.raises(Killed):
            advance(shop, job.id)
    with shop.store.reading() as connection:
        assert find_job(connection, job.id).state == "starting"
    assert until(shop, job.id, "succeeded").candidate
    assert len(sent(lab, "POST", "/v1/files")) == 2
    assert len(sent(lab, "POST", "/v1/fine_tuning/jobs")) == 1


def test_a_lost_answer_to_the_create_is_looked_for(lab, small, shop, clock, monkeypatch):
    """The job is made, the answer lost: it is not a failure, and the next turn finds the job."""
    real = openai.resources.fine_tuning.Jobs.create

    def lost(self, *args, **kwargs):
        real(self, *args, **kwargs)
        raise openai.APIConnectionError(request=None)

    with monkeypatch.context() as patched:
        patched.setattr(openai.resources.fine_tuning.Jobs, "create", lost)
        job = advance(shop, begin(shop, TINY).id)
    assert (job.state, job.attempts) == ("starting", 1)
    assert "cannot be reached" in job.said
    assert job.due > clock()
    assert until(shop, job.id, "succeeded").candidate
    assert len(sent(lab, "POST", "/v1/files")) == 2
    assert len(sent(lab, "POST", "/v1/fine_tuning/jobs")) == 1


def test_an_upload_that_is_cut_is_tried_again_and_then_said(lab, small, shop):
    """Eight times; then somebody must look, and one look later it goes on."""
    lab.faults.add("drop", on="files", count=100)
    job = begin(shop, TINY)
    for _ in range(8):
        found = advance(shop, job.id)
    assert found.state == "unsure"
    assert "logos-shift tune status" in found.next_step
    lab.faults.clear()
    assert advance(shop, job.id).state == "unsure"
    assert advance(shop, job.id, look_again=True).state == "running"


def test_a_tuner_that_never_ends_is_overdue(lab, small, shop, clock):
    """At its deadline; it rests then, with both ways on, and a cancel ends it there too."""
    lab.faults.add("slow", on="tuning", between=600.0)
    job = until(shop, begin(shop, TINY, hours=2).id, "running")
    clock.at += 2 * 3_600_000
    job = until(shop, job.id, "overdue")
    assert f"tune status {job.id}" in job.next_step
    assert f"tune cancel {job.id}" in job.next_step
    assert advance(shop, job.id) == job
    with shop.store.writing() as connection:
        ask_to_cancel(connection, job.id, clock())
    assert advance(shop, job.id).state == "cancelled"
    with sdk(lab) as client:
        assert [one.status for one in client.fine_tuning.jobs.list()] == ["cancelled"]


def test_a_model_that_nobody_serves(lab, small, shop, clock):
    """It waits for it half an hour, then rests as unserved; another look finds it served."""
    lab.faults.add("status", on="chat", status=404, code="model_not_found", message="gone")
    job = until(shop, begin(shop, TINY).id, "deploying")
    assert "nobody serves ft:tiny-base" in job.said
    clock.at += 1_800_000
    job = until(shop, job.id, "unserved")
    assert "deploy the model" in job.next_step
    lab.faults.clear()
    assert advance(shop, job.id, look_again=True).state == "succeeded"


def test_fine_tuning_that_is_closed_says_the_dates_and_the_other_ways(lab, small, shop):
    """In one message."""
    code = "training_not_available"
    lab.faults.add("status", on="jobs.create", status=403, code=code, message="closed")
    job = advance(shop, begin(shop, TINY).id)
    assert job.state == "failed"
    for part in ("May 2026", "6 January 2027", "14 January 2027"):
        assert part in job.said
    for part in ("together", "fireworks", "command", "--provider", "--tuner none", "--examples"):
        assert part in job.next_step


def test_a_job_that_fails_says_why(lab, small, shop):
    """In the provider's words."""
    lab.faults.add("job_fails", on="tuning", message="out of memory")
    job = until(shop, begin(shop, TINY).id, "failed")
    assert "out of memory" in job.said
    assert job.next_step
