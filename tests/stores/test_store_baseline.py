"""What a rollout takes from the baseline's earlier calls, and the metrics that calls have by themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.policy import Guarded, Policy
from logos_shift_openai.core.prices import Price
from logos_shift_openai.core.records import Attempt, CallError, Unit
from logos_shift_openai.core.rollout_by_hand import RolloutError
from logos_shift_openai.core.rollout_state import centre_of
from logos_shift_openai.server.baseline import CALLS_MAX, DAYS, earlier_calls
from logos_shift_openai.server.config_versions import change_config, live_config
from logos_shift_openai.server.experiments import Plan, start_in
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.measures import evidence_of
from logos_shift_openai.server.prices import keep_prices
from logos_shift_openai.server.rollout_reading import history
from logos_shift_openai.server.rollouts import begin_rollout

if TYPE_CHECKING:
    from logos_shift_openai.server.store.database import Store

START = 1_764_000_000_000
PRICES = {"big": Price(10, 10), "small": Price(1, 1)}


@pytest.fixture
def began(store: Store) -> Any:
    """Begin a rollout under a policy."""

    def begin(policy: Policy, unit: str = "user") -> Any:
        plan = Plan(key="x", models=("big*",), candidate="small", dataset="sales", unit=unit)
        change_config(store, lambda document: start_in(document, plan, "salt"), why="test", now=START)
        return begin_rollout(store, "x", policy, START)

    return begin


def earlier(lines: Any, count: int = 200, **parts: Any) -> list[bytes]:
    """Calls of the baseline before the rollout, the slowest of 2, 4, 6 ... ms; the tokens cost a cent each."""
    usage = {"usage": {"prompt_tokens": 500, "completion_tokens": 500}}
    said = {"dataset": "sales", "requested_model": "big", "response": usage, "bodies": False, **parts}
    return [lines.call(at=START - 1_000 - number, duration_ms=2.0 * number + 2, **said) for number in range(count)]


def guarding(*names: str, **parts: Any) -> Policy:
    return Policy(guardrails=(Guarded("errors", "lower"), *(Guarded(name, "lower") for name in names)), **parts)


def test_caps_and_centres_come_from_earlier_calls(store: Store, lines: Any, began: Any) -> None:
    """Fixed when the rollout begins; what others did, what came later and what failed is not looked at."""
    with store.writing() as connection:
        keep_prices(connection, PRICES)
    slow = {"duration_ms": 1e6, "dataset": "sales", "requested_model": "big"}
    ingest(
        store,
        [
            *earlier(lines),
            lines.call(at=START - 5, **{**slow, "dataset": "other"}),
            lines.call(at=START - 5, **{**slow, "requested_model": "huge"}),
            lines.call(at=START - 5, assigned="candidate", served="candidate", **slow),
            lines.call(at=START + 5, **slow),
            lines.call(at=START - DAYS * 86_400_000 - 5, **slow),
            *(lines.call(at=START - 5, error=CallError("E", 500), **slow) for _ in range(50)),
        ],
        START,
    )
    policy = guarding("latency", "slow", "cost")
    found = began(policy)
    caps = {one.metric: one.cap for one in found.policy.guarded}
    assert caps == {"success": None, "errors": None, "latency": 400.0, "slow": 382.0, "cost": pytest.approx(0.01)}
    centres = found.state.step.centres
    assert centres["errors"] == centre_of(200 / 250)
    assert centres["slow"] == centre_of(191 / 250)  # those that failed are slow too
    assert centres["cost"] == centre_of(0.0)
    assert centres["success"] == centre_of(None)
    with store.reading() as connection:
        why = history(connection, "x")[0]["why"]
    assert "the cap of latency is 400 milliseconds, from 200 earlier calls" in why
    assert "the cap of cost is 0.01 dollars" in why


def test_a_cap_that_cannot_be_found_is_said(store: Store, lines: Any, began: Any) -> None:
    ingest(store, earlier(lines, 99), START)
    with pytest.raises(
        RolloutError, match=r"latency needs a cap: of the 99 earlier calls.* 99 tell it, 100 are needed"
    ):
        began(guarding("latency"))
    named = Policy(guardrails=(Guarded("errors", "lower"), Guarded("latency", "lower", cap=5.0)))
    assert begin_rollout(store, "x", named, START).policy.find("latency").cap == 5.0


def test_an_unknown_price_is_said(store: Store, lines: Any, began: Any) -> None:
    """Of the candidate, and of the baseline."""
    ingest(store, earlier(lines), START)
    with pytest.raises(RolloutError, match="the price of small is not known; `logos-shift prices set small"):
        began(guarding("cost"))
    with store.writing() as connection:
        keep_prices(connection, {"small": Price(1, 1)})
    with pytest.raises(RolloutError, match="none of the 200 earlier calls of the baseline has one"):
        begin_rollout(store, "x", guarding("cost"), START)


def test_who_draws_calls_cannot_ask_for_repetitions(began: Any) -> None:
    with pytest.raises(RolloutError, match="nobody can ask again"):
        began(guarding("regenerated"), unit="call")


@pytest.mark.parametrize(("asking", "policy", "guarded"), [
    (200, Policy(), ["success", "errors", "valid"]),
    (170, Policy(), ["success", "errors"]),
    (200, Policy(guardrails=(Guarded("errors", "lower"),)), ["success", "errors"]),
    (200, Policy(primary=Guarded("valid")), ["valid", "errors"]),
])  # fmt: skip
def test_where_calls_ask_for_json_the_default_guards_it(
    store: Store, lines: Any, began: Any, asking: int, policy: Policy, guarded: list[str]
) -> None:
    """Only where nearly all do, and where nobody named guardrails."""
    ingest(store, [*earlier(lines, asking, checks={"valid": True}), *earlier(lines, 200 - asking)], START)
    assert [one.metric for one in began(policy).policy.guarded] == guarded


def test_of_many_calls_the_latest_are_looked_at(store: Store, lines: Any, began: Any) -> None:
    ingest(store, earlier(lines, CALLS_MAX + 10), START)
    assert began(guarding("latency")).policy.find("latency").cap <= 2.0 * CALLS_MAX
    with store.reading() as connection:
        (experiment,) = config_from(json.loads(live_config(connection).document)).experiments
        assert sum(1 for _ in earlier_calls(connection, experiment, START, None)) == CALLS_MAX


def test_every_metric_is_measured_from_what_came_in(store: Store, lines: Any, began: Any) -> None:
    """One user of each variant, a minute later: validity, refusal, cut, repetition, slowness and cost."""
    with store.writing() as connection:
        keep_prices(connection, PRICES)
    names = ("valid", "refusals", "cut", "regenerated", "slow", "cost")
    guards = tuple(
        Guarded(name, "higher" if name == "valid" else "lower", cap={"slow": 100.0, "cost": 0.1}.get(name))
        for name in names
    )
    found = began(Policy(guardrails=guards))
    usage = {"usage": {"prompt_tokens": 5_000, "completion_tokens": 0}}

    def asked(
        user: str, at: int, *, bucket: int = 5_000, served: str | None = None, model: str = "big", **parts: Any
    ) -> bytes:
        assigned = "candidate" if bucket < 100 else "baseline"
        return lines.call(
            at=START + at, dataset="sales", experiment="x", requested_model="big", unit=Unit("user", user), share=100,
            bucket=bucket, assigned=assigned, served=served or assigned, response=usage,
            attempts=(Attempt(assigned, model, None, ok=True, duration_ms=1.0),), **parts,
        )  # fmt: skip

    plain = {"refused": False, "cut": False}
    ingest(
        store,
        [
            asked("good", 1, checks={"valid": True, **plain}, question="aaaaaa", duration_ms=100.0),
            asked(
                "bad", 2, checks={"valid": False, "refused": True, "cut": True}, question="aaaaaa", duration_ms=101.0
            ),
            asked(
                "bad", 3, checks={"valid": False, "refused": True, "cut": True}, question="aaaaaa", duration_ms=101.0
            ),
            asked("fallen back", 4, bucket=5, served="baseline", checks={"valid": True, **plain}),
            asked("small", 5, bucket=6, model="small", checks=plain),
            asked("old", 6),
        ],
        START,
    )
    later = START / 1000 + 2 * 3_600
    with store.reading() as connection:
        evidence = evidence_of(connection, "x", found.policy, found.state, later)

    def mean(metric: str, variant: str = "baseline") -> float | None:
        return evidence.mean(metric, variant)

    assert [evidence.units(name, "baseline") for name in names] == [2, 2, 2, 2, 3, 3]
    assert [mean(name) for name in names] == [0.5, 0.5, 0.5, 0.75, pytest.approx(2 / 3, abs=0.01), 0.5]
    assert [evidence.units(name, "candidate") for name in names] == [1, 1, 1, 0, 2, 2]
    assert (mean("valid", "candidate"), mean("refusals", "candidate")) == (0.0, 1.0)
    assert mean("cost", "candidate") == pytest.approx((0.5 + 0.95) / 2)
