"""Which bodies are left behind: by a hash of the id, the same everywhere, near the rate that was asked for."""

from __future__ import annotations

import json
from random import Random

import pytest

from logos_shift_openai.core.body_sampling import keeps_bodies, usage_alone
from logos_shift_openai.core.config import Rates, Sampling
from logos_shift_openai.core.config_reading import parse_config
from logos_shift_openai.core.ids import fraction, uuid7
from logos_shift_openai.core.records import CallRecord, RecordError, call_line, read_line
from logos_shift_openai.core.strict import ConfigError

DICE = Random(11)
IDS = [uuid7(1_764_000_000_000 + n, DICE.randbytes(10)) for n in range(4_000)]
PINNED = [False, True, True, False, False, True, True, False]


def kept(rate, ids=IDS, **datasets):
    sampling = Sampling(bodies=Rates(rate, datasets))
    return {one for one in ids if keeps_bodies(sampling, "sales", one, None)}


def test_a_share_is_kept_and_a_larger_one_has_it_within():
    """4,000 ids: 5 standard deviations about the rate; raising it takes nothing away."""
    tenth, half = kept(0.1), kept(0.5)
    assert abs(len(tenth) - 400) < 95
    assert abs(len(half) - 2_000) < 159
    assert tenth < half
    assert kept(0.0) == set()
    assert kept(1.0) == set(IDS)


def test_it_is_independent_of_the_rate_of_calls():
    """Of the calls that `rate` lets through the same share is kept."""
    recorded = [one for one in IDS if fraction(one) < 0.5]
    assert abs(len(kept(0.5, recorded)) / len(recorded) - 0.5) < 0.06


def test_a_dataset_has_its_own_rate():
    """And the general one is for the others."""
    assert kept(0.0, sales=1.0) == set(IDS)
    assert kept(1.0, sales=0.0) == set()


def test_a_child_shares_its_parents_lot():
    """A whole exchange is kept or none of it; pinned, so that another language draws alike."""
    sampling = Sampling(bodies=Rates(0.5))
    for parent, child in zip(IDS[:200], IDS[200:400], strict=True):
        assert keeps_bodies(sampling, "d", child, parent) == keeps_bodies(sampling, "d", parent, None)
    assert [keeps_bodies(sampling, "d", f"call-{n}", None) for n in range(8)] == PINNED


def test_the_config_says_it_strictly():
    """A rate beyond [0, 1] or an unknown name is refused with its path."""
    config = parse_config(json.dumps({"version": 1, "sampling": {"bodies": {"rate": 0.1, "datasets": {"a": 1}}}}))
    assert config.sampling == Sampling(bodies=Rates(0.1, {"a": 1}))
    for wrong, path in (
        ({"rate": 2}, "sampling.bodies.rate"),
        ({"share": 1}, "sampling.bodies"),
        ({"datasets": {"a": -1}}, "sampling.bodies.datasets"),
        (0.5, "sampling.bodies"),
    ):
        with pytest.raises(ConfigError) as refused:
            parse_config(json.dumps({"version": 1, "sampling": {"bodies": wrong}}))
        assert str(refused.value).startswith(path)


@pytest.mark.parametrize(
    ("response", "left"),
    [
        (b'{"id":"x","usage":{"prompt_tokens":3}}', {"usage": {"prompt_tokens": 3}}),
        (b'{"id":"x"}', None),
        (b'{"usage":null}', None),
        (b'["usage"]', None),
        (b'"usage"', None),
        (b'{"usage":', None),
        (None, None),
    ],
)
def test_of_an_answer_its_usage_is_left(response, left):
    """Nothing else of it, whatever it is."""
    found = usage_alone(response)
    assert (found and json.loads(found)) == left


def test_a_line_says_that_its_bodies_were_left_behind():
    """And a line with bodies says nothing of it, as before."""
    call = CallRecord(id="a", at=1, endpoint="responses", request=b"null", bodies=False)
    assert json.loads(call_line(call))["bodies"] is False
    assert read_line(call_line(call)) == call
    assert "bodies" not in json.loads(call_line(CallRecord(id="a", at=1, endpoint="responses", request=b"{}")))
    with pytest.raises(RecordError, match="bodies"):
        read_line(call_line(call).replace(b'"bodies":false', b'"bodies":3'))
