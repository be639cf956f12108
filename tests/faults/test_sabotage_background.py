"""Each of our background parts is made to raise, hang and lie in turn; and so is what the user gives us to run.

Calls go on as if nothing were; what is lost is counted by its reason, what is not lost is sent once the fault is over.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
from fault_programs import LONG, lines_on_disk, wait_for

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))
from provider import MESSAGES, Provider

import logos_shift_openai as ours
from logos_shift_openai import LogosShift
from logos_shift_openai.client.wire import ConfigAnswer, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fault_servers import Collector


def call(shift: LogosShift, number: int = 5, *, stream: bool = False) -> None:
    """Make some calls and check their answers."""
    client = Provider().client(ours.OpenAI, logos_shift=shift)
    for _ in range(number):
        if stream:
            with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as chunks:
                assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hi there"
        else:
            answer = client.chat.completions.create(model="m", messages=MESSAGES)
            assert type(answer) is openai.types.chat.ChatCompletion
            assert answer.choices[0].message.content == "Hi there"
    client.close()


class Sabotage:
    """A part of ours replaced, before anything is made of it; it is itself again once `over` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, part: str, do: Callable[[], Any]) -> None:
        self.over = threading.Event()
        self.begun = threading.Event()
        module, *inside, name = part.split(".")
        owner: Any = import_module(f"logos_shift_openai.client.{module}")
        for one in inside:
            owner = getattr(owner, one)
        original = getattr(owner, name)

        def instead(*args: Any, **kwargs: Any) -> Any:
            if self.over.is_set():
                return original(*args, **kwargs)
            self.begun.set()
            given = do()
            return original(*args, **kwargs) if given is GO_ON else given

        monkeypatch.setattr(owner, name, instead)

    @classmethod
    @contextmanager
    def hanging(cls, monkeypatch: pytest.MonkeyPatch, part: str) -> Iterator[Sabotage]:
        """Let a part hang until the end of the block, and go on then as if nothing had been."""
        sabotage = cls(monkeypatch, part, lambda: (sabotage.over.wait(LONG), GO_ON)[1])
        try:
            yield sabotage
        finally:
            sabotage.over.set()


GO_ON = object()


def fail() -> Any:
    raise RuntimeError("sabotage")


# A part, and what its failing five times is counted as; where the loss is certain, how many.
LOSING = {
    "encoding.clean": ("encode_failed", 5),
    "encoding.call_line": ("encode_failed", 5),
    "encoding.fold": ("encode_failed", 5),
    "encoding._answer": ("encode_failed", 5),
    "runtime.Runtime._encode": ("encode_failed", 5),
    "spool.Spool.append": ("spool_failed", 5),
    "spool.Spool._within_bound": ("spool_failed", 5),
    "spool.OwnFolder.settle": ("spool_failed", 5),
}
KEEPING = {
    "recorder.Recorder.step": "logos_shift_recorder_failed",
    "recorder.Recorder._drain": "logos_shift_recorder_failed",
    "uploader.Uploader.step": "logos_shift_uploader_failed",
    "uploader.Uploader._accepted": "logos_shift_uploader_failed",
    "spool.Spool.next_segment": "logos_shift_uploader_failed",
    "spool.Spool.adopt_orphans": "logos_shift_uploader_failed",
    "spool.Spool.seal": "logos_shift_uploader_failed",
    "wire.Wire.post_records": "logos_shift_uploader_failed",
    "wire.Wire.get_config": "logos_shift_config_failed",
    "config_source.UrlSource.step": "logos_shift_config_failed",
}


