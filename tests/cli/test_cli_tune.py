"""`logos-shift tune` over a real home folder and a real lab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.cli.tune import curve_of
from logos_shift_openai.lab import Lab, data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAB = ("--edition", "e1", "--model", "tiny-base", "--provider", "lab", "--seed", "1")


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(latency=0) as running:
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", running.base_url)
        yield running


@pytest.fixture
def edition(home: Path) -> Path:
    folder: Path = getattr(home, "path", home) / "editions" / "e1"
    folder.mkdir(parents=True)
    rows = data.rows("train")[::20]
    chats = [[{"role": "user", "content": text}, {"role": "assistant", "content": answer}] for text, answer in rows]
    lines = [json.dumps({"messages": chat}) for chat in chats]
    (folder / "train.jsonl").write_text("\n".join(lines[5:]) + "\n", encoding="utf-8")
    (folder / "heldout.jsonl").write_text("\n".join(lines[:5]) + "\n", encoding="utf-8")
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    return folder


def test_a_job_is_followed_to_its_candidate(cli: Any, lab: Lab, edition: Path) -> None:
    """Started, followed, listed, shown; the same again is the same job, and `--again` is another."""
    started = cli("tune", "start", *LAB, "--watch", "--json")
    assert started.code == 0, started.err
    job = started.json
    assert (job["state"], job["candidate"]["provider"]) == ("succeeded", "lab")
    shown = cli("tune", "status", job["id"])
    for part in (job["id"], "succeeded, 100%", job["candidate"]["model"], "loss"):
        assert part in shown.out
    assert [one["id"] for one in cli("tune", "list", "--json").json] == [job["id"]]
    assert job["id"] in cli("tune", "list").out
    same = cli("tune", "start", *LAB)
    assert "That job is there already." in same.out
    assert cli("tune", "start", *LAB, "--again", "--json").json["id"] != job["id"]


def test_a_cancel_ends_it_at_the_lab(cli: Any, lab: Lab, edition: Path) -> None:
    """And cancelling twice is no fault."""
    lab.faults.add("slow", on="tuning", between=600.0)
    job = cli("tune", "start", *LAB, "--json").json
    assert job["state"] == "running"
    for _ in range(2):
        assert cli("tune", "cancel", job["id"], "--json").json["state"] == "cancelled"


def test_what_cannot_be_started_is_one_line(cli: Any, edition: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written down then."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    without_key = cli("tune", "start", "--edition", "e1", "--model", "gpt-5.4-nano")
    assert (without_key.code, "OPENAI_API_KEY is not set" in without_key.err) == (1, True)
    no_edition = cli("tune", "start", "--edition", "e2", "--model", "m", "--tuner", "none")
    assert (no_edition.code, "there is no edition e2" in no_edition.err) == (1, True)
    one = json.loads((edition / "train.jsonl").read_text().splitlines()[0])
    (edition / "train.jsonl").write_text((json.dumps(one) + "\n") * 30, encoding="utf-8")
    one_class = cli("tune", "start", "--edition", "e1", "--model", "m", "--tuner", "command")
    assert one_class.code == 1
    monkeypatch.setenv("LOGOS_SHIFT_TUNER_COMMAND", "python train.py")
    one_class = cli("tune", "start", "--edition", "e1", "--model", "m", "--tuner", "command")
    assert "all 30 training examples have the same answer" in one_class.err
    for content, said in (("", "has 0 training examples"), ("{}\nno\n", "line 1: no messages"), ("\xff", "not JSON")):
        (edition / "train.jsonl").write_text(content, encoding="latin-1")
        assert said in cli("tune", "start", "--edition", "e1", "--model", "m", "--tuner", "command").err
    assert cli("tune", "list").out.strip() == "No tuning job yet."
    assert cli("tune", "status", "tune-none").err.strip() == "logos-shift: there is no tuning job tune-none"


def test_examples_are_named_for_the_experiment(cli: Any, edition: Path) -> None:
    """What `tune` shows is what `experiment start --examples` takes."""
    job = cli(
        "tune", "start", "--edition", "e1", "--tuner", "none", "--model", "small", "--examples", "3", "--json"
    ).json
    name = job["candidate"]["examples"]["index"]
    started = cli(
        "experiment", "start", "e", "--model", "large", "--candidate", "small", "--examples", f"{name}=3", "--json"
    )
    assert started.code == 0, started.err
    assert cli("experiment", "start", "f", "--model", "x", "--candidate", "y", "--examples", "z").code == 2


def test_a_curve_is_drawn_in_one_line() -> None:
    """With its ends in figures; none of one point."""
    assert curve_of([{"step": 1.0, "train_loss": 2.0}]) == ""
    assert curve_of([{"step": 1.0}, {"step": 2.0}]) == ""
    points = [{"step": float(step), "train_loss": 2.0 - step / 100} for step in range(100)]
    drawn = curve_of(points)
    assert drawn.endswith("train loss 2.000 to 1.010")
    assert drawn[0] == "\u2588"
