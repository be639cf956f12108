"""Editions from a store, on each engine: who is in and why not, the split, the same bytes again, and a crash half-way."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from edition_bench import NOW, SYSTEM, Bench, answered, asked

from logos_shift_openai.core.dialects import DIALECTS, line_faults
from logos_shift_openai.core.fingerprint import prompt_fingerprint
from logos_shift_openai.server.datasets import reading
from logos_shift_openai.server.datasets.bodies import LeftOutError, read_pack
from logos_shift_openai.server.datasets.choosing import Choice, EditionError
from logos_shift_openai.server.datasets.keeping import FolderEditions, editions_of
from logos_shift_openai.server.datasets.register import (
    Edition,
    find_edition,
    list_datasets,
    list_editions,
    make_edition,
    remove_edition,
)
from logos_shift_openai.server.fold import settle
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.store.database import Store, open_store
from logos_shift_openai.server.tuners.edition import EditionError as CannotReadError
from logos_shift_openai.server.tuners.edition import edition_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3 import S3

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Ulm"}'}}


def test_a_line_is_what_was_asked_and_answered(bench: Bench) -> None:
    """Valid for OpenAI, hashes in the manifest are those of the files, and it is found again."""
    bench.some()
    edition = bench.make()
    said = edition.manifest
    assert said["counts"] == {
        "read": 40, "train": said["files"]["train.jsonl"]["rows"], "heldout": said["files"]["heldout.jsonl"]["rows"],
        "corrected": 0, "left_out": {}, "redacted": {},
    }  # fmt: skip
    assert said["counts"]["train"] + said["counts"]["heldout"] == 40
    assert said["fingerprints"] == {prompt_fingerprint(asked("x")): 40}
    assert said["answers"] == {"distinct": 4, "fewest_rows": 10, "most_rows": 10}
    for name, one in said["files"].items():
        data = (bench.root / edition.id / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data), data.count(b"\n")) == tuple(
            one[key] for key in ("sha256", "bytes", "rows")
        )
    manifest = (bench.root / edition.id / "manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest().startswith(edition.id)
    for line in (bench.root / edition.id / "train.jsonl").read_bytes().splitlines():
        assert line_faults(line, DIALECTS["openai-chat"]) == []
    row = next(one for one in bench.rows(edition) if one["messages"][1]["content"] == "question number 7")
    assert row == {"messages": [*asked("question number 7")["messages"], {"role": "assistant", "content": "answer 3"}]}
    with bench.store.reading() as connection:
        assert [one.id for one in list_editions(connection, "d")] == [edition.id]
        assert list_editions(connection, "e") == []
        assert find_edition(connection, edition.id[:6]) == edition
        (dataset,) = list_datasets(connection)
        assert (dataset.name, dataset.calls, dataset.editions) == ("d", 40, 1)


def test_the_same_calls_give_the_same_bytes(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in parts of any size, at another time; another choice is another edition."""
    bench.some()
    first = bench.make()
    monkeypatch.setattr(reading, "_PART", 7)
    other = FolderEditions(tmp_path / "other")
    again = make_edition(bench.store, other, Choice("d"), NOW + 10**9)
    assert again == first
    for path in (bench.root / first.id).iterdir():
        assert path.read_bytes() == (tmp_path / "other" / first.id / path.name).read_bytes()
    assert bench.make(heldout=2_000).id != first.id


def test_no_prompt_stands_in_both_splits(bench: Bench) -> None:
    """Not shouted, not spaced otherwise, not with another address in it, not later in its conversation."""
    for number in range(60):
        begin = f"my card {number} is lost"
        bench.add(begin)
        bench.add(f"  MY card {number} IS\n lost ")
        bench.add(f"{begin}, write to a{number}@example.com")
        bench.add(f"{begin}, write to b{number}@example.org")
        later = asked(begin)
        later["messages"] += [{"role": "assistant", "content": "a"}, {"role": "user", "content": f"and {number}?"}]
        bench.add(request=later)
    edition = bench.make(heldout=5_000)
    assert edition.manifest["counts"]["left_out"] == {"duplicate": 120}
    sides = [
        {" ".join(row["messages"][1]["content"].lower().split()) for row in bench.rows(edition, name)}
        for name in ("train.jsonl", "heldout.jsonl")
    ]
    assert all(len(side) > 20 for side in sides)
    assert not sides[0] & sides[1]
    assert edition.manifest["counts"]["redacted"] == {"email": 120}
    multi = next(row for row in bench.rows(edition) if len(row["messages"]) == 5)
    assert [one.get("weight") for one in multi["messages"]] == [None, None, 0, None, None]


