"""Two functions of one experiment: who answers, what is recorded, and what happens when the candidate fails."""

from __future__ import annotations

import asyncio
import gc
import json

import pytest

from logos_shift_openai import LogosShift, SettingsError, context
from logos_shift_openai.core.breaker import FAILURES


@pytest.fixture
def shift(home):
    return LogosShift(home=home)


def records(shift):
    """Read the lines that have come to the spool, in the order in which the calls ended."""
    assert shift.flush(60)
    files = sorted(shift.settings.home.glob("spool/local/*/*.ndjson"))
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


def only(shift):
    (record,) = records(shift)
    return record


def configure(shift, *experiments, version=7):
    """Put a config in force, as read from the file of the home."""
    home = shift.settings.home
    home.mkdir(parents=True, exist_ok=True)
    home.joinpath("config.json").write_text(json.dumps({"version": version, "experiments": list(experiments)}))
    shift.runtime.source.step()
    assert shift.runtime.config.version == version


def about(name, share=10_000, **more):
    return {
        "key": "answers",
        "dataset": "sales",
        "match": {"model": [name]},
        "candidate": {"model": "cheap", **more.pop("candidate", {})},
        "share": share,
        "salt": "5a17",
        **more,
    }


def pair(shift, baseline, candidate, name="answer"):
    return shift(dataset="sales", name=name, candidate=candidate)(baseline)


def fail(*_args):
    raise ValueError("of the candidate")


def tries(record):
    return [(one["variant"], one["model"], one["ok"]) for one in record["attempts"]]


def test_without_a_config_the_baseline_answers(shift):
    """A function with a candidate is itself as long as no experiment is about it."""
    answer = pair(shift, lambda x: ["dear", x], lambda x: ["cheap", x])
    assert answer(1) == ["dear", 1]
    record = only(shift)
    assert record.get("assigned") is None
    assert record["why"] == "no experiment is configured"
    assert tries(record) == [("baseline", "answer", True)]


def test_the_candidate_takes_its_share(shift):
    """At the whole share the candidate answers; the record says which experiment, which unit and why."""
    configure(shift, about("answer"))
    answer = pair(shift, lambda x: ["dear", x], lambda x: ["cheap", x])
    with context(user_id="42"):
        assert answer(1) == ["cheap", 1]
    record = only(shift)
    assert (record["experiment"], record["assigned"], record["served"]) == ("answers", "candidate", "candidate")
    assert record["unit"] == {"kind": "user", "id": "42"}
    assert (record["requested_model"], record["share"], record["config_version"]) == ("answer", 10_000, 7)
    assert "below the share" in record["why"]
    assert tries(record) == [("candidate", "cheap", True)]


def test_a_unit_keeps_its_variant(shift):
    """A user always gets the same function, and `explain` tells which."""
    configure(shift, about("answer", share=5_000))
    answer = pair(shift, lambda: "baseline", lambda: "candidate")
    given = {}
    for user in map(str, range(40)):
        with context(user_id=user):
            given[user] = {answer(), answer()}
        assert given[user] == {shift.explain(model="answer", user_id=user, dataset="sales").variant}
    assert {len(one) for one in given.values()} == {1}
    assert set.union(*given.values()) == {"baseline", "candidate"}


@pytest.mark.parametrize(
    ("experiment", "why"),
    [
        (about("answer", state="paused"), "experiment answers is paused"),
        (about("answer", dataset="support"), "no experiment is about this dataset and model"),
        (about("other"), "no experiment is about this dataset and model"),
        (about("*"), "no experiment is about this dataset and model"),
        (about("ans*"), "no experiment is about this dataset and model"),
        (about("answer", share=0), "is not below the share 0"),
    ],
)
def test_who_is_not_meant_stays_with_the_baseline(shift, experiment, why):
    """Paused, of another dataset, of another name, or a pattern for models: the baseline answers, with the reason."""
    configure(shift, experiment)
    assert pair(shift, lambda: "dear", fail)() == "dear"
    assert why in only(shift)["why"]


