"""Media in bodies: what is taken for it, what is not, and that the same bytes are the same media."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logos_shift_openai.core import media
from logos_shift_openai.core.redaction import Media, Redaction, clean

OFF = Redaction()


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=300), st.booleans(), st.booleans(), st.integers(1, 80))
def test_the_same_bytes_have_the_same_hash(data: bytes, urlsafe: bool, padded: bool, width: int):
    """However base64 is written (alphabet, padding, line ends), the hash is that of the bytes."""
    text = (base64.urlsafe_b64encode if urlsafe else base64.b64encode)(data).decode()
    text = text if padded else text.rstrip("=")
    lines = "\r\n".join(text[start : start + width] for start in range(0, len(text), width))
    body = json.dumps({"input_audio": {"data": lines}, "url": f"data:image/png;base64,{lines}"}).encode()
    cleaned = clean(body, root="request", redaction=OFF, limit=None)
    sha256 = hashlib.sha256(data).hexdigest()
    assert cleaned.media == (
        Media("request.input_audio.data", sha256, len(data)),
        Media("request.url", sha256, len(data)),
    )
    marker = f"[media sha256={sha256} bytes={len(data)}]"
    assert json.loads(cleaned.body) == {"input_audio": {"data": marker}, "url": f"data:image/png;base64,{marker}"}


@pytest.mark.parametrize(
    "value",
    [
        {"url": "https://example.com/a.png"},
        {"url": "data:text/plain,hello"},
        {"url": "data:image/svg+xml;utf8,<svg/>"},
        {"url": "data:image/png;base64,"},
        {"url": "data:image/png;base64,a"},
        {"text": "see data:image/png;base64,AAAA for an example"},
        {"data": [{"embedding": "AAAAgD8AAABA"}]},
        {"encrypted_content": "gAAAAABo" * 40},
        {"audio": {"voice": "alloy", "format": "wav"}, "modalities": ["text", "audio"]},
        {"audio": None, "file_data": 7, "input_audio": ["x"]},
        {"result": "AAAA", "type": "function_call_output"},
    ],
)
def test_what_is_no_media_stays(value: object):
    """Addresses, short examples in a text, embeddings and everything the API does not define as media stay."""
    body = json.dumps(value).encode()
    cleaned = clean(body, root="request", redaction=OFF, limit=None)
    assert (cleaned.body, cleaned.media) == (body, ())


def test_media_inside_the_arguments_of_a_tool():
    """A picture in JSON in a text is taken out there, and its path goes through the text."""
    data = base64.b64encode(b"x" * 20).decode()
    body = json.dumps({"arguments": json.dumps({"shot": f"data:image/png;base64,{data}", "audio": {"data": data}})})
    cleaned = clean(body.encode(), root="response", redaction=OFF, limit=None)
    assert [one.path for one in cleaned.media] == ["response.arguments.shot", "response.arguments.audio.data"]
    assert data.encode() not in cleaned.body
    assert json.loads(json.loads(cleaned.body)["arguments"])["audio"]["data"].startswith("[media sha256=")


def test_a_marker_is_not_searched_for_numbers():
    """A hash of many digits is not taken for a card: no rule looks into the markers."""
    everything = Redaction.build(("card", "iban", "phone", "ssn", "ip", "secrets", "email"), (), (("any", "[0-9]{3}"),))
    data = base64.b64encode(bytes(range(200))).decode()
    body = json.dumps([f"data:image/png;base64,{data}", f"before data:image/png;base64,{data} after 123"]).encode()
    cleaned = clean(body, root="request", redaction=everything, limit=None)
    marker = f"[media sha256={hashlib.sha256(bytes(range(200))).hexdigest()} bytes=200]"
    assert json.loads(cleaned.body) == [
        f"data:image/png;base64,{marker}",
        f"before data:image/png;base64,{marker} after [redacted:any]",
    ]


@settings(deadline=None)
@given(st.text(st.sampled_from('data:;base64,/AZ=-_ "\n'), max_size=60))
def test_any_text_is_read(text: str):
    """No text makes the search for media raise, and what it finds lies within the text."""
    done = 0
    for found in media.in_text(text):
        assert done <= found.start < found.end <= len(text)
        done = found.end
