"""Runs of alike chunks: read together they come to what they come to one by one."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core import folding
from logos_shift_openai.core.folding import fold


def chunk(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **more,
    }


def sse(*events, ascii_only=True):
    return "".join(f"data: {json.dumps(event, ensure_ascii=ascii_only)}\n\n" for event in events).encode()


def one_by_one(raw, delivered=None):
    """Fold without runs."""
    kept, folding.run_of = folding.run_of, lambda _part, _event: None
    try:
        return fold("chat.completions", raw, delivered)
    finally:
        folding.run_of = kept


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
deltas = st.one_of(
    texts.map(lambda text: chunk({"content": text})),
    texts.map(lambda text: chunk({"content": text}, obfuscation="x" * len(text))),
    texts.map(lambda text: chunk({"content": text}, service_tier="default")),
    texts.map(lambda text: chunk({"refusal": text})),
    texts.map(lambda text: chunk({"role": "assistant", "content": text})),
    st.just(chunk({}, "stop")),
    st.just(chunk({"content": '","obfuscation":"'}, usage=None)),
    st.just(chunk({"content": "[DONE]"})),
)


@given(st.lists(deltas, max_size=30), st.booleans(), st.none() | st.integers(0, 30), st.integers(0, 40))
def test_runs_change_nothing(events, ascii_only, delivered, cut):
    """Any stream, cut anywhere and taken in part, folds to the same with runs and without."""
    raw = sse(*events, ascii_only=ascii_only)
    raw = raw[: len(raw) - cut]
    assert fold("chat.completions", raw, delivered) == one_by_one(raw, delivered)


odd = st.sampled_from(
    [b": ping\n\n", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b"event: x\ndata: {}\n\n", b"data: \xff\n\n"]
)
blocks = deltas.map(sse) | deltas.map(lambda event: sse(event).replace(b"\n", b"\r\n")) | odd


@given(st.lists(blocks, max_size=30), st.none() | st.integers(0, 30))
def test_what_stands_between_changes_nothing(found, delivered):
    """Comments, names, other line ends and bytes that are no text between the chunks: the same with runs and without."""
    raw = b"".join(found)
    assert fold("chat.completions", raw, delivered) == one_by_one(raw, delivered)


@given(st.lists(deltas | st.sampled_from(["[DONE]", "[DONE] x", "[", "{"]), max_size=12), st.booleans())
def test_the_first_done_ends_it(events, broken):
    """Wherever it stands and however often, also where events go over several lines."""
    line_end = "\ndata: " if broken else ""
    lines = [event if isinstance(event, str) else json.dumps(event).replace(", ", f", {line_end}") for event in events]
    raw = "".join(f"data: {line}\n\n" for line in lines).encode()
    ends = [index for index, line in enumerate(lines) if line.startswith("[DONE]")]
    first = "".join(f"data: {line}\n\n" for line in lines[: ends[0]]).encode() if ends else raw
    assert fold("chat.completions", raw) == one_by_one(first)


def test_a_long_run_is_parsed_once(monkeypatch):
    """Two hundred alike chunks cost a few readings, not two hundred."""
    reads = []
    read = folding._read
    monkeypatch.setattr(folding, "_read", lambda data: reads.append(1) or read(data))
    raw = sse(
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": f"w{n} "}) for n in range(200)),
        chunk({}, "stop"),
    )
    folded = fold("chat.completions", raw)
    assert folded.body["choices"][0]["message"]["content"] == "".join(f"w{n} " for n in range(200))
    assert folded.complete
    assert folded.events == 202
    assert len(reads) <= 5


def test_texts_that_are_no_json():
    """A chunk with a bad escape within a run spoils itself and nothing else."""
    raw = sse(
        chunk({"content": "a"}),
        chunk({"content": "b"}),
        chunk({"content": "QQ"}),
        chunk({"content": "c"}),
        chunk({}, "stop"),
    )
    raw = raw.replace(b'"QQ"', rb'"\q"')
    folded = fold("chat.completions", raw)
    assert folded == one_by_one(raw)
    assert not folded.complete
    assert folded.body["choices"][0]["message"]["content"] == "abc"
