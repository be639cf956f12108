"""Every fault switch, as the official SDK feels it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import openai
import pytest

from logos_shift_openai.lab import Fault, Faults
from logos_shift_openai.lab.faults import KINDS, fault_from_header, make_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai.types.fine_tuning import FineTuningJob

    from logos_shift_openai.lab import Lab

ASK: Any = [{"role": "user", "content": "How do I activate my card?"}]


def chat(client: openai.OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(model="oracle-large", messages=ASK, **options)


def read_into(got: list[object], stream: Any) -> None:
    """Keep what arrives, also if a break follows."""
    for chunk in stream:
        got.append(chunk)  # noqa: PERF402


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
        (401, openai.AuthenticationError),
        (409, openai.ConflictError),
    ],
)
def test_a_status_is_answered_as_often_as_ordered(
    lab: Lab, client: openai.OpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    """Two calls fail, the third is fine."""
    lab.faults.add("status", status=status, count=2)
    for _ in range(2):
        with pytest.raises(error) as caught:
            chat(client)
        assert caught.value.status_code == status
    assert chat(client).choices
    assert lab.faults.active() == []


def test_errors_have_openais_types_and_codes(lab: Lab, client: openai.OpenAI) -> None:
    """429 says rate_limit_exceeded and when to come back; 500 is a server_error."""
    lab.faults.add("status", status=429, retry_after=7, count=1)
    with pytest.raises(openai.RateLimitError) as limited:
        chat(client)
    assert (limited.value.code, limited.value.type) == ("rate_limit_exceeded", "requests")
    assert limited.value.response.headers["retry-after"] == "7"
    lab.faults.add("status", status=500, count=1, message="boom")
    with pytest.raises(openai.InternalServerError, match="boom") as broken:
        chat(client)
    assert broken.value.type == "server_error"


def test_the_sdk_retries_through_a_short_fault(lab: Lab, client: openai.OpenAI) -> None:
    """With retries on, the caller sees nothing but the answer; three requests arrive."""
    lab.faults.add("status", status=429, retry_after=0.001, count=2)
    assert chat(client.with_options(max_retries=2)).choices
    assert len(lab.requests) == 3


def test_a_rate_strikes_about_that_share() -> None:
    """The dice are seeded: half of a thousand, near enough, and the same ones again."""

    def hits(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add("status", rate=0.5)
        return [bool(faults.take("chat", "m")) for _ in range(1000)]

    assert 430 < sum(hits(1)) < 570
    assert hits(1) == hits(1) != hits(2)


def test_a_fault_strikes_only_its_model_and_place(lab: Lab, client: openai.OpenAI) -> None:
    """A glob on the model, and the kind of request, narrow it down."""
    lab.faults.add("status", model="tiny-*")
    assert chat(client).choices
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="tiny-base", messages=ASK)
    lab.faults.clear()
    lab.faults.add("status", on="files")
    assert chat(client).choices
    with pytest.raises(openai.InternalServerError):
        client.files.list()
    lab.faults.clear()
    lab.faults.add("status", on="*")
    with pytest.raises(openai.InternalServerError):
        client.models.list()


def test_slow_headers_run_into_the_timeout(lab: Lab, client: openai.OpenAI) -> None:
    """A wait before the answer is felt as a timeout; stopping the lab does not wait for it."""
    lab.faults.add("slow", before=600)
    with pytest.raises(openai.APITimeoutError):
        chat(client, timeout=0.1)


def test_slow_chunks_run_into_the_timeout_of_a_stream(lab: Lab, client: openai.OpenAI) -> None:
    """The stream opens at once, and then nothing comes."""
    lab.faults.add("slow", before=0, between=600)
    with chat(client, stream=True, timeout=2.0) as stream, pytest.raises(Exception) as caught:
        next(stream)
    assert "timed out" in str(caught.value).lower() or "timeout" in type(caught.value).__name__.lower()


def test_a_dropped_connection(lab: Lab, client: openai.OpenAI) -> None:
    """No answer at all is a connection error."""
    lab.faults.add("drop", count=1)
    with pytest.raises(openai.APIConnectionError):
        chat(client)
    assert chat(client).choices


def test_a_cut_stream_breaks_after_so_many_chunks(lab: Lab, client: openai.OpenAI) -> None:
    """Two chunks arrive, then the connection is gone: an error, not an end."""
    lab.faults.add("cut", after=2)
    got: list[object] = []
    with chat(client, stream=True) as stream, pytest.raises(Exception) as caught:
        read_into(got, stream)
    assert any(word in str(caught.value).lower() for word in ("closed", "reset", "connection error"))
    assert len(got) == 2


def test_a_cut_answer_breaks_in_its_body(lab: Lab, client: openai.OpenAI) -> None:
    """Without a stream, half of the JSON arrives."""
    lab.faults.add("cut")
    with pytest.raises(openai.APIConnectionError):
        chat(client)


def test_a_stream_without_done_just_ends(lab: Lab, client: openai.OpenAI) -> None:
    """All chunks arrive, the closing [DONE] does not."""
    whole = [chunk.choices[0].delta.content for chunk in chat(client, stream=True)]
    lab.faults.add("no_done")
    raw = client.chat.completions.with_streaming_response.create(model="oracle-large", messages=ASK, stream=True)
    with raw as answer:
        body = "".join(answer.iter_text())
    assert "[DONE]" not in body
    assert [chunk.choices[0].delta.content for chunk in chat(client, stream=True)] == whole


def test_an_error_inside_a_stream(lab: Lab, client: openai.OpenAI) -> None:
    """After one chunk an error event comes, which the SDK raises."""
    lab.faults.add("stream_error", message="overloaded")
    got: list[object] = []
    with pytest.raises(openai.APIError, match="overloaded"):
        read_into(got, chat(client, stream=True))
    assert len(got) == 1


def test_the_presets_speak_openais_words(lab: Lab, client: openai.OpenAI) -> None:
    """Content policy, a model gone, and tuning closed: each with its status and code."""
    lab.faults.add("content_policy", count=1)
    with pytest.raises(openai.BadRequestError) as refused:
        chat(client)
    assert refused.value.code == "content_policy_violation"
    lab.faults.add("model_gone", model="oracle-*")
    with pytest.raises(openai.NotFoundError) as gone:
        chat(client)
    assert gone.value.code == "model_not_found"
    lab.faults.add("training_not_available")
    with pytest.raises(openai.PermissionDeniedError) as closed:
        client.fine_tuning.jobs.create(model="tiny-base", training_file="file-any")
    assert closed.value.code == "training_not_available"
    assert client.fine_tuning.jobs.list().data == []  # looking is still allowed


@pytest.mark.parametrize("after", [0, 5])
def test_a_job_fails_when_told_to(
    lab: Lab,
    client: openai.OpenAI,
    make_file: Callable[[int], bytes],
    upload: Callable[[bytes], str],
    wait_for: Callable[..., FineTuningJob],
    after: int,
) -> None:
    """At once or after some steps, with the ordered message; the next job is fine."""
    lab.faults.add("job_fails", after=after, count=1, message="out of luck")
    file = upload(make_file(20))
    job = wait_for(client.fine_tuning.jobs.create(model="tiny-base", training_file=file).id)
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.message) == ("server_error", "out of luck")
    assert wait_for(client.fine_tuning.jobs.create(model="tiny-base", training_file=file).id).fine_tuned_model


def test_a_header_orders_a_fault_for_one_request(client: openai.OpenAI) -> None:
    """A bare status, a bare kind, or JSON; a header that makes no sense is refused."""
    with pytest.raises(openai.RateLimitError):
        chat(client, extra_headers={"X-Lab-Fault": "429"})
    with pytest.raises(openai.APIConnectionError):
        chat(client, extra_headers={"X-Lab-Fault": "drop"})
    with pytest.raises(openai.InternalServerError, match="later"):
        chat(client, extra_headers={"X-Lab-Fault": json.dumps({"kind": "status", "message": "later"})})
    with pytest.raises(openai.BadRequestError, match="none of status, slow"):
        chat(client, extra_headers={"X-Lab-Fault": "lightning"})
    assert chat(client).choices


def call(lab: Lab, method: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(lab.url + path, data, method=method)) as answer:
        return json.load(answer)


def test_faults_are_ordered_over_http(lab: Lab, client: openai.OpenAI) -> None:
    """POST orders, GET lists what is left, DELETE takes back; a wrong order is a 400."""
    call(lab, "POST", "/lab/faults", {"kind": "status", "status": 503, "count": 3})
    with pytest.raises(openai.InternalServerError):
        chat(client)
    (listed,) = call(lab, "GET", "/lab/faults")["data"]
    assert (listed["status"], listed["count"]) == (503, 2)
    assert call(lab, "DELETE", "/lab/faults")["data"] == []
    assert chat(client).choices
    with pytest.raises(urllib.error.HTTPError, match="400") as caught:
        call(lab, "POST", "/lab/faults", {"kind": "status", "colour": 1})
    caught.value.close()
    seen = call(lab, "GET", "/lab/requests")["data"]
    assert [request["path"] for request in seen] == ["/v1/chat/completions"] * 2


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("lightning", {}, "kind: 'lightning' is none of"),
        ("status", {"colour": 1}, "colour: no such option; there are after, before"),
        ("status", {"status": 200}, "status: 200 is not a number in 400..599"),
        ("status", {"rate": 2}, "rate: 2 is not a number in 0..1"),
        ("status", {"count": 1.5}, "count: 1.5 is not a number"),
        ("status", {"count": True}, "count: True is not a number"),
        ("status", {"model": 1}, "model: 1 is not a text"),
        ("status", {"on": "moon"}, "on: 'moon' is none of chat, models"),
    ],
)
def test_a_wrong_order_says_what_would_be_right(kind: str, options: dict[str, object], message: str) -> None:
    """Name, value and what it takes."""
    with pytest.raises(ValueError, match=message):
        make_fault(kind, options)


def test_every_kind_can_be_ordered_bare() -> None:
    """Each has defaults that make sense on their own."""
    for kind in KINDS:
        assert fault_from_header(f" {kind} ") == KINDS[kind]
    assert isinstance(KINDS["cut"], Fault)


def test_several_faults_meet_in_one_request(lab: Lab, client: openai.OpenAI) -> None:
    """Slow and failing at once; of two errors each waits its turn."""
    lab.faults.add("slow", before=0.01, count=1)
    lab.faults.add("status", status=500, count=1)
    lab.faults.add("status", status=429, count=1)
    with pytest.raises(openai.InternalServerError):
        chat(client)
    with pytest.raises(openai.RateLimitError):
        chat(client)
    assert lab.faults.active() == []
