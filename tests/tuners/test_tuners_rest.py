"""`together` and `fireworks` against servers that keep to the shapes in their documents."""

from __future__ import annotations

import json

import jsonschema
import pytest
from replay import KEY, Fireworks, Together, read
from tuning_parts import begin

from logos_shift_openai.server.tuners.jobs import ask_to_cancel
from logos_shift_openai.server.tuners.machine import advance
from logos_shift_openai.server.tuners.protocol import Settings

LLAMA = Settings("meta-llama/Llama-2-7b-hf", epochs=4, batch_size=8, learning_rate=1e-4, suffix="intents", seed=3)


@pytest.fixture
def together(monkeypatch):
    provider = Together()
    monkeypatch.setenv("TOGETHER_BASE_URL", f"{provider.url}/v1")
    monkeypatch.setenv("TOGETHER_API_KEY", KEY)
    yield provider
    provider.close()


@pytest.fixture
def fireworks(monkeypatch):
    provider = Fireworks()
    monkeypatch.setenv("FIREWORKS_BASE_URL", provider.url)
    monkeypatch.setenv("FIREWORKS_API_KEY", KEY)
    monkeypatch.setenv("FIREWORKS_ACCOUNT_ID", "acme")
    yield provider
    provider.close()


def legal(value, name):
    schemas = read("together-schemas")
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schemas["$defs"]}).validate(value)


@pytest.mark.parametrize("method", ["supervised", "dpo"])
def test_what_is_sent_to_together_is_legal(together, small, shop, method):
    """By the schemas of its own document, as are the answers that it is played with."""
    if method == "dpo":
        pair = {"input": {"messages": []}, "preferred_output": [{"a": 1}], "non_preferred_output": [{"b": 1}]}
        lines = [json.dumps({**pair, "preferred_output": [{"a": place}]}) for place in range(20)]
        small.train.write_text("\n".join(lines), encoding="utf-8")
    job = begin(
        shop, Settings(**{**{name: getattr(LLAMA, name) for name in LLAMA.__slots__}, "method": method}), "together"
    )
    assert advance(shop, job.id).state == "running"
    (body,) = together.sent("POST", "/fine-tunes")
    legal(body, "CreateFineTune")
    assert body["training_method"]["method"] == {"supervised": "sft", "dpo": "dpo"}[method]
    assert job.key in body["suffix"]
    assert len(body["suffix"]) <= 64
    for form in together.sent("POST", "/files/upload"):
        legal({**{name: value.decode() for name, value in form.items() if name != "file"}, "file": "x"}, "UploadFile")
    assert together.sent("POST", "/files/upload")[0]["file"] == small.train.read_bytes()
    for name in ("file", "created"):
        legal(together.shapes[name], {"file": "FileResponse", "created": "FinetuneResponseTruncated"}[name])


def test_together_from_the_edition_to_the_candidate(together, small, shop):
    """Curves, the part done, the model that answers."""
    job = advance(shop, begin(shop, LLAMA, "together").id)
    job = advance(shop, job.id)
    assert (job.state, job.fraction) == ("running", 0.25)
    assert job.points == ({"step": 7.0, "train_loss": 0.5}, {"step": 14.0, "train_loss": 0.45})
    together.state = "a_state_of_tomorrow"
    assert advance(shop, job.id).state == "running"
    together.state = "completed"
    together.told = {"total_price": 1_500_000_000, "token_count": 850_000}
    job = advance(shop, job.id)
    assert job.state == "succeeded"
    assert (job.trained_tokens, job.cost) == (850_000, 1.5)
    assert job.candidate == {"model": "mynamespace/meta-llama/Llama-2-7b-hf-32162631", "provider": "together"}


def test_together_waits_for_its_files(together, small, shop):
    """As long as they are looked through, nothing is created and nothing counts as a failure."""
    together.processed = False
    job = begin(shop, LLAMA, "together")
    for _ in range(12):
        found = advance(shop, job.id)
    assert (found.state, found.attempts) == ("starting", 0)
    for file in together.files:
        file["Processed"] = True
    assert advance(shop, job.id).state == "running"
    assert (len(together.files), len(together.jobs)) == (2, 1)


def test_together_says_why_it_failed(together, small, shop):
    """Its last event does."""
    job = advance(shop, begin(shop, LLAMA, "together").id)
    together.state = "error"
    assert advance(shop, job.id).said == "billing limit reached"


CUT = [("together", "/files/upload"), ("together", "/fine-tunes"), ("fireworks", "/datasets"), ("fireworks", ":upload"),
       ("fireworks", "/supervisedFineTuningJobs")]  # fmt: skip


