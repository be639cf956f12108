"""Whole rounds over a real lab, with no training: what is done, what is told, and what a killed process leaves."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest
from autopilot_parts import DATASET, HOUR, cockpit_of, put_calls, some_rows

from logos_shift_openai.core.autopilot_policy import autopilot_from
from logos_shift_openai.core.fingerprint import prompt_fingerprint
from logos_shift_openai.server.autopilot.keeping import (
    NoAutopilotError,
    find_autopilot,
    give_word,
    history,
    set_mode,
    set_policy,
)
from logos_shift_openai.server.autopilot.running import turn
from logos_shift_openai.server.evaluation.keeping import list_evaluations, read_answers
from logos_shift_openai.server.holding import BusyError
from logos_shift_openai.server.notifications.outbox import list_outbox
from logos_shift_openai.server.rollout_reading import get_rollout, list_rollouts
from logos_shift_openai.server.rollouts import change_rollout
from logos_shift_openai.server.store.database import Store
from logos_shift_openai.server.tuners.jobs import list_jobs
from logos_shift_openai.server.tuners.machine import advance

SYSTEM = "Name the intent of the message."
POLICY = {
    "models": ["gpt-big"],
    "base": "oracle-large",
    "tuner": "none",
    "provider": "lab",
    "mode": "on",
    "new_examples": 200,
    "rows": 100,
    "heldout": 2_500,
    "gate": {"rows": 20},
    "rollout": {"unit": "call"},
    "unit": "call",
}


def begin(store, clock, **more):
    with store.writing() as connection:
        return set_policy(connection, DATASET, autopilot_from({**POLICY, **more}), clock())


def now_of(store):
    with store.reading() as connection:
        return find_autopilot(connection, DATASET)


def fly(cockpit, until=("wait", "ask"), looks=8):
    """Take turns, and the tuning job's between them, until nothing changes any more."""
    for _ in range(looks):
        step = turn(cockpit, DATASET)
        if now_of(cockpit.shop.store).state.phase != "tuning":
            return step
        with cockpit.shop.store.reading() as connection:
            job = list_jobs(connection)[0]
        advance(cockpit.shop, job.id)
    return step


def steps(store):
    with store.reading() as connection:
        return [one["step"] for one in reversed(history(connection, DATASET))]


def test_a_round_with_no_hand_on_it(lab, store, cockpit, clock, home):
    """Examples, edition, job, questions, rollout; promoted, it is over, and each turn was told."""
    begin(store, clock)
    assert "0 of 200 new good examples" in fly(cockpit).why
    put_calls(store, clock(), some_rows(300))
    assert "the rollout is ramping" in fly(cockpit).why
    state = now_of(store).state
    assert (state.phase, state.experiment) == ("rolling", "banking-auto-1")
    experiment = json.loads((home / "config.json").read_bytes())["experiments"][0]
    assert experiment["candidate"] == {"model": "oracle-large", "provider": "lab", "prompts": ["none"]}
    assert (experiment["share"], experiment["dataset"], experiment["unit"]) == (100, DATASET, "call")
    assert get_rollout(store, "banking-auto-1").policy.spend
    change_rollout(store, "banking-auto-1", "promote", clock(), home)
    assert "the rollout of banking-auto-1 is under way" in fly(cockpit).why  # some are held back still
    assert steps(store) == ["policy", "began", "edition", "tuning", "tuned", "passed", "rollout", "promoted"]
    with store.reading() as connection:
        told = [one["kind"] for one in list_outbox(connection)]
    assert sorted(one for one in told if one.startswith("autopilot")) == sorted(
        f"autopilot.{step}" for step in steps(store)[1:]
    )
    assert now_of(store).spent == {"2025-11": [1, 0.0]}


