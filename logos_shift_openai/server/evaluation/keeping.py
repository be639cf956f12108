"""Evaluations as the store keeps them: one for each candidate on each edition, and a row for each answer.

Rule: an answer that is kept is never asked for again, whatever rules it is judged by.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sqlalchemy import insert, select, update

from logos_shift_openai.core.held_out import Rules, rules_from
from logos_shift_openai.server.store.schema import evaluation_answers, evaluations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, RowMapping

State = Literal["open", "passed", "failed"]


class NoEvaluationError(Exception):
    """There is no such evaluation."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A candidate on an edition.

    Args:
        candidate: As an experiment's `candidate`.
        state: `open` until all is asked and judged.
        said: What happened last.
        report: As `core.held_out.Report` writes it, with `tokens` and `cost`; None while it is open.
        attempts: How often in a row it was broken off.
        due: When to go on, milliseconds since 1970, as all times here.
    """

    id: str
    edition: str
    candidate: Mapping[str, Any]
    rules: Rules
    state: State
    said: str
    report: Mapping[str, Any] | None
    attempts: int
    created: int
    updated: int
    due: int

    @property
    def model(self) -> str:
        """The candidate's model."""
        return str(self.candidate["model"])

    @property
    def provider(self) -> str | None:
        """Its endpoint; None for the caller's own."""
        return self.candidate.get("provider")

    def to_json(self) -> dict[str, Any]:
        """Write it for people and programs."""
        return {
            "id": self.id,
            "edition": self.edition,
            "candidate": dict(self.candidate),
            "rules": self.rules.to_json(),
            "state": self.state,
            "said": self.said,
            "report": None if self.report is None else dict(self.report),
            "created": self.created,
            "updated": self.updated,
        }


class Answered(NamedTuple):
    """What the candidate answered to a row: a message, or an error in its place."""

    row: int
    answer: Mapping[str, Any] | None
    confidences: Mapping[str, float] | None
    error: str | None
    tokens_in: int | None
    tokens_out: int | None


def evaluation_id(edition: str, candidate: Mapping[str, Any]) -> str:
    """Name the evaluation of a candidate on an edition."""
    asked = json.dumps([edition, dict(candidate)], sort_keys=True)
    return "eval-" + hashlib.sha256(asked.encode()).hexdigest()[:16]


def open_evaluation(
    connection: Connection, edition: str, candidate: Mapping[str, Any], rules: Rules, now: int
) -> Evaluation:
    """Write down that a candidate is to be judged; the same again is the one that is there, judged anew."""
    name = evaluation_id(edition, candidate)
    row = connection.execute(select(evaluations).where(evaluations.c.id == name)).mappings().first()
    told = json.dumps(rules.to_json())
    if row is None:
        connection.execute(
            insert(evaluations).values(
                id=name, edition=edition, model=candidate["model"], provider=candidate.get("provider") or "",
                candidate=json.dumps(dict(candidate)), rules=told, state="open", said="asked for", report=None,
                attempts=0, created=now, updated=now, due=now,
            )
        )  # fmt: skip
    elif row["rules"] != told or row["state"] == "open":
        again = update(evaluations).where(evaluations.c.id == name)
        connection.execute(again.values(rules=told, state="open", attempts=0, updated=now, due=now))
    return find_evaluation(connection, name)


def find_evaluation(connection: Connection, name: str) -> Evaluation:
    """Read an evaluation.

    Raises:
        NoEvaluationError: there is none.
    """
    row = connection.execute(select(evaluations).where(evaluations.c.id == name)).mappings().first()
    if row is None:
        raise NoEvaluationError(f"there is no evaluation {name}")
    return evaluation_of_row(row)


def list_evaluations(connection: Connection, limit: int = 100) -> list[Evaluation]:
    """List them, the latest first."""
    query = select(evaluations).order_by(evaluations.c.updated.desc(), evaluations.c.id).limit(limit)
    return [evaluation_of_row(row) for row in connection.execute(query).mappings()]


def latest_of(connection: Connection, model: str, provider: str | None) -> Evaluation | None:
    """Give a model's latest evaluation that has come to its end."""
    same = (evaluations.c.model == model) & (evaluations.c.provider == (provider or ""))
    query = select(evaluations).where(same, evaluations.c.state != "open").order_by(evaluations.c.updated.desc())
    row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else evaluation_of_row(row)


def note(connection: Connection, name: str, now: int, **values: Any) -> None:
    """Note how an evaluation stands."""
    if values.get("report") is not None:
        values["report"] = json.dumps(values["report"])
    connection.execute(update(evaluations).where(evaluations.c.id == name).values(updated=now, **values))


def keep_answers(connection: Connection, name: str, found: Iterable[Answered]) -> None:
    """Keep answers; each row once."""
    for one in found:
        values = {
            **one._asdict(),
            "answer": _text(one.answer),
            "confidences": _text(one.confidences),
        }
        connection.execute(insert(evaluation_answers).values(evaluation=name, **values))


def read_answers(connection: Connection, name: str, after: int = 0, limit: int | None = None) -> dict[int, Answered]:
    """Read the answers by their rows, in their order.

    Args:
        connection: A reader's connection.
        name: The evaluation.
        after: Only rows behind this one.
        limit: So many at most.
    """
    mine = (evaluation_answers.c.evaluation == name) & (evaluation_answers.c.row > after)
    query = select(evaluation_answers).where(mine).order_by(evaluation_answers.c.row)
    found = {}
    for row in connection.execute(query.limit(limit)).mappings():
        answer, sure = (None if row[part] is None else json.loads(row[part]) for part in ("answer", "confidences"))
        found[row["row"]] = Answered(row["row"], answer, sure, row["error"], row["tokens_in"], row["tokens_out"])
    return found


def _text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(dict(value))


def evaluation_of_row(row: RowMapping) -> Evaluation:
    """Read an evaluation from its row."""
    found = {name: row[name] for name in ("id", "edition", "state", "said", "attempts", "created", "updated", "due")}
    return Evaluation(
        **found,
        candidate=json.loads(row["candidate"]),
        rules=rules_from(json.loads(row["rules"])),
        report=None if row["report"] is None else json.loads(row["report"]),
    )
