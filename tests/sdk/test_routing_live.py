"""Routing, fallback, providers and context, as they arrive at the provider."""

from __future__ import annotations

import asyncio
import threading

import openai
import pytest
from provider import MESSAGES, Provider, experiment, records

import logos_shift_openai as ours
from logos_shift_openai import LogosShift, context, headers


def ask(client, **more):
    return client.chat.completions.create(model="m", messages=MESSAGES, **more)


def test_candidate_answers(provider, home):
    """At full share the candidate's model is asked and answers; the record says so and keeps the request as asked."""
    experiment(home)
    answer = ask(provider.client())
    assert answer.model == "cheap"
    (record,) = records(home)
    assert record["requested_model"] == record["request"]["model"] == "m"
    assert (record["assigned"], record["served"], record["experiment"], record["share"]) == (
        "candidate",
        "candidate",
        "exp",
        10_000,
    )
    assert record["attempts"][0]["model"] == "cheap"
    assert record["config_version"] == 1


def test_sticky_by_user(provider, home):
    """A user stays on one side, whichever way he is named; shares are near what was asked."""
    experiment(home, share=5_000)
    client = provider.client()
    for number in range(40):
        user = f"u{number}"
        with context(user_id=user):
            first = ask(client).model
        assert ask(client, extra_headers=headers(user_id=user)).model == first
        assert ask(client, user=user).model == first
        assert (
            ask(client, safety_identifier=user).model == first if "safety_identifier" in _parameters(client) else True
        )
    assert 5 < provider.models().count("cheap") / 4 < 35


def _parameters(client):
    import inspect

    return inspect.signature(client.chat.completions.create).parameters


def test_headers_never_leave(provider, home):
    """Our headers, per call and by default, are taken off at the seam and reach no server; their meaning stays."""
    client = provider.client(default_headers={**headers(dataset="defaults", metadata={"a": 1}), "X-Own": "kept"})
    ask(client)
    ask(
        client,
        extra_headers={
            **headers(dataset="Ünï/côde%", user_id="u1", conversation_id="c1", metadata={"b": "é"}),
            "X-One": "1",
        },
    )
    ask(client.with_options(timeout=3))
    provider.answer(None, body={"object": "list", "data": []})
    client.models.list(extra_headers=headers(dataset="x"))
    for request in provider.seen:
        assert not [name for name in request.headers if "logos" in name.lower()]
    assert provider.headers(1)["x-own"] == "kept"
    assert provider.headers(1)["x-one"] == "1"
    first, second, third = records(home)
    assert (first["dataset"], first["metadata"]) == ("defaults", {"a": 1})
    assert (second["dataset"], second["user_id"], second["conversation_id"]) == ("Ünï/côde%", "u1", "c1")
    assert second["metadata"] == {"a": 1, "b": "é"}
    assert third["dataset"] == "defaults"


def test_log_and_route_off(provider, home):
    """A call may ask not to be routed and not to be recorded; its answer has an id all the same."""
    experiment(home)
    client = provider.client()
    assert ask(client, extra_headers=headers(route=False)).model == "m"
    answer = ask(client, extra_headers=headers(log=False))
    assert answer.model == "cheap"
    assert answer.logos_shift_id
    (record,) = records(home)
    assert record["why"] == "the call asked not to be routed"


@pytest.mark.parametrize(("name", "value"), [("ENABLED", "off"), ("ROUTING", "off"), ("LOGGING", "off")])
def test_switches(provider, home, monkeypatch, name, value):
    """The three switches of the environment do what they say."""
    experiment(home)
    monkeypatch.setenv(f"LOGOS_SHIFT_{name}", value)
    answer = ask(provider.client())
    assert answer.model == ("cheap" if name == "LOGGING" else "m")
    assert answer.logos_shift_id
    assert len(records(home)) == (1 if name == "ROUTING" else 0)


