"""The whole autopilot over real HTTP, with no hand on it: Banking77, our own client, the lab, its small classifier.

Calls go through our client to the lab's oracle, which is wrong on one text in twenty; the application rates them by the
labels. The autopilot cuts an edition, has the small model tuned, asks it what is held out, and rolls it out by what the
next calls prove. Accuracy is that of the tuned model on the published test rows, asked by the plain SDK.
"""

from __future__ import annotations

import csv
import random
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai

import logos_shift_openai as ours
from benchmarks.measure import ROOT, Row, main
from logos_shift_openai.client.runtime import close_home
from logos_shift_openai.core.autopilot_policy import autopilot_from
from logos_shift_openai.lab import Lab
from logos_shift_openai.lab import data as shipped
from logos_shift_openai.lab.oracle import Oracle
from logos_shift_openai.server.autopilot.acts import Cockpit
from logos_shift_openai.server.autopilot.keeping import find_autopilot, history, set_policy
from logos_shift_openai.server.autopilot.running import turn
from logos_shift_openai.server.embedded import take_in
from logos_shift_openai.server.evaluation.running import Bench
from logos_shift_openai.server.rollout_reading import get_rollout
from logos_shift_openai.server.rollouts import tick
from logos_shift_openai.server.store.database import open_store
from logos_shift_openai.server.tuners.machine import advance
from logos_shift_openai.server.tuners.step import workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from logos_shift_openai.lab.answers import Said
    from logos_shift_openai.server.autopilot.keeping import Autopilot

DATA = ROOT / "tests" / "data" / "banking77"
DATASET = "banking"
LARGE, SMALL = "oracle-large", "tiny-base"
SYSTEM = {"role": "system", "content": "Name the intent of the customer's message."}
GATE_AGREEMENT = 0.94
POLICY: dict[str, Any] = {
    "mode": "on",
    "models": [LARGE],
    "base": SMALL,
    "provider": "lab",
    "settings": {"seed": 1},
    "unit": "call",
    "new_examples": 50,
    "rows": 50,
    "days": 1,
    "gate": {"rows": 20, "limit": 2_000, "answer_floor": 0.0},
    "gate_agreement": 0,
    "rollout": {"step_seconds": 0, "last_step_seconds": 0, "hold_back": 0, "margin": 0.05, "unit": "call"},
}
"""No waiting times: the clock of the wall is none of the figures."""

Pair = tuple[str, str]