LEFT_OUT: list[tuple[str, dict[str, Any]]] = [
    ("endpoint", {"endpoint": "embeddings"}),
    ("candidate", {"served": "candidate"}),
    ("incomplete", {"complete": False}),
    ("no_answer", {"response": None}),
    ("no_answer", {"response": answered(None)}),
    ("no_answer", {"response": answered("  ")}),
    ("no_answer", {"response": {"choices": []}}),
    ("sampled", {"bodies": False, "request": b"null", "response": None}),
    ("cut", {"response": answered("gree", "length")}),
    ("refused", {"response": answered("", refusal="I cannot")}),
    ("refused", {"response": answered("x", "content_filter")}),
    ("truncated", {"truncated": ("request.messages[1].content",)}),
    ("media", {"media": ({"path": "request.messages[1]", "sha256": "0", "bytes": 1},)}),
    ("media", {"request": asked([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}])}),
    ("invalid", {"request": asked("x", response_format={"type": "json_object"}), "response": answered("{not")}),
    ("invalid", {
        "request": asked("x", tools=[TOOL]),
        "response": answered(None, tool_calls=[{**CALL, "function": {"name": "weather", "arguments": "{"}}]),
    }),
    ("broken_tools", {"request": {"messages": [
        {"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c9", "content": "y"}]}}),
    ("broken_tools", {"request": {"messages": [
        {"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [CALL]}, {"role": "user", "content": "z"},
    ]}}),
    ("tools", {"request": asked("x", functions=[{"name": "f"}])}),
    ("tools", {"request": asked("x", tools=[{"type": "custom", "custom": {"name": "c"}}])}),
    ("too_long", {"request": asked("word " * 200_000)}),
    ("unreadable", {"request": {"messages": "hello"}}),
    ("unreadable", {"request": {"messages": []}}),
    ("unreadable", {"request": {"prompt": "x"}}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "parts"), LEFT_OUT, ids=[f"{n}-{name}" for n, (name, _) in enumerate(LEFT_OUT)])
def test_what_is_left_out_is_counted_by_its_reason(bench: Bench, reason: str, parts: dict[str, Any]) -> None:
    """And everything else is kept."""
    bench.some(12)
    bench.add("odd one", **parts)
    edition = bench.make()
    assert edition.manifest["counts"]["left_out"] == {reason: 1}
    assert len(bench.rows(edition)) == 12


@pytest.mark.parametrize(
    ("pack", "reason"),
    [
        (b'{"request":{"messages":[{"role":"user","content":"half \\ud800 a pair"}]}}', "bad_text"),
        (b'{"request":{"messages":[{"role":"user","content":"latin \xe9"}]}}', "bad_text"),
        (b'{"request":{"messages":[{"role":"user","content":NaN}]}}', "unreadable"),
        (b'{"request":{"messages":[' + b"[" * 5_000, "unreadable"),
        (b'{"request":null,"response":null}', "no_body"),
        (b'{"request":null,"response":null,"bodies":false}', "sampled"),
        (None, "no_body"),
    ],
)
def test_bodies_of_old_stores_that_are_no_json(pack: bytes | None, reason: str) -> None:
    """Ingest takes none like them; what lies there all the same is named, and nothing raises."""
    with pytest.raises(LeftOutError, match=f"^{reason}$"):
        read_pack(pack)


def test_nothing_left_says_why_and_what_helps(bench: Bench) -> None:
    """And leaves no folder and no row behind."""
    with pytest.raises(EditionError, match="no calls of the dataset 'd'"):
        bench.make()
    bench.add(response=answered("gr", "length"))
    with pytest.raises(EditionError, match=r"1 of 1 left out because the answer ended at a limit.*raise the limit"):
        bench.make()
    assert list(bench.root.iterdir()) == []
    with bench.store.reading() as connection:
        assert list_editions(connection) == []


def test_one_answer_only_is_said(bench: Bench) -> None:
    """It can be built; who trains on it is told before."""
    for number in range(4):
        bench.add(f"text {number}", "yes")
    warnings = " ".join(bench.make(heldout=0).manifest["warnings"])
    assert "every answer is the same" in warnings
    assert "4 rows to train on" in warnings


