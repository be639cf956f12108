"""The policy: defaults that serve, read strictly."""

from __future__ import annotations

import json
import re
from dataclasses import fields as fields_of
from pathlib import Path

import pytest

from logos_shift_openai.core.evidence import ScoreError
from logos_shift_openai.core.metrics import METRICS
from logos_shift_openai.core.policy import LADDER, Guarded, Policy, policy_from
from logos_shift_openai.core.strict import ConfigError
from logos_shift_openai.core.wealth import loss_beyond, worse_by

FULL = {
    "margin": 0.05,
    "rollback_margin": 0.01,
    "alpha": 0.1,
    "alpha_promote": 0.01,
    "ladder": [200, 2_000, 10_000],
    "step_seconds": 60,
    "last_step_seconds": 120,
    "deadline_seconds": 3_600,
    "primary": {"metric": "judge", "margin": 0.03},
    "guardrails": [
        {"metric": "latency", "cap": 9_000, "ratio": 1.2},
        {"metric": "cost", "direction": "lower", "cap": 0.1, "ratio": 0.8},
    ],
    "unit": "conversation",
    "shadow_pairs": 100,
    "hold_back": 200,
    "hold_back_seconds": 600,
}


def test_nothing_said_is_the_default():
    """An empty document is the default policy: two points, six steps, feedback with errors as the guardrail."""
    policy = policy_from({})
    assert policy == Policy()
    assert (policy.margin, policy.ladder, policy.dense) == (0.02, LADDER, ("errors",))
    assert [policy.least_seconds(share) for share in (100, 2_500, 5_000)] == [3_600, 3_600, 86_400]
    assert [policy.next_share(share) for share in (0, 100, 300, 5_000, 9_900)] == [100, 500, 500, 10_000, 10_000]


@pytest.mark.parametrize("document", [{}, FULL])
def test_a_policy_survives_json(document):
    """What is written is what is read."""
    policy = policy_from(document)
    assert policy_from(json.loads(json.dumps(policy.to_json()))) == policy


def test_directions_come_from_the_metric():
    """Whoever names a metric need not say which way is better."""
    policy = policy_from(FULL)
    assert policy.find("latency") == Guarded("latency", "lower", 9_000, None, 1.2)
    assert policy.find("latency").score(900) == 540
    with pytest.raises(ScoreError, match="'errors' is not in the policy, which has judge, latency, cost"):
        policy.find("errors")


def test_what_is_too_risky():
    """The ramp divides the margin by the share, a ratio its excess; a ratio to be beaten is proven at the end only."""
    policy = policy_from(FULL)
    judge, latency, cost = policy.guarded
    assert policy.too_risky(judge, 2_000) == worse_by(0.03 * 5)
    assert policy.too_risky(latency, 2_000).ratio == pytest.approx(2.0)
    assert policy.too_risky(cost, 2_000) is None
    assert policy.too_risky(cost, 10_000) == loss_beyond(0.8, 0.05)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"margin": 2}, "margin: 2 is not in 0.001..0.5"),
        ({"margin": "2"}, 'margin: "2" is not in'),
        ({"alpha": 0}, "alpha: 0 is not in"),
        ({"alpha": float("nan")}, "alpha: NaN is not in"),
        ({"rollback_margin": 0.05}, "rollback_margin: 0.05 is not below every margin"),
        ({"ladder": [100, 50, 10_000]}, r"ladder: \[100, 50, 10000\] does not rise"),
        ({"ladder": [10_000]}, "ladder: "),
        ({"ladder": [0, 10_000]}, "ladder: "),
        ({"ladder": [100, 5_000]}, "ladder: "),
        ({"ladder": [100, "all"]}, r'ladder\[1\]: "all" is not a whole number'),
        ({"primary": {"metric": "joy"}}, 'primary.metric: "joy" is not one of success, '),
        ({"primary": {}}, "primary.metric: missing"),
        ({"guardrails": [{"metric": "errors", "direction": "up"}]}, r"guardrails\[0\].direction: "),
        ({"guardrails": [{"metric": "errors", "cap": 5}]}, r"guardrails\[0\].cap: errors is a rate and has none"),
        (
            {"guardrails": [{"metric": "errors"}, {"metric": "errors"}]},
            r"guardrails\[1\].metric: 'errors' stands twice",
        ),
        ({"guardrails": [{"metric": "success"}]}, r"guardrails\[0\].metric: 'success' stands twice"),
        ({"guardrails": [{"metric": "cost", "ratio": 0}]}, r"guardrails\[0\].ratio: 0 is not in"),
        ({"unit": "team"}, 'unit: "team" is not one of'),
        ({"hold_back": 9_000}, "hold_back: 9000 is not in"),
        ({"shadow": 5}, "shadow: not known here"),
    ],
)
def test_faults_are_named_by_path(change, fault):
    """A document with a fault is refused with its path, below the path it stands at."""
    with pytest.raises(ConfigError, match=f"^rollout.{fault}"):
        policy_from(change, "rollout")


def test_the_docs_have_every_field_and_metric():
    """The page on the rollout names every field with its default, and every metric."""
    page = (Path(__file__).parents[2] / "docs" / "rollout.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?`) \| (.+?) \|", page, re.MULTILINE)
    told = {}
    for names, values in rows:
        fields = re.findall(r"`(\w+)`", names)
        told |= dict(zip(fields, [values] if len(fields) == 1 else values.split(", "), strict=True))
    assert set(told) == {field.name for field in fields_of(Policy)}
    read = {name: json.loads(f"[{value}]" if name == "ladder" else value.strip("`")) for name, value in told.items()}
    assert policy_from(read) == Policy()
    assert all(f"`{metric}`" in page for metric in METRICS)


def test_no_object_is_no_policy():
    with pytest.raises(ConfigError, match="the document: 5 is not an object"):
        policy_from(5)
