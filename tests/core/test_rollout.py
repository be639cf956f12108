"""The rollout's life: every phase and event of the table, by hand and by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logos_shift_openai.core.config import SHARE_MAX
from logos_shift_openai.core.evidence import GRID, Cell, Evidence
from logos_shift_openai.core.findings import UNITS
from logos_shift_openai.core.policy import DAY, HOUR, LADDER, policy_from
from logos_shift_openai.core.rollout import TABLE, begin, decide, decision_json
from logos_shift_openai.core.rollout_by_hand import BY_HAND, RolloutError, by_hand
from logos_shift_openai.core.rollout_state import ENDED, state_from
from logos_shift_openai.core.rollout_words import AGREEMENT
from logos_shift_openai.core.routing import bucket_of
from logos_shift_openai.core.strict import ConfigError

POLICY = policy_from({"margin": 0.05})
START = 1_000_000.0


def scores(state, metric, base, candidate, each=100):
    """Give evidence in the ratio of the present draw: per variant (successes, failures) in `each` units of the share."""
    evidence = Evidence()
    for variant, part, rate in (("candidate", state.share, candidate), ("baseline", SHARE_MAX - state.share, base)):
        units = part * each // 100
        for score, count in ((GRID, round(units * rate)), (0, units - round(units * rate))):
            evidence.add(Cell(metric, state.share, 0, state.step.centre(metric), variant, score), count)
    return evidence


def seen(state, success=(0.9, 0.9), errors=(0.99, 0.99), each=100):
    """Give evidence of both metrics of the default policy."""
    evidence = scores(state, "success", *success, each=each)
    evidence.merge(scores(state, "errors", *errors, each=each))
    return evidence


def ramped(share, policy=POLICY):
    """Give the state at a share, begun just now."""
    state = begin(policy, START, {"success": 0.9, "errors": 0.99})
    return state if state.share == share else state.at(share, state.step.centres)


def test_a_good_candidate_goes_all_the_way():
    """With proof at every step an equal candidate climbs the ladder, is promoted, and after two weeks has everything."""
    policy = policy_from({"margin": 0.05})
    state, now, evidence, shares, events = begin(policy, START), START, Evidence(), [], []
    while state.phase not in ENDED:
        shares.append(state.share)
        fresh = seen(state)
        evidence = fresh if state.phase == "held_back" else evidence
        evidence.merge(fresh)
        now += 15 * DAY if state.phase == "held_back" else max(HOUR, policy.least_seconds(state.share))
        decision = decide(policy, state, evidence, now)
        events.append((decision.action, decision.event))
        state = decision.state
    assert shares == [100, 500, 1_000, 2_500, 5_000, 9_900]
    assert events == [("ramp", "safe")] * 4 + [("promote", "proven"), ("ramp", "over")]
    assert (state.phase, state.share, state.run) == ("done", SHARE_MAX, 2)
    assert [step.run for step in state.steps] == [1] * 5 + [2] * 2


def test_silence_holds_and_the_deadline_ends_it():
    """Without a score nothing moves; at the deadline everything is the baseline's again."""
    state = begin(POLICY, START)
    held = decide(POLICY, state, Evidence(), START + 27 * DAY)
    assert (held.action, held.state.share) == ("hold", 100)
    assert "nothing is measured yet of success by feedback" in held.why
    late = decide(POLICY, held.state, Evidence(), START + 28 * DAY)
    assert (late.action, late.event, late.state.phase, late.state.share) == ("roll_back", "late", "rolled_back", 0)
    assert late.why == "back to the baseline: 28 days have passed without a proof that it is safe"


def test_proof_waits_for_its_time():
    """A proven step lasts an hour all the same, the last one a day."""
    for share, needed in ((100, HOUR), (5_000, DAY)):
        state = ramped(share)
        early = decide(POLICY, state, seen(state, each=300), START + needed - 60)
        assert early.action == "hold"
        assert "every step takes its time: 1 minutes more" in early.why
        assert decide(POLICY, state, seen(state, each=300), START + needed).action in {"ramp", "promote"}


@pytest.mark.parametrize("share", LADDER[:-1])
def test_harm_goes_back_from_every_share(share):
    """Proven harm needs no waiting time, at any share, and names its metric."""
    state = ramped(share)
    decision = decide(POLICY, state, seen(state, errors=(0.99, 0.5)), START)
    assert (decision.action, decision.event, decision.state.share) == ("roll_back", "harm", 0)
    assert decision.why.startswith(
        f"rolled back from {share / 100:g} %: the error rate: 50.0% against the baseline's 1.0%"
    )
    assert decision.look.culprit.metric == "errors"


