"""Fills a home with calls of a month: five datasets, one of them under an experiment, a tenth with feedback.

Whatever else has a page is there as well: an edition, a tuning job with its held-out answers, an autopilot that asks,
lines that were refused. All of it goes through the server's own functions, none of it past them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from sqlalchemy import update

from logos_shift_openai.core.autopilot_policy import autopilot_from
from logos_shift_openai.core.held_out import Rules
from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.policy import policy_from
from logos_shift_openai.core.prices import Price
from logos_shift_openai.core.records import Attempt, CallRecord, FeedbackRecord, call_line, feedback_line
from logos_shift_openai.lab.data import rows
from logos_shift_openai.server.autopilot.keeping import find_autopilot, keep, set_policy, tell
from logos_shift_openai.server.datasets.choosing import Choice
from logos_shift_openai.server.datasets.keeping import FolderEditions
from logos_shift_openai.server.datasets.register import make_edition
from logos_shift_openai.server.evaluation.keeping import Answered, keep_answers, open_evaluation
from logos_shift_openai.server.evaluation.questions import questions
from logos_shift_openai.server.evaluation.running import Bench, evaluate
from logos_shift_openai.server.experiments import Plan
from logos_shift_openai.server.fold import settle
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.prices import keep_prices
from logos_shift_openai.server.rollouts import begin_rollout
from logos_shift_openai.server.store.schema import tuning_jobs
from logos_shift_openai.server.tuners.edition import read_edition
from logos_shift_openai.server.tuners.jobs import open_job
from logos_shift_openai.server.tuners.protocol import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from logos_shift_openai.server.evaluation.questions import Question
    from logos_shift_openai.server.store.database import Store

_BATCH = 5_000
_MONTH_MS = 30 * 86_400_000
_EDITION = 1_000
_CANDIDATE = {"model": "gpt-6.1-mini"}
_SYSTEM = "Name the intent of the customer's message in one word."


def fill(store: Store, home: Path, calls: int, now: int) -> None:
    """Take calls in as they come over the wire, fold what was counted, and put the other pages' things beside them.

    Args:
        store: Empty.
        home: Its folder, where the edition lies.
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
    ingest(store, [b'{"kind": "call"}', b"no record"] * 20, now)
    _work(store, home, now)


def _work(store: Store, home: Path, now: int) -> None:
    """Cut an edition, write down a job that trained on it, what its candidate answered, and an autopilot that asks."""
    choice = Choice("dataset-3", limit=_EDITION, heldout=3_000)
    edition = make_edition(store, FolderEditions(home / "editions"), choice, now)
    job, _ = open_job(store, "none", edition.id, Settings("gpt-6.1-mini"), now, now + _MONTH_MS)
    bench = Bench(store, home, {}, "benchmark", lambda: now)
    with store.writing() as connection:
        done = update(tuning_jobs).where(tuning_jobs.c.id == job.id)
        connection.execute(done.values(state="succeeded", candidate=json.dumps(_CANDIDATE), said="done"))
        evaluation = open_evaluation(connection, edition.id, _CANDIDATE, Rules(rows=1), now)
        asked = questions(read_edition(home, edition.id), {}, _EDITION)
        keep_answers(connection, evaluation.id, [_answered(one, dice=Random(one.row)) for one in asked])
        policy = autopilot_from({"models": ["gpt-6.1-sol"], "base": "gpt-6.1-mini", "rows": 1})
        set_policy(connection, "dataset-3", policy, now)
    evaluate(bench, evaluation.id)
    with store.writing() as connection:
        one = find_autopilot(connection, "dataset-3")
        state = replace(one.state, round=1, phase="built", asked="tune", edition=edition.id)
        keep(connection, one, state, "a tuning job waits for your word: 700 rows", now)
        for number in range(100):
            tell(connection, one, state, "asks", f"a tuning job waits for your word, look {number}", {}, now)


def _answered(one: Question, dice: Random) -> Answered:
    """Give the held-out answer, or another one in its place."""
    said = one.answer if dice.random() < 0.9 else "another_intent"
    message = {"role": "assistant", "content": said}
    return Answered(one.row, {"message": message, "finish_reason": "stop"}, None, None, 50, 5)


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
