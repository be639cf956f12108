"""`logos-shift autopilot` over a real home folder and a real lab: from calls to a rollout, by hand only where asked."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.lab import Lab, data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASKED = ("--model", "gpt-6.1-sol", "--base", "oracle-large", "--tuner", "none", "--provider", "lab")


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(latency=0) as running:
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", running.base_url)
        yield running


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "policy.json"
    path.write_text('{"new_examples": 100, "rows": 50, "heldout": 2500, "gate": {"rows": 10}}', "utf-8")
    return str(path)


def spool(home: Any) -> None:
    rows = data.rows("train")
    random.Random(3).shuffle(rows)
    home.spool(
        *(
            home.call(
                dataset="sales",
                request={"model": "gpt-6.1-sol", "messages": [{"role": "user", "content": text}]},
                response={"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}]},
                complete=True,
            )
            for text, answer in rows[:150]
        )
    )


def test_from_calls_to_a_rollout_with_a_word_at_each_turn(cli: Any, lab: Lab, home: Any, policy: str) -> None:
    """`notify` asks three times; the history has every step, and `off` begins no more."""
    spool(home)
    asks = cli("autopilot", "notify", "sales", *ASKED, "--policy", policy)
    assert asks.code == 0, asks.err
    assert "tune: logos-shift autopilot approve sales" in asks.out
    assert cli("autopilot", "approve", "sales", "--json").json["asks"] == "evaluate"
    assert cli("autopilot", "approve", "sales", "--json").json["asks"] == "roll_out"
    flying = cli("autopilot", "approve", "sales", "--json").json
    assert (flying["phase"], flying["asks"]) == ("rolling", None)
    assert cli("autopilot", "approve", "sales").code == 1
    shown = cli("autopilot", "status")
    for part in ("sales", "notify", "1, rolling", "sales-auto-1", "1 of 4 jobs, $0.00"):
        assert part in shown.out
    assert [one["step"] for one in cli("autopilot", "history", "sales", "--json").json][:2] == ["rollout", "approved"]
    assert "sales-auto-1" in cli("autopilot", "history", "sales").out
    assert cli("rollout", "status", "sales-auto-1", "--json").json["phase"] == "ramping"
    assert cli("autopilot", "off", "sales", "--json").json["mode"] == "off"
    assert cli("autopilot", "on", "sales", "--json").json["policy"]["new_examples"] == 100


def test_on_asks_nobody(cli: Any, lab: Lab, home: Any, policy: str) -> None:
    """One command, and it is rolled out."""
    spool(home)
    assert cli("autopilot", "on", "sales", *ASKED, "--policy", policy, "--json").json["phase"] == "rolling"


def test_what_cannot_be_is_one_line(cli: Any, tmp_path: Path) -> None:
    """And nothing is written down."""
    assert "say what it is about with --model" in cli("autopilot", "on", "sales").err
    assert "there is no autopilot of the dataset sales" in cli("autopilot", "status", "sales").err
    assert "No autopilot yet." in cli("autopilot", "status").out
    assert "tuner: " in cli("autopilot", "on", "sales", "--model", "m", "--base", "b", "--tuner", "magic").err
    path = tmp_path / "bad.json"
    path.write_text("[]", "utf-8")
    assert "not an object" in cli("autopilot", "on", "sales", "--policy", str(path)).err
    assert "No autopilot yet." in cli("autopilot", "status").out
