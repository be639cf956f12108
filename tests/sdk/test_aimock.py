"""A provider that nobody here wrote: aimock, run as a process, asked by the SDK's clients and by ours alike.

Every test asks with the plain client first and with the swapped one second; answers, chunks and errors must be the
same, and the record must say what the plain client got. The package is installed by `npm install` in `aimock/`;
without it the tests are skipped, but in CI they fail.
"""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import openai
import pytest
from provider import experiment, records
from pydantic import BaseModel

import logos_shift_openai as ours
from logos_shift_openai import context

HERE = Path(__file__).parent / "aimock"
SERVER = HERE / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
CHAT, RESPONSES = "chat.completions", "responses"
START_SECONDS, END_SECONDS = 90.0, 20.0

HELLO = "hello"
CITIES = "the weather in three cities, please"
ANSWERED = [HELLO, CITIES, "say it and call", "think first", "go on and on"]
TOOLS = [
    {"type": "function", "function": {"name": name, "strict": True, "parameters": {"type": "object", "properties": {}}}}
    for name in ("get_weather", "get_time", "look_up")
]


class Person(BaseModel):
    name: str
    born: int


class Aimock:
    """The running server, and its own account of what arrived."""

    def __init__(self, url):
        self.url = url

    def journal(self):
        """Give the requests since `forget`."""
        with urllib.request.urlopen(f"{self.url}/__aimock/journal", timeout=30) as answer:
            return json.load(answer)

    def forget(self):
        self._post("reset/journal", {})

    def fail_once(self, status):
        """Let the next request fail, whatever it asks."""
        self._post("error", {"status": status, "body": {"message": "once", "type": "server_error"}})

    def _post(self, path, body):
        request = urllib.request.Request(f"{self.url}/__aimock/{path}", json.dumps(body).encode(), method="POST")
        urllib.request.urlopen(request, timeout=30).close()


@pytest.fixture(scope="module")
def aimock(tmp_path_factory):
    """Start aimock on a free port of the loopback, and end it."""
    node = shutil.which("node")
    if node is None or not SERVER.exists():
        what = "node is not installed" if node is None else "aimock is not installed: run `npm install` in its folder"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"tests/sdk/aimock: {what}")
    log = tmp_path_factory.mktemp("aimock") / "log.txt"
    command = [node, SERVER, "--port", "0", "--fixtures", HERE / "fixtures", "--strict", "--validate-on-load"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIMOCK_")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--log-level", "info"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    try:
        yield Aimock(_address(process, log))
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process, log):
    end = time.monotonic() + START_SECONDS
    while True:
        said = log.read_text()
        if "listening on " in said and said.endswith("\n"):
            return said.rpartition("listening on ")[2].split()[0]
        assert process.poll() is None, f"aimock ended at its start: {said}"
        assert time.monotonic() < end, f"aimock does not start: {said}"
        time.sleep(0.02)


class Pair:
    """A plain client and ours, made when first asked for, so that a test may write the config before."""

    def __init__(self, aimock, kind):
        self.aimock, self.kind, self.made = aimock, kind, {}

    @property
    def plain(self):
        return self._client(openai)

    @property
    def ours(self):
        return self._client(ours)

    async def close(self):
        for client in self.made.values():
            await settled(client.close())

    def _client(self, module):
        if module not in self.made:
            kind = getattr(module, self.kind)
            where = (
                {"azure_endpoint": self.aimock.url, "api_version": "2025-01-01"}
                if "Azure" in self.kind
                else {"base_url": f"{self.aimock.url}/v1"}
            )
            self.made[module] = kind(api_key="sk-none", max_retries=0, timeout=20, **where)
        return self.made[module]


@pytest.fixture(params=["OpenAI", "AsyncOpenAI"])
async def pair(request, aimock, home):
    """Give both clients, synchronous and asynchronous in turn."""
    made = Pair(aimock, request.param)
    yield made
    await made.close()


async def settled(value):
    return await value if inspect.isawaitable(value) else value


async def ask(client, what=HELLO, model="baseline", **more):
    return await settled(client.chat.completions.create(model=model, messages=said(what), **more))


def said(what):
    return what if isinstance(what, list) else [{"role": "user", "content": what}]


