"""What the tuner `openai` sends is legal by OpenAI's published schemas, read off the wire at the lab."""

from __future__ import annotations

import json
from itertools import product

import jsonschema
import pytest
from replay import read
from tuning_parts import begin

from logos_shift_openai.server.tuners.machine import advance
from logos_shift_openai.server.tuners.openai_jobs import body_of
from logos_shift_openai.server.tuners.protocol import Settings, Task

SCHEMAS = read("openai-schemas")
JOBS = "/v1/fine_tuning/jobs"


def validator(name):
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMAS["$defs"]})


def test_the_schemas_are_schemas_and_refuse():
    """A validator that takes anything would prove nothing."""
    for name in SCHEMAS["$defs"]:
        jsonschema.Draft202012Validator.check_schema(SCHEMAS["$defs"][name])
    good = {"model": "m", "training_file": "f"}
    assert validator("CreateFineTuningJobRequest").is_valid(good)
    for bad in (
        {"model": "m"},
        {**good, "suffix": "x" * 65},
        {**good, "method": {"type": "magic"}},
        {**good, "metadata": {"a": 1}},
        {**good, "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 51}}}},
        {**good, "seed": -1},
    ):
        assert not validator("CreateFineTuningJobRequest").is_valid(bad), bad
    assert not validator("CreateFileRequest").is_valid({"file": "x", "purpose": "fun"})


@pytest.mark.parametrize("method", ["supervised", "dpo"])
def test_every_body_that_can_be_made_is_legal(task, method):
    """With and without each of the settings, to their bounds."""
    choices = product(
        [None, 1, 50], [None, 1, 256], [None, 0.1], [None, "x" * 80], [None, 0, 2_147_483_647], [None, "file-2"]
    )
    for epochs, batch, rate, suffix, seed, heldout in choices:
        settings = Settings("gpt-4o-mini", None, method, epochs, batch, rate, suffix, seed)
        body = body_of(Task(task.key, task.edition, settings), "file-1", heldout)
        validator("CreateFineTuningJobRequest").validate(body)
        assert body["method"]["type"] == method


def test_what_went_over_the_wire_is_legal(lab, small, shop):
    """The create request as the lab saw it, and the form of the files."""
    job = advance(shop, begin(shop, Settings("tiny-base", "lab", epochs=2, seed=5)).id)
    assert job.state == "running"
    (created,) = [one.body for one in lab.requests if (one.method, one.path) == ("POST", JOBS)]
    validator("CreateFineTuningJobRequest").validate(created)
    assert created["metadata"] == {"logos_shift_key": job.key, "logos_shift_edition": "small"}
    with shop.tuner_for("openai", "lab")._client as client:
        for file in client.files.list(purpose="fine-tune"):
            validator("CreateFileRequest").validate({"file": file.filename, "purpose": file.purpose})
            assert client.files.content(file.id).content in (small.train.read_bytes(), small.heldout.read_bytes())


@pytest.mark.parametrize("said", ["Unknown parameter: 'metadata'.", "Unknown parameter: 'method'."])
def test_an_older_server_gets_what_it_knows(lab, small, shop, said):
    """Still legal, without what it refused; the job is then known by its file alone."""
    lab.faults.add("status", on="jobs.create", count=1, status=400, message=said)
    job = advance(shop, begin(shop, Settings("tiny-base", "lab", epochs=2)).id)
    assert job.state == "running"
    body = [one.body for one in lab.requests if (one.method, one.path) == ("POST", JOBS)][-1]
    validator("CreateFineTuningJobRequest").validate(body)
    assert "metadata" not in body
    assert ("method" in body) != ("hyperparameters" in body)
    task = Task(job.key, small, job.settings)
    assert shop.tuner_for("openai", "lab").find(task) == job.handle
    assert json.dumps(job.handle)