def test_one_guardrail_alone_stops_the_ramp():
    """All metrics must be proven: a guardrail without scores holds, and is named."""
    state = ramped(100)
    decision = decide(POLICY, state, scores(state, "success", 0.9, 0.9), START + DAY)
    assert decision.action == "hold"
    assert "not yet proven safe for 5 %: nothing is measured yet of the error rate" in decision.why


@pytest.mark.parametrize(
    ("guardrails", "missing"),
    [
        ([], "a metric that every call has (valid, errors, regenerated or judge) is missing from the policy"),
        ([{"metric": "latency", "cap": 1_000, "margin": 0.5}], "is missing from the policy"),
    ],
)
def test_feedback_alone_does_not_promote(guardrails, missing):
    """Volunteered feedback may ramp, but without a dense metric there is no promotion, and the why says so."""
    policy = policy_from({"margin": 0.05, "guardrails": guardrails})
    state = ramped(5_000, policy)
    evidence = scores(state, "success", 0.9, 0.9, each=300)
    evidence.merge(scores(state, "latency", 0.9, 0.9, each=300))
    decision = decide(policy, state, evidence, START + 2 * DAY)
    assert decision.action == "hold"
    assert missing in decision.why
    low = ramped(100, policy)
    fresh = scores(low, "success", 0.9, 0.9)
    fresh.merge(scores(low, "latency", 0.9, 0.9))
    assert decide(policy, low, fresh, START + DAY).action == "ramp"


def test_a_broken_split_holds_until_somebody_looked():
    """Units lost on one side hold the rollout, also when later counts look right; resuming leaves them behind."""
    state = ramped(5_000)
    evidence = seen(state, each=200)
    evidence.add(Cell(UNITS, 5_000, 0, 0, "baseline", 0), 1_000)
    evidence.add(Cell(UNITS, 5_000, 0, 0, "candidate", 0), 500)
    alarm = decide(POLICY, state, evidence, START + 2 * DAY)
    assert (alarm.action, alarm.event, alarm.state.share) == ("hold", "alarm", 5_000)
    assert "do not come in the ratio they were drawn in, seen in the drawn units" in alarm.why
    evidence.add(Cell(UNITS, 5_000, 0, 0, "candidate", 0), 500)
    again = decide(POLICY, alarm.state, evidence, START + 3 * DAY)
    assert (again.action, again.event) == ("hold", "alarm")
    resumed = by_hand("resume", POLICY, again.state, evidence, START + 3 * DAY).state
    assert (resumed.alarm, resumed.run, resumed.share, resumed.phase) == (None, 2, 5_000, "ramping")
    assert decide(POLICY, resumed, seen(resumed, each=200), START + 5 * DAY).action == "promote"


def test_missing_feedback_of_one_side_is_an_alarm():
    """Feedback that comes from one variant mostly is no comparison."""
    state = ramped(5_000)
    evidence = scores(state, "errors", 0.99, 0.99, each=200)
    for variant, count in (("baseline", 900), ("candidate", 600)):
        evidence.add(Cell("success", 5_000, 0, 540, variant, GRID), count)
    decision = decide(POLICY, state, evidence, START)
    assert (decision.event, decision.state.alarm) == ("alarm", "success")


def test_an_alarm_about_one_metric_does_not_keep_harm_in():
    """Harm in a metric whose own split is right goes back all the same, and so does the deadline."""
    state = replace(ramped(5_000), alarm="success")
    evidence = seen(state, errors=(0.99, 0.5), each=10)
    evidence.add(Cell("success", 5_000, 0, 540, "baseline", GRID), 1_000)
    decision = decide(POLICY, state, evidence, START)
    assert (decision.event, decision.look.culprit.metric) == ("harm", "errors")
    assert decision.look.crooked == ("success",)
    assert decide(POLICY, state, Evidence(), START + 28 * DAY).event == "late"


def test_lost_units_prove_nothing():
    """Where the drawn units themselves do not come in their ratio, what looks like harm may be what was lost."""
    state = ramped(5_000)
    evidence = seen(state, (0.9, 0.2))
    for variant, count in (("baseline", 900), ("candidate", 300)):
        evidence.add(Cell(UNITS, 5_000, 0, 0, variant, 0), count)
    decision = decide(POLICY, state, evidence, START)
    assert (decision.action, decision.event) == ("hold", "alarm")
    assert json.dumps(decision_json(decision), allow_nan=False)


