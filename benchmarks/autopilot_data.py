"""The whole autopilot, with no hand on it, where answers are JSON or calls: NLU++ and BFCL, over real HTTP.

The teacher is wrong on one text in twenty. The application rates each answer by the labels: 1 for the right one, else
the part of the fields that it shares with it, as a user with a comparer of his own would. The candidate is asked what
is held out and compared field by field; the floor is the autopilot's own default, and in a second flight one that lets
the rollout judge. A shuffled edition is one whose teacher gives each text the answer (and the tools) of another. What
comes of it is written down as it is: promoted, behind a gate, rolled back, or kept at the floor. There the edition is
cut of seven tenths of the rows, and the rollout is about the others, asked over and over: none of them was ever taught.
BFCL's functions are new in every call, so its policy says `any_prompt`; else they would all stay with the baseline.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.autopilot import LARGE, POLICY, World, _home
from benchmarks.loop_rows import Asked, bfcl, nlupp
from benchmarks.measure import Row, main
from logos_shift_openai.core.agreement import fields
from logos_shift_openai.server.evaluation.keeping import find_evaluation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logos_shift_openai.lab.answers import Answer

ASKED_WITH_FLOOR = 0.55
"""A floor for who lets the rollout, and not the held-out questions, tell whether a candidate is good enough."""
GATE_AGREEMENT = 0.94
_ROLLOUT = {**POLICY["rollout"], "ladder": [2_500, 10_000]}


class Flight(World):
    """A world of rows whose answers are JSON or calls.

    Args:
        known: All rows.
        floor: Of the held-out questions' agreement by fields; None for the default.
        options: Over the policy.
    """

    def __init__(self, known: Sequence[Asked], floor: float | None = None, **options: Any) -> None:
        gate = {**POLICY["gate"], "compare": "fields", **({} if floor is None else {"floor": floor})}
        settings = {"heldout": 2_000, "gate": gate, "rollout": _ROLLOUT, "gate_agreement": GATE_AGREEMENT,
                    "any_prompt": True, **options}  # fmt: skip
        super().__init__([(one.text, one.answer) for one in known], _home(), **settings)
        self._known = known

    def ask_all(self, known: Sequence[Asked] | None = None, *, rate: bool = True) -> list[Any]:
        """Ask rows, and rate the answers by the labels."""
        chosen = self._known if known is None else known

        def one(number: int) -> Any:
            row = chosen[number]
            answer = self.client.chat.completions.create(**row.request(LARGE))
            if rate:
                self.shift.provide_feedback(answer, score(row, answer))
            return answer

        return self.asked(one, range(len(chosen)))

    @property
    def taught(self) -> Sequence[Asked]:
        """The rows of which the edition is cut."""
        return self._known[: len(self._known) * 7 // 10]

    @property
    def fresh(self) -> Sequence[Asked]:
        """The rows that the rollout and the last look are about."""
        return self._known[len(self._known) * 7 // 10 :]

    def verdict(self, most: int) -> int:
        """Ask the rows that were never taught, again and again, until the rollout has ended; gives the calls."""
        rows = self.fresh
        return self.until_verdict(
            lambda start: self.ask_all([rows[(start + k) % len(rows)] for k in range(200)]), most, 200
        )

    def report(self) -> dict[str, Any]:
        """Give the report of the held-out questions of the latest round."""
        with self.store.reading() as connection:
            return dict(find_evaluation(connection, self.now().state.evaluation or "").report or {})


def score(row: Asked, answer: Any) -> float:
    """Rate an answer as its user would: 1 where it is right, else the part of the fields that are right."""
    from logos_shift_openai.lab.answers import answer_in

    body = answer.model_dump(mode="json")
    if row.is_right(answer_in(body["choices"][0]["message"])):
        return 1.0
    return fields({"choices": [{"message": message_of(row.answer)}]}, body)


def message_of(answer: Answer) -> dict[str, Any]:
    """Write an answer as a message."""
    if isinstance(answer, str):
        return {"role": "assistant", "content": answer}
    calls = [{"function": {"name": call.name, "arguments": call.arguments}} for call in answer]
    return {"role": "assistant", "tool_calls": calls}


def shuffled(known: Sequence[Asked]) -> list[Asked]:
    """Give each text the answer of another, and its tools."""
    texts = [one.text for one in known]
    random.Random(5).shuffle(texts)
    return [replace(one, text=text) for text, one in zip(texts, known, strict=True)]


def mixed(known: Sequence[Asked]) -> list[Asked]:
    """Put the rows into another order, always the same."""
    found = list(known)
    random.Random(7).shuffle(found)
    return found


def rows(quick: bool) -> list[Row]:
    found = []
    for name, known in (("NLU++", mixed(nlupp())), ("BFCL", mixed(bfcl()))):
        part = known[:200] if quick else known
        found.append(_at_the_default(name, part))
        if not quick:
            found += _flown(name, part)
        found.append(_shuffled(name, part))
    return found


def _at_the_default(name: str, known: Sequence[Asked]) -> Row:
    """Fly with the autopilot's own floor."""
    with Flight(known) as flight:
        flight.ask_all()
        flight.fly()
        reached, said = flight.now().state.phase == "rolling", flight.report()
        steps = flight.steps()
    note = f"floor 80 %: {'passed' if reached else 'kept there'} ({said['rows']} rows; {steps[-1]})"
    return Row(f"{name}: agreement by fields, held out", 100 * said["agreement"], "%", note=note)


def _flown(name: str, known: Sequence[Asked]) -> list[Row]:
    """Fly with a floor that lets the rollout judge."""
    with Flight(known, ASKED_WITH_FLOOR) as flight:
        flight.ask_all(flight.taught)
        if flight.fly().state.phase != "rolling":
            return [Row(f"{name}: at a floor of {ASKED_WITH_FLOOR:.0%}", 0.0, "%", note=", ".join(flight.steps()))]
        calls = [flight.verdict(40 * 200)]
        flight.fly()
        if flight.now().state.phase == "rolling":
            calls.append(flight.verdict(60 * 200))
            flight.fly()
        answers = flight.ask_all(flight.fresh, rate=False)
        fresh = flight.fresh
        moved = sum(answer.model != LARGE for answer in answers)
        scores = [score(row, answer) for row, answer in zip(fresh, answers, strict=True)]
        steps = flight.steps()
    what = f"{', '.join(steps[5:])}; calls to each verdict: {', '.join(map(str, calls))}"
    right, moved = 100 * sum(scores) / len(scores), 100 * moved / len(fresh)
    rows_of = f"{len(fresh)} rows that were never taught"
    return [
        Row(f"{name}: calls that are the candidate's in the end", moved, "%", note=what),
        Row(f"{name}: fields right in the end", right, "%", note=rows_of),
    ]


def _shuffled(name: str, known: Sequence[Asked]) -> Row:
    with Flight(shuffled(known), ASKED_WITH_FLOOR) as flight:
        flight.ask_all()
        flight.fly()
        reached, said = float(flight.now().state.phase == "rolling"), flight.report()
    note = f"{100 * said['agreement']:.0f} % agreement, floor {ASKED_WITH_FLOOR:.0%}"
    return Row(f"{name}: shuffled editions that pass", reached, "", 0, note=note)


if __name__ == "__main__":
    main(rows)
