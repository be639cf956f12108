"""The work of the demo: calls through our own client to the lab, and a model tuned on their records.

Every call gets its feedback, as an application that knows the right answer would give it.
"""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.cli.output import CommandError
from logos_shift_openai.cli.session import Place, opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.progress import Progress, TaskID

    from logos_shift_openai import OpenAI
    from logos_shift_openai.lab import Lab

DATASET: Final = "banking"
LARGE: Final = "oracle-large"
SMALL: Final = "tiny-base"
_WORKERS: Final = 8

Row = tuple[str, str]


@dataclass(frozen=True)
class Tuned:
    """What came of the tuning job.

    Args:
        rows: Examples in the training file.
        accuracy: On the part of the file that the job held out, in [0, 1].
        seconds: From the upload to the finished job.
    """

    job: str
    model: str
    rows: int
    accuracy: float | None
    seconds: float


class Round:
    """Calls through our client, several at a time, with feedback on each."""

    def __init__(self, lab: Lab, place: Place, bar: Progress) -> None:
        from logos_shift_openai import LogosShift, OpenAI  # noqa: PLC0415
        from logos_shift_openai.lab.data import labels  # noqa: PLC0415

        self._shift = LogosShift(home=place.home, url=None, dataset=DATASET)
        self._client: OpenAI = OpenAI(base_url=lab.base_url, api_key="none", logos_shift=self._shift)
        self._bar = bar
        self._system = "Name the intent of the customer's message. Answer with one of: " + ", ".join(labels())

    def teach(self, rows: Sequence[Row]) -> None:
        """Let the large model answer, and say which answers were right."""
        self._run(rows, self._bar.add_task(f"{LARGE} answers {len(rows)} questions", total=len(rows)))

    def ask(self, rows: Sequence[Row], task: TaskID) -> None:
        """Ask other questions; the live config decides which of them get which model."""
        self._shift.runtime.source.load()
        self._run(rows, task)

    def _run(self, rows: Sequence[Row], task: TaskID) -> None:
        with ThreadPoolExecutor(_WORKERS) as pool:
            for _ in pool.map(self._one, rows):
                self._bar.advance(task)
        if not self._shift.flush(30):
            raise CommandError("the records could not be written to the spool")

    def _one(self, row: Row) -> None:
        text, intent = row
        answer = self._client.chat.completions.create(
            model=LARGE,
            messages=[{"role": "system", "content": self._system}, {"role": "user", "content": text}],
        )
        if answer.choices[0].message.content == intent:
            self._shift.provide_feedback(answer, "success")
        else:
            self._shift.provide_feedback(answer, "failure", correction=intent)


def tune(lab: Lab, place: Place, bar: Progress, *, shuffled: bool) -> Tuned:
    """Make a training file of the records and tune the small model on it, through the official SDK.

    Args:
        lab: Where it is tuned.
        place: Whose records.
        bar: Shows how far it is.
        shuffled: Give every question the answer of another one, so that there is nothing to learn.
    """
    import openai  # noqa: PLC0415

    task = bar.add_task("records become a training file", total=1)
    lines = list(_training_lines(place, shuffled=shuffled))
    path = place.home / "training.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    bar.advance(task)
    began = time.monotonic()
    task = bar.add_task(f"{SMALL} is tuned on {len(lines)} records", total=100)
    with openai.OpenAI(base_url=lab.base_url, api_key="none") as client:
        file = client.files.create(file=path, purpose="fine-tune")
        job = client.fine_tuning.jobs.create(model=SMALL, training_file=file.id)
        while job.status not in {"succeeded", "failed", "cancelled"}:
            time.sleep(0.1)
            job = client.fine_tuning.jobs.retrieve(job.id)
            events = client.fine_tuning.jobs.list_events(job.id, limit=1).data
            bar.update(task, completed=min(95.0, 12 * (time.monotonic() - began)), description=_said(events))
        if job.status != "succeeded" or job.fine_tuned_model is None:
            raise CommandError(
                f"the tuning job {job.id} {job.status}: {job.error.message if job.error else 'no reason'}"
            )
        points = client.fine_tuning.jobs.checkpoints.list(job.id, limit=1).data
    bar.update(task, completed=100, description=f"{SMALL} is tuned on {len(lines)} records")
    accuracy = points[0].metrics.valid_mean_token_accuracy if points else None
    return Tuned(job.id, job.fine_tuned_model, len(lines), accuracy, round(time.monotonic() - began, 1))


def _said(events: Sequence[Any]) -> str:
    return f"{SMALL}: {str(events[0].message)[:50]}" if events else f"{SMALL}: queued"


def _training_lines(place: Place, *, shuffled: bool) -> Iterable[str]:
    """Take the good answers, and the corrections of the bad ones, as chat lines."""
    from logos_shift_openai.server.calls import Filters, find_call, list_calls  # noqa: PLC0415

    asked, answers = [], []
    with opened(place, create=True) as store, store.reading() as connection:
        for head in list_calls(connection, Filters(dataset=DATASET)):
            call = find_call(connection, str(head["id"]))
            if call is None:
                continue
            said = [one for one in call["said"] if one.get("correction")]
            answers.append(said[0]["correction"] if said else call["response"]["choices"][0]["message"]["content"])
            asked.append(call["request"]["messages"])
    if shuffled:
        random.Random(7).shuffle(answers)  # noqa: S311 - the same ones each time
    for messages, answer in zip(asked, answers, strict=True):
        yield json.dumps({"messages": [*messages, {"role": "assistant", "content": answer}]}, ensure_ascii=False) + "\n"
