"""The work of a replay: choose the calls, ask the candidate about each, keep its answers, have the judge judge.

A provider that cannot be asked says nothing of its model: nothing is kept then, and after a few in a row the replay
ends. A request that the model refuses, or answers with nonsense, is the candidate's failure and kept as one.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logos_shift_openai.cli.judge import Judge
from logos_shift_openai.cli.output import CommandError, now_ms
from logos_shift_openai.cli.provider import Asked, RefusedError, UnansweredError
from logos_shift_openai.client.asking import UnsendableError, body_for
from logos_shift_openai.client.encoding import SDK, encode
from logos_shift_openai.client.endpoints import new_id
from logos_shift_openai.core.agreement import IncomparableError
from logos_shift_openai.core.config import Candidate, Experiment, RedactionRules
from logos_shift_openai.core.records import Attempt, CallRecord, call_line
from logos_shift_openai.core.redaction import Redaction, clean
from logos_shift_openai.server.config_place import config_of, embedded_home
from logos_shift_openai.server.datasets.asked import asked_in
from logos_shift_openai.server.datasets.choosing import EditionError
from logos_shift_openai.server.datasets.exporting import lines_of
from logos_shift_openai.server.datasets.files import ASKED
from logos_shift_openai.server.datasets.keeping import editions_of
from logos_shift_openai.server.datasets.register import find_edition
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.replays import Wanted, keep_verdict, read_pairs, sample, shadows_of, to_ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from logos_shift_openai.cli.provider import Pace
    from logos_shift_openai.client.settings import Settings
    from logos_shift_openai.core.agreement import Comparer
    from logos_shift_openai.core.records import CallError
    from logos_shift_openai.server.store.database import Store

    Advance = Callable[[str, int, int], None]

UNSENDABLE: Final = "unsendable"
"""Why a call is left out whose request is not to be sent a second time; the other words are those of an edition."""

_IN_A_ROW: Final = 5


class Plan(NamedTuple):
    """What is replayed.

    Args:
        candidate: Who is asked.
        experiment: Key of the experiment, if it is one's.
        calls: The sample, the latest first.
        redaction: Rules of the config, on top of the client's own.
    """

    candidate: Candidate
    experiment: str | None
    calls: list[str]
    redaction: RedactionRules


@dataclass(slots=True)
class Done:
    """What a run has asked.

    Args:
        new: Requests that were answered, or failed for good.
        before: Calls that the candidate had been asked about already.
        left_out: Calls whose request is not kept as it was, or may not be sent a second time, by the reason why.
        unanswered: Requests that the provider did not take.
        broken_off: Why the run ended early.
    """

    new: int = 0
    before: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    broken_off: str | None = None
    tokens: list[int] = field(default_factory=lambda: [0, 0])


@dataclass(slots=True)
class Judged:
    """What a judge has said in this run: `new` verdicts, `failed` pairs without one, tokens read and written."""

    called: str
    new: int = 0
    failed: int = 0
    tokens: list[int] = field(default_factory=lambda: [0, 0])


def planned(
    store: Store,
    home: Path,
    key: str | None,
    model: str | None,
    provider: str | None,
    dataset: str | None,
    since: int | None,
    limit: int,
    edition: str | None = None,
) -> Plan:
    """Choose the candidate and the calls.

    Raises:
        CommandError: there is no such experiment or edition, or the candidate has no provider.
    """
    where = embedded_home(store, home)
    with store.reading() as connection:
        config = config_of(connection, where)
        if key is None:
            candidate, match, about = Candidate(model or "", provider), Wanted().match, Wanted().dataset
        else:
            experiment = _experiment(config.experiments, key)
            candidate, match, about = experiment.candidate, experiment.match, experiment.dataset
        if candidate.provider is None:
            raise CommandError("the candidate has no provider; name one with --provider, or in the experiment")
        if edition is not None:
            return Plan(candidate, key, _held_out(store, connection, home, edition, limit), config.redaction)
        wanted = Wanted(dataset or about, match, since or 0, limit)
        return Plan(candidate, key, sample(connection, wanted, candidate), config.redaction)


def _held_out(store: Store, connection: Connection, home: Path, name: str, limit: int) -> list[str]:
    """Name the calls of an edition's held-out part, in their order there."""
    found = find_edition(connection, name)
    if found is None:
        raise CommandError(f"no edition, or more than one, begins with {name}; see logos-shift dataset list")
    try:
        _size, parts = editions_of(store, home / "editions").read(found.id, ASKED)
    except EditionError:
        raise CommandError(f"edition {found.id} does not name its held-out calls; build it again") from None
    return [one.call for one in islice(asked_in(lines_of(parts)), limit)]


