# ruff: noqa: TC001, TC002
"""The other recorded resources (responses, embeddings, legacy completions), and some that are not ours at all."""

from __future__ import annotations

from openai import AsyncStream, Stream
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.responses import ParsedResponse, Response, ResponseStreamEvent
from pydantic import BaseModel
from typing_extensions import assert_type

from logos_shift_openai import AsyncOpenAI, OpenAI


class Answer(BaseModel):
    city: str


def responses(client: OpenAI, flag: bool) -> Response:
    answer = client.responses.create(model="m", input="Hi", instructions="Be short.", store=False)
    assert_type(answer.logos_shift_id, str)  # id
    assert_type(answer.output_text, str)
    stream = client.responses.create(model="m", input=[{"role": "user", "content": "Hi"}], stream=True)
    assert_type(stream.logos_shift_id, str)  # id
    for event in stream:
        if event.type == "response.output_text.delta":
            assert_type(event.delta, str)
    kept: Stream[ResponseStreamEvent] = stream
    kept.close()
    either = client.responses.create(model="m", input="Hi", stream=flag)
    assert_type(either.logos_shift_id, str)  # id
    plain: Response | Stream[ResponseStreamEvent] = either
    print(plain)
    parsed = client.responses.parse(model="m", input="Hi", text_format=Answer)
    assert_type(parsed.logos_shift_id, str)  # id
    assert_type(parsed.output_parsed, Answer | None)
    typed: ParsedResponse[Answer] = parsed
    print(typed)
    raw = client.responses.with_raw_response.create(model="m", input="Hi")
    assert_type(raw.logos_shift_id, str)  # id
    assert_type(raw.parse().logos_shift_id, str)  # id
    raw_parsed = client.responses.with_raw_response.parse(model="m", input="Hi", text_format=Answer)
    assert_type(raw_parsed.logos_shift_id, str)  # id
    assert_type(raw_parsed.parse().output_parsed, Answer | None)
    with client.responses.with_streaming_response.create(model="m", input="Hi") as streamed:
        assert_type(streamed.logos_shift_id, str)  # id
        assert_type(streamed.parse().output_text, str)
    with client.responses.stream(model="m", input="Hi", text_format=Answer) as helper:
        assert_type(helper.get_final_response().output_parsed, Answer | None)
    client.responses.create(model="m", input=3)  # error
    client.responses.retrieve("resp-1")
    return answer


async def responses_async(client: AsyncOpenAI) -> Response:
    answer = await client.responses.create(model="m", input="Hi")
    assert_type(answer.logos_shift_id, str)  # id
    stream = await client.responses.create(model="m", input="Hi", stream=True)
    kept: AsyncStream[ResponseStreamEvent] = stream
    async for event in kept:
        print(event.type)
    parsed = await client.responses.parse(model="m", input="Hi", text_format=Answer)
    assert_type(parsed.logos_shift_id, str)  # id
    raw = await client.responses.with_raw_response.create(model="m", input="Hi")
    assert_type(raw.logos_shift_id, str)  # id
    raw_parsed = await client.responses.with_raw_response.parse(model="m", input="Hi", text_format=Answer)
    assert_type(raw_parsed.logos_shift_id, str)  # id
    return parsed if raw_parsed.status_code == 200 else answer


def embeddings(client: OpenAI) -> CreateEmbeddingResponse:
    answer = client.embeddings.create(model="m", input=["a", "b"], encoding_format="float")
    assert_type(answer.logos_shift_id, str)  # id
    assert_type(answer.data[0].embedding, list[float])
    raw = client.embeddings.with_raw_response.create(model="m", input="a")
    assert_type(raw.logos_shift_id, str)  # id
    with client.with_streaming_response.embeddings.create(model="m", input="a") as streamed:
        assert_type(streamed.logos_shift_id, str)  # id
    client.embeddings.create(model="m")  # error
    client.embeddings.create(model="m", input=2)  # error
    return answer


def completions(client: OpenAI) -> Completion:
    answer = client.completions.create(model="m", prompt="a")
    assert_type(answer.logos_shift_id, str)  # id
    stream = client.completions.create(model="m", prompt="a", stream=True)
    assert_type(stream.logos_shift_id, str)  # id
    for chunk in stream:
        assert_type(chunk.logos_shift_id, str)  # id
        assert_type(chunk.choices[0].text, str)
    raw = client.with_raw_response.completions.create(model="m", prompt="a")
    assert_type(raw.logos_shift_id, str)  # id
    client.completions.create(model="m", prompt=object())  # error
    return answer


async def rest(client: AsyncOpenAI) -> None:
    embedded = await client.embeddings.create(model="m", input="a")
    assert_type(embedded.logos_shift_id, str)  # id
    async for text in await client.completions.create(model="m", prompt="a", stream=True):
        assert_type(text.logos_shift_id, str)  # id
    assert_type((await client.models.retrieve("m")).id, str)
    assert_type((await client.moderations.create(input="a")).id, str)


def untouched(client: OpenAI) -> None:
    assert_type(client.models.retrieve("m").id, str)
    assert_type(client.files.create(file=b"a", purpose="fine-tune").id, str)
    for job in client.fine_tuning.jobs.list():
        assert_type(job.id, str)
