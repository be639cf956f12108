"""`logos-shift rollout`: from the command line to decisions and the config, and what is shown of them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from logos_shift_openai.cli.rollout import sparkline
from logos_shift_openai.core.config_reading import parse_config
from logos_shift_openai.core.records import CallError, Unit

START = ["rollout", "start", "x", "--model", "big", "--candidate", "tiny", "--unit", "call"]


def share(home: Any) -> int:
    return parse_config((home.path / "config.json").read_bytes()).experiments[0].share


def test_a_rollout_by_hand(cli: Any, home: Any) -> None:
    """Each command is in the config and in the history at once."""
    assert "No rollout yet" in cli("rollout", "status").out
    started = cli(*START)
    assert started.code == 0
    assert "ramping, 1 % to the candidate" in started.out
    assert "[1 %]" in started.out
    assert share(home) == 100
    assert cli("rollout", "pause", "x", "--json").json["phase"] == "paused"
    actions = [one["why"] for one in cli("rollout", "history", "x", "--json").json]
    assert cli("rollout", "status", "x").code == 0
    assert [one["why"] for one in cli("rollout", "history", "x", "--json").json] == actions  # a pause is kept once
    assert actions[0] == "pause by hand"
    assert cli("rollout", "resume", "x", "--json").json["phase"] == "ramping"
    assert cli("rollout", "promote", "x", "--json").json["phase"] == "held_back"
    assert share(home) == 9_900
    assert "rolled back" in cli("rollout", "rollback", "x").out
    assert share(home) == 0
    told = cli("rollout", "history", "x", "--json").json
    assert [one["share"] for one in told if one["config_version"]] == [0, 9_900, 100]
    assert "promote by hand" in " ".join(cli("rollout", "history", "x").out.split())
    assert cli("rollout", "start", "x").code == 0  # the experiment runs still
    assert share(home) == 100


def test_a_candidate_that_fails_is_out_by_the_next_command(cli: Any, home: Any) -> None:
    """What lies in the spool is taken in, booked and decided."""
    assert cli(*START).code == 0
    lines = []
    for number in range(400):
        bad = number % 40 == 0
        lines.append(
            home.call(
                id=f"c{number:04}", at=home.now + 60_000 + number, experiment="x", unit=Unit("call", f"c{number:04}"),
                assigned="candidate" if bad else "baseline", served="candidate" if bad else "baseline",
                share=100, bucket=5 if bad else 500, error=CallError("E", 500) if bad else None,
            )
        )  # fmt: skip
    home.spool(*lines)
    (found,) = cli("rollout", "status", "--json").json
    assert (found["phase"], found["share"]) == ("rolled_back", 0)
    assert share(home) == 0
    shown = cli("rollout", "status", "x").out
    assert "errors" in shown
    assert "candidate 0.0000" in shown
    assert "logos-shift gate choose x" in found["offer"]
    assert "gate choose x" in " ".join(shown.split())


def test_a_recount_is_held_against_the_counts_that_are_kept(cli: Any, home: Any) -> None:
    """They agree, until calls are gone; a rollout that has ended is counted no more."""
    assert cli(*START).code == 0
    units = [f"c{number}" for number in range(7)]
    parts = {"experiment": "x", "assigned": "baseline", "served": "baseline", "share": 100, "bucket": 500}
    home.spool(*(home.call(id=one, at=home.now + 60_000, unit=Unit("call", one), **parts) for one in units))
    assert cli("rollout", "status", "x", "--recount", "--json").json == {
        "experiment": "x", "agrees": True, "scores": 14, "anew": 14,
    }  # fmt: skip
    assert "14 units and scores" in cli("rollout", "status", "x", "--recount").out
    with sqlite3.connect(home.path / "store.sqlite3") as database:
        database.execute("DELETE FROM calls WHERE id = 'c0'")
    database.close()
    assert "give 12 units and scores, 14 are kept" in cli("rollout", "status", "x", "--recount").out
    assert cli("rollout", "status", "--recount").code == 2
    assert cli("rollout", "rollback", "x").code == 0
    assert "has ended" in cli("rollout", "status", "x", "--recount").err


def test_what_cannot_be_done_is_said_in_a_line(cli: Any, home: Any) -> None:
    """No such rollout, a broken policy with the path of its fault, half of an experiment."""
    assert "there is no rollout of y" in cli("rollout", "status", "y").err
    home.path.mkdir(parents=True, exist_ok=True)
    policy = home.path / "policy.json"
    policy.write_text(json.dumps({"margin": 7}))
    ended = cli(*START, "--policy", str(policy))
    assert (ended.code, f"{policy}: margin" in "".join(ended.err.splitlines())) == (1, True)
    policy.write_text('{"primary": {"metric": "judge"}}')
    assert "judge is not measured" in cli(*START, "--policy", str(policy)).err
    assert not (home.path / "config.json").exists()
    policy.write_text("{")
    assert "is not JSON" in cli(*START, "--policy", str(policy)).err
    assert cli("rollout", "start", "x", "--model", "big").code == 2
    assert "no experiment x that runs" in cli("rollout", "start", "x").err


def test_the_sparkline_rises_with_the_wealth() -> None:
    """Below 1 is the lowest bar, the highest is full."""
    assert sparkline([-3.0, 0.0, 1.0, 2.0]) == "\u2581\u2581\u2584\u2588"
    assert sparkline([]) == ""