def test_tools_are_learnt(bench: Bench) -> None:
    """The call, the answer of the tool and what came of it; `parallel_tool_calls` too."""
    tools = {"tools": [TOOL], "parallel_tool_calls": False}
    bench.add(request=asked("weather in Ulm?", **tools), response=answered(None, "tool_calls", tool_calls=[CALL]))
    whole = asked("and in Bonn?", **tools)
    whole["messages"] += [
        {"role": "assistant", "content": None, "refusal": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "sun"},
    ]
    bench.add(request=whole, response=answered("sunny"))
    edition = bench.make(heldout=0)
    first, second = bench.rows(edition)
    assert first["messages"][-1] == {"role": "assistant", "tool_calls": [CALL]}
    assert (first["tools"], first["parallel_tool_calls"]) == ([TOOL], False)
    assert second["messages"][2] == {"role": "assistant", "tool_calls": [CALL], "weight": 0}
    for line in (bench.root / edition.id / "train.jsonl").read_bytes().splitlines():
        assert line_faults(line, DIALECTS["openai-chat"]) == []


def test_feedback_decides(bench: Bench) -> None:
    """A failure is left out, a success may be asked for; a conversation's score counts for its calls where asked."""
    good, bad = bench.add("good", conversation_id="g"), bench.add("bad", conversation_id="b")
    bench.add("unsaid")
    bench.add("with good", conversation_id="g")
    bench.add("with bad", conversation_id="b")
    bench.take(bench.lines.feedback(good, value=1.0), bench.lines.feedback(bad, label="failure"))
    assert bench.texts(bench.make()) == {"good", "unsaid", "with good", "with bad"}
    assert bench.texts(bench.make(feedback="success", heldout=0)) == {"good"}
    assert bench.texts(bench.make(feedback="any")) == {"good", "bad", "unsaid", "with good", "with bad"}
    assert bench.texts(bench.make(conversation=True)) == {"good", "unsaid", "with good"}
    assert bench.texts(bench.make(conversation=True, feedback="success", heldout=0)) == {"good", "with good"}


def test_corrections_take_the_place_of_answers(bench: Bench) -> None:
    """The latest one, by our id or the provider's; also of failures, refusals and candidates; and the prompt is theirs."""
    early = bench.add("same prompt", "wrong")
    late = bench.add("same prompt", "worse", provider_id="p-1")
    refused = bench.add("refused", response=answered("", refusal="no"), served="candidate")
    asked_json = bench.add("json", request=asked("json", response_format={"type": "json_object"}))
    bench.add("other", "fine")
    bench.take(
        bench.lines.feedback("p-1", correction="first try", at=NOW),
        bench.lines.feedback(late, correction="right", label="failure", at=NOW + 5),
        bench.lines.feedback(refused, correction={"role": "assistant", "content": "said"}),
        bench.lines.feedback(asked_json, correction={"a": 1}),
        bench.lines.feedback(early, label="failure"),
    )
    edition = bench.make(feedback="any", heldout=0)
    assert [(row["messages"][1]["content"], row["messages"][2]["content"]) for row in bench.rows(edition)] == [
        ("same prompt", "right"), ("refused", "said"), ("json", '{"a":1}'), ("other", "fine"),
    ]  # fmt: skip
    assert edition.manifest["counts"]["corrected"] == 3
    assert edition.manifest["counts"]["left_out"] == {"duplicate": 1}


def test_chosen_by_head(bench: Bench) -> None:
    """Time, requested model, metadata, fingerprint of the prompt, a candidate's answers."""
    bench.add("a", at=NOW - 10, requested_model="m1", metadata={"plan": "pro", "n": 3})
    bench.add("b", at=NOW, requested_model="m2", metadata={"plan": "free"})
    bench.add("c", at=NOW + 10, requested_model="m2", served="candidate")
    other = {"messages": [{"role": "system", "content": "Another."}, {"role": "user", "content": "d"}]}
    bench.add(request=other, at=NOW + 20)

    def texts(**choice: Any) -> set[str]:
        return bench.texts(bench.make(heldout=0, **choice))

    assert texts() == {"a", "b", "d"}
    assert texts(since=NOW, until=NOW + 20) == {"b"}
    assert texts(model="m2", answers="any") == {"b", "c"}
    assert texts(metadata={"plan": "pro", "n": "3"}) == {"a"}
    assert texts(fingerprint=prompt_fingerprint(other)) == {"d"}


