"""A candidate's held-out answers beside those of the teacher, to be looked at: which differ, and how.

Rule: a look reads a bounded number of rows and says where the next one goes on, so it costs the same however long the
held-out part is. The questions come from the edition's own file; where that is gone, there is nothing to show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from logos_shift_openai.server.store.schema import evaluations
from logos_shift_openai.server.tuners.edition import read_edition

from .keeping import evaluation_of_row, read_answers
from .questions import asked_besides, questions
from .running import judged_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from .keeping import Answered, Evaluation
    from .questions import Question

_ROWS_AT_ONCE: Final = 2_000
_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Pair:
    """The two answers to a held-out question.

    Args:
        row: The line of the held-out file, from 1.
        question: The request without a model: messages, tools and parameters.
        expected: The teacher's message.
        answer: The candidate's message and how it ended; None where there is none.
        error: What came in its place.
        agreement: From 0 to 1.
        valid: Whether it is the JSON that was asked for; None where none was.
    """

    row: int
    question: dict[str, Any]
    expected: dict[str, Any]
    answer: dict[str, Any] | None
    error: str | None
    agreement: float
    valid: bool | None


def evaluations_of(connection: Connection, edition: str, candidate: dict[str, Any]) -> list[Evaluation]:
    """List the evaluations of a candidate that was made from an edition, those on this edition first, then the latest.

    Args:
        connection: A reader's connection.
        edition: Its edition.
        candidate: As an experiment's `candidate`.
    """
    same = (evaluations.c.model == candidate["model"]) & (evaluations.c.provider == (candidate.get("provider") or ""))
    order = ((evaluations.c.edition != edition), evaluations.c.updated.desc(), evaluations.c.id)
    query = select(evaluations).where(same).order_by(*order).limit(_MOST)
    return [evaluation_of_row(row) for row in connection.execute(query).mappings()]


def pairs_of(
    connection: Connection, home: Path, one: Evaluation, after: int, limit: int, *, differ: bool = True
) -> tuple[list[Pair], int | None]:
    """Give a page of answered rows.

    Args:
        connection: A reader's connection.
        home: Where editions lie.
        one: The evaluation.
        after: Only rows behind this one.
        limit: So many at most.
        differ: Only those that do not agree wholly, or are not valid.

    Returns:
        The pairs, and the `after` of the next page; None behind the last row.

    Raises:
        EditionError: the edition's files are gone or broken.
    """
    edition = read_edition(home, one.edition)
    answers = read_answers(connection, one.id, after, _ROWS_AT_ONCE)
    if not answers:
        return [], None
    asked = questions(edition, asked_besides(connection, edition), max(answers))
    found: list[Pair] = []
    for pair in _pairs(one, asked, answers):
        if differ and pair.agreement == 1 and pair.valid is not False:
            continue
        if len(found) == limit:
            return found, found[-1].row
        found.append(pair)
    return found, max(answers) if len(answers) == _ROWS_AT_ONCE else None


def _pairs(one: Evaluation, asked: Iterator[Question], answers: dict[int, Answered]) -> Iterator[Pair]:
    for question in asked:
        said = answers.get(question.row)
        if said is not None:
            judged = judged_of(one.rules, question, said)
            answer = None if said.answer is None else dict(said.answer)
            yield Pair(
                question.row, question.body, question.expected, answer, said.error, judged.agreement, judged.valid
            )
