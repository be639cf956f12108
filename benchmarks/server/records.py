"""Records as a chat application writes them, 4.3 KB a line, the same ones in every run.

A system prompt that all calls of a dataset share, and a question and an answer of words drawn by Zipf's law from a
vocabulary of 800: the new text of a call takes 2.8 bits a character after zstd with a dictionary, which is what English
prose takes. Text that says more, or less, takes more or fewer bytes at rest.
"""

from __future__ import annotations

import json
from itertools import accumulate
from random import Random
from zlib import crc32

from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.records import (
    Attempt,
    CallError,
    CallRecord,
    FeedbackRecord,
    Unit,
    Variant,
    call_line,
    feedback_line,
)

START = 1_764_000_000_000
SHARE = 3_300
"""Of the candidate, in basis points; a user has the variant that the user's bucket says."""
_VOCABULARY = 800
_SYSTEM, _QUESTION, _ANSWER = 1_000, 1_100, 750


class Records:
    """Makes lines, 40 ms apart.

    Args:
        seed: Of the dice.
        unit: What is drawn, "user" or "call".
        failing: The variant whose calls end in an error; none.
    """

    def __init__(self, seed: int = 5, unit: str = "user", failing: str | None = None) -> None:
        self.dice = Random(seed)
        self._unit, self._failing = unit, failing
        self._words = [self._word() for _ in range(_VOCABULARY)]
        self._weights = list(accumulate(1 / (rank + 3) for rank in range(_VOCABULARY)))
        self._systems = {name: self.text(_SYSTEM) for name in ("sales", "support")}
        self._made = 0

    def text(self, size: int) -> str:
        """Give prose of so many characters."""
        return " ".join(self.dice.choices(self._words, cum_weights=self._weights, k=size // 3))[:size]

    def calls(self, count: int) -> list[bytes]:
        """Give lines of calls."""
        return [self._call()[1] for _ in range(count)]

    def rated(self, count: int) -> list[bytes]:
        """Give lines of calls, each followed by the feedback on it."""
        lines = []
        for _ in range(count):
            call_id, line = self._call()
            said = FeedbackRecord(self._id(), START, call_id, value=self.dice.choice((0.0, 0.5, 1.0)))
            lines += [line, feedback_line(said)]
        return lines

    def _call(self) -> tuple[str, bytes]:
        dice, call_id = self.dice, self._id()
        at = START + self._made * 40
        dataset = dice.choice(("sales", "support"))
        model, took, user = "gpt-6.1-sol", dice.lognormvariate(6.5, 0.5), f"user-{dice.randrange(9_999)}"
        provider_id = f"chatcmpl-{dice.getrandbits(116):029x}"
        request = {
            "model": model,
            "messages": [
                {"role": "system", "content": self._systems[dataset]},
                {"role": "user", "content": self.text(_QUESTION)},
            ],
            "temperature": 0.2,
            "max_completion_tokens": 800,
        }
        message = {"role": "assistant", "content": self.text(_ANSWER), "refusal": None, "annotations": []}
        response = {
            "id": provider_id,
            "object": "chat.completion",
            "created": at // 1000,
            "model": f"{model}-2026-09-01",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": dice.randrange(300, 900),
                "completion_tokens": dice.randrange(20, 300),
                "total_tokens": 900,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": f"fp_{dice.getrandbits(40):010x}",
        }
        unit = Unit("user", user) if self._unit == "user" else Unit("call", call_id)
        bucket = crc32(unit.id.encode()) % 10_000
        variant: Variant = "candidate" if bucket < SHARE else "baseline"
        error = CallError("APIError", 500) if variant == self._failing else None
        record = CallRecord(
            id=call_id, at=at, endpoint="chat.completions", request=json.dumps(request).encode(),
            response=json.dumps(response).encode(), dataset=dataset, unit=unit, user_id=user,
            metadata={"plan": "pro"}, requested_model=model, experiment=f"{dataset}-tiny", assigned=variant,
            served=variant, share=SHARE, bucket=bucket, why=f"user bucket {bucket} is below the share {SHARE}",
            config_version=7, attempts=(Attempt(variant, model, None, True, took),), duration_ms=took,
            first_token_ms=took / 3, provider_id=provider_id, error=error, sdk="openai/3.54.0 logos_shift_openai/0.1.0",
        )  # fmt: skip
        return call_id, call_line(record)

    def _id(self) -> str:
        self._made += 1
        return uuid7(START + self._made * 40, self.dice.randbytes(10))

    def _word(self) -> str:
        syllables = 1 + int(self.dice.random() ** 1.5 * 3)
        return "".join(self._syllable() for _ in range(syllables))

    def _syllable(self) -> str:
        end = self.dice.choice("nrst") if self.dice.random() < 0.3 else ""
        return self.dice.choice("bcdfghlmnprstvw") + self.dice.choice("aeiou") + end
