"""Streams: the SDK's own type, tagged chunk by chunk, recorded however they end."""

from __future__ import annotations

import gc

import openai
import pytest
from provider import MESSAGES, chunk, chunks, completion, experiment, httpx, records, sse

import logos_shift_openai as ours


def ask(client, **more):
    return client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **more)


def folded(record):
    return record["response"]["choices"][0]["message"]["content"]


def test_stream_stays_a_stream(provider, home):
    """A stream is an `openai.Stream` whose chunks are the plain client's, each with the id."""
    plain = list(ask(provider.client(openai.OpenAI)))
    stream = ask(provider.client())
    assert type(stream) is openai.Stream
    assert stream.response.status_code == 200
    taken = list(stream)
    assert taken == plain
    assert [one.model_dump() for one in taken] == [one.model_dump() for one in plain]
    assert {one.logos_shift_id for one in taken} == {stream.logos_shift_id}
    (record,) = records(home)
    assert record["id"] == stream.logos_shift_id
    assert record["complete"] is True
    assert record["stream"] is True
    assert record["first_token_ms"] is not None
    unstreamed = completion()
    del unstreamed["usage"]
    assert record["response"] == unstreamed


async def test_async_stream_stays_a_stream(provider, home):
    """The same, asynchronously."""
    stream = await ask(provider.client(ours.AsyncOpenAI))
    assert type(stream) is openai.AsyncStream
    taken = [one async for one in stream]
    assert {one.logos_shift_id for one in taken} == {stream.logos_shift_id}
    (record,) = records(home)
    assert record["complete"] is True
    assert folded(record) == "Hi there"


def test_next_and_with(provider, home):
    """`next()` and `with` work; leaving early closes the connection and records what was taken."""
    with ask(provider.client()) as stream:
        next(stream)
        second = next(stream)
        assert second.choices[0].delta.content == "Hi"
    assert provider.streams[0].closed
    (record,) = records(home)
    assert record["complete"] is False
    assert folded(record) == "Hi"


def test_close_after_break(provider, home):
    """A stream that is broken off and closed is recorded as cut, at once."""
    stream = ask(provider.client())
    for _ in stream:
        break
    stream.close()
    (record,) = records(home)
    assert record["complete"] is False
    assert provider.streams[0].closed


def test_all_choices_asked_for(provider, home):
    """An answer is whole when every choice that was asked for is finished."""
    second = [{**event, "choices": [{**event["choices"][0], "index": 1}]} for event in chunks()]
    for events, whole in (([*chunks()], False), ([*chunks(), *second], True)):
        provider.answer("m", pieces=[sse(events)])
        list(ask(provider.client(), n=2))
        assert records(home)[-1]["complete"] is whole


def test_break_at_the_finish(provider, home):
    """A caller who stops at the finish reason has the whole answer."""
    with ask(provider.client()) as stream:
        for one in stream:
            if one.choices[0].finish_reason:
                break
    (record,) = records(home)
    assert record["complete"] is True


@pytest.mark.parametrize("taken", [0, 2])
def test_dropped_stream(provider, home, taken):
    """A stream that is dropped, begun or not, is recorded when it is collected, and its connection is closed."""
    for client in (provider.client(openai.OpenAI), provider.client()):
        stream = ask(client)
        for _ in range(taken):
            next(stream)
        del stream
        gc.collect()
    (record,) = records(home)
    assert record["complete"] is False
    plain, closed = (stream.closed for stream in provider.streams)
    assert closed is plain


async def test_async_close_and_cancel(provider, home):
    """An asynchronous stream that is closed early is recorded as cut."""
    client = provider.client(ours.AsyncOpenAI)
    async with await ask(client) as stream:
        async for _ in stream:
            break
    stream = await ask(client)
    async for _ in stream:
        break
    await stream.close()
    first, second = records(home)
    assert first["complete"] is second["complete"] is False
    assert provider.streams[0].closed
    assert provider.streams[1].closed


def test_connection_lost_in_the_middle(provider, home):
    """A connection that breaks raises what the plain client raises, and leaves a cut record with the error."""
    pieces = [sse([event], done=False) for event in chunks()][:3]
    provider.answer("m", pieces=pieces, error=httpx.ReadError("gone"))

    def exhaust(client):
        stream = ask(client)
        with pytest.raises(Exception) as caught:
            list(stream)
        return caught.value

    plain, error = exhaust(provider.client(openai.OpenAI)), exhaust(provider.client())
    assert type(error) is type(plain)
    (record,) = records(home)
    assert error.logos_shift_id == record["id"]
    assert record["error"]["type"] == type(plain).__name__
    assert record["complete"] is False
    assert folded(record) == "Hi "


def test_error_event(provider, home):
    """An error sent inside the stream raises the SDK's `APIError` and is recorded."""
    pieces = [sse([chunk({"content": "Hi"})], done=False), sse([{"error": {"message": "overloaded", "code": "busy"}}])]
    provider.answer("m", pieces=pieces)
    with pytest.raises(openai.APIError, match="overloaded"):
        list(ask(provider.client()))
    (record,) = records(home)
    assert record["error"]["type"] == "APIError"
    assert record["complete"] is False


def test_raw_stream(provider, home):
    """A raw response that is a stream gives a tagged stream; one read by lines is recorded all the same."""
    client = provider.client()
    raw = client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, stream=True)
    stream = raw.parse()
    assert isinstance(stream, openai.Stream)
    assert {one.logos_shift_id for one in stream} == {raw.logos_shift_id}
    with client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True) as response:
        lines = list(response.iter_lines())
        read = response.logos_shift_id
    assert any("[DONE]" in line for line in lines)
    first, second = records(home)
    assert [first["id"], second["id"]] == [raw.logos_shift_id, read]
    assert first["complete"] is second["complete"] is True
    assert folded(first) == folded(second) == "Hi there"


