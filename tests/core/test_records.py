"""Records: what is written as a line is read back the same; what is no record says which part is wrong."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.records import (
    Attempt,
    CallError,
    CallRecord,
    FeedbackRecord,
    RecordError,
    Unit,
    call_line,
    feedback_line,
    read_line,
)

CALL = CallRecord(
    id="01a20c2c-a0e8-7d46-9438-a4374cad9678",
    at=1764000000123,
    endpoint="chat.completions",
    request=b'{"model":"m"}',
    response='{"id":"chatcmpl-1","text":"é"}'.encode(),
    unit=Unit("user", "u"),
    user_id="u",
    metadata={"a": [1]},
    requested_model="m",
    experiment="e",
    assigned="candidate",
    served="baseline",
    share=500,
    bucket=3,
    why="because",
    config_version=2,
    attempts=(
        Attempt("candidate", "c", "p", ok=False, duration_ms=1.5, error=CallError("APIError", 500, "x", "boom")),
        Attempt("baseline", "m", None, ok=True, duration_ms=2.5),
    ),
    stream=True,
    first_token_ms=1.0,
    provider_id="chatcmpl-1",
    truncated=("request.messages[0]",),
    media=({"path": "request", "sha256": "00", "bytes": 3},),
    sdk="openai/1",
    checks={"valid": True, "refused": False},
    fingerprint="0123456789ab",
    question="abcdef",
)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"checks": []}, "checks: not an object"),
        ({"checks": {"valid": 1}}, "checks.valid"),
        ({"fingerprint": "a" * 65}, "fingerprint: longer"),
        ({"question": 5}, "question: 5 is not a text"),
    ],
)
def test_what_is_noted_wrongly_is_refused(said, why):
    line = json.dumps({"v": 1, "kind": "call", "id": "a", "at": 1, "endpoint": "responses", **said}).encode()
    with pytest.raises(RecordError, match=why):
        read_line(line)


def test_checks_of_a_later_client_are_passed_over():
    line = b'{"v":1,"kind":"call","id":"a","at":1,"endpoint":"responses","checks":{"cut":true,"kind":"x","valid":null}}'
    assert read_line(line).checks == {"cut": True}


def test_call_round_trip():
    """A call is read back as it was written."""
    line = call_line(CALL)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert read_line(line) == CALL


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=8,
)


@given(json_values, st.text(st.characters(exclude_categories=["Cs"])), st.floats(0, 1))
def test_feedback_round_trip(correction, comment, value):
    """A feedback is read back as it was given."""
    feedback = FeedbackRecord("id", 1, "call", value, None, comment or None, correction)
    assert read_line(feedback_line(feedback)) == feedback


BAD = [
    (b"", "not JSON"),
    (b"[1]", "a record is a JSON object"),
    (b'{"v":2,"kind":"call"}', "v: 2 is not a wire version"),
    (b'{"v":1,"kind":"x"}', "kind: 'x'"),
    (b'{"v":1,"kind":"call","endpoint":"responses","at":1}', "id: None is not a text"),
    (b'{"v":1,"kind":"call","id":"i","endpoint":"x","at":1}', "endpoint: 'x'"),
    (b'{"v":1,"kind":"call","id":"i","endpoint":"responses","at":"now"}', "at: 'now'"),
    (b'{"v":1,"kind":"call","id":"i","endpoint":"responses","at":1,"share":10001}', "share: 10001"),
    (b'{"v":1,"kind":"call","id":"i","endpoint":"responses","at":1,"assigned":[]}', r"assigned: \[\]"),
    (b'{"v":1,"kind":"feedback","id":"i","at":1,"call_id":"c","label":{}}', "label: {}"),
    (b'{"v":1,"kind":"call","id":"i","endpoint":"responses","at":1,"unit":3}', "unit, error or attempts"),
    (b'{"v":1,"kind":"call","id":"i","endpoint":"responses","at":1,"attempts":[{}]}', "unit, error or attempts"),
    (b'{"v":1,"kind":"feedback","id":"i","at":1}', "call_id"),
    (b'{"v":1,"kind":"feedback","id":"i","at":1,"call_id":"c","value":2}', r"value: 2.0 is not in \[0, 1\]"),
    (b'{"v":1,"kind":"feedback","id":"i","at":1,"call_id":"c","value":NaN}', "not a finite number"),
]


@pytest.mark.parametrize(("line", "fault"), BAD)
def test_bad_lines(line, fault):
    """A line that is no record says which part is wrong."""
    with pytest.raises(RecordError, match=fault):
        read_line(line)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes(line):
    """Any bytes are either a record or a `RecordError`."""
    with contextlib.suppress(RecordError):
        read_line(line)


OLD_LINES = (Path(__file__).parents[1] / "contract" / "wire-v1.ndjson").read_bytes().splitlines()


@pytest.mark.parametrize("line", OLD_LINES)
def test_old_lines_stay_readable(line):
    """Lines as they were written once are readable for ever."""
    assert read_line(line).id