async def taken(stream):
    """Read a stream to its end; gives its items, and the error that ended it or None."""
    items = []
    try:
        if isinstance(stream, openai.AsyncStream):
            async for item in stream:
                items.append(item)  # noqa: PERF401 - what came before an error counts
        else:
            for item in stream:
                items.append(item)  # noqa: PERF402 - same
    except Exception as error:
        return items, error
    return items, None


async def error_of(asking):
    with pytest.raises(Exception) as caught:
        await asking
    return caught.value


def body_of(answer):
    """Give an answer as the server sent it."""
    return answer.model_dump(mode="json", by_alias=True, exclude_unset=True)


def unnumbered(body):
    """Take out the ids of output items and events, which the server makes anew each time."""
    if isinstance(body, list):
        return [unnumbered(one) for one in body]
    if isinstance(body, dict):
        return {
            name: "" if name in {"id", "item_id"} and str(value).startswith(("msg", "fc", "rs")) else unnumbered(value)
            for name, value in body.items()
        }
    return body


def spoken(body):
    """Take out what is null: this server sends `refusal` unstreamed only."""
    if isinstance(body, list):
        return [spoken(one) for one in body]
    if isinstance(body, dict):
        return {name: spoken(value) for name, value in body.items() if value is not None}
    return body


def assert_same_error(error, plain):
    assert type(error) is type(plain)
    assert str(error) == str(plain)
    for name in ("status_code", "code", "param", "type", "body"):
        assert getattr(error, name, None) == getattr(plain, name, None)
    assert (error.__cause__ is None) is (plain.__cause__ is None)


def completions_of(client, name):
    """Give the resource that has the helper: in `beta` with the oldest SDK we take."""
    return client.chat.completions if hasattr(client.chat.completions, name) else client.beta.chat.completions


@pytest.mark.parametrize("what", ANSWERED)
async def test_create(pair, home, what):
    """An answer is the plain client's, tools and reasoning included; its record has the body as it was sent."""
    plain = await ask(pair.plain, what, tools=TOOLS)
    answer = await ask(pair.ours, what, tools=TOOLS)
    assert type(answer) is type(plain)
    assert answer == plain
    assert body_of(answer) == body_of(plain)
    (record,) = records(home)
    assert record["id"] == answer.logos_shift_id
    assert record["provider_id"] == plain.id
    assert record["request"] == {"model": "baseline", "messages": said(what), "tools": TOOLS}
    assert record["response"] == body_of(plain)
    assert record["complete"] is True


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("what", ANSWERED)
async def test_stream(pair, home, what, usage):
    """A stream has the plain client's chunks; its record equals the record of the unstreamed answer."""
    whole = await ask(pair.ours, what, tools=TOOLS)
    more = {"stream": True, "tools": TOOLS}
    if usage:
        more["stream_options"] = {"include_usage": True}
    plain, _ = await taken(await ask(pair.plain, what, **more))
    stream = await ask(pair.ours, what, **more)
    assert type(stream) is (openai.AsyncStream if "Async" in pair.kind else openai.Stream)
    chunks, error = await taken(stream)
    assert error is None
    assert chunks == plain
    assert [body_of(one) for one in chunks] == [body_of(one) for one in plain]
    assert {one.logos_shift_id for one in chunks} == {stream.logos_shift_id}
    unstreamed, streamed = records(home)
    assert unstreamed["id"] == whole.logos_shift_id
    assert streamed["id"] == stream.logos_shift_id
    assert streamed["complete"] is True
    assert streamed["first_token_ms"] is not None
    expected = spoken(unstreamed["response"])
    if not usage:
        del expected["usage"]
    assert spoken(streamed["response"]) == expected


async def test_tool_loop(pair, home):
    """Parallel calls, their results sent back, the last answer: three records to read in one conversation."""

    async def loop(client):
        messages = said(CITIES)
        first = (await ask(client, messages, tools=TOOLS)).choices[0].message
        results = [{"role": "tool", "tool_call_id": one.id, "content": "fine"} for one in first.tool_calls]
        return await ask(client, [*messages, first, *results], tools=TOOLS)

    plain = await loop(pair.plain)
    with context(conversation_id="c1"):
        answer = await loop(pair.ours)
    assert answer == plain
    first, second = records(home)
    assert (first["conversation_id"], second["conversation_id"]) == ("c1", "c1")
    assert second["request"]["messages"][1]["tool_calls"] == first["response"]["choices"][0]["message"]["tool_calls"]
    assert second["response"] == body_of(plain)


