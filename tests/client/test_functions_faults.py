"""Sabotage: each part of ours that a decorated function passes raises in turn; the caller gets its own value."""

from __future__ import annotations

import asyncio
import json

import pytest

from logos_shift_openai import LogosShift
from logos_shift_openai.client import function_call, functions
from logos_shift_openai.client.function_call import FunctionCall

PARTS = [
    (functions, "new_id"),
    (functions, "route"),
    (functions, "snapshot"),
    (function_call, "snapshot"),
    (functions, "read_metadata"),
    (function_call, "enter_parent"),
    (function_call, "described"),
    (function_call, "_clock"),
    (function_call, "_clock"),
    (FunctionCall, "prepare"),
    (FunctionCall, "toward"),
    (FunctionCall, "_enter"),
    (FunctionCall, "_returned"),
    (FunctionCall, "_yielded"),
    (FunctionCall, "_exhausted"),
    (FunctionCall, "_failed"),
    (FunctionCall, "_tried"),
    (FunctionCall, "end"),
]


class SabotageError(Exception):
    pass


def broken(*_args, **_kwargs):
    raise SabotageError


@pytest.fixture(params=["baseline", "candidate", "fallback"])
def shift(request, home):
    """Give a LogosShift whose experiment sends calls to the baseline, to the candidate, or to a failing candidate."""
    shift = LogosShift(home=home)
    experiment = {
        "key": "one",
        "match": {"model": ["f"]},
        "candidate": {"model": "cheap"},
        "share": 0 if request.param == "baseline" else 10_000,
        "salt": "5a17",
    }
    home.mkdir()
    home.joinpath("config.json").write_text(json.dumps({"version": 1, "experiments": [experiment]}))
    shift.runtime.source.step()
    shift.failing = request.param == "fallback"
    return shift


@pytest.fixture
def sabotage(shift):
    """Give what breaks a part; it is whole again before the runtimes are closed."""
    with pytest.MonkeyPatch.context() as patch:

        def spoil(part):
            if isinstance(part, tuple):
                patch.setattr(*part, broken)
            elif part == "put":
                patch.setattr(shift.runtime.recorder, "put", broken)
            elif part is not None:
                patch.setattr(shift.runtime, part, broken)

        yield spoil


EVERY = [*PARTS, "put", "start", "breaker", None]


@pytest.mark.parametrize("part", EVERY, ids=str)
def test_sync(sabotage, shift, part):
    """A function's value and its error are the caller's, whichever part of ours is broken."""
    value, error = object(), ValueError("mine")

    def candidate(fails):
        if shift.failing:
            raise KeyError("of the candidate")
        return baseline(fails)

    def baseline(fails):
        if fails:
            raise error
        return value

    f = shift(name="f", candidate=candidate)(baseline)
    sabotage(part)
    assert f(False, logos_shift_metadata={"user_id": "42"}) is value
    assert f.call(False)[0] is value
    with pytest.raises(ValueError) as caught:
        f(True)
    assert caught.value is error
    assert error.__context__ is None


@pytest.mark.parametrize("part", EVERY, ids=str)
async def test_async(sabotage, shift, part):
    """The same for asynchronous functions."""
    value, error = object(), ValueError("mine")

    async def candidate(fails):
        if shift.failing:
            raise KeyError("of the candidate")
        return await baseline(fails)

    async def baseline(fails):
        await asyncio.sleep(0)
        if fails:
            raise error
        return value

    f = shift(name="f", candidate=candidate)(baseline)
    sabotage(part)
    assert await f(False, logos_shift_metadata={"user_id": "42"}) is value
    assert (await f.call(False))[0] is value
    with pytest.raises(ValueError) as caught:
        await f(True)
    assert caught.value is error
    assert error.__context__ is None


@pytest.mark.parametrize("part", EVERY, ids=str)
def test_generators(sabotage, shift, part):
    """The same for generators: items, sends, the value at the end, errors, closing."""
    value, error, closed = object(), ValueError("mine"), []

    def candidate(fails):
        if shift.failing:
            raise KeyError("of the candidate")
        return (yield from baseline(fails))

    def baseline(fails):
        try:
            got = yield value
            if fails:
                raise error
            yield got
        finally:
            closed.append(True)
        return "end"

    f = shift(name="f", candidate=candidate)(baseline)
    sabotage(part)
    generator = f(False)
    assert next(generator) is value
    assert generator.send("sent") == "sent"
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert stopped.value.value == "end"
    generator = f(True)
    next(generator)
    with pytest.raises(ValueError) as caught:
        next(generator)
    assert caught.value is error
    generator = f.call(True)[0]
    next(generator)
    generator.close()
    assert closed == [True] * 3


@pytest.mark.parametrize("part", EVERY, ids=str)
async def test_async_generators(sabotage, shift, part):
    """The same for asynchronous generators."""
    value, error, closed = object(), ValueError("mine"), []

    async def candidate(fails):
        if shift.failing:
            raise KeyError("of the candidate")
        async for item in baseline(fails):
            yield item

    async def baseline(fails):
        try:
            yield value
            if fails:
                raise error
        finally:
            closed.append(True)

    f = shift(name="f", candidate=candidate)(baseline)
    sabotage(part)
    assert [item async for item in f(False)] == [value]
    generator = f(True)
    assert await anext(generator) is value
    with pytest.raises(ValueError) as caught:
        await anext(generator)
    assert caught.value is error
    generator = f.call(False)[0]
    await anext(generator)
    await generator.aclose()
    assert len(closed) >= 2


def test_an_error_of_ours_is_counted(monkeypatch, home):
    """What is kept from the caller is counted."""
    shift = LogosShift(home=home)
    f = shift()(lambda: 1)
    monkeypatch.setattr(functions, "snapshot", broken)
    f()
    assert shift.stats()["internal_error"] >= 1


class Hostile:
    """A value whose every way to be looked at raises."""

    def _refuse(self, *_args):
        raise SabotageError

    __repr__ = __str__ = __hash__ = __eq__ = __bool__ = __iter__ = __len__ = __getattr__ = __format__ = _refuse


class HostileInt(int):
    def __repr__(self):
        raise SabotageError

    __str__ = __repr__


class HostileDict(dict):
    def items(self):
        raise SabotageError

    values = keys = __iter__ = items


@pytest.mark.parametrize(
    "value", [Hostile(), HostileInt(3), HostileDict(a=1), [Hostile()], {"a": Hostile()}], ids=lambda _: ""
)
def test_hostile_values(home, value):
    """Values that resist being looked at are handed on, and recorded as something."""
    shift = LogosShift(home=home)
    f = shift()(lambda x: x)
    assert f(value) is value
    assert shift.flush(60)
    (line,) = [line for file in home.glob("spool/local/*/*.ndjson") for line in file.read_bytes().splitlines()]
    assert json.loads(line)["response"] is not None
