"""From calls to decisions: through ingest, the store, the core and the config, on each engine and in embedded mode."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.policy import Guarded, Policy
from logos_shift_openai.core.records import CallError, CallRecord, FeedbackRecord, Unit, call_line, feedback_line
from logos_shift_openai.core.rollout import decide
from logos_shift_openai.core.rollout_by_hand import RolloutError
from logos_shift_openai.core.routing import bucket_of
from logos_shift_openai.server import experiments, rollout_keeping, rollouts
from logos_shift_openai.server.config_versions import change_config, live_config, live_version
from logos_shift_openai.server.experiments import ExperimentError, Plan, read_config, start_in
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.measures import evidence_of
from logos_shift_openai.server.rollout_reading import get_rollout, history
from logos_shift_openai.server.rollouts import begin_rollout, change_rollout, tick
from logos_shift_openai.server.store.database import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from logos_shift_openai.core.config import Experiment

START = 1_764_000_000_000
HOUR = 3_600_000
SALT = "a salt of its own"
PLAN = Plan(key="x", models=("big",), candidate="small", dataset="sales", unit="call")
POLICY = Policy(
    margin=0.1, ladder=(1_000, 5_000, 10_000), step_seconds=3_600, last_step_seconds=3_600, hold_back_seconds=7_200
)


class World:
    """A stream of calls that follows the live config, and a runner that looks every hour."""

    def __init__(self, store: Store, home: Path | None, candidate: float) -> None:
        self.store, self.home, self.candidate = store, home, candidate
        self.dice = Random(11)
        self.now = START
        if home is None:
            change_config(store, lambda document: start_in(document, PLAN, SALT), why="test", now=START)
        else:
            experiments.start(home, PLAN)

    @property
    def experiment(self) -> Experiment:
        if self.home is not None:
            return read_config(self.home).experiments[0]
        with self.store.reading() as connection:
            return config_from(json.loads(live_config(connection).document)).experiments[0]

    def hour(self, calls: int = 300) -> list[Any]:
        """An hour of calls with feedback, then a look."""
        one = self.experiment
        lines = []
        for number in range(calls):
            call_id = uuid7(self.now + number, self.dice.randbytes(10))
            bucket = bucket_of(one.salt, call_id)
            served = "candidate" if bucket < one.share else "baseline"
            good = self.dice.random() < (self.candidate if served == "candidate" else 0.9)
            lines.append(
                call_line(
                    CallRecord(
                        id=call_id,
                        at=self.now + number,
                        endpoint="chat.completions",
                        request=b"{}",
                        dataset="sales",
                        unit=Unit("call", call_id),
                        experiment=one.key,
                        assigned=served,  # type: ignore[arg-type]
                        served=served,  # type: ignore[arg-type]
                        share=one.share,
                        bucket=bucket,
                    )
                )
            )
            lines.append(
                feedback_line(
                    FeedbackRecord(id=f"f{call_id}", at=self.now + number, call_id=call_id, value=float(good))
                )
            )
        self.dice.shuffle(lines)
        ingest(self.store, lines, self.now)
        self.now += HOUR
        return tick(self.store, self.now, self.home)

    def told(self) -> list[dict[str, Any]]:
        with self.store.reading() as connection:
            return history(connection, "x")[::-1]


@pytest.fixture(params=["sqlite", "postgresql", "embedded"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Makes a world of the success rate that the candidate has."""
    opened: list[Store] = []

    def make(candidate: float) -> World:
        address: Path | str = tmp_path / "home" / "store.sqlite3"
        if request.param == "postgresql":
            address = request.getfixturevalue("postgres_url")
        opened.append(open_store(address))
        return World(opened[0], tmp_path / "home" if request.param == "embedded" else None, candidate)

    yield make
    for store in opened:
        store.close()


def test_an_equal_candidate_ramps_and_is_promoted(world: Callable[[float], World]) -> None:
    """Step by step, the share of the config with it, never down; then the hold-back ends and all calls are its own."""
    it = world(0.9)
    begin_rollout(it.store, "x", POLICY, it.now, it.home)
    shares = [it.experiment.share]
    for _ in range(30):
        it.hour()
        state = get_rollout(it.store, "x").state
        assert it.experiment.share == state.share
        shares.append(state.share)
        if state.phase == "done":
            break
    assert list(dict.fromkeys(shares)) == [1_000, 5_000, 9_900, 10_000]
    assert shares == sorted(shares)
    moves = [(one["action"], one["event"], one["share"]) for one in it.told() if one["config_version"] is not None]
    assert moves == [
        ("ramp", "begin", 1_000),
        ("ramp", "safe", 5_000),
        ("promote", "proven", 9_900),
        ("ramp", "over", 10_000),
    ]
    assert it.hour() == []  # what has ended is left alone
    if it.home is None:
        with it.store.reading() as connection:
            assert live_version(connection) == it.told()[-1]["config_version"]