def test_the_shadow_comes_first_where_it_is_asked_for():
    """Pairs are compared before anybody sees an answer of the candidate."""
    policy = policy_from({"shadow_pairs": 10})
    state = begin(policy, START)
    assert (state.phase, state.share) == ("shadow", 0)
    evidence = Evidence({Cell(AGREEMENT, 0, 0, 0, "candidate", GRID): 8})
    held = decide(policy, state, evidence, START)
    assert (held.action, held.why) == ("hold", "in the shadow: 8 of 10 calls are compared")
    evidence.add(Cell(AGREEMENT, 0, 0, 0, "candidate", 0), 2)
    done = decide(policy, state, evidence, START)
    assert (done.action, done.state.phase, done.state.share) == ("ramp", "ramping", 100)
    assert done.why == "from the shadow to 1 %: 10 calls are compared, the outputs agree in 80.0% of them"
    assert decide(policy, state, Evidence(), START + 28 * DAY).event == "late"


def test_a_shadow_that_disagrees_ends_where_agreement_is_wanted():
    """Proven to agree less than is wanted, the candidate never gets a call; without the wish only the pairs count."""
    apart = Evidence({Cell(AGREEMENT, 0, 0, 0, "candidate", 0): 12, Cell(AGREEMENT, 0, 0, 0, "candidate", GRID): 3})
    wanted = policy_from({"shadow_pairs": 10, "least_agreement": 0.8})
    ended = decide(wanted, begin(wanted, START), apart, START)
    assert (ended.action, ended.event, ended.state.phase, ended.state.share) == ("roll_back", "apart", "rolled_back", 0)
    assert ended.why.startswith("rolled back in the shadow: the outputs agree in 20.0% of 15 compared calls")
    assert "below the 80.0% that are wanted" in ended.why
    unwanted = policy_from({"shadow_pairs": 10})
    assert decide(unwanted, begin(unwanted, START), apart, START).event == "compared"
    alike = Evidence({Cell(AGREEMENT, 0, 0, 0, "candidate", GRID): 10})
    assert decide(wanted, begin(wanted, START), alike, START).event == "compared"


def test_the_old_model_may_prove_better_after_all():
    """After promotion the same test goes on with the variants' parts swapped, from new evidence."""
    state = by_hand("promote", POLICY, ramped(5_000), Evidence(), START).state
    assert (state.phase, state.share, state.run) == ("held_back", 9_900, 2)
    assert decide(POLICY, state, seen(state, each=300), START + DAY).why == (
        "promoted; 1 % stay on the old model for another 13 days, to see whether it was better after all"
    )
    worse = decide(POLICY, state, seen(state, (0.95, 0.6), each=300), START + DAY)
    assert (worse.action, worse.event, worse.state.share) == ("roll_back", "harm", 0)


def test_no_hold_back_is_done_at_once():
    policy = policy_from({"hold_back": 0})
    state = by_hand("promote", policy, ramped(100, policy), Evidence(), START).state
    assert (state.phase, state.share) == ("done", SHARE_MAX)


def test_a_pause_stops_the_clocks():
    """Paused, nothing is decided and no time passes; afterwards the step goes on where it stood."""
    state = ramped(5_000)
    paused = by_hand("pause", POLICY, state, Evidence(), START + 1 * HOUR).state
    held = decide(POLICY, paused, seen(state, (0.9, 0.1)), START + 40 * DAY)
    assert (held.action, held.why, held.state.share) == ("hold", "paused by hand", 5_000)
    back = by_hand("resume", POLICY, held.state, Evidence(), START + 40 * DAY).state
    assert (back.phase, back.share, back.waited) == ("ramping", 5_000, HOUR)
    assert back.seen - back.started == HOUR
    assert decide(POLICY, back, seen(back, each=300), START + 40 * DAY + 22 * HOUR).action == "hold"
    assert decide(POLICY, back, seen(back, each=300), START + 40 * DAY + 23 * HOUR).action == "promote"


def test_resuming_a_paused_alarm_begins_a_new_run():
    """Paused while the split was broken, it goes on at its share; its hour and its counts begin anew, under the new run."""
    state = replace(ramped(500), alarm="success")
    paused = by_hand("pause", POLICY, state, Evidence(), START + HOUR).state
    back = by_hand("resume", POLICY, paused, Evidence(), START + DAY).state
    assert (back.phase, back.share, back.alarm, back.run, back.step.run) == ("ramping", 500, None, 2, 2)
    assert (back.waited, back.step.since) == (0, START + DAY)


def test_hands_have_their_phases():
    """What a phase does not have is refused in words; what it has leads where it should."""
    states = {"shadow": begin(policy_from({"shadow_pairs": 5}), START), "ramping": ramped(100)}
    states["paused"] = by_hand("pause", POLICY, states["ramping"], Evidence(), START).state
    states["held_back"] = by_hand("promote", POLICY, states["paused"], Evidence(), START).state
    states["done"] = by_hand("promote", POLICY, states["held_back"], Evidence(), START).state
    states["rolled_back"] = by_hand("roll_back", POLICY, states["done"], Evidence(), START).state
    assert {state.phase for state in states.values()} == set(TABLE) == set(states)
    for phase, state in states.items():
        assert state.phase == phase
        for what, phases in BY_HAND.items():
            if phase not in phases or (what == "resume" and phase != "paused"):
                with pytest.raises(RolloutError, match="has nothing to"):
                    by_hand(what, POLICY, state, Evidence(), START)
            else:
                assert by_hand(what, POLICY, state, Evidence(), START).event == "by hand"
    with pytest.raises(RolloutError, match="'explode' is not one of pause, resume, promote, roll_back"):
        by_hand("explode", POLICY, states["ramping"], Evidence(), START)