def _experiment(experiments: tuple[Experiment, ...], key: str) -> Experiment:
    found = next((one for one in experiments if one.key == key), None)
    if found is None:
        names = ", ".join(one.key for one in experiments) or "none"
        raise CommandError(f"there is no experiment {key} (there is: {names})")
    return found


def ask_all(store: Store, plan: Plan, settings: Settings, pace: Pace, advance: Advance) -> Done:
    """Ask the candidate about the calls that it was not asked about yet."""
    done = Done()
    with store.reading() as connection:
        there = shadows_of(connection, plan.calls, plan.candidate)
    left = [one for one in plan.calls if one not in there]
    done.before = len(plan.calls) - len(left)
    if not left:
        return done
    asked = Asked(settings, plan.candidate.provider or "", pace)
    keep = _Keeper(store, plan, settings)
    in_a_row = 0
    for number, call_id in enumerate(left):
        advance("asking", number, len(left))
        with store.reading() as connection:
            call = to_ask(connection, call_id)
        if isinstance(call, str):
            done.left_out[call] += 1
            continue
        body = _body(plan.candidate, call)
        if body is None:
            done.left_out[UNSENDABLE] += 1
            continue
        at, since = now_ms(), time.perf_counter()
        try:
            answer, error = asked(body, call["endpoint"]), None
        except RefusedError as refused:
            answer, error = None, refused.error
        except UnansweredError as unanswered:
            done.unanswered += 1
            in_a_row += 1
            if in_a_row == _IN_A_ROW:
                done.broken_off = f"{in_a_row} requests in a row were not taken, the last with {unanswered}"
                break
            continue
        in_a_row = 0
        keep(call, answer, error, at, time.perf_counter() - since)
        done.new += 1
    done.tokens = asked.tokens
    return done


def _body(candidate: Candidate, call: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return body_for(candidate, encode(call["request"]))
    except UnsendableError:
        return None


class _Keeper:
    """Keeps answers as shadows, redacted as the client would."""

    def __init__(self, store: Store, plan: Plan, settings: Settings) -> None:
        own = settings.redact if isinstance(settings.redact, Redaction) else Redaction.build()
        rules = plan.redaction
        self._redaction = own.merged(Redaction.build(rules.rules, rules.keys, rules.patterns))
        self._store, self._plan, self._limit = store, plan, settings.record_bytes

    def __call__(
        self, call: dict[str, Any], answer: bytes | None, error: CallError | None, at: int, took: float
    ) -> None:
        cleaned = (
            None if answer is None else clean(answer, root="response", redaction=self._redaction, limit=self._limit)
        )
        candidate = self._plan.candidate
        line = call_line(
            CallRecord(
                id=new_id(),
                at=at,
                endpoint=call["endpoint"],
                request=b"null",
                response=None if cleaned is None else cleaned.body,
                dataset=call["dataset"],
                requested_model=call["requested_model"],
                experiment=self._plan.experiment,
                served="candidate",
                why=f"a replay of {call['id']}",
                attempts=(Attempt("candidate", candidate.model, candidate.provider, error is None, took * 1e3, error),),
                complete=error is None,
                duration_ms=round(took * 1e3, 3),
                error=error,
                truncated=() if cleaned is None else cleaned.truncated,
                sdk=SDK,
                shadow_of=call["id"],
            )
        )
        receipt = ingest(self._store, [line], now_ms())
        if receipt.refused:
            raise CommandError(f"an answer could not be kept: {receipt.refused[0].why}")


def judge_of(settings: Settings, provider: str, model: str, pace: Pace) -> Judge:
    """Make the judge."""
    return Judge(Asked(settings, provider, pace), provider, model)


def judge_all(store: Store, plan: Plan, judge: Judge, compare: Comparer, advance: Advance) -> Judged:
    """Have the disagreements judged that this judge has not judged yet; a candidate's failure needs no judge."""
    with store.reading() as connection:
        there = list(shadows_of(connection, plan.calls, plan.candidate).values())
    judged = Judged(judge.called)
    for number, shadow_id in enumerate(there):
        advance("judging", number, len(there))
        with store.reading() as connection:
            (pair,) = read_pairs(connection, [shadow_id])
        if pair.shadow["judge"] == judge.called or pair.failed:
            continue
        try:
            if pair.score(compare) == 1:
                continue
        except IncomparableError:
            continue
        score = judge.score(pair.request, pair.baseline, pair.candidate)
        if score is not None:
            judged.new += 1
            with store.writing() as connection:
                keep_verdict(connection, shadow_id, judge.called, score)
    judged.failed, judged.tokens = judge.failed, judge.asked.tokens
    return judged
