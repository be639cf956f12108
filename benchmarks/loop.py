"""The round on JSON answers and calls of functions: recorded, cut into an edition, tuned, and asked what was held out.

All rows go through our client, a third of them as streams, to the lab's teacher, which is right 95 times of 100
(always, where the request leaves it one answer). The records are taken into an embedded store, an edition is cut from
them with a fifth held out, the lab's small model is tuned on its training part, and answers the held-out rows through
the API like everything else. It is a classifier that copies words: a list of intents that stood in no training row it
cannot say, and of a function that it was never taught it knows no more than its schema. The figures are to show how far
that goes: where an answer is one of ten, most of the way; with NLU++ and BFCL, whose answers are hardly ever the same
twice, they have no target.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.loop_rows import Asked, banking, bfcl, nlupp
from benchmarks.measure import Row, main, own_home

if TYPE_CHECKING:
    from pathlib import Path

    import openai

    from logos_shift_openai.lab import Lab
    from logos_shift_openai.lab.answers import Answer

SEED, HELD_OUT = 5, 2_000  # basis points
AGREEMENT = 85.0  # per cent, of ten intents with 560 records; the teacher itself is wrong on 5


@dataclass(frozen=True)
class Round:
    """What came of one round.

    Args:
        recorded: Calls in the store.
        valid: Of these, how many gave the JSON or the call that was asked for, by the check of recorded answers.
        examples: Lines of the edition's training part.
        held_out: The rows of its held-out part; those whose text was redacted are in neither.
        taught: The teacher's answers to them.
        given: The tuned model's.
        guessed: Those of the same model untuned.
        known: For each, whether its functions, or its list of intents and names of slots, stood in the training file.
        held_out_valid: How many of the tuned model's are valid.
    """

    recorded: int
    valid: int
    examples: int
    held_out: list[Asked]
    taught: list[Answer]
    given: list[Answer]
    guessed: list[Answer]
    known: list[bool]
    held_out_valid: int

    def agreement(self, *, known: bool | None = None) -> float:
        """Give the share of held-out rows where the tuned model says what the teacher says, in per cent."""
        from logos_shift_openai.lab.answers import same

        found = [
            same(given, taught)
            for given, taught, one in zip(self.given, self.taught, self.known, strict=True)
            if known in (None, one)
        ]
        return 100 * sum(found) / max(1, len(found))

    def right(self, answers: list[Answer]) -> float:
        """Give the share of answers that are right by the labels, in per cent."""
        found = [row.is_right(answer) for row, answer in zip(self.held_out, answers, strict=True)]
        return 100 * sum(found) / len(found)


def rows(quick: bool) -> list[Row]:
    home = own_home()
    found: list[Row] = []
    labels = 300 if quick else 700
    for name, asked, target in (
        ("Banking77 as JSON", banking(labels, calls=False), AGREEMENT),
        ("Banking77 as calls", banking(labels, calls=True), AGREEMENT),
        ("NLU++", nlupp(), None),
        ("BFCL", bfcl(), None),
    ):
        part = asked[:120] if quick and target is None else asked
        found += _rows_of(name, run(part, home / name), None if quick else target)
    return found


def _rows_of(name: str, one: Round, target: float | None) -> list[Row]:
    trained = f"tuned on {one.examples} records, {len(one.held_out)} held out"
    known = sum(one.known)
    shares = [
        ("recorded answers that are valid", 100 * one.valid / one.recorded, f"{one.recorded} calls"),
        ("candidate's answers that are valid", 100 * one.held_out_valid / len(one.held_out), trained),
        ("candidate agrees with the teacher", one.agreement(), "the whole answer, by its JSON values"),
        ("… where the shape or function was taught", one.agreement(known=True), f"{known} of {len(one.held_out)}"),
        ("candidate right by the labels", one.right(one.given), f"teacher {one.right(one.taught):.0f} %"),
        ("untuned right by the labels", one.right(one.guessed), "the same model before"),
    ]
    shares += [(what, figure, "") for what, figure in _parts(one)]
    bounds = {"recorded answers that are valid": 100.0, "candidate agrees with the teacher": target}
    return [
        Row(f"{name}: {what}", share, "%", bounds.get(what), at_least=True, note=note) for what, share, note in shares
    ]


def run(asked: list[Asked], home: Path, accuracy: float = 0.95) -> Round:
    """Go through one round.

    Args:
        asked: All rows.
        home: An empty folder for the records.
        accuracy: Of the teacher.
    """
    import openai

    from logos_shift_openai.lab import ORACLE, TINY, Lab
    from logos_shift_openai.lab.answers import answer_in

    with Lab(latency=0, accuracy=accuracy, rows=[(one.text, one.answer) for one in asked]) as lab:
        calls, edition = _recorded(lab, home, asked)
        file = (edition / "train.jsonl").read_bytes()
        texts = _texts((edition / "heldout.jsonl").read_bytes())
        held_out = [one for one in asked if one.text in texts]
        plain = openai.OpenAI(base_url=lab.base_url, api_key="none", max_retries=0)
        with plain as client, ThreadPoolExecutor(4) as pool:
            model = _tuned(client, file)
            create = client.chat.completions.create
            answers = {
                name: list(pool.map(lambda one, name=name: create(**one.request(name)), held_out))
                for name in (ORACLE, model, TINY)
            }
    said = {name: [_answer(one.model_dump(mode="json")) for one in found] for name, found in answers.items()}
    taught = {_outline(answer_in(json.loads(line)["messages"][-1])) for line in file.splitlines()}
    valid = [_is_valid(call["request"], call["response"]) for call in calls]
    candidates = [
        _is_valid(row.request(model), one.model_dump(mode="json"))
        for row, one in zip(held_out, answers[model], strict=True)
    ]
    return Round(
        recorded=len(calls),
        valid=sum(valid),
        examples=file.count(b"\n"),
        held_out=held_out,
        taught=said[ORACLE],
        given=said[model],
        guessed=said[TINY],
        known=[_outline(answer) in taught for answer in said[ORACLE]],
        held_out_valid=sum(candidates),
    )


def _recorded(lab: Lab, home: Path, shown: list[Asked]) -> tuple[list[dict[str, Any]], Path]:
    """Ask through our client and take the records into an embedded store; give them, and the folder of an edition."""
    import logos_shift_openai as ours
    from logos_shift_openai.lab import ORACLE
    from logos_shift_openai.server.datasets.choosing import Choice
    from logos_shift_openai.server.datasets.keeping import FolderEditions
    from logos_shift_openai.server.datasets.register import make_edition
    from logos_shift_openai.server.embedded import take_in
    from logos_shift_openai.server.export import export_calls
    from logos_shift_openai.server.store.database import open_store

    shift = ours.LogosShift(home=home, url=None, dataset="loop")
    client = ours.OpenAI(base_url=lab.base_url, api_key="none", max_retries=0, logos_shift=shift)

    def ask(numbered: tuple[int, Asked]) -> None:
        number, one = numbered
        if number % 3:
            client.chat.completions.create(**one.request(ORACLE))
        else:
            for _ in client.chat.completions.create(**one.request(ORACLE), stream=True):
                pass

    with client, ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, enumerate(shown)))
    shift.flush(30)
    store = open_store(home / "store.sqlite3")
    try:
        now = time.time_ns() // 1_000_000
        take_in(store, home, lambda: now)
        kept = home / "editions"
        edition = make_edition(store, FolderEditions(kept), Choice("loop", heldout=HELD_OUT), now)
        return [json.loads(line) for line in export_calls(store)], kept / edition.id
    finally:
        store.close()


def _texts(lines: bytes) -> set[str]:
    """Give the questions of a part of the edition."""
    return {json.loads(line)["messages"][-2]["content"] for line in lines.splitlines()}


def _tuned(client: openai.OpenAI, file: bytes) -> str:
    uploaded = client.files.create(file=("loop.jsonl", file), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="tiny-base", training_file=uploaded.id, seed=SEED)
    while job.finished_at is None:
        job = client.fine_tuning.jobs.retrieve(job.id)
    if job.fine_tuned_model is None:
        raise RuntimeError(f"the tuning job ended as {job.status}: {job.error}")
    return job.fine_tuned_model


def _is_valid(request: dict[str, Any], answer: dict[str, Any]) -> bool:
    from logos_shift_openai.core.checking import check

    return check(request, answer).valid is True


def _answer(completion: dict[str, Any]) -> Answer:
    from logos_shift_openai.lab.answers import answer_in

    return answer_in(completion["choices"][0]["message"])


def _outline(answer: Answer) -> str:
    """Write down what the classifier must have met to get an answer right: the functions; the intents and slots."""
    if not isinstance(answer, str):
        return json.dumps([call.name for call in answer])
    try:
        said = json.loads(answer)
        return json.dumps([said["intents"], sorted(said["slots"])])
    except (ValueError, KeyError, TypeError):
        return answer


def _parts(one: Round) -> list[tuple[str, float]]:
    """Look at the parts of the answers: for intents, slots, functions and arguments, F1 over all held-out rows."""
    pairs = [(_items(given), _items(taught)) for given, taught in zip(one.given, one.taught, strict=True)]
    kinds = sorted({kind for _, taught in pairs for kind, _ in taught})
    found = []
    for kind in kinds:
        hits = sum(len({i for i in given & taught if i[0] == kind}) for given, taught in pairs)
        said = sum(len({i for i in part if i[0] == kind}) for pair in pairs for part in pair)
        found.append((f"{kind}, F1 against the teacher", 200 * hits / max(1, said)))
    return found


def _items(answer: Answer) -> set[tuple[str, str]]:
    if not isinstance(answer, str):
        names = {("functions", call.name) for call in answer}
        values = {
            ("arguments", f"{key}={value!r}") for call in answer for key, value in _object(call.arguments).items()
        }
        return names | values
    said = _object(answer)
    slots = said.get("slots", {})
    return {("intents", name) for name in said.get("intents", [])} | {("slots", f"{k}={v}") for k, v in slots.items()}


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


if __name__ == "__main__":
    main(rows)