@pytest.mark.parametrize("part", LOSING)
def test_a_part_that_raises_costs_the_records_in_its_hands_and_they_are_counted(
    part: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The five calls of the fault are counted as lost, the next ones arrive."""
    sabotage = Sabotage(monkeypatch, part, fail)
    shift = LogosShift(url=collector.url)
    reason, number = LOSING[part]
    call(shift, stream=True)
    shift.flush(LONG)
    assert shift.stats()[reason] == number
    assert shift.stats().get("recorded", 0) == 0
    sabotage.over.set()
    call(shift, 3)
    assert shift.flush(LONG)
    assert len(collector.arrived) == 3


@pytest.mark.parametrize("part", KEEPING)
def test_a_part_that_raises_on_the_way_loses_nothing(
    part: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault is counted, and all records arrive once it is over."""
    collector.config = b'{"version":1}'
    sabotage = Sabotage(monkeypatch, part, fail)
    shift = LogosShift(url=collector.url)
    call(shift)
    shift.flush(0.5)
    wait_for(lambda: KEEPING[part] in shift.stats())
    sabotage.over.set()
    call(shift, 3)
    wait_for(lambda: shift.flush(LONG))
    assert len(collector.arrived) == 8
    assert set(collector.texts()) == {MESSAGES[0]["content"]}


@pytest.mark.parametrize(
    "part",
    [
        "encoding.clean",
        "runtime.Runtime._encode",
        "spool.Spool.append",
        "spool.Spool.next_segment",
        "wire.Wire.post_records",
        "wire.Wire.get_config",
        "uploader.Uploader.step",
        "recorder.Recorder.step",
    ],
)
def test_a_part_that_hangs_holds_up_no_call(part: str, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are made and answered while it hangs, `flush` ends in its time, and nothing is lost in the end."""
    with Sabotage.hanging(monkeypatch, part) as sabotage:
        shift = LogosShift(url=collector.url)
        call(shift, 10)
        assert sabotage.begun.wait(LONG)
        call(shift, 10, stream=True)
        since = time.monotonic()
        flushed = shift.flush(0.3)
        assert time.monotonic() - since < LONG / 2
        assert flushed == (part == "wire.Wire.get_config")
    wait_for(lambda: shift.flush(LONG))
    assert len(collector.arrived) == 20


def test_a_queue_that_nobody_empties_is_bounded_and_counts_what_it_drops(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the encoder hanging, the queue takes its number of records and counts the rest."""
    with Sabotage.hanging(monkeypatch, "runtime.Runtime._encode") as sabotage:
        shift = LogosShift(url=collector.url)
        shift.runtime.recorder._max_count = 5
        call(shift, 1)
        assert sabotage.begun.wait(LONG)
        call(shift, 20)
        stats = shift.stats()
    assert stats["queue_full"] == 15
    assert stats["queue_full_bytes"] > 15_000
    wait_for(lambda: shift.flush(LONG))
    assert len(collector.arrived) == 6


# What the user gives us


def _raising(error: BaseException) -> Callable[[Any], Any]:
    def redact(_: Any) -> Any:
        raise error

    return redact


@pytest.mark.parametrize(
    "redact",
    [
        _raising(ValueError("no")),
        _raising(SystemExit(4)),
        _raising(RecursionError()),
        _raising(MemoryError()),
        _raising(GeneratorExit()),
        lambda _: "text",
        lambda _: 7,
        lambda _: [],
        lambda record: {**record, "metadata": 7},
        lambda record: record["response"].clear() or record["no such key"],
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_redaction_that_raises_or_gives_garbage_costs_the_record_alone(
    redact: Callable[[Any], Any], stream: bool, home: Path
) -> None:
    """It fails closed for the record, which is counted, and open for the call."""
    shift = LogosShift(redact=redact)
    call(shift, stream=stream)
    assert shift.flush(LONG)
    assert shift.stats()["encode_failed"] == 5
    assert shift.stats()["redaction_failed"] == 5
    assert lines_on_disk(home) == []


def test_a_redaction_that_wants_nothing_kept_loses_nothing(home: Path) -> None:
    """What its owner leaves out is counted, and not among the losses."""
    shift = LogosShift(redact=lambda _: None)
    call(shift)
    assert shift.flush(LONG)
    assert {"encode_skipped": 5, "recorded": 0}.items() <= shift.stats().items()
    assert "encode_failed" not in shift.stats()
    assert lines_on_disk(home) == []


def test_a_redaction_may_leave_parts_out_and_put_anything_in(home: Path) -> None:
    """What JSON cannot say is written as text; a part that is left out is null."""
    shift = LogosShift(redact=lambda _: {"request": object()})
    call(shift, 1)
    assert shift.flush(LONG)
    [record] = lines_on_disk(home)
    assert "object object" in record["request"]
    assert record["response"] is None


def test_a_redaction_that_hangs_holds_up_no_call(home: Path) -> None:
    """Nothing of the record leaves before the redaction has said so."""
    let_go = threading.Event()

    def redact(record: Any) -> Any:
        let_go.wait(LONG)
        return record

    shift = LogosShift(redact=redact)
    try:
        call(shift, 20)
        assert not shift.flush(0.3)
        assert lines_on_disk(home) == []
    finally:
        let_go.set()
    assert shift.flush(LONG)
    assert len(lines_on_disk(home)) == 20


@pytest.mark.parametrize("name", ["a folder", "missing/calls.jsonl"])
def test_a_file_for_records_that_cannot_be_written_leaves_the_spool_alone(
    name: str, home: Path, tmp_path: Path
) -> None:
    """`filename=` is a copy: where it fails that is counted, and the record is kept all the same."""
    (tmp_path / "a folder").mkdir()
    shift = LogosShift(filename=tmp_path / name)
    call(shift)
    assert shift.flush(LONG)
    assert shift.stats()["internal_error"] == 5
    assert len(lines_on_disk(home)) == 5


# Lies

ENCODED: dict[str, tuple[Any, str]] = {
    "nothing": (None, "encode_skipped"),
    "a text": ("text", "encode_failed"),
    "two lines": (b'{"v":1}\n{"v":1}\n', "encode_failed"),
    "an empty line": (b"", "refused_unreadable"),
    "no record": (b"not json", "refused_unreadable"),
    "a record of another edition": (b'{"v":9}', "refused_unreadable"),
}


@pytest.mark.parametrize("lie", ENCODED)
def test_an_encoder_that_lies_costs_its_records_alone(
    lie: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is no record never reaches the server; it is counted, and the next ones arrive."""
    line, reason = ENCODED[lie]
    sabotage = Sabotage(monkeypatch, "runtime.Runtime._encode", lambda: line)
    shift = LogosShift(url=collector.url)
    call(shift)
    shift.flush(LONG)
    assert shift.stats()[reason] == 5
    sabotage.over.set()
    call(shift, 3)
    assert shift.flush(LONG)
    assert len(collector.arrived) == 3


RECEIPTS: dict[str, tuple[Any, str]] = {
    "nothing": (None, "logos_shift_uploader_failed"),
    "a text": ("ok", "logos_shift_uploader_failed"),
    "too few": (Receipt(0, 0), "refused_receipt_mismatch"),
    "too many": (Receipt(10**9, 0), "refused_receipt_mismatch"),
}


@pytest.mark.parametrize("lie", RECEIPTS)
def test_a_receipt_that_lies_costs_no_record(lie: str, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may not have arrived is either sent again or kept in `refused/` for a person."""
    receipt, reason = RECEIPTS[lie]
    sabotage = Sabotage(monkeypatch, "wire.Wire.post_records", lambda: receipt)
    shift = LogosShift(url=collector.url)
    call(shift)
    shift.flush(0.5)
    wait_for(lambda: reason in shift.stats())
    sabotage.over.set()
    wait_for(lambda: shift.flush(LONG))
    kept = list((shift.settings.home / "spool").glob("*/refused/*.ndjson"))
    if reason.startswith("refused"):
        assert sum(path.read_bytes().count(b"\n") for path in kept) == 5
    else:
        assert len(collector.arrived) == 5


@pytest.mark.parametrize(
    "answer",
    [None, "text", ConfigAnswer(b"\x00", None), ConfigAnswer(b"[" * 100_000, "etag"), ConfigAnswer(b"7", None)],
)
def test_a_config_that_lies_leaves_calls_alone(
    answer: Any, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused and counted, calls go to their baseline and are recorded."""
    Sabotage(monkeypatch, "wire.Wire.get_config", lambda: answer)
    shift = LogosShift(url=collector.url)
    call(shift)
    wait_for(lambda: {"config_bad", "logos_shift_config_failed"} & shift.stats().keys())
    assert shift.flush(LONG)
    assert shift.stats()["config_version"] is None
    assert len(collector.arrived) == 5


# Feedback


@pytest.mark.parametrize("part", ["recorder.Recorder.put", "runtime.Runtime.start"])
def test_feedback_with_a_part_that_raises_gives_its_id(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feedback that we cannot keep is counted; the program that gave it goes on."""
    Sabotage(monkeypatch, part, fail)
    shift = LogosShift()
    assert shift.provide_feedback("chatcmpl-1", "success", comment="good")
    assert shift.stats()["internal_error"] == 1


def test_feedback_that_json_cannot_say_is_kept_as_far_as_it_can_be_said(home: Path) -> None:
    """A correction that holds itself, or has no end, raises nothing and blocks nothing."""
    circular: list[Any] = []
    circular.append(circular)
    endless: list[Any] = []
    for _ in range(100_000):
        endless = [endless]
    shift = LogosShift()
    for correction in (circular, endless, object(), b"\xff", float("nan")):
        assert shift.provide_feedback("chatcmpl-1", correction=correction)
    assert shift.flush(LONG)
    stats = shift.stats()
    assert len(lines_on_disk(home)) == stats["recorded"]
    assert stats["recorded"] + stats.get("encode_failed", 0) == 5
