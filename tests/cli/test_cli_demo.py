"""`logos-shift demo` in a process of its own: calls, a model that is trained, and the verdict of the rollout's engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

TAKES = 30
LADDER = [500, 1_000, 2_500, 5_000, 10_000]


@pytest.mark.parametrize("options", [[], ["--bad"]])
def test_the_demo_ends_in_a_decision(process: Any, cli: Any, home: Any, options: list[str]) -> None:
    """Promoted when there was something to learn, rolled back when not; every step with its why and its evidence."""
    running = process("demo", "--json", *options)
    out, err = running.communicate(timeout=300)
    assert (running.returncode, err) == (0, "")
    told = json.loads(out)
    shares = [one["share"] for one in told["decisions"]]
    last = told["decisions"][-1]
    if options:
        assert told["tuning"]["accuracy"] < 0.3
        assert (told["verdict"], last["action"], shares[-1]) == ("rolled_back", "roll_back", 0)
        assert "the harm is proven" in last["why"]
    else:
        assert told["tuning"]["accuracy"] > 0.85
        assert (told["verdict"], last["action"], shares) == ("promoted", "promote", LADDER[1:])
        assert last["why"].startswith("promoted: it is proven that no metric is worse by its margin")
    flown = ["began", "edition", "tuning", "tuned", "passed", "rollout", told["verdict"]]
    assert [one["step"] for one in told["autopilot"]] == flown
    calls = [one["calls"] for one in told["decisions"]]
    assert calls == sorted(calls)
    assert sum(one["calls"] for one in told["variants"]) == calls[-1]
    kept = cli("--home", told["home"], "rollout", "history", told["experiment"], "--json").json
    assert kept[0]["why"] == last["why"]
    assert sum(row[6] for row in kept[0]["document"]["evidence"] if row[0] == "success") == calls[-1]
    experiments = json.loads((home.path / "demo" / "config.json").read_bytes())["experiments"]
    assert experiments[0]["share"] == shares[-1]


def test_too_few_calls_are_no_verdict(process: Any) -> None:
    """Said, and exit code 1; what was reached stands in the output all the same."""
    running = process("demo", "--json", "--examples", "300", "--calls", "50")  # one look, and four steps to go
    out, err = running.communicate(timeout=300)
    told = json.loads(out)
    assert (running.returncode, told["verdict"]) == (1, None)
    assert [one["action"] for one in told["decisions"]] == ["hold"]
    assert "no verdict after 50 calls: held at 5 %" in err