def test_the_candidates_provider_and_endpoints_are_for_models(shift):
    """An experiment about a function may name any provider and endpoint; the function is called all the same."""
    configure(shift, about("answer", candidate={"provider": "elsewhere", "endpoints": ["responses"]}))
    assert pair(shift, lambda: "dear", lambda: "cheap")() == "cheap"


@pytest.mark.parametrize("settings", [{"routing": False}, {"enabled": False}, {"force_variant": "baseline"}])
def test_switched_off(home, settings):
    """Without routing, switched off or forced to the baseline, the baseline answers."""
    shift = LogosShift(home=home, **settings)
    configure(shift, about("answer"))
    assert pair(shift, lambda: "dear", fail)() == "dear"


def test_a_call_may_refuse_to_be_routed(shift):
    """`context(route=False)` keeps a call with the baseline."""
    configure(shift, about("answer"))
    with context(route=False):
        assert pair(shift, lambda: "dear", fail)() == "dear"


def test_forced_to_the_candidate(home):
    """A forced variant overrules the hash."""
    shift = LogosShift(home=home, force_variant="candidate")
    configure(shift, about("answer", share=0))
    assert pair(shift, lambda: "dear", lambda: "cheap")() == "cheap"


def test_a_new_config_is_followed(shift):
    """The config in force at the time of the call is the one that counts."""
    answer = pair(shift, lambda: "dear", lambda: "cheap")
    configure(shift, about("answer"), version=1)
    assert answer() == "cheap"
    configure(shift, about("answer", share=0), version=2)
    assert answer() == "dear"
    assert [record["config_version"] for record in records(shift)] == [1, 2]


def test_a_failed_candidate_is_answered_by_the_baseline(shift):
    """The caller gets the baseline's value; both attempts are recorded, the call stays assigned to the candidate."""
    configure(shift, about("answer"))
    value, call_id = pair(shift, lambda x: ["dear", x], fail).call(1)
    assert value == ["dear", 1]
    record = only(shift)
    assert record["id"] == call_id
    assert (record["assigned"], record["served"]) == ("candidate", "baseline")
    assert tries(record) == [("candidate", "cheap", False), ("baseline", "answer", True)]
    assert record["attempts"][0]["error"]["type"] == "ValueError"
    assert record.get("error") is None
    assert record["complete"] is True


def test_the_error_is_the_baselines_own(shift):
    """When both fail the caller sees the baseline's error, with nothing of the candidate's on it."""
    configure(shift, about("answer"))
    mine = KeyError("of the baseline")

    def baseline():
        raise mine

    with pytest.raises(KeyError) as caught:
        pair(shift, baseline, fail)()
    assert caught.value is mine
    assert (mine.__context__, mine.__cause__) == (None, None)
    record = only(shift)
    assert record["error"]["type"] == "KeyError"
    assert tries(record) == [("candidate", "cheap", False), ("baseline", "answer", False)]


def test_without_fallback_the_candidates_error_is_the_callers(shift):
    """An experiment without fallback gives the candidate's error."""
    configure(shift, about("answer", fallback={"enabled": False}))
    with pytest.raises(ValueError, match="of the candidate"):
        pair(shift, lambda: "dear", fail)()
    assert tries(only(shift)) == [("candidate", "cheap", False)]


def test_an_exit_in_the_candidate_is_no_failure(shift):
    """What is no `Exception` goes on to the caller: no fallback, no mark against the candidate."""
    configure(shift, about("answer"))

    def leave():
        raise KeyboardInterrupt

    answer = pair(shift, lambda: "dear", leave)
    for _ in range(FAILURES + 1):
        with pytest.raises(KeyboardInterrupt):
            answer()
    assert {tuple(tries(record)) for record in records(shift)} == {(("candidate", "cheap", False),)}