def test_force_variant(provider, home):
    """A forced variant overrules the share."""
    experiment(home, share=0)
    assert ask(provider.client(logos_shift=LogosShift(force_variant="candidate"))).model == "cheap"


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 429, 500, 503])
def test_fallback(provider, home, status):
    """A candidate that is gone, busy or broken is answered by the baseline; its failure is recorded."""
    experiment(home)
    provider.answer("cheap", status)
    assert ask(provider.client()).model == "m"
    (record,) = records(home)
    assert (record["assigned"], record["served"]) == ("candidate", "baseline")
    assert record["attempts"][0]["error"]["status"] == status
    assert "error" not in record


async def test_async_fallback(provider, home):
    """The same, asynchronously."""
    experiment(home)
    provider.answer("cheap", 500)
    assert (await ask(provider.client(ours.AsyncOpenAI))).model == "m"
    (record,) = records(home)
    assert [one["ok"] for one in record["attempts"]] == [False, True]


def test_fallback_from_a_broken_body(provider, home):
    """An answer that is no JSON is a failure of the candidate."""
    experiment(home)
    provider.raw["cheap"] = b"{broken"
    assert ask(provider.client()).model == "m"


PAGES = [(b"<html>Welcome</html>", "text/html"), (b"{}", "application/json"), (b'{"ok": true}', "application/json")]


@pytest.mark.parametrize(("page", "kind"), PAGES)
async def test_fallback_from_a_page(provider, home, page, kind):
    """A wrong address that says 200 and gives something else is a failure of the candidate, however it was asked."""
    experiment(home)
    provider.raw["cheap"] = page
    provider.kinds["cheap"] = {"content-type": kind}
    client = provider.client()
    assert ask(client).model == "m"
    assert client.beta.chat.completions.parse(model="m", messages=MESSAGES).model == "m"
    assert (await ask(provider.client(ours.AsyncOpenAI))).model == "m"
    for record in records(home):
        assert (record["assigned"], record["served"]) == ("candidate", "baseline")
        assert record["attempts"][0]["error"]["type"] == "NoAnswerError"
        assert record["response"]["model"] == "m"


@pytest.mark.parametrize(("page", "kind"), PAGES)
def test_a_raw_page(provider, home, page, kind):
    """A raw response is the caller's to parse, and nothing of ours is raised when he does."""
    experiment(home)
    provider.raw["cheap"] = provider.raw["m"] = page
    provider.kinds["cheap"] = provider.kinds["m"] = {"content-type": kind}
    expected = ask(provider.client(openai.OpenAI))
    completions = provider.client().chat.completions
    assert completions.with_raw_response.create(model="m", messages=MESSAGES).parse() == expected
    with completions.with_streaming_response.create(model="m", messages=MESSAGES) as response:
        assert response.parse() == expected


RAW_PAGES = [
    *PAGES,
    (b"{broken", "application/json"),
    (b'{"choices": [{"index": 0', "application/json"),
    (b'{"choices": []}', "application/json"),
    (b'{"choices": null}', "application/json"),
]


@pytest.mark.parametrize(("page", "kind"), RAW_PAGES)
async def test_a_raw_page_of_the_candidate_alone(provider, home, page, kind):
    """The baseline answers, the candidate's page is recorded as its failure, and it is the baseline's response that is given."""
    experiment(home)
    provider.raw["cheap"] = page
    provider.kinds["cheap"] = {"content-type": kind}
    raw = provider.client().chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert raw.parse().choices[0].message.content == "Hi there"
    assert raw.headers["x-request-id"] == "req_1"
    later = provider.client(ours.AsyncOpenAI).chat.completions.with_raw_response
    assert (await later.create(model="m", messages=MESSAGES)).parse().model == "m"
    found = records(home)
    assert len(found) == 2
    for record in found:
        assert (record["assigned"], record["served"]) == ("candidate", "baseline")
        assert record["attempts"][0]["error"]["type"] == "NoAnswerError"
        assert record["attempts"][0]["error"]["message"] == "the candidate's answer has no choices"
        assert record["response"]["model"] == "m"