async def test_parse(pair, home):
    """Structured output is parsed as ever; the record has it as it was sent."""

    async def parse(client):
        return await settled(
            completions_of(client, "parse").parse(
                model="baseline", messages=said("who wrote the notes?"), response_format=Person
            )
        )

    plain, answer = await parse(pair.plain), await parse(pair.ours)
    assert answer == plain
    assert answer.choices[0].message.parsed == Person(name="Ada", born=1815)
    (record,) = records(home)
    assert record["id"] == answer.logos_shift_id
    assert record["request"]["response_format"]["json_schema"]["name"] == "Person"
    assert json.loads(record["response"]["choices"][0]["message"]["content"]) == {"name": "Ada", "born": 1815}
    assert "parsed" not in record["response"]["choices"][0]["message"]


@pytest.mark.parametrize(
    ("what", "more"), [(CITIES, {"tools": TOOLS}), ("who wrote the notes?", {"response_format": Person})]
)
async def test_stream_helper(pair, home, what, more):
    """The stream helper gives the same events and the same final answer, which is the record's."""

    async def helped(client):
        manager = completions_of(client, "stream").stream(model="baseline", messages=said(what), **more)
        if "Async" in pair.kind:
            async with manager as stream:
                events = [event async for event in stream]
                return [event.type for event in events], await stream.get_final_completion(), ours.id_of(stream)
        with manager as stream:
            events = list(stream)
            return [event.type for event in events], stream.get_final_completion(), ours.id_of(stream)

    plain_events, plain, _ = await helped(pair.plain)
    events, answer, call_id = await helped(pair.ours)
    assert events == plain_events
    assert answer == plain
    (record,) = records(home)
    assert record["id"] == call_id
    message, final = record["response"]["choices"][0]["message"], plain.choices[0].message
    assert message["content"] == final.content
    assert [one["function"] for one in message.get("tool_calls", [])] == [
        {"name": one.function.name, "arguments": one.function.arguments} for one in final.tool_calls or []
    ]


async def test_raw_and_streaming_responses(pair, home):
    """Raw and unread responses have the server's bytes and headers, and are recorded whole."""
    plain = await ask(pair.plain)
    raw = await settled(pair.ours.chat.completions.with_raw_response.create(model="baseline", messages=said(HELLO)))
    assert raw.parse() == plain
    assert raw.headers["x-request-id"].startswith("req-")
    manager = pair.ours.chat.completions.with_streaming_response.create(model="baseline", messages=said(HELLO))
    if "Async" in pair.kind:
        async with manager as response:
            body = b"".join([piece async for piece in response.iter_bytes()])
    else:
        with manager as response:
            body = b"".join(response.iter_bytes())
    assert json.loads(body) == body_of(plain)
    first, second = records(home)
    assert [first["id"], second["id"]] == [raw.logos_shift_id, response.logos_shift_id]
    assert first["response"] == second["response"] == body_of(plain)


@pytest.mark.parametrize("what", ANSWERED)
async def test_responses(pair, home, what):
    """The responses API, whole and as a stream: same answers, same events, same record both ways."""

    async def respond(client, **more):
        return await settled(client.responses.create(model="baseline", input=what, **more))

    plain, answer = await respond(pair.plain), await respond(pair.ours)
    assert type(answer) is type(plain)
    assert unnumbered(body_of(answer)) == unnumbered(body_of(plain))
    assert answer.output_text == plain.output_text
    plain_events, _ = await taken(await respond(pair.plain, stream=True))
    stream = await respond(pair.ours, stream=True)
    events, error = await taken(stream)
    assert error is None
    assert [unnumbered(body_of(one)) for one in events] == [unnumbered(body_of(one)) for one in plain_events]
    assert {one.logos_shift_id for one in events} == {stream.logos_shift_id}
    unstreamed, streamed = records(home)
    assert (unstreamed["endpoint"], streamed["endpoint"]) == (RESPONSES, RESPONSES)
    assert unstreamed["response"] == body_of(answer)
    assert unnumbered(streamed["response"]) == unnumbered(unstreamed["response"])
    assert streamed["provider_id"] == unstreamed["provider_id"] == plain.id
    assert streamed["complete"] is unstreamed["complete"] is True


