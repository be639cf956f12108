"""The wealths of `rollout.json`, computed exactly by other code, which another language could compute too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.rollout.independent import log_wealth as exact_log_wealth
from logos_shift_openai.core.evidence import Evidence
from logos_shift_openai.core.sample_ratio import log_ratio_wealth
from logos_shift_openai.core.wealth import Claim, log_wealth

VECTORS = json.loads((Path(__file__).parent / "rollout.json").read_text(encoding="utf-8"))


def counts(vector):
    return dict(Evidence.from_rows(vector["cells"]).items())


@pytest.mark.parametrize("vector", VECTORS["wealth"], ids=lambda vector: vector["name"])
def test_wealth(vector):
    """The wealth is the one written down, and so is the one of the independent computing."""
    fields = vector["claim"]
    claim = Claim(**{**fields, "effects": tuple(fields["effects"]), "weights": tuple(fields["weights"])})
    assert log_wealth(claim, counts(vector)) == pytest.approx(vector["log_wealth"], abs=1e-6)
    assert exact_log_wealth(fields, vector["cells"]) == pytest.approx(vector["log_wealth"], abs=1e-6)


@pytest.mark.parametrize("vector", VECTORS["sample_ratio"], ids=lambda vector: vector["name"])
def test_sample_ratio(vector):
    """The wealth against a right split is the one written down."""
    assert log_ratio_wealth(counts(vector)) == pytest.approx(vector["log_wealth"], abs=1e-8)