@pytest.mark.parametrize(("name", "path"), CUT)
def test_a_lost_answer_starts_nothing_twice(request, small, shop, name, path):
    """The provider did it and its answer was cut: the next turn finds what is there."""
    provider = request.getfixturevalue(name)
    provider.faults.append(("POST", path, "cut"))
    job = advance(shop, begin(shop, LLAMA, name).id)
    assert (job.state, job.attempts) == ("starting", 1)
    assert advance(shop, job.id).state == "running"
    assert len(provider.jobs) == 1
    stored = provider.files if name == "together" else provider.datasets
    assert len(stored) == 2


@pytest.mark.parametrize("name", ["together", "fireworks"])
def test_a_busy_provider_is_tried_again_and_a_bad_key_is_not(request, small, shop, name, monkeypatch):
    """The key stands in no message."""
    provider = request.getfixturevalue(name)
    provider.faults += [("GET", "", 503), ("GET", "", 429)]
    job = begin(shop, LLAMA, name)
    assert [advance(shop, job.id).attempts for _ in range(2)] == [1, 2]
    assert advance(shop, job.id).state == "running"
    monkeypatch.setenv(f"{name.upper()}_API_KEY", "wrong-key-123456")
    refused = advance(shop, job.id)
    assert refused.state == "running"  # it goes on there; only our way to it is closed
    assert "check the key" in refused.next_step
    assert "wrong-key-123456" not in json.dumps(refused.to_json())


@pytest.mark.parametrize("name", ["together", "fireworks"])
def test_a_cancel_ends_it_there(request, small, shop, name, clock):
    """Once; a job that has ended is left alone."""
    provider = request.getfixturevalue(name)
    job = advance(shop, begin(shop, LLAMA, name).id)
    with shop.store.writing() as connection:
        ask_to_cancel(connection, job.id, clock())
    assert advance(shop, job.id).state == "cancelled"
    assert provider.state in {"cancelled", "JOB_STATE_CANCELLED"}


def test_fireworks_from_the_edition_to_the_candidate(fireworks, small, shop, clock):
    """Only documented fields are sent; a model without a deployment is unserved, with what to do."""
    job = advance(shop, begin(shop, LLAMA, "fireworks").id)
    (body,) = fireworks.sent("POST", "/supervisedFineTuningJobs")
    assert set(body) <= set(fireworks.shapes["request_fields"])
    assert body["dataset"] == f"accounts/acme/datasets/logos-{job.key}-train"
    job = advance(shop, job.id)
    assert (job.state, job.fraction) == ("running", 0.25)
    fireworks.state, fireworks.served = "JOB_STATE_COMPLETED", False
    job = advance(shop, job.id)
    assert job.state == "deploying"
    clock.at += 1_800_000
    job = advance(shop, job.id)
    assert job.state == "unserved"
    assert "make a deployment" in job.next_step
    fireworks.served = True
    job = advance(shop, job.id, look_again=True)
    assert job.candidate == {"model": f"accounts/acme/models/logos-{job.key}", "provider": "fireworks"}


def test_every_documented_state_of_fireworks_ends_or_goes_on(fireworks, small, shop):
    """Six are ends; the others and an unknown one are not."""
    tuner = shop.tuner_for("fireworks", None)
    advance(shop, begin(shop, LLAMA, "fireworks").id)
    handle = {"job": next(iter(fireworks.jobs)), "output": "m"}
    ends = {}
    for state in [*fireworks.shapes["states"], "JOB_STATE_OF_TOMORROW"]:
        fireworks.state = state
        phase = tuner.status(handle).phase
        if phase != "running":
            ends[state.removeprefix("JOB_STATE_")] = phase
    assert ends == {
        "COMPLETED": "succeeded",
        "EARLY_STOPPED": "succeeded",
        "FAILED": "failed",
        "EXPIRED": "failed",
        "CANCELLED": "cancelled",
    }


def test_fireworks_trains_on_pairs(fireworks, small, shop):
    """As a DPO job, with documented fields alone."""
    pair = {"input": {"messages": []}, "non_preferred_output": [{"b": 1}]}
    lines = [json.dumps({**pair, "preferred_output": [{"a": place}]}) for place in range(20)]
    small.train.write_text("\n".join(lines), encoding="utf-8")
    assert advance(shop, begin(shop, Settings("llama", method="dpo"), "fireworks").id).state == "running"
    (body,) = fireworks.sent("POST", "/dpoJobs")
    assert set(body) <= set(fireworks.shapes["dpo_request_fields"])
    assert body["trainingConfig"]["baseModel"] == "llama"
