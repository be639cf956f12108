"""Do an evaluation: ask what was not asked yet, a part at a time, keep each part, and judge at the end.

Theory of operation. One process at a time works on an evaluation, under a lease of its own. A part's answers are kept
in one transaction; whoever was killed before it has asked at most that part for nothing. A provider that cannot be
asked ends the turn, and the evaluation stays open until its `due`; after `_MOST_ATTEMPTS` turns in a row without an
answer it has failed, for nobody serves the model. The money that the rules allow is reckoned after each part.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.core.agreement import COMPARERS
from logos_shift_openai.core.checking import check
from logos_shift_openai.core.held_out import Judged, report
from logos_shift_openai.server.holding import held
from logos_shift_openai.server.prices import read_prices
from logos_shift_openai.server.tuners.edition import EditionError, edition_of
from logos_shift_openai.server.tuners.example_files import find_index
from logos_shift_openai.server.tuners.problems import AwayError

from .asking import Asker
from .keeping import Answered, find_evaluation, keep_answers, note, read_answers
from .questions import asked_besides, questions, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from logos_shift_openai.core.held_out import Rules
    from logos_shift_openai.server.store.database import Store
    from logos_shift_openai.server.tuners.edition import Edition

    from .keeping import Evaluation
    from .questions import Question

_AT_ONCE: Final = 4
_PART: Final = 16
_MOST_ATTEMPTS: Final = 8
_FIRST_BACKOFF_MS: Final = 5_000
_LAST_BACKOFF_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class Bench:
    """What evaluations need.

    Args:
        store: Where they are kept.
        home: Where editions lie.
        environ: Where the providers stand.
        holder: Names this process among all that may work.
        now: Milliseconds since 1970.
    """

    store: Store
    home: Path
    environ: Mapping[str, str]
    holder: str
    now: Callable[[], int]


def evaluate(bench: Bench, name: str, advance: Callable[[int, int], None] = lambda _done, _all: None) -> Evaluation:
    """Take an evaluation as far as it goes now.

    Args:
        bench: What it needs.
        name: Which.
        advance: Called with the rows that are answered, and those there are.

    Raises:
        BusyError: another process is at it.
        NoEvaluationError: there is none.
    """
    with held(bench.store, lease_name(name), bench.holder, bench.now):
        with bench.store.reading() as connection:
            one = find_evaluation(connection, name)
        if one.state == "open":
            _advance(bench, one, advance)
    with bench.store.reading() as connection:
        return find_evaluation(connection, name)


def lease_name(name: str) -> str:
    """Name the lease of an evaluation."""
    return f"evaluation-{name}"


def _advance(bench: Bench, one: Evaluation, advance: Callable[[int, int], None]) -> None:
    try:
        edition = edition_of(bench.store, bench.home, one.edition)
        asked = _questions(bench, edition, one.rules)
        stop = _ask_all(bench, one, asked, advance)
    except AwayError as error:
        _broken_off(bench, one, error)
        return
    except EditionError as error:
        with bench.store.writing() as connection:
            note(connection, one.id, bench.now(), state="failed", said=str(error))
        return
    _judge(bench, one, edition, asked, stop)


def _questions(bench: Bench, edition: Edition, rules: Rules) -> list[Question]:
    with bench.store.reading() as connection:
        besides = asked_besides(connection, edition)
    return list(questions(edition, besides, rules.limit))


def _ask_all(
    bench: Bench, one: Evaluation, asked: Sequence[Question], advance: Callable[[int, int], None]
) -> str | None:
    """Ask what was not asked yet; says why it ended before all was asked."""
    with bench.store.reading() as connection:
        there = read_answers(connection, one.id)
        wanted = (one.candidate.get("examples") or {}).get("index")
        index = None if wanted is None else find_index(connection, wanted)
    left = iter([question for question in asked if question.row not in there])
    asker: Asker | None = None
    try:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=f"logos-shift-{one.id}") as pool:
            while part := list(islice(left, _PART)):
                if one.rules.money is not None and (cost_of(bench, one, there.values()) or 0.0) >= one.rules.money:
                    return f"the {one.rules.money:g} dollars that it may cost are spent"
                if asker is None:
                    asker = Asker(one.candidate, bench.environ, index)
                _keep_part(bench, one, there, list(pool.map(_tried(asker), part)))
                advance(len(there), len(asked))
    finally:
        if asker is not None:
            asker.close()
    return None


def _tried(asker: Asker) -> Callable[[Question], Answered | AwayError]:
    def ask(question: Question) -> Answered | AwayError:
        try:
            return asker(question)
        except AwayError as error:
            return error

    return ask


def _keep_part(
    bench: Bench, one: Evaluation, there: dict[int, Answered], found: Sequence[Answered | AwayError]
) -> None:
    """Keep what was answered, then say what was not."""
    answered = [each for each in found if isinstance(each, Answered)]
    if answered:
        with bench.store.writing() as connection:
            keep_answers(connection, one.id, answered)
            note(connection, one.id, bench.now(), attempts=0, said=f"{len(there) + len(answered)} rows answered")
        there.update((each.row, each) for each in answered)
    for each in found:
        if isinstance(each, AwayError):
            raise each


def _broken_off(bench: Bench, one: Evaluation, error: AwayError) -> None:
    with bench.store.writing() as connection:
        attempts = find_evaluation(connection, one.id).attempts + (not error.waiting)
        wait = min(_LAST_BACKOFF_MS, _FIRST_BACKOFF_MS * 2 ** max(0, attempts - 1))
        values: dict[str, Any] = {"attempts": attempts, "due": bench.now() + wait, "said": error.message}
        if attempts >= _MOST_ATTEMPTS:
            values |= {"state": "failed", "said": f"nobody answers: {error.message}"}
        note(connection, one.id, bench.now(), **values)


def _judge(bench: Bench, one: Evaluation, edition: Edition, asked: Sequence[Question], stop: str | None) -> None:
    with bench.store.reading() as connection:
        there = read_answers(connection, one.id)
    judged = [judged_of(one.rules, question, there[question.row]) for question in asked if question.row in there]
    found = report(one.rules, judged, rows_of(edition))
    tokens = [sum(value or 0 for value in each) for each in _tokens(there.values())]
    told = {**found.to_json(), "tokens": tokens, "cost": cost_of(bench, one, there.values()), "ended_early": stop}
    said = found.why if stop is None else f"{found.why}; {stop}"
    with bench.store.writing() as connection:
        state = "passed" if found.passed else "failed"
        note(connection, one.id, bench.now(), state=state, said=said, report=told, attempts=0)


def judged_of(rules: Rules, question: Question, found: Answered) -> Judged:
    """Judge one answer.

    Args:
        rules: How answers are compared.
        question: The row.
        found: The candidate's answer to it.
    """
    if found.answer is None:
        return Judged(question.answer, 0.0, None, failed=True)
    theirs = {"choices": [dict(found.answer)]}
    ours = {"choices": [{"message": question.expected, "finish_reason": "stop"}]}
    checks = check(question.body, theirs)
    valid = checks.valid
    if valid is None and _is_json(question.answer):  # JSON was answered without being asked for
        valid = _is_json(str(found.answer["message"].get("content") or "")) or bool(
            found.answer["message"].get("tool_calls")
        )
    agreement = COMPARERS[rules.compare](ours, theirs)
    return Judged(question.answer, agreement, valid, failed=bool(checks.refused or checks.cut))


def cost_of(bench: Bench, one: Evaluation, answers: Any) -> float | None:
    """Reckon what answers have cost in dollars; None where the price is not known."""
    with bench.store.reading() as connection:
        prices = read_prices(connection)
    read, written = (sum(value or 0 for value in each) for each in _tokens(answers))
    return prices.cost(one.model, one.provider, bench.now(), (read, written, 0))


def _tokens(answers: Any) -> tuple[list[int | None], list[int | None]]:
    found = list(answers)
    return [one.tokens_in for one in found], [one.tokens_out for one in found]


def _is_json(text: str) -> bool:
    if text[:1] not in {"{", "["}:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