async def test_an_unread_page_of_the_candidate(provider, home):
    """Of a body that the caller is to read only its type is known; a page's is enough."""
    experiment(home)
    provider.streams.clear()
    provider.answer("cheap", pieces=[b"<html>", b"Welcome</html>"])
    provider.kinds["cheap"] = {"content-type": "text/html; charset=utf-8"}
    with provider.client().chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as response:
        assert response.parse().model == "m"
    later = provider.client(ours.AsyncOpenAI).chat.completions.with_streaming_response
    async with later.create(model="m", messages=MESSAGES) as response:
        assert (await response.parse()).model == "m"
    assert [stream.closed for stream in provider.streams] == [True, True]
    found = records(home)
    assert [record["attempts"][0]["error"]["type"] for record in found] == ["NoAnswerError"] * 2


@pytest.mark.parametrize("body", [None, b' {"id":"c","choices" :\n[ {"index":0}]}\n'])
def test_a_raw_answer_of_the_candidate_is_the_callers(provider, home, body):
    """As the provider wrote it, byte for byte, in whatever spelling of JSON."""
    experiment(home)
    provider.raw["cheap"] = body
    raw = provider.client().chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert provider.models() == ["cheap"]
    assert raw.content == (body or raw.content)
    assert [one["served"] for one in records(home)] == ["candidate"]


@pytest.mark.parametrize(("page", "kind"), PAGES)
def test_a_page_without_fallback(provider, home, page, kind):
    """Where no fallback is wanted, the caller gets what the SDK makes of it."""
    experiment(home, fallback={"enabled": False})
    provider.raw["cheap"] = provider.raw["m"] = page
    provider.kinds["cheap"] = provider.kinds["m"] = {"content-type": kind}
    assert ask(provider.client()) == ask(provider.client(openai.OpenAI))


def test_no_fallback_on_a_refused_prompt(provider, home):
    """A 400 about the prompt itself is the caller's to see."""
    experiment(home)
    provider.answer("cheap", 400, message="content policy")
    with pytest.raises(openai.BadRequestError, match="content policy"):
        ask(provider.client())
    assert provider.models() == ["cheap"]


def test_error_is_the_baselines_own(provider, home):
    """When both fail the caller sees the baseline's error, with nothing of the candidate's behind it."""
    experiment(home)
    provider.answer("cheap", 500, message="candidate's")
    provider.answer("m", 429, message="baseline's")
    with pytest.raises(openai.RateLimitError, match="baseline's") as caught:
        ask(provider.client())
    behind, seen = caught.value.__context__, []
    while behind is not None:
        seen.append(str(behind))
        behind = behind.__context__
    assert not [text for text in seen if "candidate" in text]


def test_fallback_off(provider, home):
    """An experiment may want the candidate's failures shown."""
    experiment(home, fallback={"enabled": False})
    provider.answer("cheap", 500)
    with pytest.raises(openai.InternalServerError):
        ask(provider.client())


def test_breaker(provider, home):
    """After five failures in a row the candidate is left alone for a while; the calls stay assigned to it."""
    experiment(home)
    provider.answer("cheap", 500)
    client = provider.client()
    for _ in range(8):
        assert ask(client).model == "m"
    assert provider.models().count("cheap") == 5
    last = records(home)[-1]
    assert (last["assigned"], last["served"]) == ("candidate", "baseline")
    assert "breaker" in last["why"]