def test_the_bill_of_a_training_takes_the_place_of_its_estimate(lab, store, cockpit, clock):
    """By the tokens that were trained on, in the month in which the estimate was booked, though it ends in the next."""
    begin(store, clock, tuner="openai", base="tiny-base", price=100.0, settings={"seed": 1}, money_per_month=50.0,
          deadline_hours=480)  # fmt: skip
    put_calls(store, clock(), some_rows(300))
    while now_of(store).state.phase != "tuning":
        turn(cockpit, DATASET)
    booked = now_of(store)
    assert booked.spent == {"2025-11": [1, booked.state.estimate]}
    assert booked.state.estimate > 0
    clock.at += 10 * 24 * HOUR
    with store.reading() as connection:
        job = list_jobs(connection)[0]
    while job.state != "succeeded":
        job = advance(cockpit.shop, job.id)
        assert job.state != "failed", job.said
    turn(cockpit, DATASET)
    cost = job.trained_tokens * 100 / 1e6
    assert cost != booked.state.estimate
    assert now_of(store).spent["2025-11"] == [1, pytest.approx(cost)]
    assert now_of(store).state.bill == pytest.approx(cost)
    with store.reading() as connection:
        (told,) = [one["data"] for one in history(connection, DATASET) if one["step"] == "tuned"]
    assert told["cost"] == pytest.approx(cost)
    assert told["trained_tokens"] == job.trained_tokens


def test_the_next_round_takes_the_place_of_the_last(lab, store, cockpit, clock, home):
    """After its days, with new examples; the rolled-back experiment is stopped, and the chance is shared."""
    begin(store, clock, gate_agreement=0)
    put_calls(store, clock(), some_rows(300))
    fly(cockpit)
    change_rollout(store, "banking-auto-1", "roll_back", clock(), home)
    assert "7 days are to lie" in fly(cockpit).why
    clock.at += 8 * 24 * HOUR
    assert "0 of 200 new good" in fly(cockpit).why
    put_calls(store, clock(), some_rows(300, seed=4), seed=2)
    fly(cockpit)
    experiments = json.loads((home / "config.json").read_bytes())["experiments"]
    assert [(one["key"], one["state"]) for one in experiments] == [
        ("banking-auto-2", "running"),
        ("banking-auto-1", "stopped"),
    ]
    assert get_rollout(store, "banking-auto-2").state.number == 2
    assert steps(store).count("rolled_back") == 1


def test_notify_asks_before_each_step_that_costs_or_serves(lab, store, cockpit, clock, home):
    """Once each, with a notification; a word for one is none for the next."""
    begin(store, clock, mode="notify")
    put_calls(store, clock(), some_rows(300))
    for wanted in ("tune", "evaluate", "roll_out"):
        for _ in range(3):
            step = fly(cockpit)
            assert (step.do, step.of) == ("ask", wanted)
        with store.writing() as connection:
            give_word(connection, DATASET, clock())
    assert "ramping" in fly(cockpit).why
    assert steps(store).count("asks") == steps(store).count("approved") == 3
    with store.writing() as connection, pytest.raises(NoAutopilotError, match="asks for nothing"):
        give_word(connection, DATASET, clock())
    with store.reading() as connection:
        assert sum(one["kind"] == "autopilot.asks" for one in list_outbox(connection)) == 3


def test_after_a_rollback_the_gate_of_confidence_is_tried(lab, store, cockpit, clock, home):
    """Chosen on the answers that are kept; the gated experiment follows, and its own rollback ends the round."""
    begin(store, clock, gate_agreement=0.75)
    put_calls(store, clock(), some_rows(400))
    fly(cockpit)
    change_rollout(store, "banking-auto-1", "roll_back", clock(), home)
    assert "ramping" in fly(cockpit).why
    first = json.loads((home / "config.json").read_bytes())["experiments"][0]
    assert first["key"] == "banking-auto-1-gate"
    assert 0 < first["candidate"]["gate"]["least"] <= 1
    change_rollout(store, "banking-auto-1-gate", "roll_back", clock(), home)
    fly(cockpit)
    assert steps(store)[-2:] == ["gated", "rolled_back"]


def test_what_is_under_the_floor_is_never_rolled_out(lab, store, cockpit, clock):
    """Shuffled answers: the round ends at the questions."""
    rows = some_rows(300)
    put_calls(store, clock(), [(text, rows[number - 7][1]) for number, (text, _) in enumerate(rows)])
    begin(store, clock)
    fly(cockpit)
    assert steps(store)[-1] == "under_the_floor"
    with store.reading() as connection:
        assert list_rollouts(connection) == []


