"""A candidate that is for some prompts alone: how the config says so, and what it does to a route."""

from __future__ import annotations

import pytest

from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.routing import Units, route
from logos_shift_openai.core.strict import ConfigError


def config(prompts):
    one = {"key": "k", "salt": "s", "share": 10_000, "candidate": {"model": "tiny", "prompts": prompts}}
    return config_from({"version": 1, "experiments": [one]})


@pytest.mark.parametrize(
    ("prompts", "fingerprint", "served"),
    [
        ("any", "0" * 12, True),
        (["0" * 12], "0" * 12, True),
        (["0" * 12, "none"], None, True),
        (["0" * 12], "1" * 12, False),
        (["0" * 12], None, False),
    ],
)
def test_only_known_prompts_go_to_the_candidate(prompts, fingerprint, served):
    """Others are outside of both arms, and the reason says what helps."""
    found = route(config(prompts), dataset="d", model="m", units=Units("c"), fingerprint=lambda _: fingerprint)
    assert found.use_candidate is served
    assert found.assigned == ("candidate" if served else None)
    assert served or (found.why == "the prompt changed since the candidate was tuned: retrain" and found.experiment)


def test_the_fingerprint_is_asked_for_only_where_it_matters():
    """No experiment with prompts of its own, no cost."""

    def never():
        raise AssertionError

    assert route(config("any"), dataset="d", model="m", units=Units("c"), fingerprint=never).use_candidate


@pytest.mark.parametrize("prompts", [[], "some", ["0" * 11], ["0" * 12, 3], {"a": 1}, None])
def test_what_is_no_list_of_fingerprints_is_refused(prompts):
    """With the path."""
    with pytest.raises(ConfigError, match=r"experiments\[0\]\.candidate\.prompts"):
        config(prompts)