def test_params_and_prompt(provider, home):
    """The candidate's parameters and prompt are changed for its calls only; the caller's objects stay as they are."""
    change = {
        "params": {"drop": ["seed"], "rename": {"max_completion_tokens": "max_tokens"}, "set": {"temperature": 0}},
        "prompt": {"prune": ["Be brief."]},
    }
    experiment(home, change=change)
    messages = [dict(message) for message in MESSAGES]
    provider.answer("cheap", 500)
    provider.client().chat.completions.create(
        model="m", messages=messages, seed=3, max_completion_tokens=9, temperature=1
    )
    assert provider.body(0) == {"model": "cheap", "messages": MESSAGES[1:], "max_tokens": 9, "temperature": 0}
    assert provider.body(1) == {
        "model": "m",
        "messages": MESSAGES,
        "seed": 3,
        "max_completion_tokens": 9,
        "temperature": 1,
    }
    assert messages == MESSAGES


def test_provider_of_the_client(provider, home):
    """A candidate at another provider is asked with that provider's key; nothing of the caller's goes along."""
    experiment(home, provider="other")
    other = Provider()
    theirs = other.client(openai.OpenAI, api_key="sk-other", base_url="http://other.test/v1")
    shift = LogosShift(providers={"other": theirs})
    client = provider.client(logos_shift=shift, default_headers={"X-Team": "t"}, organization="org-1")
    answer = ask(
        client, extra_headers={"Authorization": "Bearer leaked", "X-Trace": "1"}, extra_query={"api-version": "1"}
    )
    assert answer.model == "cheap"
    assert provider.seen == []
    (sent,) = other.seen
    assert sent.headers["authorization"] == "Bearer sk-other"
    assert str(sent.url) == "http://other.test/v1/chat/completions"
    assert not {"x-team", "x-trace", "openai-organization"} & set(sent.headers)
    assert "leaked" not in str(sent.headers)
    (record,) = records(home)
    assert record["attempts"][0]["provider"] == "other"


async def test_async_provider_of_the_client(provider, home):
    """The same, asynchronously, with the provider's stream and raw response."""
    experiment(home, provider="other")
    other = Provider()
    shift = LogosShift(providers={"other": other.client(openai.AsyncOpenAI, api_key="sk-other")})
    client = provider.client(ours.AsyncOpenAI, logos_shift=shift)
    assert (await ask(client)).model == "cheap"
    raw = await client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert raw.parse().model == "cheap"
    assert {one.model async for one in await ask(client, stream=True)} == {"cheap"}
    assert provider.seen == []


def test_unknown_provider(provider, home):
    """A config that names a provider unknown here routes to baseline and says so."""
    experiment(home, provider="nowhere")
    assert ask(provider.client()).model == "m"
    (record,) = records(home)
    assert record["why"] == "provider nowhere is not known to this client"


def test_azure_model_is_in_the_address(provider, home):
    """An Azure client asks the candidate's deployment by its address; one bound to a deployment stays where it is."""
    experiment(home)
    assert ask(provider.client(ours.AzureOpenAI)).model == "cheap"
    assert "/deployments/cheap/" in str(provider.seen[-1].url)
    assert ask(provider.client(ours.AzureOpenAI, azure_deployment="dep")).model == "m"
    assert "/deployments/dep/" in str(provider.seen[-1].url)
    assert "bound to one deployment" in records(home)[-1]["why"]


def test_config_changes_while_running(provider, home):
    """A config that is changed, broken, and mended is followed; the broken one changes nothing."""
    client = provider.client()
    source = client._logos_shift.runtime.source
    assert ask(client).model == "m"
    experiment(home)
    source.step()
    assert ask(client).model == "cheap"
    (home / "config.json").write_text('{"version": 2, "experiments": [{"key": "exp"}]}')
    source.step()
    assert ask(client).model == "cheap"
    experiment(home, share=0, version=3)
    source.step()
    assert ask(client).model == "m"
    assert client._logos_shift.stats()["config_bad"] == 1
    assert client._logos_shift.stats()["config_version"] == 3