def test_what_the_client_found_counts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checks and its fingerprint are those of the call before anything was redacted."""
    bench.some(12)
    secret = asked("x")
    secret["messages"][0]["content"] = "key is [redacted:secrets]"
    told = {n: bench.add(request={**secret, "n": n}) for n in ("R", "C", "v", "Vrc")}
    decode = reading._told

    def with_checks(rest: bytes) -> reading.Told:
        return decode(rest[:-1] + (b"," if len(rest) > 2 else b"") + b'"checks":"%s","fingerprint":"f"}' % names.pop(0))

    names = [name.encode() for name in told]
    monkeypatch.setattr(reading, "_told", with_checks)
    edition = bench.make()
    assert edition.manifest["counts"]["left_out"] == {"cut": 1, "invalid": 1, "refused": 1}
    assert edition.manifest["fingerprints"]["f"] == 1


def test_memory_does_not_grow_with_prompts_of_a_megabyte(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are left out one by one, in parts that become small."""
    for name, size in (("_BYTES", 2**20), ("_FIRST", 4), ("_LEAST", 2)):
        monkeypatch.setattr(reading, name, size)
    for number in range(30):
        bench.add(f"{number} " + "word " * 210_000)
    bench.some(12)
    settle(bench.store, NOW)
    tracemalloc.start()
    edition = bench.make()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert edition.manifest["counts"]["left_out"] == {"too_long": 30}
    assert peak < 16 * 2**20


def test_caps_and_pruning(bench: Bench) -> None:
    """So many rows an answer, so many rows; constant system texts are found, left out and written down."""
    bench.some()
    edition = bench.make(per_answer=3)
    assert edition.manifest["answers"] == {"distinct": 4, "fewest_rows": 3, "most_rows": 3}
    assert edition.manifest["counts"]["left_out"] == {"per_answer": 28}
    assert bench.make(limit=5).manifest["counts"]["left_out"] == {"limit": 35}
    pruned = bench.make(prune_constant=True, price=3.0, epochs=2)
    assert pruned.manifest["prune"] == [SYSTEM]
    assert all([one["role"] for one in row["messages"]] == ["user", "assistant"] for row in bench.rows(pruned))
    estimate = pruned.manifest["estimate"]
    assert estimate["cost"] == round(estimate["tokens"] * 2 * 3.0 / 1e6, 4)
    assert "estimate" in estimate["how"]
    assert set(pruned.manifest["fingerprints"]) == {prompt_fingerprint(asked("x"))}


def test_near_duplicates(bench: Bench) -> None:
    """Nearly the same text with the same label is left out; with another label it is what must be learnt."""
    pytest.importorskip("rensa")
    text = "please tell me as soon as you can where the new card that I asked for last week has gone to by now"
    bench.add(text, "arrival")
    bench.add(text + " thanks", "arrival")
    bench.add(text + " please", "lost")
    bench.add("how do I top up", "top_up")
    edition = bench.make(near=0.8, heldout=0)
    assert edition.manifest["counts"]["left_out"] == {"near_duplicate": 1}
    assert bench.make(near=1.0, heldout=0).manifest["counts"]["left_out"] == {}


def test_preference_pairs(bench: Bench) -> None:
    """A correction against its answer, and two answers of which one is known to be better; nothing is guessed."""
    corrected = bench.add("q1", "wrong")
    better, worse = bench.add("q2", "good"), bench.add("q2", "bad", served="candidate")
    bench.add("q3", "one")
    bench.add("q3", "two", served="candidate")
    bench.add("q4", "alone")
    success = bench.add("q5", "liked")
    bench.add("q5", "unsaid", served="candidate")
    bench.take(
        bench.lines.feedback(corrected, correction="right"),
        bench.lines.feedback(better, value=0.9),
        bench.lines.feedback(worse, value=0.2),
        bench.lines.feedback(success, label="success"),
    )
    edition = bench.make(kind="preference", answers="any", heldout=0)
    assert edition.manifest["dialect"] == "openai-preference"
    found = {
        (row["input"]["messages"][1]["content"], row["preferred_output"][0]["content"],
         row["non_preferred_output"][0]["content"])
        for row in bench.rows(edition)
    }  # fmt: skip
    assert found == {("q1", "right", "wrong"), ("q2", "good", "bad"), ("q5", "liked", "unsaid")}
    assert edition.manifest["counts"]["left_out"] == {"single": 1, "undecided": 2}
    for line in (bench.root / edition.id / "train.jsonl").read_bytes().splitlines():
        assert line_faults(line, DIALECTS["openai-preference"]) == []


