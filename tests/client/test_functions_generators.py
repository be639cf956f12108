"""Decorated generators, sync and async: they behave as their own, and only their body runs inside their call."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import threading
import time
import types
import weakref

import pytest

from logos_shift_openai import LogosShift, context
from logos_shift_openai.client.context import EMPTY, current


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


def conversation(log):
    """A generator that uses all a generator can: sends, throws, a value at its end, cleaning up."""
    try:
        got = yield "first"
        log.append(got)
        try:
            got = yield "second"
            log.append(got)
        except KeyError as error:
            log.append(type(error))
            got = yield "caught"
            log.append(got)
        return "value"
    finally:
        log.append("closed")


def steps_of(make, steps):
    """Take a generator through some steps; gives all that can be seen of it from outside."""
    log, seen = [], []
    generator = make(log)
    for step, *args in steps:
        try:
            seen.append(getattr(generator, step)(*args))
        except BaseException as error:
            seen.append((type(error), str(error), error.__context__, error.__cause__))
    return log, seen


@pytest.mark.parametrize(
    "steps",
    [
        [("__next__",)] * 4,
        [("send", None), ("send", 1), ("send", 2), ("send", 3)],
        [("__next__",), ("__next__",), ("throw", KeyError("k")), ("send", 5)],
        [("__next__",), ("throw", ValueError("v")), ("__next__",)],
        [("__next__",), ("close",), ("close",), ("__next__",)],
        [("close",), ("__next__",)],
        [("throw", ValueError("early"))],
        [("send", "too early")],
        [("__next__",), ("throw", GeneratorExit()), ("__next__",)],
        [("__next__",), ("throw", StopIteration("s"))],
    ],
)
def test_a_generator_behaves_as_its_own(shift, steps):
    """Each way to drive a generator gives the same as without the decorator."""
    plain_log, plain_seen = steps_of(conversation, steps)
    log, seen = steps_of(shift()(conversation), steps)
    assert log == plain_log
    assert list(map(str, seen)) == list(map(str, plain_seen))


def test_a_generator_is_one_record(shift):
    """What a generator yielded is the response; its record says that it was streamed, and to its end."""

    @shift(name="count")
    def count(n):
        yield from range(n)
        return "end"

    made = count(3)
    assert isinstance(made, types.GeneratorType)
    assert list(made) == [0, 1, 2]
    assert shift.stats()["open"] == 0
    record = only(shift)
    assert record["request"]["args"] == [3]
    assert record["response"] == [0, 1, 2]
    assert (record["stream"], record["complete"]) == (True, True)
    assert 0 <= record["first_token_ms"] <= record["duration_ms"]


async def test_an_async_generator_is_one_record(shift):
    """The same for an asynchronous one."""

    @shift(name="count")
    async def count(n):
        for i in range(n):
            await asyncio.sleep(0)
            yield i

    made = count(3)
    assert isinstance(made, types.AsyncGeneratorType)
    assert [item async for item in made] == [0, 1, 2]
    record = only(shift)
    assert record["response"] == [0, 1, 2]
    assert (record["stream"], record["complete"]) == (True, True)


async def test_the_id_of_a_generators_call(shift):
    """`call` gives the generator and its id before the first step."""

    @shift()
    def one():
        yield 1

    @shift()
    async def two():
        yield 2

    generator, one_id = one.call()
    assert list(generator) == [1]
    agenerator, two_id = two.call()
    assert [item async for item in agenerator] == [2]
    assert [record["id"] for record in records(shift)] == [one_id, two_id]


def test_an_empty_generator(shift):
    """A generator without an item is complete, with an empty list."""

    @shift()
    def nothing():
        return
        yield

    assert list(nothing()) == []
    assert (only(shift)["response"], only(shift)["complete"]) == ([], True)


@pytest.mark.parametrize("end", ["close", "drop", "break", "throw exit"])
def test_a_cut_generator(shift, end):
    """A generator that is left early is recorded with what it yielded, as not complete, and its body is closed."""
    closed = []

    @shift()
    def count():
        try:
            yield 1
            yield 2
            yield 3
        finally:
            closed.append(True)

    generator = count()
    next(generator)
    if end == "close":
        generator.close()
    elif end == "drop":
        del generator
        gc.collect()
    elif end == "break":
        for _ in generator:
            break
        generator.close()
    else:
        with pytest.raises(GeneratorExit):
            generator.throw(GeneratorExit())
    assert closed == [True]
    record = only(shift)
    assert record["complete"] is False
    assert record.get("error") is None
    assert record["response"] == ([1, 2] if end == "break" else [1])


def test_a_cut_generator_that_ends_by_itself(shift):
    """A body that swallows its closing is still cut."""

    @shift()
    def count():
        with contextlib.suppress(GeneratorExit):
            yield 1

    generator = count()
    next(generator)
    generator.close()
    assert only(shift)["complete"] is False


def test_a_generator_that_was_never_begun(shift):
    """A generator that is dropped before its first step did nothing and leaves no record."""

    @shift()
    def count():
        yield 1

    count()
    count().close()
    assert records(shift) == []


def test_a_failing_generator(shift):
    """An error in the body is recorded with the items before it, and reaches the consumer as it was."""
    inner, outer = KeyError("inner"), ValueError("outer")

    @shift()
    def count():
        yield 1
        try:
            raise inner
        except KeyError:
            raise outer from None

    generator = count()
    next(generator)
    with pytest.raises(ValueError) as caught:
        next(generator)
    assert caught.value is outer
    assert outer.__context__ is inner
    record = only(shift)
    assert (record["response"], record["complete"], record["error"]["type"]) == ([1], False, "ValueError")


def test_wrong_arguments_fail_at_the_call(shift):
    """As with a plain generator function, wrong arguments fail before the first step."""

    @shift()
    def count(n):
        yield n

    with pytest.raises(TypeError, match="missing"):
        count()
    record = only(shift)
    assert (record["error"]["type"], record["response"]) == ("TypeError", None)


def test_only_the_body_runs_inside(shift):
    """Calls of the body have the generator's call for a parent, calls of its consumer do not."""
    leaf = shift(name="leaf")(lambda who: who)

    @shift(dataset="sales")
    def body():
        try:
            while True:
                yield leaf("body")
        except KeyError:
            yield leaf("thrown into")
        finally:
            leaf("closing")

    generator, body_id = body.call()
    next(generator)
    assert current.get() is EMPTY
    leaf("consumer")
    next(generator)
    generator.throw(KeyError())
    leaf("consumer")
    generator.close()
    leaf("consumer")
    for record in records(shift):
        if record["name"] == "leaf":
            inside = record["request"]["args"] != ["consumer"]
            assert record.get("parent") == (body_id if inside else None)
            assert record["dataset"] == ("sales" if inside else "default")


