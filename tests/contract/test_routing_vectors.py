"""The buckets of `routing.json`, which another language could run, and what must hold for all others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.config import Candidate, Config, Experiment
from logos_shift_openai.core.routing import BUCKETS, Units, bucket_of, route

VECTORS = json.loads((Path(__file__).parent / "routing.json").read_text(encoding="utf-8"))["vectors"]


@pytest.mark.parametrize("vector", VECTORS)
def test_vectors(vector):
    """Each unit falls into the bucket that is written down."""
    assert bucket_of(vector["salt"], vector["unit"]) == vector["bucket"]


def experiment(share, salt="s", key="e"):
    return Experiment(key=key, candidate=Candidate("cheap"), match=("m",), share=share, salt=salt)


def assigned(share, unit, salt="s"):
    config = Config(version=1, experiments=(experiment(share, salt),))
    return route(config, dataset="d", model="m", units=Units("c", user=unit)).assigned


@given(st.text(min_size=1), st.integers(0, BUCKETS), st.integers(0, BUCKETS))
def test_raising_a_share_moves_nobody_back(unit, one, other):
    """Whoever is on the candidate at a share is there at every higher share."""
    low, high = sorted((one, other))
    if assigned(low, unit) == "candidate":
        assert assigned(high, unit) == "candidate"


def test_ends_of_the_scale():
    """Share 0 is nobody, share 10,000 everybody."""
    units = [str(number) for number in range(2_000)]
    assert {assigned(0, unit) for unit in units} == {"baseline"}
    assert {assigned(BUCKETS, unit) for unit in units} == {"candidate"}


def test_even_and_independent():
    """A share of 30 % is near 30 % of the users, and of those that another experiment picked."""
    users = [str(number) for number in range(20_000)]
    first = {user for user in users if assigned(3_000, user, "a") == "candidate"}
    both = {user for user in first if assigned(3_000, user, "b") == "candidate"}
    assert abs(len(first) / len(users) - 0.3) < 0.015
    assert abs(len(both) / len(first) - 0.3) < 0.025


REASONS = [
    (None, {}, "no experiment is configured"),
    (Config(version=1, enabled=False, experiments=(experiment(1),)), {}, "the config has routing switched off"),
    (Config(version=1, experiments=(experiment(1),)), {"model": "x"}, "no experiment is about this dataset and model"),
    (
        Config(version=1, experiments=(replace(experiment(1), dataset="x"),)),
        {},
        "no experiment is about this dataset and model",
    ),
    (Config(version=1, experiments=(replace(experiment(1), state="paused"),)), {}, "experiment e is paused"),
    (
        Config(version=1, experiments=(experiment(1),)),
        {"endpoint": "responses"},
        "candidate cheap does not speak responses",
    ),
    (
        Config(version=1, experiments=(replace(experiment(1), candidate=Candidate("cheap", provider="p")),)),
        {},
        "provider p is not known to this client",
    ),
    (Config(version=1, experiments=(experiment(1),)), {"force": "candidate"}, "forced to candidate here"),
]


@pytest.mark.parametrize(("config", "asked", "why"), REASONS)
def test_reasons(config, asked, why):
    """Every way out of the candidate's part says why."""
    found = route(config, **{"dataset": "d", "model": "m", "units": Units("c", user="u"), **asked})
    assert found.why == why


def test_unit_falls_back():
    """Without a user the conversation is bucketed, without a conversation the call."""
    units = Units("call", user="user", conversation="conversation")
    assert units.pick("user").id == "user"
    assert units.pick("conversation").id == "conversation"
    assert units.pick("call").id == "call"
    assert Units("call", conversation="c").pick("user").kind == "conversation"
    assert Units("call").pick("conversation").kind == "call"


def test_first_match_wins():
    """Of two experiments about the same calls the first in the document has them, unless it is stopped."""
    config = Config(version=1, experiments=(experiment(10_000, key="one"), experiment(10_000, key="two")))
    assert route(config, dataset="d", model="m", units=Units("c")).experiment.key == "one"
    stopped = replace(config, experiments=(replace(config.experiments[0], state="stopped"), config.experiments[1]))
    assert route(stopped, dataset="d", model="m", units=Units("c")).experiment.key == "two"
