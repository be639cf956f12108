"""The calls of the demo: through our own client to the lab, each with its feedback.

An application that knows the right answer gives it, as a correction where the answer was wrong. One that knows the
wrong ones, for `--bad`, corrects every answer to that of another question.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from logos_shift_openai.cli.output import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress, TaskID

    from logos_shift_openai import OpenAI
    from logos_shift_openai.cli.session import Place
    from logos_shift_openai.lab import Lab

DATASET: Final = "banking"
LARGE: Final = "oracle-large"
SMALL: Final = "tiny-base"
PROVIDER: Final = "lab"
_WORKERS: Final = 8

Row = tuple[str, str]


class Round:
    """Calls through our client, several at a time, with feedback on each."""

    def __init__(self, lab: Lab, place: Place, bar: Progress) -> None:
        from logos_shift_openai import LogosShift, OpenAI, Provider  # noqa: PLC0415
        from logos_shift_openai.lab.data import labels  # noqa: PLC0415

        providers = {PROVIDER: Provider(lab.base_url, "none")}
        self._shift = LogosShift(home=place.home, url=None, dataset=DATASET, providers=providers)
        self._client: OpenAI = OpenAI(base_url=lab.base_url, api_key="none", logos_shift=self._shift)
        self._bar = bar
        self._wrong: dict[str, str] = {}
        self._system = "Name the intent of the customer's message. Answer with one of: " + ", ".join(labels())

    def teach(self, rows: Sequence[Row], *, shuffled: bool = False) -> None:
        """Let the large model answer, and say which answers were right; shuffled, of each that it was another one."""
        task = self._bar.add_task(f"{LARGE} answers {len(rows)} questions", total=len(rows))
        if not shuffled:
            self._run(rows, task)
            return
        wrong = [answer for _, answer in rows]
        random.Random(7).shuffle(wrong)  # noqa: S311 - the same ones each time
        self._wrong = dict(zip((text for text, _ in rows), wrong, strict=True))
        self._run(rows, task)
        self._wrong = {}

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
        if text in self._wrong:
            self._shift.provide_feedback(answer, "failure", correction=self._wrong[text])
        elif answer.choices[0].message.content == intent:
            self._shift.provide_feedback(answer, "success")
        else:
            self._shift.provide_feedback(answer, "failure", correction=intent)
