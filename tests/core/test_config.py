"""The config: read whole, or refused with the path of the fault."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.config import Config, Shadow
from logos_shift_openai.core.config_reading import config_from, parse_config
from logos_shift_openai.core.strict import ConfigError

EXPERIMENT = {"key": "e", "match": {"model": "m"}, "candidate": {"model": "c"}, "share": 5, "salt": "s"}


def document(**more):
    return {"version": 1, "experiments": [{**EXPERIMENT, **more}]}


def test_whole_document():
    """Every part of a full document is read."""
    config = parse_config(
        json.dumps(
            {
                "version": 3,
                "enabled": False,
                "poll_seconds": 5,
                "sampling": {"rate": 0.5, "datasets": {"sales": 0.1}},
                "redaction": {
                    "rules": ["email"],
                    "keys": ["metadata.ssn"],
                    "patterns": [{"name": "t", "regex": "T-[0-9]+"}],
                },
                "experiments": [
                    {
                        "key": "sales-tiny",
                        "dataset": "sales",
                        "match": {"model": ["gpt-*", "o3"]},
                        "candidate": {
                            "model": "tiny",
                            "provider": "lab",
                            "params": {"drop": ["seed"], "rename": {"a": "b"}, "set": {"temperature": 0}},
                            "prompt": {"prune": ["You are"]},
                            "endpoints": ["chat.completions", "responses"],
                        },
                        "share": 500,
                        "unit": "conversation",
                        "salt": "ab",
                        "state": "paused",
                        "fallback": {"enabled": False, "timeout_seconds": 2.5},
                    }
                ],
            }
        )
    )
    (experiment,) = config.experiments
    assert config.sampling.of("sales") == 0.1
    assert config.sampling.of("x") == 0.5
    assert experiment.concerns("sales", "gpt-5")
    assert not experiment.concerns("sales", "claude")
    assert not experiment.concerns("support", "gpt-5")
    assert experiment.candidate.params.rename == {"a": "b"}
    assert experiment.fallback.timeout_seconds == 2.5


BAD = [
    ([], "the document: [] is not an object"),
    ({}, "version: missing"),
    ({"version": 1, "experimets": []}, "experimets: not known here"),
    ({"version": True}, "version: true is not a whole number"),
    ({"version": 1, "poll_seconds": 0}, "poll_seconds: 0 is not in 1..86400"),
    ({"version": 1, "sampling": {"datasets": {"a": 2}}}, "sampling.datasets.a: 2 is not in 0..1"),
    ({"version": 1, "redaction": {"patterns": [{"name": "x", "regex": "("}]}}, "redaction.patterns[0].regex"),
    (document(share=12_000), "experiments[0].share: 12000 is not in 0..10000"),
    (document(share=0.5), "experiments[0].share: 0.5 is not in 0..10000"),
    (document(key="a b"), 'experiments[0].key: "a b" is not a name'),
    (document(unit="tenant"), 'experiments[0].unit: "tenant" is not one of user, conversation, call'),
    (document(candidate={}), "experiments[0].candidate.model: missing"),
    (document(candidate={"model": "m"}), 'experiments[0].candidate.model: "m"\' is the baseline too'),
    (
        document(candidate={"model": "c", "base_url": "http://evil"}),
        "experiments[0].candidate.base_url: not known here",
    ),
    (
        document(candidate={"model": "c", "params": {"set": {"model": "x"}}}),
        "experiments[0].candidate.params.set.model",
    ),
    (document(fallback={"timeout_seconds": -1}), "experiments[0].fallback.timeout_seconds: -1"),
    ({"version": 1, "experiments": [EXPERIMENT, EXPERIMENT]}, "experiments[1].key: 'e' stands twice"),
]


@pytest.mark.parametrize(("data", "fault"), BAD)
def test_faults_have_a_path(data, fault):
    """A bad document is refused with the path of its fault."""
    with pytest.raises(ConfigError) as caught:
        config_from(data)
    assert str(caught.value).replace("'m'", '"m"\'').startswith(fault)


@given(st.binary())
def test_any_bytes(text):
    """Any bytes are either a config or a `ConfigError`."""
    with contextlib.suppress(ConfigError):
        assert isinstance(parse_config(text), Config)


def test_a_shadow_has_its_rate_and_its_budget():
    """It needs a candidate with a provider, and is read as strictly as the rest."""
    candidate = {"model": "c", "provider": "lab"}
    config = config_from(document(candidate=candidate, share=0, shadow={"rate": 0.5, "calls_per_minute": 3}))
    assert config.experiments[0].shadow == Shadow(0.5, 3)
    assert config_from(document(candidate=candidate, shadow={})).experiments[0].shadow == Shadow(1.0, 10)
    assert config_from(document(shadow=None)).experiments[0].shadow is None
    for shadow, fault in (
        ({"rate": 2}, r"experiments\[0\].shadow.rate: 2 is not in 0..1"),
        ({"calls_per_minute": 0}, r"experiments\[0\].shadow.calls_per_minute: 0 is not in 1..6000"),
        ({"calls": 1}, r"experiments\[0\].shadow.calls: not known here"),
    ):
        with pytest.raises(ConfigError, match=fault):
            config_from(document(candidate=candidate, shadow=shadow))
    with pytest.raises(ConfigError, match=r"experiments\[0\].shadow: only for a candidate with a provider"):
        config_from(document(shadow={}))