def test_a_bad_candidate_is_rolled_back_and_the_verdict_is_made_again(world: Callable[[float], World]) -> None:
    """The decision has the evidence and the figures it was made on; counting the calls anew gives the same one."""
    it = world(0.3)
    begin_rollout(it.store, "x", POLICY, it.now, it.home)
    before = get_rollout(it.store, "x")
    for _ in range(20):
        before = get_rollout(it.store, "x")
        if before.state.phase == "rolled_back":
            break
        last = before
        it.hour()
    assert it.experiment.share == 0
    said = it.told()[-1]
    assert (said["action"], said["event"], said["share"]) == ("roll_back", "harm", 0)
    assert said["document"]["look"]["metrics"][0]["metric"] == "success"
    with it.store.reading() as connection:
        anew = evidence_of(connection, "x", last.policy, last.state, it.now / 1000)
    assert anew.rows() == said["document"]["evidence"]
    again = decide(last.policy, last.state, anew, it.now / 1000)
    assert (again.action, again.why, again.state) == (said["action"], said["why"], before.state)


def test_by_hand(world: Callable[[float], World]) -> None:
    """Pausing keeps the share and stops decisions; rolling back empties it; another rollout may begin after."""
    it = world(0.3)
    begin_rollout(it.store, "x", POLICY, it.now, it.home)
    with pytest.raises(RolloutError, match="ramping already"):
        begin_rollout(it.store, "x", POLICY, it.now, it.home)
    change_rollout(it.store, "x", "pause", it.now, it.home)
    for _ in range(3):
        it.hour()
    assert (it.experiment.share, get_rollout(it.store, "x").state.phase) == (1_000, "paused")
    change_rollout(it.store, "x", "resume", it.now, it.home)
    change_rollout(it.store, "x", "roll_back", it.now, it.home)
    assert it.experiment.share == 0
    with pytest.raises(RolloutError, match="rolled back"):
        change_rollout(it.store, "x", "promote", it.now, it.home)
    begin_rollout(it.store, "x", POLICY, it.now, it.home)
    assert it.experiment.share == 1_000
    change_rollout(it.store, "x", "promote", it.now, it.home)
    assert it.experiment.share == 9_900


def test_of_the_holds_of_an_hour_the_last_is_kept(world: Callable[[float], World]) -> None:
    """While nothing but its why changes; what is moved, or said in another hour, stays."""
    it = world(0.9)
    begin_rollout(it.store, "x", POLICY, it.now, it.home)
    it.hour(20)
    kept = [(one["action"], one["at"]) for one in it.told()]
    assert [action for action, _at in kept] == ["ramp", "hold"]
    for waited in (1_000, 5_000, 60_000):
        it.now = kept[-1][1] + waited - HOUR
        it.hour(20)
    assert [(one["action"], one["at"]) for one in it.told()] == [kept[0], ("hold", kept[-1][1] + 60_000)]
    it.hour(20)
    assert len(it.told()) == 3