class World:
    """A lab, an application, and the autopilot of its dataset in a home folder.

    Args:
        known: The rows that the oracle knows.
        home: Made, and removed at the end.
        policy: Over `POLICY`.
    """

    def __init__(self, known: Sequence[tuple[str, Said]], home: Path, **policy: Any) -> None:
        self.lab = Lab(latency=0, rows=known).start()
        self._home = home
        home.mkdir(parents=True, exist_ok=True)
        provider = ours.Provider(self.lab.base_url, "none")
        self.shift = ours.LogosShift(home=home, url=None, dataset=DATASET, providers={"lab": provider})
        self.client = ours.OpenAI(base_url=self.lab.base_url, api_key="none", logos_shift=self.shift)
        self.store = open_store(home / "store.sqlite3")
        environ = {"LOGOS_SHIFT_PROVIDER_LAB_BASE_URL": self.lab.base_url}
        shop = workshop(self.store, home, "benchmark", _now, environ)
        self._cockpit = Cockpit(shop, Bench(self.store, home, environ, "benchmark", _now), home)
        with self.store.writing() as connection:
            set_policy(connection, DATASET, autopilot_from({**POLICY, **policy}), _now())

    def __enter__(self) -> World:  # noqa: PYI034 - nobody inherits
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        close_home(self._home, time.monotonic() + 5)
        self.store.close()
        self.lab.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def ask(self, rows: Sequence[Pair], *, rate: bool = True, corrections: Sequence[str] | None = None) -> list[Any]:
        """Ask the application's questions; it rates by the labels, or by others. Gives the answers."""
        wanted = [label for _, label in rows] if corrections is None else list(corrections)

        def one(number: int) -> Any:
            answer = self.client.chat.completions.create(**request(LARGE, rows[number][0]))
            right = answer.choices[0].message.content == wanted[number]
            if rate and right:
                self.shift.provide_feedback(answer, "success")
            elif rate:
                self.shift.provide_feedback(answer, "failure", correction=wanted[number])
            return answer

        return self.asked(one, range(len(rows)))

    def asked(self, ask: Callable[[int], Any], numbers: Iterable[int]) -> list[Any]:
        """Ask several at once, and take the records into the store."""
        self.shift.runtime.source.load()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(ask, numbers))
        assert self.shift.flush(60)
        take_in(self.store, self._home, _now)
        return found

    def fly(self, seconds: float = 600.0) -> Autopilot:
        """Fly until the candidate is rolled out, or the round has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            turn(self._cockpit, DATASET)
            one = self.now()
            if one.state.phase == "rolling" or (one.state.phase == "waiting" and one.state.round):
                return one
            if one.state.phase == "tuning" and one.state.job is not None:
                advance(self._cockpit.shop, one.state.job)
            time.sleep(0.1)
        raise TimeoutError(self.now().said)

    def roll_out(self, rows: Sequence[Pair], part: int = 250) -> int:
        """Ask in parts until the rollout of now has ended; gives the calls that it took."""
        return self.until_verdict(lambda start: self.ask(rows[start : start + part]), len(rows), part)

    def until_verdict(self, ask: Callable[[int], Any], calls: int, part: int = 250) -> int:
        """Ask parts from a place on until the rollout of now has ended; gives the calls that it took."""
        key = self.now().state.experiment
        for start in range(0, calls, part):
            ask(start)
            tick(self.store, _now(), self._home)
            if get_rollout(self.store, key or "").state.phase in {"done", "rolled_back"}:
                return start + part
        raise TimeoutError(f"no verdict after {calls} calls")

    def accuracy(self, rows: Sequence[Pair]) -> float:
        """Ask the candidate of now by the plain SDK."""
        model = str((self.now().state.candidate or {})["model"])
        with openai.OpenAI(base_url=self.lab.base_url, api_key="none") as client, ThreadPoolExecutor(4) as pool:

            def right(row: Pair) -> bool:
                return client.chat.completions.create(**request(model, row[0])).choices[0].message.content == row[1]

            return sum(pool.map(right, rows)) / len(rows)

    def now(self) -> Autopilot:
        with self.store.reading() as connection:
            return find_autopilot(connection, DATASET)

    def steps(self) -> list[str]:
        """Name the steps that were taken, in their order."""
        with self.store.reading() as connection:
            return [str(one["step"]) for one in reversed(history(connection, DATASET))]


def request(model: str, text: str) -> dict[str, Any]:
    """Give the arguments of a call."""
    return {"model": model, "messages": [SYSTEM, {"role": "user", "content": text}]}


def rows(quick: bool) -> list[Row]:
    found = [*ten_intents(), shuffled()]
    if not quick:
        found += [*many_intents(), *gate_after_rollback()]
    return found


def ten_intents() -> list[Row]:
    """The shipped rows: 500 records, to the promotion."""
    known = _shuffled(shipped.rows("train"))
    with World(known + shipped.rows("test"), _home()) as world:
        world.ask(known[:500])
        world.fly()
        accuracy = world.accuracy(shipped.rows("test"))
        calls = world.roll_out(known[500:] * 4)
        world.fly()
        ended = world.steps()[-1]
    note = f"no hand on it: {ended} after {calls:,} calls"
    return [
        Row("accuracy, ten intents, 500 records", 100 * accuracy, "%", 94, at_least=True, note=note),
        Row("promoted by the autopilot", float(ended == "promoted"), "", 1, at_least=True),
    ]


def shuffled() -> Row:
    """Every answer is corrected to that of another question."""
    known = _shuffled(shipped.rows("train"))
    with World(known, _home()) as world:
        wrong = [label for _, label in known[:500]]
        random.Random(5).shuffle(wrong)
        world.ask(known[:500], corrections=wrong)
        ended = world.fly()
        reached, steps = float(ended.state.phase == "rolling"), world.steps()
    return Row("shuffled editions that pass the gate", reached, "", 0, note=", ".join(steps))


def many_intents() -> list[Row]:
    """77 intents, 8,000 records."""
    train, test = _labelled("train.csv"), _held_out()
    known = _shuffled(train)
    with World(train + test, _home(), heldout=500) as world:
        world.ask(known[:8_000])
        world.fly()
        accuracy = world.accuracy(test)
    note = "no hand on it; asked are 1,535 published test rows"
    return [Row("accuracy, 77 intents, 8,000 records", 100 * accuracy, "%", 89, at_least=True, note=note)]


def gate_after_rollback() -> list[Row]:
    """77 intents, 2,000 records that nobody rated: all of it is rolled back, and a gate is tried by itself."""
    train, test = _labelled("train.csv"), _held_out()
    known = _shuffled(train)
    policy = {**POLICY["rollout"], "ladder": [2_500, 10_000], "margin": 0.03}
    gate = {**POLICY["gate"], "floor": 0.6}
    options = {"heldout": 2_000, "gate_agreement": GATE_AGREEMENT, "gate": gate, "rollout": policy}
    with World(train + test, _home(), **options) as world:
        world.ask(known[:2_000], rate=False)
        world.fly()
        alone = world.accuracy(test)
        first = world.roll_out(known[2_000:] * 2)
        world.fly()
        second = world.roll_out(known[2_000:] * 2)
        world.fly()
        answers = world.ask(test, rate=False)
        moved = sum(answer.model != LARGE for answer in answers)
        right = sum(
            answer.choices[0].message.content == label for answer, (_, label) in zip(answers, test, strict=True)
        )
        steps = world.steps()
    oracle = Oracle(train + test)  # what the lab's says
    teacher = sum(oracle.answer(text) == label for text, label in test)
    what = f"{', '.join(steps[-4:])}; {first:,} calls to the rollback, {second:,} behind the gate; alone {alone:.1%}"
    above = 100 * (right - teacher) / len(test)
    each = f"system {right / len(test):.1%}, teacher {teacher / len(test):.1%}"
    return [
        Row("traffic behind the gate, by the autopilot", 100 * moved / len(test), "%", 40, at_least=True, note=what),
        Row("system's accuracy above the teacher's", above, "points", 0, at_least=True, note=each),
    ]


def _shuffled(found: list[Pair]) -> list[Pair]:
    found = list(found)
    random.Random(7).shuffle(found)
    return found


def _held_out() -> list[Pair]:
    """The published test rows, without those that stand in the training rows too."""
    known = {" ".join(text.lower().split()) for text, _ in _labelled("train.csv")}
    return [row for row in _labelled("test_even.csv") if " ".join(row[0].lower().split()) not in known]


def _labelled(name: str) -> list[Pair]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def _home() -> Path:
    return Path(tempfile.mkdtemp(prefix="logos-autopilot-"))


def _now() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    main(rows)