def test_a_prompt_that_was_not_in_the_edition_stays_with_the_baseline(lab, store, cockpit, clock, home):
    """The candidate's prompts are those of its edition."""
    put_calls(store, clock(), some_rows(300), system=SYSTEM)
    begin(store, clock)
    fly(cockpit)
    candidate = json.loads((home / "config.json").read_bytes())["experiments"][0]["candidate"]
    assert candidate["prompts"] == [prompt_fingerprint({"messages": [{"role": "system", "content": SYSTEM}]})]


def test_what_stands_in_the_way_is_said_once_and_tried_again(lab, store, cockpit, clock, home):
    """Another's experiment has the calls: nothing is broken, somebody is told; when it is gone it goes on."""
    from logos_shift_openai.server.experiments import Plan, set_state, start

    start(home, Plan("mine", ("gpt-big",), "other", dataset=DATASET))
    begin(store, clock)
    put_calls(store, clock(), some_rows(300))
    for _ in range(3):
        assert "experiment mine is running and about the same calls" in fly(cockpit).why
    assert steps(store).count("needs") == 1
    set_state(home, "mine", "stopped")
    assert "ramping" in fly(cockpit).why


def test_off_rests_and_on_goes_on(lab, store, cockpit, clock):
    """Where it stood."""
    begin(store, clock, mode="notify")
    put_calls(store, clock(), some_rows(300))
    fly(cockpit)
    with store.writing() as connection:
        set_mode(connection, DATASET, "off", clock())
    assert fly(cockpit).why == "it is switched off"
    with store.writing() as connection:
        set_mode(connection, DATASET, "on", clock())
    assert "ramping" in fly(cockpit).why


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def lives(monkeypatch, writes, *, committed):
    """Let a process make so many writes, then end it: after the last was committed, or before."""
    real, count = Store.writing, [0]

    @contextmanager
    def writing(self):
        count[0] += 1
        if count[0] > writes:
            raise Killed
        with real(self) as connection:
            yield connection
            if count[0] == writes and not committed:
                raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Store, "writing", writing)
        try:
            yield
        except Killed:
            pass


@pytest.mark.parametrize("committed", [True, False])
def test_killed_between_every_two_writes(lab, store, cockpit, clock, home, monkeypatch, committed):
    """Each process lives a write longer than the last that got nowhere; in the end all is there once."""
    put_calls(store, clock(), some_rows(200))
    begin(store, clock, new_examples=150)
    writes, place = 1, None
    for life in range(300):
        mine = cockpit_of(store, home, clock, f"process-{life}")
        with lives(monkeypatch, writes, committed=committed):
            fly(mine)
        state = now_of(store)
        writes = writes + 1 if (state.turn, state.state) == place else 1
        place = (state.turn, state.state)
        if state.state.phase == "rolling":
            break
        clock.at += 91_000  # the dead one's leases run out
    with store.reading() as connection:
        (job,), (evaluation,), (rollout,) = (
            list_jobs(connection),
            list_evaluations(connection),
            list_rollouts(connection),
        )
        asked = read_answers(connection, evaluation.id)
    assert (job.state, evaluation.state, rollout.experiment) == ("succeeded", "passed", "banking-auto-1")
    assert evaluation.report["rows"] == len(asked)
    assert steps(store) == ["policy", "began", "edition", "tuning", "tuned", "passed", "rollout"]
    assert now_of(store).spent == {"2025-11": [1, 0.0]}
    assert len(json.loads((home / "config.json").read_bytes())["experiments"]) == 1


def test_one_process_at_a_time(lab, store, cockpit, clock, home):
    """The other hears that it is busy."""
    begin(store, clock)
    other = cockpit_of(store, home, clock, "another")
    from logos_shift_openai.server.autopilot import running

    real = running.next_step

    def both(*args):
        with pytest.raises(BusyError):
            turn(other, DATASET)
        return real(*args)

    running.next_step = both
    try:
        turn(cockpit, DATASET)
    finally:
        running.next_step = real
    assert replace(now_of(store).policy, mode="on").mode == "on"