def test_stream_helper(provider, home):
    """The stream helper works as it is; its events and itself give the id to `id_of`."""
    client = provider.client()
    completions = (
        client.chat.completions if hasattr(client.chat.completions, "stream") else client.beta.chat.completions
    )
    with completions.stream(model="m", messages=MESSAGES) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "Hi there"
    call_id = ours.id_of(stream)
    assert {ours.id_of(event) for event in events if event.type == "chunk"} == {call_id}
    (record,) = records(home)
    assert record["id"] == call_id
    assert record["complete"] is True
    assert record["provider_id"] == final.id


def test_helper_left_early(provider, home):
    """Leaving the helper's block closes its response, which is the end of the call."""
    client = provider.client()
    completions = (
        client.chat.completions if hasattr(client.chat.completions, "stream") else client.beta.chat.completions
    )
    with completions.stream(model="m", messages=MESSAGES) as stream:
        next(stream)
    (record,) = records(home)
    assert record["complete"] is False


def test_candidate_fails_before_its_first_chunk(provider, home):
    """A candidate's stream that breaks before its first chunk is answered by the baseline, in the same stream."""
    experiment(home)
    provider.answer("cheap", pieces=[b": comment\n\n"], error=httpx.ReadError("gone"))
    stream = ask(provider.client())
    taken = list(stream)
    assert "".join(one.choices[0].delta.content or "" for one in taken) == "Hi there"
    assert provider.models() == ["cheap", "m"]
    assert stream.response.is_closed
    (record,) = records(home)
    assert (record["assigned"], record["served"]) == ("candidate", "baseline")
    assert [one["ok"] for one in record["attempts"]] == [False, True]
    assert record["complete"] is True
    assert folded(record) == "Hi there"
    assert record["error"] is None if "error" in record else True


async def test_async_candidate_fails_before_its_first_chunk(provider, home):
    """The same, asynchronously, with an error event in place of a lost connection."""
    experiment(home)
    provider.answer("cheap", pieces=[sse([{"error": {"message": "overloaded"}}])])
    stream = await ask(provider.client(ours.AsyncOpenAI))
    taken = [one async for one in stream]
    assert "".join(one.choices[0].delta.content or "" for one in taken) == "Hi there"
    (record,) = records(home)
    assert (record["assigned"], record["served"]) == ("candidate", "baseline")


@pytest.mark.parametrize("pieces", [[], [b"data: [DONE]\n\n"]])
def test_candidate_sends_nothing(provider, home, pieces):
    """A candidate's stream that ends without a chunk is a failure; a baseline's is the caller's to see."""
    provider.answer("m", pieces=pieces)
    assert list(ask(provider.client())) == []
    experiment(home)
    provider.answer("cheap", pieces=pieces)
    provider.answer("m")
    client = provider.client()
    client._logos_shift.runtime.source.load()
    assert len(list(ask(client))) == 5
    record = records(home)[-1]
    assert [one["ok"] for one in record["attempts"]] == [False, True]
    assert record["complete"] is True


async def test_async_candidate_sends_nothing(provider, home):
    """The same, asynchronously."""
    experiment(home)
    provider.answer("cheap", pieces=[])
    assert len([one async for one in await ask(provider.client(ours.AsyncOpenAI))]) == 5


def test_candidate_fails_after_its_first_chunk(provider, home):
    """After the first chunk there is no way back: the caller gets the error, the candidate gets the blame."""
    experiment(home)
    provider.answer("cheap", pieces=[sse([chunk({"content": "Hi"})], done=False)], error=httpx.ReadError("gone"))
    with pytest.raises(Exception, match=r"gone|onnection"):
        list(ask(provider.client()))
    (record,) = records(home)
    assert (record["assigned"], record["served"]) == ("candidate", "candidate")
    assert record["error"] is not None


def test_both_fail(provider, home):
    """When candidate and baseline both fail in a stream, the caller sees the baseline's own error."""
    experiment(home)
    provider.answer("cheap", pieces=[], error=httpx.ReadError("gone"))
    provider.answer("m", 429, message="slow down")
    stream = ask(provider.client())
    with pytest.raises(openai.RateLimitError, match="slow down") as caught:
        list(stream)
    (record,) = records(home)
    assert record["id"] == caught.value.logos_shift_id
    assert [one["ok"] for one in record["attempts"]] == [False, False]


def test_open_stream_at_exit(provider, home):
    """Streams that are still open when the process ends are recorded as cut."""
    import time

    stream = ask(provider.client())
    next(stream)
    stream._client._logos_shift.runtime.close(time.monotonic() + 1)
    (record,) = [line for line in records(home) if line["kind"] == "call"]
    assert record["complete"] is False


def test_responses_stream(provider, home):
    """A stream of the responses API is tagged and recorded with its final response."""
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "in_progress",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    message = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "hey", "annotations": []}],
    }
    done = {**response, "status": "completed", "output": [message]}
    events = [
        {"type": "response.created", "sequence_number": 0, "response": response},
        {
            "type": "response.output_text.delta",
            "sequence_number": 1,
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "delta": "hey",
            "logprobs": [],
        },
        {"type": "response.completed", "sequence_number": 2, "response": done},
    ]
    body = b"".join(b"event: " + e["type"].encode() + b"\n" + sse([e], done=False) for e in events)
    provider.answer("m", pieces=[body])
    stream = provider.client().responses.create(model="m", input="hello", stream=True)
    assert {one.logos_shift_id for one in stream} == {stream.logos_shift_id}
    (record,) = records(home)
    assert record["response"] == done
    assert record["complete"] is True
