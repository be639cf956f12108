"""Decorated functions of every kind: what they give, what is recorded of them, and what is inside them."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import json
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import openai
import pytest

from logos_shift_openai import LogosShift, OpenAI, SettingsError, context

try:
    import httpx2 as httpx
except ImportError:
    import httpx


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


def answered(request):
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
    return httpx.Response(200, json=body)


def a_client(shift):
    http = httpx.Client(transport=httpx.MockTransport(answered))
    return OpenAI(api_key="k", http_client=http, logos_shift=shift)


def at_module_level(x):
    """Say what it is given."""
    return x


decorated_here = LogosShift(logging=False)(name="here")(at_module_level)
at_module_level = decorated_here


def test_a_call_is_one_record(shift):
    """A call of a decorated function is one record, with what was asked and what was given."""

    @shift(dataset="sales", metadata={"team": "a"})
    def answer(question: str, *, words: int = 3) -> dict[str, int]:
        return {question: words}

    assert answer("why", words=5) == {"why": 5}
    record = only(shift)
    assert record["kind"] == "call"
    assert record["endpoint"] == "function"
    assert record["name"] == answer.__qualname__
    assert record["dataset"] == "sales"
    assert record["metadata"] == {"team": "a"}
    assert record["request"] == {"args": ["why"], "kwargs": {"words": 5}}
    assert record["response"] == {"why": 5}
    assert record["complete"] is True
    assert record["duration_ms"] >= 0
    assert record.get("error") is None
    assert record.get("attempts", []) == []
    assert record.get("parent") is None


def test_the_value_is_the_very_same_object(shift):
    """What a function returns is handed on untouched, also where it could take an attribute."""

    class Answer:
        pass

    made = Answer()
    give = shift()(lambda: made)
    assert give() is made
    value, call_id = give.call()
    assert value is made
    assert vars(made) == {}
    assert records(shift)[-1]["id"] == call_id


def test_feedback_by_the_id_of_a_call(shift):
    """`call` gives the id that feedback takes."""
    double = shift(name="double")(lambda x: 2 * x)
    value, call_id = double.call(4)
    shift.provide_feedback(call_id, "success")
    assert value == 8
    call, feedback = sorted(records(shift), key=lambda line: line["kind"])
    assert call["id"] == feedback["call_id"] == call_id
    assert call["name"] == "double"


def test_a_decorated_function_is_still_itself(shift):
    """Name, doc, signature, kind and module stay those of the function."""

    @shift()
    def first(a: int, /, b: str = "x", *rest: int, c: bool, **more: float) -> str:
        """Do the first thing."""

    @shift()
    async def second():
        pass

    @shift()
    def third():
        yield

    @shift()
    async def fourth():
        yield

    assert first.__name__ == "first"
    assert first.__doc__ == "Do the first thing."
    assert first.__module__ == __name__
    assert str(inspect.signature(first)) == (
        "(a: 'int', /, b: 'str' = 'x', *rest: 'int', c: 'bool', **more: 'float') -> 'str'"
    )
    assert inspect.isfunction(first)
    assert not inspect.iscoroutinefunction(first)
    assert inspect.iscoroutinefunction(second)
    assert inspect.isgeneratorfunction(third)
    assert inspect.isasyncgenfunction(fourth)
    assert first.__wrapped__.__code__ is first.__code__


async def test_an_async_function(shift):
    """An asynchronous function is recorded when it is awaited, with its `call` awaited too."""

    @shift()
    async def answer(x):
        await asyncio.sleep(0)
        return [x]

    assert await answer(1) == [1]
    value, call_id = await answer.call(2)
    assert value == [2]
    first, second = records(shift)
    assert (first["request"]["args"], first["response"]) == ([1], [1])
    assert second["id"] == call_id


async def test_a_coroutine_goes_by_its_functions_name(shift):
    """Task lists and warnings name the function, not our driver."""

    @shift()
    async def answer():
        pass

    coroutine = answer()
    assert coroutine.__qualname__.endswith("answer")
    await coroutine


def a_shop(shift):
    class Shop:
        def __init__(self, name):
            self.name = name

        @shift()
        def greet(self, who):
            return f"{self.name}: hello {who}"

        @shift()
        async def greet_later(self, who):
            return f"{self.name}: later {who}"

        @shift()
        @classmethod
        def made(cls, name):
            return cls(name).name

        @shift()
        @staticmethod
        def add(a, b):
            return a + b

        @classmethod
        @shift()
        def made_inside(cls, name):
            return cls(name).name

        @staticmethod
        @shift()
        def add_inside(a, b):
            return a + b

        @shift()
        def __call__(self, x):
            return x

    return Shop


async def test_methods(shift):
    """Methods, classmethods and staticmethods are recorded without `self` and `cls`, in either order of decorators."""
    shop_class = a_shop(shift)
    shop = shop_class("shop")
    assert shop.greet("you") == "shop: hello you"
    assert shop_class.greet(shop, "us") == "shop: hello us"
    assert await shop.greet_later("you") == "shop: later you"
    assert shop_class.made("x") == shop.made("x") == "x"
    assert shop.add(1, 2) == shop_class.add(1, 2) == 3
    assert shop_class.made_inside("y") == shop.made_inside("y") == "y"
    assert shop.add_inside(1, b=2) == 3
    assert shop(7) == 7
    asked = [record["request"]["args"] for record in records(shift)]
    assert asked == [["you"], ["us"], ["you"], ["x"], ["x"], [1, 2], [1, 2], ["y"], ["y"], [1], [7]]
    names = {record["name"].rpartition(".")[2] for record in records(shift)}
    assert {"greet", "greet_later", "made", "add"} <= names


async def test_call_on_bound_methods(shift):
    """`obj.method.call` binds as `obj.method` does."""
    shop_class = a_shop(shift)
    shop = shop_class("shop")
    assert shop.greet.call("you")[0] == "shop: hello you"
    assert (await shop.greet_later.call("you"))[0] == "shop: later you"
    assert shop_class.made.call("x")[0] == "x"
    assert shop.add.call(1, 2)[0] == 3
    value, call_id = shop_class.greet.call(shop, "us")
    assert value == "shop: hello us"
    last = records(shift)[-1]
    assert (last["id"], last["request"]["args"]) == (call_id, ["us"])


def test_a_method_called_as_a_plain_function(shift):
    """A function that was written for a class is recorded without `self` wherever it stands."""
    meet = shift()(lambda self, who: [self, who])
    assert meet("me", "you") == ["me", "you"]
    assert only(shift)["request"]["args"] == ["you"]


def test_a_parameter_called_self_of_no_method(shift):
    """Keywords of any name reach the function, `self` and `function` too."""
    take = shift()(lambda **given: given)
    assert take(self=1, function=2, args=3, call=4) == {"self": 1, "function": 2, "args": 3, "call": 4}
    assert take.call(self=1)[0] == {"self": 1}


def test_callables(shift):
    """Partials, objects with `__call__`, bound methods and functions written in C are decorated alike."""

    class Adder:
        def __call__(self, a, b):
            return a + b

    class AsyncAdder:
        async def __call__(self, a, b):
            return a + b

    adder = Adder()
    assert shift()(adder)(1, 2) == 3
    assert shift()(adder.__call__)(1, 2) == 3
    assert shift(name="three")(functools.partial(adder, 3))(4) == 7
    assert shift()(len)("four") == 4
    assert asyncio.run(shift()(AsyncAdder())(2, 3)) == 5
    assert [record["response"] for record in records(shift)] == [3, 3, 7, 4, 5]
    assert [record["name"].rpartition(".")[2] for record in records(shift)] == [
        "Adder", "__call__", "three", "len", "AsyncAdder",
    ]  # fmt: skip


def test_what_cannot_be_decorated_is_refused(shift):
    """Decorating something that cannot be called is an error at once."""
    with pytest.raises(SettingsError, match="decorates functions, not int"):
        shift()(3)


def test_an_error_is_the_functions_own(shift):
    """An error is recorded and reaches the caller as it was: same object, same cause and context."""
    before, inside = KeyError("before"), ValueError("inside")

    @shift()
    def fail():
        try:
            raise inside
        except ValueError:
            raise RuntimeError("mine") from None

    try:
        raise before
    except KeyError:
        with pytest.raises(RuntimeError) as caught:
            fail()
    error = caught.value
    assert error.__context__ is inside
    assert inside.__context__ is before
    assert error.__cause__ is None
    assert vars(error) == {}
    record = only(shift)
    assert record["error"]["type"] == "RuntimeError"
    assert record["error"]["message"] == "mine"
    assert record["complete"] is False
    assert record["response"] is None


async def test_an_async_error_is_the_functions_own(shift):
    """The same holds for asynchronous functions, cancelling included."""

    @shift()
    async def fail():
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer") from inner

    @shift()
    async def wait():
        await asyncio.Event().wait()

    with pytest.raises(ValueError, match="outer") as caught:
        await fail()
    assert isinstance(caught.value.__cause__, KeyError)
    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [record["error"]["type"] for record in records(shift)] == ["ValueError", "CancelledError"]


def test_errors_that_cannot_be_shown(shift):
    """An error whose own text fails is recorded by its name."""

    class Odd(Exception):  # noqa: N818
        def __str__(self):
            raise RuntimeError

    @shift()
    def fail():
        raise Odd

    with pytest.raises(Odd):
        fail()
    assert only(shift)["error"]["type"] == "Odd"


def test_system_exit_passes(shift):
    """An exit of the program inside a function is recorded and goes on."""

    @shift()
    def leave():
        sys.exit(3)

    with pytest.raises(SystemExit) as caught:
        leave()
    assert caught.value.code == 3
    assert only(shift)["error"]["type"] == "SystemExit"


def test_wrong_arguments_are_the_functions_own_error(shift):
    """A call with wrong arguments fails as the plain function does."""
    take = shift()(lambda x: x)
    with pytest.raises(TypeError, match="positional argument"):
        take(1, 2)
    assert only(shift)["error"]["type"] == "TypeError"


def test_metadata_of_one_call(shift):
    """`logos_shift_metadata` says dataset, user and conversation; the rest is metadata; the function never sees it."""

    @shift(dataset="sales", metadata={"team": "a", "kept": 1})
    def answer(**given):
        return given

    said = {"user_id": 42, "conversation_id": "c", "dataset": "support", "team": "b"}
    assert answer(x=1, logos_shift_metadata=said) == {"x": 1}
    assert said == {"user_id": 42, "conversation_id": "c", "dataset": "support", "team": "b"}
    record = only(shift)
    assert (record["user_id"], record["conversation_id"], record["dataset"]) == ("42", "c", "support")
    assert record["metadata"] == {"team": "b", "kept": 1}
    assert record["request"] == {"args": [], "kwargs": {"x": 1}}


def test_metadata_that_the_function_wants_itself(shift):
    """A function with a parameter `logos_shift_metadata` gets it, and it is read all the same."""

    @shift()
    def answer(x, logos_shift_metadata=None):
        return logos_shift_metadata

    said = {"user_id": "42"}
    assert answer(1, logos_shift_metadata=said) is said
    assert only(shift)["user_id"] == "42"


@pytest.mark.parametrize("said", [None, "text", 3, [1]])
def test_metadata_that_cannot_be_meant(shift, said):
    """Metadata of another shape say nothing and harm nothing."""
    assert shift()(lambda: 1)(logos_shift_metadata=said) == 1
    assert only(shift).get("metadata", {}) == {}


async def test_metadata_of_one_async_call(shift):
    """The keyword is taken from asynchronous calls and from `call` alike."""

    @shift()
    async def answer(x):
        return x

    assert await answer(1, logos_shift_metadata={"user_id": "a"}) == 1
    assert (await answer.call(2, logos_shift_metadata={"user_id": "b"}))[0] == 2
    assert [record["user_id"] for record in records(shift)] == ["a", "b"]


def test_the_context_around(home):
    """What is said around holds for a call; what the decorator says is nearer; the LogosShift's own is farthest."""
    shift = LogosShift(home=home, dataset="all", user_id="nobody", metadata={"app": "x"})
    plain, sales = shift()(lambda: 1), shift(dataset="sales", metadata={"app": "y"})(lambda: 2)
    plain()
    with context(dataset="support", user_id="42", conversation_id="c", metadata={"n": 1}) as said:
        plain()
        sales()
    first, second, third = records(shift)
    assert (first["dataset"], first["user_id"], first["metadata"]) == ("all", "nobody", {"app": "x"})
    assert (second["dataset"], second["user_id"], second["conversation_id"]) == ("support", "42", "c")
    assert (third["dataset"], third["metadata"]) == ("sales", {"app": "y", "n": 1})
    assert said.call_ids == [second["id"], third["id"]]


