"""Each of our parts is made to raise and to lie in turn, in the path of a call.

Every case makes calls of all kinds (sync and async, whole, streamed, raw, failing, routed to a candidate that works
and to one that does not) and compares each with what the plain SDK gives for it: the caller must get the very object
that came out of the SDK's own `request`, with the plain call's type and content, or the very error it raised.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import openai
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))
from provider import MESSAGES, Provider, experiment

import logos_shift_openai as ours
from logos_shift_openai import LogosShift
from logos_shift_openai.core.flow import Try
from logos_shift_openai.core.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Result:
    """What a caller got: an answer or an error, the chunks where it was a stream, and its content in plain data."""

    got: Any
    data: Any


def _plain(answer: Any) -> Any:
    return answer.model_dump() if hasattr(answer, "model_dump") else type(answer)


# The ways of calling, written for a client of either family.


def whole(client: Any, model: str) -> Result:
    answer = client.chat.completions.create(model=model, messages=MESSAGES)
    return Result(answer, _plain(answer))


def streamed(client: Any, model: str) -> Result:
    stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    chunks = list(stream)
    return Result(stream, [_plain(one) for one in chunks])


def broken_off(client: Any, model: str) -> Result:
    with client.chat.completions.create(model=model, messages=MESSAGES, stream=True) as stream:
        for chunk in stream:
            return Result(stream, _plain(chunk))
    raise AssertionError("the stream was empty")


def raw(client: Any, model: str) -> Result:
    answer = client.chat.completions.with_raw_response.create(model=model, messages=MESSAGES)
    return Result(answer, _plain(answer.parse()))


def read_later(client: Any, model: str) -> Result:
    with client.chat.completions.with_streaming_response.create(model=model, messages=MESSAGES) as answer:
        return Result(answer, _plain(answer.parse()))


def with_headers(client: Any, model: str) -> Result:
    with ours.context(dataset="sales", user_id="ann"):
        said = ours.headers(user_id="bob", metadata={"a": 1})
        answer = client.chat.completions.create(model=model, messages=MESSAGES, extra_headers=said)
    return Result(answer, _plain(answer))


async def awhole(client: Any, model: str) -> Result:
    answer = await client.chat.completions.create(model=model, messages=MESSAGES)
    return Result(answer, _plain(answer))


async def astreamed(client: Any, model: str) -> Result:
    stream = await client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    return Result(stream, [_plain(one) async for one in stream])


async def abroken_off(client: Any, model: str) -> Result:
    async with await client.chat.completions.create(model=model, messages=MESSAGES, stream=True) as stream:
        async for chunk in stream:
            return Result(stream, _plain(chunk))
    raise AssertionError("the stream was empty")


async def araw(client: Any, model: str) -> Result:
    answer = await client.chat.completions.with_raw_response.create(model=model, messages=MESSAGES)
    return Result(answer, _plain(answer.parse()))


async def aread_later(client: Any, model: str) -> Result:
    async with client.chat.completions.with_streaming_response.create(model=model, messages=MESSAGES) as answer:
        return Result(answer, _plain(await answer.parse()))


SYNC = (whole, streamed, broken_off, raw, read_later, with_headers)
JOINED = (streamed, broken_off, astreamed, abroken_off)
JOINS = ("drive.adopt", "drive.tag", "drive._note", "streams._chunks", "streams._async_chunks")
ASYNC = (awhole, astreamed, abroken_off, araw, aread_later)
# "m" has no experiment; the others are routed to a candidate: one that answers, one that is down, one that is cut
# before its first chunk, one that nobody can make a client for. "limited" fails in both variants.
MODELS = ("m", "limited", "to-good", "to-down", "to-cut", "to-nowhere")


@pytest.fixture
def answers() -> Provider:
    """A provider whose models behave as their names say."""
    provider = Provider()
    provider.answer("limited", 429)
    provider.answer("down", 500)
    provider.answer("cut", pieces=[b": no event yet\n\n"], error=_connection_lost())
    return provider


def _connection_lost() -> Exception:
    from provider import httpx

    return httpx.ReadError("connection lost")


@pytest.fixture
def returned(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Everything that came out of the SDK's own `request`, answers and errors in order."""
    seen: list[Any] = []
    sync, asynchronous = openai.OpenAI.request, openai.AsyncOpenAI.request

    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            answer = sync(self, *args, **kwargs)
        except Exception as error:
            seen.append(error)
            raise
        seen.append(answer)
        return answer

    async def arequest(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            answer = await asynchronous(self, *args, **kwargs)
        except Exception as error:
            seen.append(error)
            raise
        seen.append(answer)
        return answer

    monkeypatch.setattr(openai.OpenAI, "request", request)
    monkeypatch.setattr(openai.AsyncOpenAI, "request", arequest)
    return seen


def write_experiments(home: Path) -> None:
    """Route each model `to-x` to the candidate `x`."""
    experiment(home, model="none")
    document = json.loads((home / "config.json").read_text())
    [one] = document["experiments"]
    document["experiments"] = [
        {
            **one,
            "key": name,
            "match": {"model": [f"to-{name}"]},
            "candidate": {"model": name, "provider": "lab" if name == "nowhere" else None},
        }
        for name in ("good", "down", "cut", "nowhere")
    ]
    (home / "config.json").write_text(json.dumps(document))


async def call_all(answers: Provider, returned: list[Any], shift: LogosShift, part: str = "") -> None:
    """Make every kind of call with ours and with the plain SDK, and compare."""
    # A response that the caller reads by himself has no way back to the baseline, nor has a stream we could not join.
    alone = {read_later, aread_later, *(JOINED if part in JOINS else ())}
    client = answers.client(ours.OpenAI, logos_shift=shift), answers.client(ours.AsyncOpenAI, logos_shift=shift)
    for model in MODELS:
        for way in (*SYNC, *ASYNC):
            if model == "to-cut" and way in alone:
                continue
            expected = await of_the_plain_sdk(answers, way, model)
            returned.clear()
            shift.runtime._breakers.clear()  # each call tries its candidate
            compare(await outcome(way, client[way in ASYNC], model), expected, returned, f"{way.__name__}({model})")
    client[0].close()
    await client[1].close()
    returned.clear()
    answers.streams.clear()
    answers.answers["cut"][3].__traceback__ = None  # it would hold the frames it went through


async def collected() -> None:
    """Let go of everything that is dropped, the generators of dropped asynchronous streams too."""
    for _ in range(5):
        gc.collect()
        await asyncio.sleep(0)


_plain_outcomes: dict[tuple[Any, str], Result] = {}


async def of_the_plain_sdk(answers: Provider, way: Callable[..., Any], model: str) -> Result:
    """Give what the plain SDK gives for a call; it is the same each time."""
    if (way, model) not in _plain_outcomes:
        client = answers.client(openai.AsyncOpenAI if way in ASYNC else openai.OpenAI)
        _plain_outcomes[way, model] = await outcome(way, client, model)
        closed = client.close()
        if closed is not None:
            await closed
    return _plain_outcomes[way, model]


async def outcome(way: Callable[..., Any], client: Any, model: str) -> Result:
    try:
        result = way(client, model)
        return await result if way in ASYNC else result
    except Exception as error:
        return Result(error, (type(error), str(error), type(error.__cause__), type(error.__context__)))


def compare(got: Result, expected: Result, returned: list[Any], what: str) -> None:
    """Check that a caller got the SDK's own object, and that it is the one of the plain call."""
    if isinstance(got.got, BaseException):
        assert isinstance(expected.got, BaseException), (what, got.got)
    assert any(got.got is one for one in returned), f"{what}: not the SDK's own object: {got.got!r}"
    assert type(got.got) is type(expected.got), what
    assert without_model(got.data) == without_model(expected.data), what


def without_model(data: Any) -> Any:
    """Leave out who answered: a candidate names itself."""
    if isinstance(data, list):
        return [without_model(one) for one in data]
    return {**data, "model": None} if isinstance(data, dict) else data


def fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("sabotage")


async def afail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("sabotage")


C = "logos_shift_openai.client."
RAISES = [
    "seam._begun",
    "seam._route",
    "seam.route",
    "logos_shift.LogosShift.records",
    "seam._toward_candidate",
    "seam.Call",
    "seam.flow",
    "seam.new_id",
    "seam.body_of",
    "seam.user_of",
    "seam.current",
    "seam.read_headers",
    "call.Call.snapshot_request",
    "call.Call.snapshot_answer",
    "call.Call.begin_watching",
    "call.Call.begin_reading",
    "call.Call.keep",
    "call.Call.read_whole",
    "call.Call.attempt_ended",
    "call.Call.settled",
    "call.Call.note_error",
    "call.Call.held_back",
    "call.Call.fail",
    "call.Call.end",
    "call.to_json",
    "drive._for_candidate",
    "drive._answered",
    "drive._failed",
    "drive._body",
    "drive.changed",
    "drive.described",
    "drive.tag",
    "drive._note",
    "drive.adopt",
    "drive.watch",
    "streams.watch",
    "streams.Sentinel",
    "streams._reading",
    "streams._async_reading",
    "streams._closing",
    "streams._async_closing",
    "streams._chunks",
    "streams._async_chunks",
    "streams._closed",
    "streams._end_if_closed",
    "streams._instead_of",
    "streams._watch_instead",
    "streams.described",
    "logos_shift.LogosShift.provider",
    "providers.ProviderClients.sync",
    "providers.ProviderClients.for_loop",
    "runtime.Runtime.start",
    "runtime.Runtime.breaker",
    "runtime.Runtime.remember",
    "runtime.Runtime.forget",
    "runtime.Breaker.allows",
    "runtime.Breaker.succeeded",
    "runtime.Breaker.failed",
    "recorder.Recorder.put",
]


@pytest.mark.parametrize("part", RAISES)
async def test_a_part_that_raises_changes_no_answer(
    part: str,
    home: Path,
    answers: Provider,
    returned: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whichever of our parts raises, the caller gets the SDK's own answer or error, and the fault is counted."""
    write_experiments(home)
    shift = LogosShift(providers={"lab": ours.Provider(base_url="http://127.0.0.1:9/v1")})
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(C + part, fail)
    if part == "call.Call.held_back":
        monkeypatch.setattr(C + "runtime.Breaker.allows", lambda *_: False)
    await call_all(answers, returned, shift, part)
    monkeypatch.undo()
    await collected()
    stats = shift.stats()
    assert stats.get("internal_error", 0) > 0
    if part not in ("call.Call.end", "runtime.Runtime.forget"):  # who ends a call, and who lets go of it
        assert stats["open"] == 0


LIES: dict[str, tuple[str, Any]] = {
    "no route": ("seam.route", lambda **_: None),
    "a route that is none": ("seam.route", lambda *_, **__: object()),
    "a route to nowhere": ("seam.route", lambda *_, **__: Route("sabotage", use_candidate=True)),
    "no id": ("seam.new_id", lambda: None),
    "a number for an id": ("seam.new_id", lambda: 7),
    "a text for a body": ("seam.body_of", lambda _: "text"),
    "an empty body": ("seam.body_of", lambda _: {}),
    "a flow of nothing": ("seam.flow", lambda **_: iter(())),
    "a flow of garbage": ("seam.flow", lambda **_: iter([None, "x"])),
    "a flow to a third variant": ("seam.flow", lambda **_: iter([Try("neither")])),  # type: ignore[arg-type]
    "a request that is no JSON": ("call.encode", lambda *_: b"not json"),
    "a text for bytes": ("call.encode", lambda *_: "text"),
    "a breaker that is undecided": ("runtime.Breaker.allows", lambda *_: "perhaps"),
    "no breaker": ("runtime.Runtime.breaker", lambda *_: None),
    "no provider": ("logos_shift.LogosShift.provider", lambda *_: None),
    "a sampling of garbage": ("logos_shift.LogosShift.records", lambda *_: "perhaps"),
    "no context": ("seam.current", SimpleNamespace(get=lambda: None)),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_part_that_lies_changes_no_answer(
    lie: str, home: Path, answers: Provider, returned: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever nonsense one of our parts gives back, the caller gets the SDK's own answer, and we go on recording."""
    write_experiments(home)
    shift = LogosShift(providers={"lab": ours.Provider(base_url="http://127.0.0.1:9/v1")})
    part, value = LIES[lie]
    monkeypatch.setattr(C + part, value)
    await call_all(answers, returned, shift)
    monkeypatch.undo()
    await collected()
    assert shift.flush(30.0)
    assert shift.stats()["open"] == 0
    before = shift.stats().get("recorded", 0)
    whole(answers.client(ours.OpenAI, logos_shift=shift), "m")
    assert shift.flush(30.0)
    assert shift.stats()["recorded"] == before + 1


async def test_a_pydantic_that_keeps_its_parts_elsewhere_changes_no_answer(
    home: Path, answers: Provider, returned: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our quick copy of the SDK's options knows how pydantic lays them out; where it is wrong the slow copy serves."""
    write_experiments(home)
    shift = LogosShift(providers={"lab": ours.Provider(base_url="http://127.0.0.1:9/v1")})
    monkeypatch.setattr(C + "endpoints._extra", fail)
    await call_all(answers, returned, shift)
    assert "internal_error" not in shift.stats()


@pytest.mark.parametrize("experiments", [[7], "text", 7, [None], {"key": "exp"}])
async def test_a_config_of_garbage_changes_no_answer(
    experiments: Any, home: Path, answers: Provider, returned: list[Any]
) -> None:
    """A live config that is none leaves every call to its baseline; each call it costs the record of is counted."""
    shift = LogosShift()
    shift.runtime.config = SimpleNamespace(version=1, experiments=experiments, sampling=None)  # type: ignore[assignment]
    await call_all(answers, returned, shift)
    assert shift.stats()["internal_error"] > 0


async def test_a_log_handler_that_raises_changes_no_answer(
    home: Path, answers: Provider, returned: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What we have to say about a fault of ours goes to the user's handlers, and theirs may be broken too."""
    write_experiments(home)
    shift = LogosShift()

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("the handler")

    handler = Broken()
    logger = logging.getLogger("logos_shift_openai")
    logger.addHandler(handler)
    try:
        monkeypatch.setattr(C + "seam.route", fail)
        await call_all(answers, returned, shift)
    finally:
        logger.removeHandler(handler)
    monkeypatch.undo()
    assert shift.stats()["internal_error"] > 0
    assert shift.stats()["log_failed"] > 0
