"""Files: upload, list, read, delete; and the forms they come in."""

from __future__ import annotations

import json

import openai
import pytest

from logos_shift_openai.lab.errors import ApiError
from logos_shift_openai.lab.multipart import read_form

CONTENT = json.dumps({"messages": []}).encode() + b"\r\n--not-a-boundary\r\n\x00\xff"


def test_a_file_goes_up_and_comes_back(client: openai.OpenAI) -> None:
    """Every byte returns, whatever it looks like; the description is OpenAI's."""
    file = client.files.create(file=("übung.jsonl", CONTENT), purpose="fine-tune")
    assert file.id.startswith("file-")
    assert (file.bytes, file.purpose, file.status) == (len(CONTENT), "fine-tune", "processed")
    assert client.files.retrieve(file.id) == file
    assert client.files.wait_for_processing(file.id) == file
    assert client.files.content(file.id).read() == CONTENT


def test_files_are_listed_in_pages_and_by_purpose(client: openai.OpenAI) -> None:
    """Newest first; the SDK walks the pages by itself; a purpose filters."""
    ids = [client.files.create(file=(f"{i}.jsonl", b"{}"), purpose="fine-tune").id for i in range(5)]
    other = client.files.create(file=("a.txt", b"a"), purpose="user_data").id
    assert [file.id for file in client.files.list(limit=2)] == [other, *reversed(ids)]
    assert [file.id for file in client.files.list(purpose="fine-tune", order="asc")] == ids
    page = client.files.list(limit=2, after=other)
    assert [file.id for file in page.data] == [ids[4], ids[3]]
    assert page.has_more


def test_a_deleted_file_is_gone(client: openai.OpenAI) -> None:
    """Deleting answers so, and afterwards there is a 404."""
    file = client.files.create(file=("a.jsonl", b"{}"), purpose="fine-tune")
    assert client.files.delete(file.id).deleted
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            call(file.id)


@pytest.mark.parametrize(
    ("name", "content", "purpose", "message"),
    [
        ("a.jsonl", b"", "fine-tune", "File is empty"),
        ("a.csv", b"a", "fine-tune", r"Must be \.jsonl"),
        ("a.jsonl", b"a", "fun", "'fun' is not one of"),
    ],
)
def test_unusable_uploads_are_refused(
    client: openai.OpenAI, name: str, content: bytes, purpose: str, message: str
) -> None:
    """400 with what is wrong."""
    with pytest.raises(openai.BadRequestError, match=message):
        client.files.create(file=(name, content), purpose=purpose)  # type: ignore[arg-type]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": "x"}, {"order": "up"}, {"after": "file-none"}])
def test_senseless_pages_are_refused(client: openai.OpenAI, query: dict[str, object]) -> None:
    """400 names the parameter."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.files.list(extra_query=query)
    assert caught.value.param == next(iter(query))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"--x--"),
        ("multipart/form-data; boundary=x", b"no boundary at all"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=a"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: a/b\r\n\r\nv\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nno head\r\n--x--\r\n"),
    ],
)
def test_broken_forms_are_refused(kind: str, body: bytes) -> None:
    """No form, no boundary, no end, no name, no head: each is a 400."""
    with pytest.raises(ApiError) as caught:
        read_form(kind, body)
    assert caught.value.status == 400