def test_a_crash_half_way_leaves_nothing_to_be_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the rename there is no edition; after it the next run finds it whole and makes it known."""
    bench.some()

    class Crash(BaseException):
        pass

    def crash(*_arguments: Any) -> str:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(bench.kept, "publish", crash)
        with pytest.raises(Crash):
            bench.make()
    assert list(bench.root.iterdir()) == []
    publish = bench.kept.publish

    def publish_and_crash(folder: Path, edition: str) -> str:
        publish(folder, edition)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(bench.kept, "publish", publish_and_crash)
        with pytest.raises(Crash):
            bench.make()
    edition = bench.make()
    with bench.store.reading() as connection:
        assert [one.id for one in list_editions(connection)] == [edition.id]
    assert [path.name for path in bench.root.iterdir()] == [edition.id]
    assert remove_edition(bench.store, bench.kept, edition.id)
    assert not remove_edition(bench.store, bench.kept, edition.id)
    assert list(bench.root.iterdir()) == []


@pytest.fixture
def in_s3(s3: S3, tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "s3.sqlite3", bodies_url=s3.bodies_url)
    yield store
    store.close()


def made(store: Store, lines: Any, home: Path, more: int = 0) -> Edition:
    calls = [lines.call(dataset="d", request=asked(f"q {n} {more}"), response=answered("a")) for n in range(20 + more)]
    ingest(store, calls, NOW)
    return make_edition(store, editions_of(store, home / "editions"), Choice("d"), NOW)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_editions_lie_beside_the_bodies_in_s3(in_s3: Store, s3: S3, lines: Any, tmp_path: Path) -> None:
    """In the same bucket, with the hashes that the manifest has; nothing stays on this machine."""
    edition = made(in_s3, lines, tmp_path)
    kept = editions_of(in_s3, tmp_path / "editions")
    assert edition.place == f"s3://{s3.bucket}/{s3.names(edition.id)[0].rpartition('/')[0]}"
    for name, said in edition.manifest["files"].items():
        size, parts = kept.read(edition.id, name)
        data = b"".join(parts)
        assert (size, hashlib.sha256(data).hexdigest()) == (len(data), said["sha256"])
    assert len(s3.names("/editions/")) == 5
    assert not (tmp_path / "editions").exists()
    remove_edition(in_s3, kept, edition.id)
    assert s3.names("/editions/") == []
    with pytest.raises(EditionError):
        kept.read(edition.id, "manifest.json")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_edition_in_s3_is_copied_to_where_it_is_needed(in_s3: Store, s3: S3, lines: Any, tmp_path: Path) -> None:
    """Once, whole or not at all, with the bytes that its name stands for; and gone with it."""
    one, other = made(in_s3, lines, tmp_path), made(in_s3, lines, tmp_path, more=7)
    copies = tmp_path / "far" / "edition-copies"
    found = edition_of(in_s3, tmp_path / "far", one.id)
    assert found.train == copies / one.id / "train.jsonl"
    assert hashlib.sha256(found.train.read_bytes()).hexdigest() == one.manifest["files"]["train.jsonl"]["sha256"]
    assert found.manifest == one.manifest
    (train,) = s3.names(f"{other.id}/train.jsonl")
    whole = s3.client.get_object(Bucket=s3.bucket, Key=train)["Body"].read()
    s3.client.put_object(Bucket=s3.bucket, Key=train, Body=whole[:-1] + b" ")
    with pytest.raises(CannotReadError, match=r"train\.jsonl of edition \w+ in \S+ is not as"):
        edition_of(in_s3, tmp_path / "far", other.id)
    assert [path.name for path in copies.iterdir()] == [one.id]
    s3.client.put_object(Bucket=s3.bucket, Key=train, Body=whole)
    remove_edition(in_s3, editions_of(in_s3, tmp_path / "elsewhere" / "editions"), one.id)
    edition_of(in_s3, tmp_path / "far", other.id)
    assert [path.name for path in copies.iterdir()] == [other.id]
    for name in (one.id, "none"):
        with pytest.raises(CannotReadError, match="there is no edition"):
            edition_of(in_s3, tmp_path / "far", name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_editions_from_before_the_bucket_stay(s3: S3, lines: Any, tmp_path: Path) -> None:
    """On the machine that made them, to be read, trained on and removed."""
    before = open_store(tmp_path / "s3.sqlite3")
    edition = made(before, lines, tmp_path)
    before.close()
    store = open_store(tmp_path / "s3.sqlite3", bodies_url=s3.bodies_url)
    kept = editions_of(store, tmp_path / "editions")
    assert json.loads(b"".join(kept.read(edition.id, "manifest.json")[1])) == edition.manifest
    assert edition_of(store, tmp_path, edition.id).train.parent == tmp_path / "editions" / edition.id
    remove_edition(store, kept, edition.id)
    assert list((tmp_path / "editions").iterdir()) == []
    store.close()