def test_a_clock_that_jumps_back_stands_still():
    """A look earlier than the last is a look at the same time as the last."""
    state = decide(POLICY, begin(POLICY, START), Evidence(), START + HOUR).state
    back = decide(POLICY, state, Evidence(), 5.0)
    assert (back.at, back.state) == (START + HOUR, state)


def test_foreign_metrics_are_left_aside():
    """Evidence of a metric that the policy does not name changes nothing."""
    state = ramped(100)
    plain, more = seen(state), seen(state)
    more.merge(scores(state, "refusals", 0.9, 0.0))
    assert decide(POLICY, state, plain, START + HOUR) == decide(POLICY, state, more, START + HOUR)


def test_the_ended_say_so():
    for phase, words in (("done", "all calls are the candidate's"), ("rolled_back", "all calls are the baseline's")):
        state = replace(ramped(100), phase=phase)
        assert decide(POLICY, state, seen(state, (0.9, 0.1)), START).why == words


def test_a_decision_is_json():
    """A decision is kept with its figures, and has no infinities."""
    state = ramped(100, POLICY)
    decision = decide(POLICY, state, seen(state), START)
    kept = json.loads(json.dumps(decision_json(decision), allow_nan=False))
    assert (kept["action"], kept["share"], kept["look"]["metrics"][0]["metric"]) == ("hold", 100, "success")
    assert state_from(kept["state"]) == decision.state


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"phase": "lost"}, 'phase: "lost" is not one of'),
        ({"steps": []}, "steps: there is none"),
        ({"steps": [{"share": 10_001, "since": 1}]}, r"steps\[0\].share: 10001 is not in 0..10000"),
        ({"steps": [{"share": 1, "since": 1, "centres": {"success": 700}}]}, r"steps\[0\].centres.success: 700"),
        ({"paused_from": "ramping"}, 'paused_from: "ramping" does not fit the phase ramping'),
        ({"seen": -1}, "seen: -1 is not in"),
        ({"more": 1}, "more: not known here"),
    ],
)
def test_states_that_are_none(change, fault):
    """A state that was tampered with is refused with the path."""
    with pytest.raises(ConfigError, match=fault):
        state_from({**begin(POLICY, START).to_json(), **change})


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.4, 0.85, 0.9, 1.0]),
    st.lists(st.sampled_from(["pause", "resume", "promote", "roll_back", "back", "crash", ""]), max_size=12),
)
def test_shares_only_grow_until_a_rollback(seed, candidate, hands):
    """Whatever the scores, the clock and the hands do: the share rises, or the rollout is rolled back for good."""
    dice, now, state, evidence = Random(seed), START, begin(POLICY, START), Evidence()
    for what in [*hands, *[""] * 12]:
        now += -DAY if what == "back" else dice.choice([0, HOUR, DAY])
        before = state
        if what in BY_HAND:
            try:
                state = by_hand(what, POLICY, state, evidence, now).state
            except RolloutError:
                continue
        else:
            if state.phase not in ENDED:
                evidence.merge(seen(state, (0.9, candidate), each=dice.randrange(40)))
            decision = decide(POLICY, state, evidence, now)
            state = decision.state
            assert (decision.action == "hold") == (state.share == before.share and state.phase == before.phase)
        if what == "crash":
            state = state_from(json.loads(json.dumps(state.to_json())))
        if state.run != before.run:
            evidence = Evidence()
        assert state.seen >= before.seen
        assert state.share >= before.share or (state.phase, state.share) == ("rolled_back", 0)


def test_nobody_flips_over_a_ramp():
    """Of 5,000 users each changes sides once at most, to the candidate, over the shares a rollout took."""
    shares, state, now = [0], begin(POLICY, START), START
    while state.phase not in ENDED:
        shares.append(state.share)
        now += 15 * DAY if state.phase == "held_back" else DAY
        evidence = seen(state, each=300)
        state = decide(POLICY, state, evidence, now).state
    shares.append(state.share)
    assert len(shares) == 8
    for user in range(5_000):
        sides = [bucket_of("salt", str(user)) < share for share in shares]
        assert sides == sorted(sides)
