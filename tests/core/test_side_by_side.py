"""Both variants beside each other: in the metric's own unit, with intervals that hold the mean."""

from __future__ import annotations

import math
from random import Random

from logos_shift_openai.core.agreement import interval
from logos_shift_openai.core.evidence import Cell, Evidence
from logos_shift_openai.core.policy import policy_from
from logos_shift_openai.core.side_by_side import side_by_side

POLICY = policy_from(
    {
        "margin": 0.05,
        "primary": {"metric": "success"},
        "guardrails": [
            {"metric": "errors", "direction": "lower", "margin": 0.01},
            {"metric": "latency", "direction": "lower", "cap": 2_000},
            {"metric": "cost", "direction": "lower", "cap": 0.5, "ratio": 1.1},
        ],
    }
)


def booked(metric, variant, scores, share=500):
    evidence = Evidence()
    for score in scores:
        evidence.add(Cell(metric, share, 0, 540, variant, score))
    return evidence


def rows(*evidence):
    whole = Evidence()
    for one in evidence:
        whole.merge(one)
    return {one["metric"]: one for one in side_by_side(POLICY, whole)}


def test_each_metric_stands_in_its_own_unit():
    """Errors are a rate that is low where scores are high; a quantity is its part of the cap."""
    found = rows(
        booked("success", "baseline", [600] * 9 + [0]),
        booked("errors", "candidate", [600] * 19 + [0]),
        booked("latency", "candidate", [300, 450], share=1_000),
    )
    assert [(one["metric"], one["unit"], one["margin"], one["ratio"]) for one in found.values()] == [
        ("success", "rate", 0.05, None),
        ("errors", "rate", 0.01, None),
        ("latency", "ms", 0.05, None),
        ("cost", "usd", 0.05, 1.1),
    ]
    assert math.isclose(found["success"]["baseline"]["mean"], 0.9)
    assert math.isclose(found["errors"]["candidate"]["mean"], 0.05)
    assert math.isclose(found["latency"]["candidate"]["mean"], 750)
    assert found["success"]["candidate"] == {"units": 0, "mean": None, "low": None, "high": None}


def test_the_interval_holds_the_mean_and_a_coarse_one_is_only_wider():
    """Of few scores it is that of `agreement.interval`, turned over where lower is better; of hundreds it holds that."""
    found = rows(booked("errors", "baseline", [600] * 45 + [0] * 5))["errors"]["baseline"]
    low, high = interval({600: 45, 0: 5})
    assert math.isclose(found["low"], 1 - high)
    assert math.isclose(found["high"], 1 - low)
    dice = Random(3)
    scores = [dice.randrange(601) for _ in range(400)]
    wide = rows(booked("latency", "baseline", scores))["latency"]["baseline"]
    counts = {score: scores.count(score) for score in set(scores)}
    low, high = interval(counts)
    assert wide["low"] <= 2_000 * (1 - high) <= wide["mean"] <= 2_000 * (1 - low) <= wide["high"]
    assert wide["high"] - wide["low"] <= 2_000 * (high - low) + 2 * 2_000 / 50


def test_units_that_are_taken_back_make_no_interval():
    """Counts may be below nothing for a moment, until what was changed is counted again."""
    evidence = booked("success", "baseline", [600, 600])
    evidence.add(Cell("success", 500, 0, 540, "baseline", 0), -1)
    assert rows(evidence)["success"]["baseline"]["low"] is None