def test_a_function_is_the_parent_of_calls_inside(shift):
    """Calls to models and decorated functions inside have their function for a parent, and what it said."""
    client = a_client(shift)

    @shift(name="inner")
    def inner():
        return client.chat.completions.create(model="m", messages=[]).logos_shift_id

    @shift(dataset="sales", name="outer")
    def outer():
        return [inner(), client.chat.completions.create(model="m", messages=[]).logos_shift_id]

    ids, outer_id = outer.call(logos_shift_metadata={"user_id": "42"})
    client.chat.completions.create(model="m", messages=[])
    found = {record["id"]: record for record in records(shift)}
    assert found[outer_id].get("parent") is None
    inner_id = found[ids[0]]["parent"]
    assert found[inner_id]["name"] == "inner"
    assert found[inner_id]["parent"] == outer_id
    assert found[ids[1]]["parent"] == outer_id
    for one in (outer_id, inner_id, *ids):
        assert (found[one]["dataset"], found[one]["user_id"]) == ("sales", "42")
    (after,) = found.keys() - {outer_id, inner_id, *ids}
    assert (found[after].get("parent"), found[after]["dataset"]) == (None, "default")
    client.close()


async def test_parents_of_concurrent_calls(shift):
    """Concurrent asynchronous calls each are the parents of their own children."""

    @shift(name="child")
    async def child(n):
        await asyncio.sleep(0)
        return n

    @shift(name="parent")
    async def parent(n):
        await asyncio.sleep(0)
        return await asyncio.gather(child(n), child(n))

    await asyncio.gather(*(parent(n) for n in range(4)))
    found = records(shift)
    number = {one["id"]: one["request"]["args"][0] for one in found if one["name"] == "parent"}
    children = [one for one in found if one["name"] == "child"]
    assert len(children) == 8
    assert all(number[one["parent"]] == one["request"]["args"][0] for one in children)


