"""`logos-shift candidate` and `logos-shift gate` over a real home folder and a real lab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.lab import Lab, data

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKED = ("candidate", "evaluate", "--model", "oracle-large", "--provider", "lab", "--edition", "e1")
START = (
    "experiment", "start", "big", "--model", "gpt-6.1-sol", "--candidate", "oracle-large", "--provider", "lab",
    "--share", "0",
)  # fmt: skip


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(latency=0) as running:
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", running.base_url)
        yield running


@pytest.fixture(autouse=True)
def edition(home: Any) -> None:
    folder = home.path / "editions" / "e1"
    folder.mkdir(parents=True)
    rows = data.rows("test")[:60]
    chats = [[{"role": "user", "content": text}, {"role": "assistant", "content": answer}] for text, answer in rows]
    (folder / "heldout.jsonl").write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats), "utf-8")
    (folder / "train.jsonl").write_text("", "utf-8")
    (folder / "manifest.json").write_text("{}", "utf-8")


def test_evaluated_reported_and_gated(cli: Any, lab: Lab, home: Any) -> None:
    """The report is shown again; a gate is chosen on it and stands in the config; and it is taken away again."""
    assert "No candidate was evaluated yet." in cli("candidate", "list").out
    passed = cli(*ASKED)
    assert passed.code == 0, passed.err
    for part in ("oracle-large at lab", "passed", "60 of 60 held out", "the weakest answers"):
        assert part in passed.out
    told = cli("candidate", "report", "--json").json
    assert cli("candidate", "report", told["id"], "--json").json == told
    assert told["id"][:10] in cli("candidate", "list").out
    assert cli(*START).code == 0
    chosen = cli("gate", "choose", "big", "--agreement", "0.7", "--set", "--json").json
    assert chosen["coverage"] > 0.3
    experiment = json.loads((home.path / "config.json").read_bytes())["experiments"][0]
    assert experiment["candidate"]["gate"] == chosen["gate"]
    assert cli("gate", "off", "big").code == 0
    assert "gate" not in json.loads((home.path / "config.json").read_bytes())["experiments"][0]["candidate"]
    assert "gate set big --least" in cli("gate", "choose", "big", "--agreement", "0.7").out
    assert "no gate keeps 99.0%" in cli("gate", "choose", "big", "--agreement", "0.99").err


def test_what_has_failed_is_rolled_out_by_a_word_alone(cli: Any, lab: Lab) -> None:
    """Refused with the report's reason; the word stands in the decision; no gate changes under it."""
    failed = cli(*ASKED, "--floor", "0.999")
    assert (failed.code, failed.err) == (1, "")
    assert cli(*START).code == 0
    refused = cli("rollout", "start", "big")
    assert refused.code == 1
    assert "the floor is 99.9%" in refused.err
    assert cli("rollout", "start", "big", "--force", "a trial").code == 0
    assert "in spite of its report, as 'a trial'" in cli("rollout", "history", "big", "--json").json[-1]["why"]
    held = cli("gate", "set", "big", "--least", "0.9")
    assert (held.code, "the candidate of big cannot be changed" in held.err) == (1, True)


def test_without_a_candidate_or_an_edition_it_is_said(cli: Any) -> None:
    """One line each."""
    assert cli("candidate", "evaluate", "--edition", "e1").code == 2
    assert cli("candidate", "evaluate", "--model", "m").code == 2
    missing = cli("candidate", "evaluate", "--job", "tune-none")
    assert (missing.code, "there is no tuning job" in missing.err) == (1, True)
    away = cli("candidate", "evaluate", "--edition", "e1", "--model", "m", "--provider", "nowhere")
    assert (away.code, "m cannot be asked: LOGOS_SHIFT_PROVIDER_NOWHERE_BASE_URL is not set" in away.err) == (1, True)
    assert "there is no experiment big" in cli("gate", "choose", "big").err
    assert "there is no experiment big" in cli("gate", "off", "big").err