def test_context_in_tasks_and_threads(provider, home):
    """Tasks inherit the context of where they began and keep it to themselves; plain threads start without."""
    client = provider.client(ours.AsyncOpenAI)

    async def task(user):
        with context(user_id=user):
            await asyncio.sleep(0)
            await ask(client)

    async def main():
        with context(dataset="outer") as outer:
            await asyncio.gather(*(task(f"u{number}") for number in range(5)))
            return outer.call_ids

    ids = asyncio.run(main())
    plain = provider.client()
    with context(dataset="outer"):
        thread = threading.Thread(target=lambda: ask(plain))
        thread.start()
        thread.join()
    *inside, outside = records(home)
    assert {one["id"] for one in inside} == set(ids)
    assert {one["user_id"] for one in inside} == {f"u{number}" for number in range(5)}
    assert {one["dataset"] for one in inside} == {"outer"}
    assert outside["dataset"] == "default"


def test_context_ends_elsewhere():
    """A block that ends in another context than it began in raises nothing."""
    import contextvars

    block = context(dataset="x")
    contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)


def test_explain(home):
    """`explain` tells route and why without a call."""
    experiment(home, share=5_000)
    explained = ours.explain(model="m", user_id="7")
    assert explained.unit == ("user", "7")
    assert (explained.variant == "candidate") is (explained.bucket < 5_000)
    assert explained.model == ("cheap" if explained.variant == "candidate" else "m")
    assert ours.explain(model="other").why == "no experiment is about this dataset and model"


def test_feedback(provider, home):
    """All kinds of feedback are recorded, for an answer, an id or the provider's own id."""
    answer = ask(provider.client())
    ours.provide_feedback(answer, "success")
    ours.provide_feedback(answer.logos_shift_id, False, comment="no")
    ours.provide_feedback("chatcmpl-1", 0.25, correction={"a": 1}, by="me")
    asyncio.run(ours.aprovide_feedback(answer, correction="right"))
    one, two, three, four = records(home, "feedback")
    assert (one["call_id"], one["value"], one["label"]) == (answer.logos_shift_id, 1.0, "success")
    assert (two["value"], two["label"], two["comment"]) == (0.0, "failure", "no")
    assert (three["call_id"], three["value"], three["correction"], three["by"]) == ("chatcmpl-1", 0.25, {"a": 1}, "me")
    assert four["correction"] == "right"


@pytest.mark.parametrize("value", ["good", 1.5, -0.1, float("nan"), [1]])
def test_bad_feedback(value):
    """A feedback out of range says what it takes."""
    with pytest.raises(ours.FeedbackError, match=r"\[0, 1\]"):
        ours.provide_feedback("some-id", value)


def test_empty_feedback():
    """A feedback that says nothing, or of nothing, is refused."""
    with pytest.raises(ours.FeedbackError, match="give a value"):
        ours.provide_feedback("some-id")
    with pytest.raises(ours.FeedbackError, match="no id"):
        ours.provide_feedback(object(), "success")


def test_candidates_time(provider, home):
    """A candidate gets the shorter of its own budget and the caller's timeout, and no retries of the SDK."""
    experiment(home, fallback={"timeout_seconds": 7})
    provider.answer("cheap", 500)
    client = provider.client(max_retries=2)
    for timeout, read in ((30, "7.0"), (3, "3"), (None, "7.0")):
        ask(client, timeout=timeout)
        assert provider.headers(-2)["x-stainless-read-timeout"] == read
    ask(client.with_options(timeout=2))
    assert provider.headers(-2)["x-stainless-read-timeout"] == "2"
    assert provider.models().count("cheap") == 4


def test_numbers_as_ids(provider, home):
    """A user id that is a number is taken for its text."""
    experiment(home, share=5_000)
    with context(user_id=42):
        ask(provider.client())
    (record,) = records(home)
    assert record["user_id"] == "42"
    assert record["unit"] == {"kind": "user", "id": "42"}


def test_not_a_logos_shift(provider):
    """Something else in its place is told when the client is made."""
    with pytest.raises(TypeError, match="str is not a LogosShift"):
        provider.client(logos_shift="nonsense")