def test_the_parent_is_left_after_an_error(shift):
    """After an error in a function nothing of it stays around."""

    @shift()
    def fail():
        raise ValueError

    after = shift(name="after")(lambda: 1)
    with pytest.raises(ValueError):
        fail()
    after()
    assert records(shift)[-1].get("parent") is None


def test_a_plain_thread_starts_without_a_parent(shift):
    """A thread of its own starts with an empty context, as context variables do."""
    child = shift(name="child")(lambda: 1)

    @shift(name="parent")
    def parent():
        thread = threading.Thread(target=child)
        thread.start()
        thread.join()

    parent()
    assert all(record.get("parent") is None for record in records(shift))


@pytest.mark.parametrize("settings", [{"logging": False}, {"enabled": False}, {"sample_rate": 0}])
def test_switched_off(home, settings):
    """Without logging, switched off or sampled out, a call works, has an id and leaves no record."""
    shift = LogosShift(home=home, **settings)
    double = shift()(lambda x: 2 * x)
    assert double(2, logos_shift_metadata={"user_id": "42"}) == 4
    value, call_id = double.call(3)
    assert (value, len(call_id)) == (6, 36)
    assert records(shift) == []


def test_log_false_holds_inside(shift):
    """`context(log=False)` leaves a function and the calls inside unrecorded."""
    inner = shift()(lambda: 1)
    outer = shift()(lambda: [inner()])
    with context(log=False):
        outer()
    assert records(shift) == []
    outer()
    assert len(records(shift)) == 2


