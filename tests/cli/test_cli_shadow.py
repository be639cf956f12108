"""The whole round of a shadow: a client that follows the config, the spool, the commands, and their decision."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest
from test_cli_replay import Answering, lab  # noqa: F401, TC002 - a fixture and its type

import logos_shift_openai as ours
from logos_shift_openai.client import runtime

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 90
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(("answer", "phase", "share"), [("yes", "ramping", 100), ("no", "rolled_back", 0)])
def test_a_shadow_from_end_to_end(
    cli: Any,
    home: Any,
    lab: Answering,  # noqa: F811
    answer: str,
    phase: str,
    share: int,
) -> None:
    """It runs by itself: ramped when enough pairs are compared, ended when they are proven to differ; no caller notices."""
    policy = home.path / "policy.json"
    policy.write_text(json.dumps({"shadow_pairs": 15, "shadow_per_minute": 100, "least_agreement": 0.5}))
    start = ("rollout", "start", "x", "--model", "big", "--candidate", "tiny", "--policy", str(policy))
    assert "only for a candidate with a provider" in cli(*start).err
    begun = cli(*start, "--provider", "lab", "--json")
    assert begun.code == 0, begun.err
    assert (begun.json["phase"], begun.json["share"]) == ("shadow", 0)
    shift = ours.LogosShift(home=home.path)
    address = f"http://127.0.0.1:{lab.server_port}/v1"
    plain = openai.DefaultHttpxClient(verify=False)  # no TLS here, and loading certificates takes time
    with ours.OpenAI(base_url=address, api_key="k", http_client=plain, logos_shift=shift) as client:
        lab.table["q"] = answer
        for _ in range(15):
            said = client.chat.completions.create(model="big", messages=[{"role": "user", "content": "q"}])
            assert said.choices[0].message.content == "yes"
        assert shift.flush(60)
        wait_until(lambda: shift.stats().get("recorded") == 30)
    runtime.close_home(home.path, time.monotonic() + 2)
    found = cli("rollout", "status", "x", "--json").json
    assert (found["phase"], found["share"]) == (phase, share), found["why"]
    assert found["shadow"] == {
        "asked": 15, "failed": 0, "compared": 15, "agreement": float(answer == "yes"), "tokens_in": 150, "tokens_out": 30,
    }  # fmt: skip
    told = " ".join(cli("rollout", "status", "x").out.split())
    assert "shadow 15 asked, 0 failed, 15 compared, " in told
    assert "; 150 tokens in, 30 out" in told
    assert cli("stats", "--json").json["totals"]["calls"] == 15
    report = cli("replay", "x", "--json").json
    assert report["asked"]["before"] == report["agreement"]["pairs"] == 15
    assert report["agreement"]["mean"] == (answer == "yes")