def test_the_consumers_context_is_around_each_step(shift):
    """What the consumer says around a step holds in the body for that step."""
    leaf = shift(name="leaf")(lambda: 1)

    @shift()
    def body():
        while True:
            yield leaf()

    generator = body()
    next(generator)
    with context(user_id="42"):
        next(generator)
    next(generator)
    assert [record.get("user_id") for record in records(shift)] == [None, "42", None]


def test_a_generator_that_goes_on_in_another_thread(shift):
    """Steps may be taken in any thread; each leaves its own thread's context as it was."""
    leaf = shift(name="leaf")(lambda: 1)

    @shift()
    def body():
        yield leaf()
        yield leaf()

    generator, body_id = body.call()
    next(generator)
    left = []

    def go_on():
        left.extend(generator)
        left.append(current.get())

    thread = threading.Thread(target=go_on)
    thread.start()
    thread.join()
    assert left == [1, EMPTY]
    assert [record.get("parent") for record in records(shift)] == [body_id, body_id, None]


async def test_only_the_body_of_an_async_generator_runs_inside(shift):
    """The same for asynchronous generators, also when other tasks take the steps."""
    leaf = shift(name="leaf")(lambda who: who)

    @shift()
    async def body():
        try:
            while True:
                await asyncio.sleep(0)
                yield leaf("body")
        finally:
            await asyncio.sleep(0)
            leaf("closing")

    generator, body_id = body.call()
    await anext(generator)
    assert current.get() is EMPTY
    leaf("consumer")
    await asyncio.create_task(generator.asend(None))
    leaf("consumer")
    await generator.aclose()
    found = records(shift)
    assert found[-1]["complete"] is False
    assert found[-1]["response"] == ["body", "body"]
    for record in found[:-1]:
        inside = record["request"]["args"] != ["consumer"]
        assert record.get("parent") == (body_id if inside else None)


