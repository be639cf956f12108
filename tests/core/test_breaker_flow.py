"""The breaker and the flow: decisions only, with the clock passed in."""

from __future__ import annotations

import pytest

from logos_shift_openai.core.breaker import FAILURES, LONGEST_PAUSE_SECONDS, PAUSE_SECONDS, Breaker
from logos_shift_openai.core.flow import BASELINE, CANDIDATE, Outcome, falls_back, flow
from logos_shift_openai.core.records import CallError


def opened(now=0.0):
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(now)
    return breaker


def test_breaker_opens_and_tries_again():
    """Open after failures in a row, one trial after the pause, closed by a success."""
    breaker = opened()
    assert not breaker.allows(PAUSE_SECONDS - 1)
    assert breaker.allows(PAUSE_SECONDS)
    assert not breaker.allows(PAUSE_SECONDS)
    breaker.succeeded()
    assert breaker.allows(PAUSE_SECONDS + 1)


def test_breaker_pauses_longer():
    """A failed trial doubles the pause, up to a bound."""
    breaker, now = opened(), 0.0
    for expected in (60.0, 120.0, 240.0, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS):
        now += 10_000
        assert breaker.allows(now)
        breaker.failed(now)
        assert breaker.until == now + expected


def test_success_between_keeps_it_closed():
    """Failures that are not in a row do not open it."""
    breaker = Breaker()
    for _ in range(20):
        breaker.failed(0)
        breaker.succeeded()
    assert breaker.allows(0)


def run(errors, **how):
    attempts, steps = [], flow(**how)
    try:
        attempt = next(steps)
        for error in errors:
            attempts.append(attempt)
            attempt = steps.send(Outcome(error))
        attempts.append(attempt)
    except StopIteration:
        pass
    return attempts


BROKEN = CallError("InternalServerError", 500)
REFUSED = CallError("BadRequestError", 400, "content_policy_violation")


def test_flow():
    """The candidate first, the baseline when it fails in a way that it may answer, and nothing after the baseline."""
    assert run([None], candidate_first=False, fallback=True) == [BASELINE]
    assert run([BROKEN], candidate_first=False, fallback=True) == [BASELINE]
    assert run([None], candidate_first=True, fallback=True) == [CANDIDATE]
    assert run([BROKEN, BROKEN], candidate_first=True, fallback=True) == [CANDIDATE, BASELINE]
    assert run([REFUSED], candidate_first=True, fallback=True) == [CANDIDATE]
    assert run([BROKEN], candidate_first=True, fallback=False) == [CANDIDATE]


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (CallError("APIConnectionError"), True),
        (CallError("APITimeoutError"), True),
        (CallError("APIError", None, "overloaded"), True),
        (CallError("APIError", None, "content_filter"), False),
        (CallError("JSONDecodeError"), True),
        (CallError("EmptyStreamError"), True),
        (CallError("ReadError", None, "connection_error"), True),
        (CallError("LengthFinishReasonError"), False),
        (CallError("ValueError"), False),
        (CallError("BadRequestError", 400), False),
        (CallError("BadRequestError", 400, "context_length_exceeded"), True),
        (CallError("BadRequestError", 400, "unsupported_parameter"), True),
        (CallError("UnprocessableEntityError", 422), False),
        *((CallError("APIStatusError", status), True) for status in (401, 403, 404, 408, 409, 429, 500, 503, 529)),
    ],
)
def test_falls_back(error, answer):
    """What the baseline may answer in the candidate's place."""
    assert falls_back(error) is answer