def test_arguments_are_recorded_as_they_were(shift):
    """The record has the arguments of the time of the call, and the value of the time of its return."""

    @shift()
    def change(items):
        items.append("changed")
        return items

    found = change(["first"])
    found.append("later")
    record = only(shift)
    assert record["request"]["args"] == [["first"]]
    assert record["response"] == ["first", "changed"]


def test_nothing_is_held_after_a_call(shift):
    """A recorded call keeps neither arguments, instance nor value alive."""
    import gc
    import weakref

    class Thing:
        @shift()
        def me(self, other):
            return self

    thing, other = Thing(), Thing()
    seen = weakref.ref(thing), weakref.ref(other)
    thing.me(other)
    del thing, other
    gc.collect()
    assert [ref() for ref in seen] == [None, None]


def test_pickled_by_name_and_copied_by_not_copying():
    """Decorated functions go to other processes and into copies as plain functions do."""
    assert pickle.loads(pickle.dumps(at_module_level)) is at_module_level
    assert copy.copy(at_module_level) is at_module_level
    assert copy.deepcopy([at_module_level])[0] is at_module_level


def test_wrapt_is_loaded_by_the_first_decorator_only():
    """Importing the package does not load `wrapt`; decorating does."""
    program = (
        "import sys, logos_shift_openai as l; before = 'wrapt' in sys.modules;"
        "l.logos_shift()(print); print(before, 'wrapt' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_answers_of_the_sdk_are_recorded_as_json(shift):
    """A function that returns an answer of the SDK has its JSON for a response, and the answer keeps its own id."""
    client = a_client(shift)

    @shift(name="ask")
    def ask():
        return client.chat.completions.create(model="m", messages=[])

    answer, call_id = ask.call()
    assert isinstance(answer, openai.types.chat.ChatCompletion)
    assert answer.logos_shift_id != call_id
    record = next(record for record in records(shift) if record["id"] == call_id)
    assert record["response"]["id"] == "chatcmpl-1"
    client.close()


def test_the_example_runs(tmp_path):
    """The example of the decorator runs as it stands, without key and network, and shows a fallback."""
    example = Path(__file__).parents[2] / "examples" / "decorator.py"
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, example], capture_output=True, text=True, check=True, env=environ)
    assert "sort_ticket for cleo: payments, tried keywords then sort_ticket" in done.stdout
    assert done.stdout.count("feedback: success") == 4