async def test_sends_and_throws_reach_an_async_body(shift):
    """`asend` and `athrow` work as on the plain generator."""
    log = []

    @shift()
    async def body():
        log.append((yield 1))
        try:
            yield 2
        except KeyError as error:
            log.append(error)
            yield 3

    generator = body()
    thrown = KeyError()
    assert await generator.asend(None) == 1
    assert await generator.asend("sent") == 2
    assert await generator.athrow(thrown) == 3
    with pytest.raises(StopAsyncIteration):
        await anext(generator)
    assert log == ["sent", thrown]
    assert only(shift)["complete"] is True


async def test_an_async_body_that_fails(shift):
    """Its error is recorded and reaches the consumer; being cancelled too."""

    @shift()
    async def fail():
        yield 1
        raise ValueError("v")

    @shift()
    async def wait():
        yield 1
        await asyncio.Event().wait()

    with pytest.raises(ValueError, match="v"):
        [item async for item in fail()]

    async def consume():
        return [item async for item in wait()]

    task = asyncio.create_task(consume())
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    found = records(shift)
    assert [record["error"]["type"] for record in found] == ["ValueError", "CancelledError"]
    assert [record["response"] for record in found] == [[1], [1]]


@pytest.mark.parametrize("hold", [True, False])
def test_an_async_generator_is_finalised_by_the_loop(shift, hold):
    """Left alone or dropped, it is closed by the loop, its own clean-up awaited, without a complaint of the loop."""
    complaints, closed, kept = [], [], []

    @shift()
    async def body():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            closed.append(current.get().parent)

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, about: complaints.append(about))
        generator, call_id = body.call()
        await anext(generator)
        if hold:
            kept.append(generator)
        del generator
        for _ in range(5):
            await asyncio.sleep(0)
        return call_id

    call_id = asyncio.run(main())
    gc.collect()
    assert complaints == []
    assert closed == [call_id]
    record = only(shift)
    assert (record["id"], record["response"], record["complete"]) == (call_id, [1], False)


def test_open_at_the_exit(home):
    """A generator that is still open when the process ends is recorded as not complete."""
    shift = LogosShift(home=home)

    @shift()
    def count():
        yield 1
        yield 2

    generator = count()
    next(generator)
    shift.runtime.close(time.monotonic() + 2)
    files = home.glob("spool/local/*/*.ndjson")
    (line,) = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    assert (line["response"], line["complete"]) == ([1], False)
    assert list(generator) == [2]


def test_an_endless_generator_is_bounded(home):
    """Of a long generator the record keeps what fits a record, and says how much was left out."""
    shift = LogosShift(home=home, record_bytes=65_536)

    @shift()
    def talk():
        for _ in range(500):
            yield "x" * 1_000

    generator = talk()
    taken = [next(generator) for _ in range(499)]
    call = generator.gi_frame.f_locals["call"]
    assert 65_536 <= call.parts_size < 67_000
    assert call.left_out == 499 - len(call.parts)
    assert len([*taken, *generator]) == 500
    assert len(json.dumps(only(shift))) <= 65_536


def test_an_open_generator_is_held_by_nobody(home):
    """A generator of an object that forgot it is collected with the object, open as it is."""
    shift = LogosShift(home=home)

    class Talker:
        def begin(self):
            self.talk = self.talking()
            return next(self.talk)

        @shift()
        def talking(self):
            yield 1
            yield 2

    talker = Talker()
    talker.begin()
    seen = weakref.ref(talker)
    del talker
    gc.collect()
    assert seen() is None
    assert only(shift)["complete"] is False


def test_a_thrown_error_keeps_nothing_alive(shift):
    """After an error was thrown in, the generator and the error go without the collector's help."""

    @shift()
    def body():
        while True:
            with contextlib.suppress(KeyError):
                yield 1

    generator = body()
    next(generator)

    class MineError(KeyError):
        pass

    error = MineError()
    seen = weakref.ref(error)
    gc.collect()
    gc.disable()
    try:
        generator.throw(error)
        del error
        assert seen() is None
    finally:
        gc.enable()


def test_contextmanager_over_a_decorated_generator(shift):
    """A decorated generator function serves `contextlib.contextmanager`, errors included."""

    @contextlib.contextmanager
    @shift()
    def managed():
        try:
            yield "x"
        except KeyError:
            pass

    with managed() as value:
        assert value == "x"
    with managed():
        raise KeyError
    with pytest.raises(ValueError), managed():
        raise ValueError
    assert [record["complete"] for record in records(shift)] == [True, True, False]
