"""Fills a store with calls of a month: five datasets, one of them under an experiment, a tenth with feedback."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.policy import policy_from
from logos_shift_openai.core.prices import Price
from logos_shift_openai.core.records import Attempt, CallRecord, FeedbackRecord, call_line, feedback_line
from logos_shift_openai.lab.data import rows
from logos_shift_openai.server.experiments import Plan
from logos_shift_openai.server.fold import settle
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.prices import keep_prices
from logos_shift_openai.server.rollouts import begin_rollout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.server.store.database import Store

_BATCH = 5_000
_MONTH_MS = 30 * 86_400_000
_SYSTEM = "Name the intent of the customer's message in one word."


def fill(store: Store, calls: int, now: int) -> None:
    """Take calls in as they come over the wire, and fold what was counted.

    Args:
        store: Empty.
        calls: How many.
        now: Milliseconds since 1970; the calls end there.
    """
    lines = _lines(calls, now)
    while batch := [line for _, line in zip(range(_BATCH), lines, strict=False)]:
        ingest(store, batch, now)
    settle(store, now)
    plan = Plan("sales", ("gpt-6.1-sol",), "gpt-6.1-mini", None, "dataset-0")
    begin_rollout(store, "sales", policy_from({"step_seconds": 0}), now, plan=plan)
    with store.writing() as connection:
        keep_prices(connection, {"gpt-6.1-sol": Price(10.0, 30.0), "gpt-6.1-mini": Price(0.4, 1.6)})


def _lines(calls: int, now: int) -> Iterator[bytes]:
    dice, texts = Random(1), rows("train")
    for number in range(calls):
        at = now - _MONTH_MS + number * _MONTH_MS // calls
        text, intent = texts[number % len(texts)]
        call_id = uuid7(at, dice.randbytes(10))
        variant = ("candidate" if number % 20 == 0 else "baseline") if number % 5 == 0 else None
        model = "gpt-6.1-mini" if variant == "candidate" else "gpt-6.1-sol"
        messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": f"{text} ({number})"}]
        message = {"role": "assistant", "content": intent}
        answer = {
            "id": f"chatcmpl-{number}",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 50, "completion_tokens": 5},
        }
        yield call_line(
            CallRecord(
                id=call_id,
                at=at,
                endpoint="chat.completions",
                requested_model="gpt-6.1-sol",
                dataset=f"dataset-{number % 5}",
                user_id=f"user-{number % 999}",
                experiment=variant and "sales",
                assigned=variant,
                served=variant or "baseline",
                provider_id=answer["id"],
                duration_ms=dice.random() * 2_000,
                attempts=[Attempt(variant or "baseline", model, None, ok=True, duration_ms=3.0)],
                request=json.dumps({"model": "gpt-6.1-sol", "messages": messages}).encode(),
                response=json.dumps(answer).encode(),
            )
        )
        if number % 10 == 0:
            label = "success" if dice.random() < 0.9 else "failure"
            yield feedback_line(
                FeedbackRecord(id=uuid7(at, dice.randbytes(10)), at=at + 5, call_id=call_id, label=label)
            )
