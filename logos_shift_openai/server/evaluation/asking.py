"""A candidate, asked by this process's own providers as the clients would ask it.

Rule: a provider that cannot be asked says nothing of its model, so nothing is kept then. What it refuses, or answers
with nonsense, is the candidate's failure and kept as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import openai

from logos_shift_openai.core.candidate_body import changed_for
from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.examples import read_index, with_examples
from logos_shift_openai.core.gate import confidences_in
from logos_shift_openai.server.tuners.named import sdk_client
from logos_shift_openai.server.tuners.problems import AwayError, RefusedError, without_keys

from .keeping import Answered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logos_shift_openai.core.config import Candidate

    from .questions import Question

_SECONDS: Final = 120.0
_RETRIES: Final = 2
_LATER: Final = frozenset({401, 403, 404, 408, 409, 425, 429})
_SERVER: Final = 500


def candidate_of(told: Mapping[str, Any]) -> Candidate:
    """Read an experiment's `candidate`.

    Raises:
        ConfigError: it is none.
    """
    one = {"key": "held-out", "salt": "none", "share": 0, "candidate": dict(told), "match": {"model": ["-"]}}
    return config_from({"version": 1, "experiments": [one]}).experiments[0].candidate


class Asker:
    """Asks one candidate; safe from several threads.

    Args:
        candidate: As an experiment's `candidate`.
        environ: Where its provider stands.
        index: The bytes of its examples' file, None where it has none.

    Raises:
        AwayError: this process does not know the provider.
    """

    def __init__(self, candidate: Mapping[str, Any], environ: Mapping[str, str], index: bytes | None) -> None:
        self._candidate = candidate_of(candidate)
        asked = self._candidate.examples
        self._index = None if index is None or asked is None else read_index(index, asked.index)
        self._logprobs = True
        try:
            self._client = sdk_client(self._candidate.provider, environ)
        except RefusedError as error:
            raise AwayError(error.message, error.next_step, waiting=True) from None

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def __call__(self, question: Question) -> Answered:
        """Ask.

        Raises:
            AwayError: nothing came of it, and the same may be asked later.
        """
        body = changed_for(self._candidate, question.body)
        if self._index is not None and self._candidate.examples is not None:
            body["messages"] = with_examples(body["messages"], self._index, self._candidate.examples.count)
        try:
            return self._answered(question.row, self._ask(body))
        except openai.APIStatusError as error:
            if error.status_code in _LATER or error.status_code >= _SERVER:
                raise AwayError(f"{self._candidate.model}: {error.status_code}, {error.message}") from None
            return Answered(question.row, None, None, without_keys(error.message), None, None)
        except openai.APIConnectionError as error:
            raise AwayError(f"{self._candidate.model}: {type(error).__name__}") from None
        except (openai.OpenAIError, ValueError) as error:
            return Answered(question.row, None, None, without_keys(f"{type(error).__name__}: {error}"), None, None)

    def _ask(self, body: dict[str, Any]) -> Any:
        body.pop("logprobs", None)
        client = self._client.with_options(timeout=_SECONDS, max_retries=_RETRIES)
        if self._logprobs:
            try:
                return client.chat.completions.with_raw_response.create(**body, logprobs=True).http_response.json()
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if "logprobs" not in f"{error.param} {error.message}":
                    raise
                self._logprobs = False  # it tells none: it can have no gate, all the same
        return client.chat.completions.with_raw_response.create(**body).http_response.json()

    def _answered(self, row: int, told: Any) -> Answered:
        choices = told.get("choices") if isinstance(told, dict) else None
        first = choices[0] if isinstance(choices, list) and choices else None
        message = first.get("message") if isinstance(first, dict) else None
        used = told.get("usage") if isinstance(told, dict) else None
        tokens = [used.get(name) for name in ("prompt_tokens", "completion_tokens")] if isinstance(used, dict) else []
        read, written = [one if isinstance(one, int) else None for one in (*tokens, None, None)][:2]
        if not isinstance(first, dict) or not isinstance(message, dict):
            return Answered(row, None, None, "the answer has no choices", read, written)
        kept = {name: message[name] for name in ("content", "tool_calls", "refusal") if message.get(name)}
        answer = {"message": {"role": "assistant", **kept}, "finish_reason": first.get("finish_reason")}
        return Answered(row, answer, confidences_in(told), None, read, written)