@pytest.mark.parametrize("more", [{}, {"encoding_format": "float"}])
async def test_embeddings(pair, home, more):
    """Embeddings are the plain client's; their record leaves the numbers out and says so."""

    async def embed(client):
        return await settled(client.embeddings.create(model="vectors", input=["embed me", "and me"], **more))

    plain, answer = await embed(pair.plain), await embed(pair.ours)
    assert answer == plain
    assert answer.data[1].embedding == [0.25, -0.5, 0.125, 1.0]
    (record,) = records(home)
    assert record["id"] == answer.logos_shift_id
    assert [one["embedding"] for one in record["response"]["data"]] == ["[embedding of 4 numbers]"] * 2


FAULTS = ["busy", "broken", "gone", "mistaken", "strict-policy", "dropping", "limiting", "unplugged", "garbled"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", FAULTS)
async def test_errors(pair, home, model, stream):
    """Injected errors, a dropped connection and a garbled body raise what the plain client raises, with the id."""

    async def outcome(client):
        try:
            answer = await ask(client, model=model, stream=stream)
        except Exception as error:
            return [], error
        assert stream
        return await taken(answer)

    plain_items, plain = await outcome(pair.plain)
    items, error = await outcome(pair.ours)
    (record,) = records(home)
    assert items == plain_items
    if plain is None:  # the garbled body has no event, so that its stream is empty
        assert (model, error, record["complete"]) == ("garbled", None, False)
        return
    assert_same_error(error, plain)
    assert record["error"]["type"] == type(plain).__name__
    assert record["error"]["status"] == getattr(plain, "status_code", None)
    assert record["error"].get("code") == getattr(plain, "code", None)
    assert record["complete"] is False
    assert ours.id_of(error) == record["id"]


async def test_timeout(pair, home):
    """A server that does not answer in time raises the SDK's own timeout, and leaves its record."""
    plain = await error_of(ask(pair.plain, model="hanging", timeout=0.3))
    error = await error_of(ask(pair.ours, model="hanging", timeout=0.3))
    assert type(plain) is openai.APITimeoutError
    assert_same_error(error, plain)
    (record,) = records(home)
    assert record["error"]["type"] == "APITimeoutError"


async def test_line_cut_in_a_stream(pair, home):
    """A connection that breaks in the middle raises what the plain client raises; the record has what had come."""
    plain_chunks, plain = await taken(await ask(pair.plain, model="cut", stream=True))
    chunks, error = await taken(await ask(pair.ours, model="cut", stream=True))
    assert plain_chunks
    assert chunks == plain_chunks
    assert type(error) is type(plain)
    assert error is not None
    (record,) = records(home)
    text = "".join(one.choices[0].delta.content or "" for one in chunks)
    assert record["response"]["choices"][0]["message"]["content"] == text != ""
    assert record["complete"] is False
    assert record["error"]["type"] == type(plain).__name__


async def test_retry_is_one_call(pair, home):
    """An error that the SDK's own retry overcomes is one call with one answer, sent twice."""
    pair.aimock.forget()
    client = pair.ours.with_options(max_retries=1)
    pair.aimock.fail_once(500)
    answer = await ask(client)
    assert [one["response"]["status"] for one in pair.aimock.journal()] == [500, 200]
    (record,) = records(home)
    assert record["id"] == answer.logos_shift_id
    assert record.get("error") is None
    assert len(record["attempts"]) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("candidate", ["busy", "broken", "gone", "dropping", "limiting", "unplugged", "hanging"])
async def test_fallback(pair, home, candidate, stream):
    """A candidate that fails before its first chunk is answered by the baseline, as if it had been asked alone."""
    seconds = 0.4 if candidate == "hanging" else 20
    experiment(home, model="baseline", candidate=candidate, fallback={"enabled": True, "timeout_seconds": seconds})
    failure = await error_of(ask(pair.plain, model=candidate, timeout=seconds, stream=stream))
    plain = await ask(pair.plain, CITIES, tools=TOOLS, stream=stream)
    answer = await ask(pair.ours, CITIES, tools=TOOLS, stream=stream)
    if stream:
        assert (await taken(answer))[0] == (await taken(plain))[0]
    else:
        assert answer == plain
    (record,) = records(home)
    assert record["id"] == answer.logos_shift_id
    assert (record["assigned"], record["served"]) == ("candidate", "baseline")
    assert [(one["model"], one["ok"]) for one in record["attempts"]] == [(candidate, False), ("baseline", True)]
    assert record["attempts"][0]["error"]["type"] == type(failure).__name__
    assert record["attempts"][0]["error"]["status"] == getattr(failure, "status_code", None)
    assert [one["id"] for one in record["response"]["choices"][0]["message"]["tool_calls"]] == [
        "call_paris",
        "call_oslo",
        "call_clock",
    ]
    assert record["complete"] is True


@pytest.mark.parametrize("candidate", ["strict-policy", "mistaken"])
async def test_no_fallback(pair, home, candidate):
    """A candidate that refuses the request itself is not got round."""
    experiment(home, model="baseline", candidate=candidate)
    plain = await error_of(ask(pair.plain, model=candidate))
    error = await error_of(ask(pair.ours))
    assert_same_error(error, plain)
    (record,) = records(home)
    assert (record["assigned"], record["served"]) == ("candidate", "candidate")
    assert [one["model"] for one in record["attempts"]] == [candidate]


async def test_both_fail(pair, home):
    """When the baseline fails too, the caller sees the baseline's own error."""
    experiment(home, model="broken", candidate="busy")
    plain = await error_of(ask(pair.plain, model="broken"))
    assert_same_error(await error_of(ask(pair.ours, model="broken")), plain)
    (record,) = records(home)
    assert [one["error"]["status"] for one in record["attempts"]] == [429, 500]


async def test_candidate_answers(pair, home):
    """A candidate that answers is asked alone, by its own name, with the caller's body."""
    experiment(home, model="baseline", candidate="cheap")
    pair.aimock.forget()
    answer = await ask(pair.ours)
    assert answer.model == "cheap"
    (seen,) = pair.aimock.journal()
    assert (seen["body"]["model"], seen["body"]["messages"]) == ("cheap", said(HELLO))
    (record,) = records(home)
    assert record["served"] == "candidate"
    assert record["request"]["model"] == "baseline"
    assert record["response"] == body_of(answer)


async def test_what_arrives(pair, home):
    """The server gets the same body and the same headers from both clients, and nothing of ours."""
    pair.aimock.forget()
    own = ours.headers(dataset="sales", user_id="u1", metadata={"a": 1})
    await ask(pair.plain, temperature=0.5, extra_headers={"X-Own": "kept"})
    await ask(pair.ours, temperature=0.5, extra_headers={"X-Own": "kept", **own})
    plain, swapped = pair.aimock.journal()
    assert swapped["body"] == plain["body"]
    passing = {"x-request-id", "host"}
    assert {name: value for name, value in swapped["headers"].items() if name not in passing} == {
        name: value for name, value in plain["headers"].items() if name not in passing
    }
    (record,) = records(home)
    assert (record["dataset"], record["user_id"], record["metadata"]) == ("sales", "u1", {"a": 1})


@pytest.mark.parametrize("kind", ["AzureOpenAI", "AsyncAzureOpenAI"])
async def test_azure(aimock, home, kind):
    """Azure's addresses and its deployments work alike, whole and as a stream."""
    pair = Pair(aimock, kind)
    try:
        plain, answer = await ask(pair.plain), await ask(pair.ours)
        assert answer == plain
        plain_chunks, _ = await taken(await ask(pair.plain, stream=True))
        chunks, error = await taken(await ask(pair.ours, stream=True))
        assert error is None
        assert chunks == plain_chunks
    finally:
        await pair.close()
    first, second = records(home)
    assert first["response"] == body_of(plain)
    assert second["complete"] is True