def test_the_breaker_keeps_calls_away(shift):
    """After some failures in a row the candidate is left alone, and the record says so."""
    configure(shift, about("answer"))
    called = []

    def candidate():
        called.append(1)
        raise ValueError

    answer = pair(shift, lambda: "dear", candidate)
    assert [answer() for _ in range(FAILURES + 3)] == ["dear"] * (FAILURES + 3)
    assert len(called) == FAILURES
    last = records(shift)[-1]
    assert (last["assigned"], last["served"]) == ("candidate", "baseline")
    assert last["why"].endswith("the breaker of the candidate is open")
    assert tries(last) == [("baseline", "answer", True)]


def test_a_success_closes_the_breaker(shift):
    """Failures count in a row only."""
    configure(shift, about("answer"))
    turns = iter([True, True, True, True, False] * 4)
    called = []

    def candidate():
        called.append(1)
        if next(turns):
            raise ValueError
        return "cheap"

    answer = pair(shift, lambda: "dear", candidate)
    for _ in range(20):
        answer()
    assert len(called) == 20


async def test_async_functions(shift):
    """Asynchronous functions route, fall back and fail alike."""
    configure(shift, about("answer"), about("failing", key="other"))
    error = KeyError("of the baseline")

    async def dear(x):
        await asyncio.sleep(0)
        return ["dear", x]

    async def cheap(x):
        await asyncio.sleep(0)
        return ["cheap", x]

    async def failing(x):
        await asyncio.sleep(0)
        raise ValueError("of the candidate")

    async def baseline_failing(x):
        await asyncio.sleep(0)
        raise error

    assert await pair(shift, dear, cheap)(1) == ["cheap", 1]
    assert (await pair(shift, dear, failing).call(2))[0] == ["dear", 2]
    with pytest.raises(KeyError) as caught:
        await pair(shift, baseline_failing, failing, name="failing")(3)
    assert caught.value is error
    assert error.__context__ is None
    served = [record["served"] for record in records(shift)]
    assert served == ["candidate", "baseline", "baseline"]


async def test_a_cancelled_candidate_is_no_failure(shift):
    """Being cancelled is the caller's wish: no fallback."""
    configure(shift, about("answer"))
    called = []

    async def dear():
        called.append("dear")

    async def cheap():
        await asyncio.Event().wait()

    task = asyncio.create_task(pair(shift, dear, cheap)())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert called == []


def test_generators_fall_back_before_their_first_item(shift):
    """A candidate's generator that fails at once is followed by the baseline's, sends and all."""
    configure(shift, about("answer"))

    def dear(x):
        got = yield ["dear", x]
        yield got

    def failing(x):
        raise ValueError("of the candidate")
        yield

    generator = pair(shift, dear, failing)(1)
    assert next(generator) == ["dear", 1]
    assert generator.send("sent") == "sent"
    assert list(generator) == []
    record = only(shift)
    assert record["response"] == [["dear", 1], "sent"]
    assert tries(record) == [("candidate", "cheap", False), ("baseline", "answer", True)]


def test_generators_do_not_fall_back_after_their_first_item(shift):
    """Once an item has reached the consumer, the candidate's error is the consumer's."""
    configure(shift, about("answer"))

    def dear():
        yield "dear"

    def failing():
        yield "cheap"
        raise ValueError("of the candidate")

    generator = pair(shift, dear, failing)()
    assert next(generator) == "cheap"
    with pytest.raises(ValueError, match="of the candidate"):
        next(generator)
    record = only(shift)
    assert (record["response"], record["complete"]) == (["cheap"], False)
    assert tries(record) == [("candidate", "cheap", False)]


