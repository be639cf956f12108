"""A round of the autopilot, its guards and its evaluation on each engine, with the config in the store."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from logos_shift_openai.core.autopilot_policy import autopilot_from
from logos_shift_openai.lab import Lab, data
from logos_shift_openai.server.autopilot.acts import Cockpit
from logos_shift_openai.server.autopilot.keeping import find_autopilot, give_word, history, set_policy
from logos_shift_openai.server.autopilot.running import turn
from logos_shift_openai.server.config_versions import live_config
from logos_shift_openai.server.evaluation.running import Bench
from logos_shift_openai.server.guards import guard
from logos_shift_openai.server.rollout_reading import get_rollout
from logos_shift_openai.server.tuners.machine import advance
from logos_shift_openai.server.tuners.step import workshop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from logos_shift_openai.server.store.database import Store

POLICY = {
    "models": ["gpt-*"],
    "base": "oracle-large",
    "tuner": "none",
    "provider": "lab",
    "mode": "notify",
    "new_examples": 150,
    "rows": 50,
    "heldout": 2_500,
    "gate": {"rows": 10},
    "rollout": {"unit": "call"},
}


def test_a_round_on_each_engine(store: Store, take: Callable[..., Any], lines: Any, tmp_path: Path) -> None:
    """Failures count where they were corrected; at the end the candidate ends, and its calls go back."""
    calls = []
    for number, (text, answer) in enumerate(data.rows("train")[:160]):
        said = {"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}]}
        asked = {"model": "gpt-big", "messages": [{"role": "user", "content": text}]}
        name = lines.new_id()
        calls.append(
            lines.call(
                id=name, dataset="d", requested_model="gpt-big", request=asked, response=said, complete=True
            )
        )  # fmt: skip
        if number < 20:
            more = {"correction": answer} if number % 2 else {}
            calls.append(lines.feedback(name, value=0.0, label="failure", **more))
    take(*calls)
    with Lab(latency=0) as lab:
        environ = {"LOGOS_SHIFT_PROVIDER_LAB_BASE_URL": lab.base_url}
        shop = workshop(store, tmp_path, "holder", _now, environ)
        cockpit = Cockpit(shop, Bench(store, tmp_path, environ, "holder", _now), None)
        with store.writing() as connection:
            set_policy(connection, "d", autopilot_from(POLICY), _now())
        for _ in range(20):
            step = turn(cockpit, "d")
            with store.reading() as connection:
                one = find_autopilot(connection, "d")
            if one.state.phase == "rolling":
                break
            if step.do == "ask":
                with store.writing() as connection:
                    give_word(connection, "d", _now())
            elif one.state.job is not None:
                advance(shop, one.state.job)
        assert one.state.experiment == "d-auto-1", step.why
        with store.reading() as connection:
            assert '"oracle-large"' in live_config(connection).document
            assert len(history(connection, "d")) == 13
        tomorrow = datetime.fromtimestamp(_now() / 1000, tz=timezone.utc).date() + timedelta(days=1)
        lab.set_shutdown_date("oracle-large", tomorrow)
        guard(store, environ, _now(), None)
    assert get_rollout(store, "d-auto-1").state.phase == "rolled_back"


def _now() -> int:
    return time.time_ns() // 1_000_000
