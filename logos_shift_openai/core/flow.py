"""The life of a call as a generator that decides; the drivers in `client/drive.py` only do what it says.

It yields an `Attempt` to make and is sent the `Outcome`; it ends when an answer or an error is the caller's.
The candidate is tried first where the route says so. When it fails before its first token has reached the caller, the
baseline answers; the error a caller sees is the baseline's own. A 400 is about the prompt, so the caller sees it:
asking somebody else would get round a content policy. The exceptions are codes that speak of what this model cannot do.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from .records import CallError, Variant

MODEL_GONE_STATUS: Final = frozenset({401, 403, 404})
BUSY_STATUS: Final = frozenset({408, 409, 429})
CANDIDATES_OWN_CODES: Final = frozenset(
    {
        "model_not_found",
        "model_not_available",
        "unsupported_model",
        "DeploymentNotFound",
        "context_length_exceeded",
        "unsupported_parameter",
        "unsupported_value",
    }
)
REFUSED_CODES: Final = frozenset({"content_policy_violation", "content_filter"})
NOT_SURE_TYPE: Final = "NotSureError"
"""How a candidate's attempt ends whose answer its gate holds back: no failure, and always the baseline's to answer."""

# No status came: an `APIError` as such is an error event inside a stream.
NO_ANSWER_TYPES: Final = frozenset(
    {
        "APIConnectionError",
        "APIError",
        "APIResponseValidationError",
        "APITimeoutError",
        "EmptyStreamError",
        "NoAnswerError",
        "JSONDecodeError",
    }
)


class Try(NamedTuple):
    """An attempt to make now."""

    variant: Variant


class Outcome(NamedTuple):
    """How an attempt ended: with an answer (error is None) or with an error of the API or the connection."""

    error: CallError | None = None


CANDIDATE: Final = Try("candidate")
BASELINE: Final = Try("baseline")

Flow = Generator[Try, Outcome, None]


def flow(*, candidate_first: bool, fallback: bool) -> Flow:
    """Decide the attempts of one call.

    An answer that the candidate's gate held back is the baseline's to give, whatever the experiment says of failures.

    Args:
        candidate_first: The route says candidate, and its breaker lets it through.
        fallback: The experiment wants a failed candidate answered by the baseline.
    """
    if candidate_first:
        outcome = yield CANDIDATE
        error = outcome.error
        if error is None or not (error.type == NOT_SURE_TYPE or (fallback and falls_back(error))):
            return
    yield BASELINE


def falls_back(error: CallError) -> bool:
    """Tell whether a candidate's failure is one that the baseline may answer."""
    if error.code in REFUSED_CODES:
        return False
    if error.status is None:
        return error.type in NO_ANSWER_TYPES or error.code == "connection_error"
    if error.status in MODEL_GONE_STATUS or error.status in BUSY_STATUS or error.status >= 500:  # noqa: PLR2004
        return True
    return error.code in CANDIDATES_OWN_CODES