async def test_async_generators_fall_back_before_their_first_item(shift):
    """The same for asynchronous generators; the baseline's own error has no context."""
    configure(shift, about("answer"), about("failing", key="other"))
    error = KeyError("of the baseline")

    async def dear():
        yield "dear"

    async def failing():
        raise ValueError("of the candidate")
        yield

    async def baseline_failing():
        raise error
        yield

    assert [item async for item in pair(shift, dear, failing)()] == ["dear"]
    with pytest.raises(KeyError) as caught:
        await anext(pair(shift, baseline_failing, failing, name="failing")())
    assert caught.value is error
    assert error.__context__ is None
    first, second = records(shift)
    assert first["served"] == "baseline"
    assert [one["error"]["type"] for one in second["attempts"]] == ["ValueError", "KeyError"]


async def test_a_fallen_back_async_generator_is_closed_by_the_loop(shift):
    """After a fallback too the loop knows one generator only."""
    configure(shift, about("answer"))
    closed = []

    async def dear():
        try:
            yield "dear"
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def failing():
        raise ValueError
        yield

    generator = pair(shift, dear, failing)()
    assert await anext(generator) == "dear"
    del generator
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    assert closed == [True]


def test_methods(shift):
    """Candidates of methods are bound as the methods are: written in the class, or outside with the same parameters."""
    configure(shift, about("answer"), about("made", key="made"), about("free", key="free"), about("out", key="out"))

    def outside(self, x):
        return ["outside", self.n, x]

    class Desk:
        n = 1

        def cheap(self, x):
            return ["cheap", self.n, x]

        @classmethod
        def cheap_made(cls, x):
            return ["cheap", cls.n, x]

        @staticmethod
        def cheap_free(x):
            return ["cheap", x]

        @shift(dataset="sales", name="answer", candidate=cheap)
        def answer(self, x):
            return fail()

        @shift(dataset="sales", name="out", candidate=outside)
        def out(self, x):
            return fail()

        @shift(dataset="sales", name="made", candidate=cheap_made)
        @classmethod
        def made(cls, x):
            return fail()

        @shift(dataset="sales", name="free", candidate=cheap_free)
        @staticmethod
        def free(x):
            return fail()

    desk = Desk()
    desk.n = 2
    assert desk.answer(1) == ["cheap", 2, 1]
    assert Desk.answer(desk, 1) == ["cheap", 2, 1]
    assert desk.out(1) == ["outside", 2, 1]
    assert desk.made(1) == Desk.made(1) == ["cheap", 1, 1]
    assert desk.free(1) == Desk.free(1) == ["cheap", 1]


def test_a_bound_method_with_a_free_candidate(shift):
    """A method that is bound already takes a candidate without `self`."""
    configure(shift, about("answer"))

    class Desk:
        def answer(self, x):
            return fail()

    assert pair(shift, Desk().answer, lambda x: ["cheap", x])(1) == ["cheap", 1]


def test_calls_inside_the_candidate_have_the_call_for_a_parent(shift):
    """Whichever function runs, the call is the parent of the calls inside, of a failed try too."""
    configure(shift, about("answer"))
    leaf = shift(name="leaf")(lambda who: who)

    def failing():
        leaf("candidate")
        raise ValueError

    _, call_id = pair(shift, lambda: leaf("baseline"), failing).call()
    parents = {record["request"]["args"][0]: record["parent"] for record in records(shift)[:-1]}
    assert parents == {"candidate": call_id, "baseline": call_id}


async def coroutine_function():
    pass


def generator_function():
    yield


async def async_generator_function():
    yield


KINDS = [fail, coroutine_function, generator_function, async_generator_function]


@pytest.mark.parametrize("candidate", KINDS)
@pytest.mark.parametrize("baseline", KINDS)
def test_both_are_of_one_kind(shift, baseline, candidate):
    """A candidate of another kind is refused when the function is decorated."""
    if baseline is candidate:
        pair(shift, baseline, candidate)
    else:
        with pytest.raises(SettingsError, match="of the same kind"):
            pair(shift, baseline, candidate)
