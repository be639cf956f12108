"""A model of the user's own as the judge of two answers; see `core.judging` for what it is asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from logos_shift_openai.cli.provider import RefusedError, UnansweredError
from logos_shift_openai.core.judging import VerdictError, question, score_of_verdicts, verdict_of

if TYPE_CHECKING:
    from logos_shift_openai.cli.provider import Asked
    from logos_shift_openai.core.judging import Verdict

_BAD_REQUEST = 400


class Judge:
    """Judges pairs, and counts those that it could not.

    Args:
        asked: The judge's provider.
        name: Of the provider.
        model: The judge's model.
    """

    def __init__(self, asked: Asked, name: str, model: str) -> None:
        self.asked = asked
        self.called = f"{name}/{model}"
        self.failed = 0
        self._model = model
        self._schemas = True

    def score(self, request: Any, baseline: Any, candidate: Any) -> float | None:
        """Give the candidate's score of both orders; None where one of them brought no verdict, which is counted."""
        try:
            first = self._verdict(request, baseline, candidate)
            second = self._verdict(request, candidate, baseline)
        except (UnansweredError, RefusedError, VerdictError):
            self.failed += 1
            return None
        return score_of_verdicts(first, second)

    def _verdict(self, request: Any, one: Any, other: Any) -> Verdict:
        body = question(self._model, request, one, other)
        if self._schemas:
            try:
                return verdict_of(json.loads(self.asked(body)))
            except RefusedError as error:
                if error.error.status != _BAD_REQUEST:
                    raise
                self._schemas = False  # a server that knows no schemas; the prompt says the form, too
        del body["response_format"]
        return verdict_of(json.loads(self.asked(body)))