def test_two_that_look_at_once_decide_once(world: Callable[[float], World], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever read the older state writes nothing, neither decision nor config."""
    it = world(0.9)
    stale = begin_rollout(it.store, "x", POLICY, it.now, it.home)
    change_rollout(it.store, "x", "roll_back", it.now, it.home)
    told, share = it.told(), it.experiment.share
    with monkeypatch.context() as patched:
        patched.setattr(rollouts, "get_rollout", lambda _store, _key: stale)
        with pytest.raises(rollout_keeping.ChangedError):
            change_rollout(it.store, "x", "promote", it.now, it.home)
    assert (it.told(), it.experiment.share) == (told, share)


def test_a_crash_before_the_file_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision stands, the file does not: the next look brings it there, also where the rollout has ended."""
    store = open_store(tmp_path / "store.sqlite3")
    it = World(store, tmp_path, 0.9)
    begin_rollout(store, "x", POLICY, it.now, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(rollout_keeping, "change_file", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            change_rollout(store, "x", "roll_back", it.now, tmp_path)
    assert (it.experiment.share, it.told()[-1]["share"]) == (1_000, 0)
    experiments.set_state(tmp_path, "x", "paused")  # another writer takes the version in between
    tick(store, it.now, tmp_path)
    assert it.experiment.share == 0
    assert get_rollout(store, "x").pending is None
    store.close()


def test_a_fallback_and_an_error_are_the_candidates_failures(store: Store) -> None:
    """By assigned variant, whoever answered; a call that failed is as slow as the cap."""
    World(store, None, 0.9)
    slow = Guarded("latency", "lower", cap=1_000.0)
    policy = Policy(primary=Guarded("errors", "lower"), guardrails=(Guarded("fallbacks", "lower"), slow))
    one = begin_rollout(store, "x", policy, START)
    parts = [("baseline", None, 250.0), ("candidate", CallError("E", 500), 10.0), ("candidate", None, 5_000.0)]
    for number, (served, error, duration) in enumerate(parts):
        record = CallRecord(
            id=f"c{number}", at=START + number, endpoint="responses", request=b"{}", unit=Unit("call", f"c{number}"),
            experiment="x", assigned="candidate", served=served,  # type: ignore[arg-type]
            share=100, bucket=5, error=error, duration_ms=duration,
        )  # fmt: skip
        ingest(store, [call_line(record)], START)
    with store.reading() as connection:
        evidence = evidence_of(connection, "x", one.policy, one.state, START / 1000 + 1)
    found = {name: sorted(c.score for c, n in evidence.of(name).items() for _ in range(n)) for name in
             ("errors", "fallbacks", "latency")}  # fmt: skip
    assert found == {"errors": [0, 0, 600], "fallbacks": [0, 600, 600], "latency": [0, 0, 450]}


def test_what_cannot_begin(store: Store) -> None:
    """Unknown or stopped experiments, metrics that are not measured, a quantity without a cap, a share too high."""
    with pytest.raises(ExperimentError, match="no experiment y"):
        begin_rollout(store, "y", POLICY, START)
    it = World(store, None, 0.9)
    for guarded, said in ((Guarded("judge"), "not measured"), (Guarded("latency", "lower"), "a cap")):
        with pytest.raises(RolloutError, match=said):
            begin_rollout(store, "x", Policy(guardrails=(guarded,)), START)
    change_config(store, lambda document: experiments.share_in(document, "x", 5_000), why="by hand", now=START)
    with pytest.raises(RolloutError, match="above the first"):
        begin_rollout(store, "x", POLICY, START)
    assert it.told() == []
    assert tick(store, START) == []


def test_rollouts_of_a_dataset_are_counted(world: Callable[[float], World]) -> None:
    """Each that begins takes the next number; a promotion by proof counts where alpha was shared, one by hand never."""
    it = world(0.9)
    shared = Policy(**{name: getattr(POLICY, name) for name in POLICY.__dataclass_fields__} | {"spend": True})

    def counted() -> tuple[int, int]:
        state = get_rollout(it.store, "x").state
        return state.number, state.proven

    begin_rollout(it.store, "x", POLICY, it.now, it.home)
    change_rollout(it.store, "x", "promote", it.now, it.home)
    change_rollout(it.store, "x", "roll_back", it.now, it.home)
    begin_rollout(it.store, "x", shared, it.now, it.home)
    assert counted() == (2, 0)
    while get_rollout(it.store, "x").state.phase == "ramping":
        it.hour()
    assert it.told()[-1]["event"] == "proven"
    change_rollout(it.store, "x", "roll_back", it.now, it.home)
    begin_rollout(it.store, "x", shared, it.now, it.home)
    assert counted() == (3, 1)
    other = Plan(key="y", models=("bigger",), candidate="small", dataset="sales", unit="call")
    third = Plan(key="z", models=("biggest",), candidate="small", dataset="support", unit="call")
    for plan, expected in ((other, (4, 1)), (third, (1, 0))):
        if it.home is not None:
            experiments.start(it.home, plan)
        else:
            change_config(it.store, lambda document, plan=plan: start_in(document, plan, SALT), why="test", now=it.now)  # type: ignore[misc]
        begin_rollout(it.store, plan.key, shared, it.now, it.home)
        state = get_rollout(it.store, plan.key).state
        assert (state.number, state.proven) == expected
