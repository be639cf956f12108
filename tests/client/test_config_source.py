"""Where the config comes from, with clock, dice and answers passed in."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from logos_shift_openai.client.config_source import FileSource, UrlSource
from logos_shift_openai.client.counters import Counters
from logos_shift_openai.client.wire import ConfigAnswer, RetryLaterError, UnauthorizedError, UnavailableError, WireError

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Taker:
    """Puts documents in force; refuses those that say so."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.poll: float | None = None

    def __call__(self, body: bytes) -> float | None:
        if b"bad" in body:
            raise ValueError("experiments[0].share: 12000 is not in 0..10000")
        if b"bug" in body:
            raise ZeroDivisionError("a secret")
        self.taken.append(body)
        return self.poll


class FileCase:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.counters = Counters()
        self.taker = Taker()
        self.source = FileSource(path, self.taker, self.counters, clock=self.clock)

    def write(self, body: bytes) -> None:
        other = self.path.with_suffix(".new")
        other.write_bytes(body)
        other.replace(self.path)


class Address:
    """Answers as told, then "no change"."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.answers: list[ConfigAnswer | WireError] = []
        self.etags: list[str | None] = []
        self.waits: list[float] = []
        self.holds = 0.0  # the part of the time it was given after which it answers

    def get_config(self, etag: str | None, timeout: float, wait: float = 0.0) -> ConfigAnswer:
        self.etags.append(etag)
        self.waits.append(wait)
        self.clock.now += self.holds * wait
        answer = self.answers.pop(0) if self.answers else ConfigAnswer(None, etag)
        if isinstance(answer, WireError):
            raise answer
        return answer


class UrlCase:
    def __init__(self, cache: Path | None, wait: float = 0.0) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.taker = Taker()
        self.address = Address(self.clock)
        self.dice = 0.5
        self.source = UrlSource(
            self.address, self.taker, cache, self.counters, wait=wait, clock=self.clock, random=lambda: self.dice
        )


@pytest.fixture
def file(tmp_path: Path) -> FileCase:
    return FileCase(tmp_path / "config.json")


@pytest.fixture
def url(tmp_path: Path) -> UrlCase:
    return UrlCase(tmp_path / "config-cache" / "0123456789abcdef.json")


def test_a_file_is_read_when_it_changes_and_only_then(file: FileCase) -> None:
    """Looked at each second."""
    file.write(b"one")
    assert file.source.step() == 1.0
    file.source.step()
    file.write(b"two")
    file.source.step()
    assert file.taker.taken == [b"one", b"two"]


def test_a_change_in_place_is_seen_by_its_time_or_size(file: FileCase) -> None:
    """An editor that does not replace the file, and a clock too coarse to tell two writes apart."""
    file.path.write_bytes(b"one")
    os.utime(file.path, ns=(10, 10))
    file.source.step()
    file.path.write_bytes(b"two!")
    os.utime(file.path, ns=(10, 10))
    file.source.step()
    file.path.write_bytes(b"six!")
    os.utime(file.path, ns=(20, 20))
    file.source.step()
    assert file.taker.taken == [b"one", b"two!", b"six!"]


def test_no_file_is_no_fault(file: FileCase, caplog: pytest.LogCaptureFixture) -> None:
    """The embedded config does not exist before the first experiment; one that comes later is found."""
    file.source.load()
    assert file.source.step() == 1.0
    assert file.source.age() is None
    assert file.counters.snapshot() == {}
    assert caplog.records == []
    file.write(b"one")
    file.source.step()
    assert file.taker.taken == [b"one"]


def test_a_file_that_goes_leaves_its_config_in_force(file: FileCase, caplog: pytest.LogCaptureFixture) -> None:
    """Said once; the same file back is confirmed, not put in force again."""
    file.write(b"one")
    file.source.step()
    away = file.path.rename(file.path.with_suffix(".away"))
    file.clock.now += 5.0
    file.source.step()
    file.source.step()
    assert len(caplog.records) == 1
    assert file.counters.snapshot() == {"config_failed": 2}
    assert file.source.age() == 5.0
    away.rename(file.path)
    file.source.step()
    assert file.source.age() == 0.0
    assert file.taker.taken == [b"one"]


def test_a_bad_file_is_said_once_with_its_fault_and_the_last_good_one_stays(
    file: FileCase, caplog: pytest.LogCaptureFixture
) -> None:
    """The age goes on from the last good one; a mended file ends that."""
    file.write(b"one")
    file.source.step()
    file.clock.now += 2.0
    file.write(b"bad")
    file.source.step()
    file.source.step()
    assert [record.getMessage() for record in caplog.records] == [
        f"the config in {file.path} is refused, the last good one stays: experiments[0].share: 12000 is not in 0..10000"
    ]
    assert file.counters.snapshot() == {"config_bad": 1}
    assert file.source.age() == 2.0
    file.write(b"two")
    file.source.step()
    assert file.source.age() == 0.0
    assert file.taker.taken == [b"one", b"two"]


def test_the_same_bad_content_is_said_once_however_often_it_is_written(
    file: FileCase, caplog: pytest.LogCaptureFixture
) -> None:
    """Another bad content is said again."""
    for body in (b"bad", b"bad", b"bad too", b"bad"):
        file.write(body)
        file.source.step()
    assert len(caplog.records) == 2
    assert file.counters.snapshot() == {"config_bad": 4}


def test_a_fault_of_our_own_keeps_the_last_good_one_too(file: FileCase, caplog: pytest.LogCaptureFixture) -> None:
    """Named by its kind, without its text."""
    file.write(b"bug")
    file.source.step()
    assert file.counters.snapshot() == {"config_bad": 1}
    assert "ZeroDivisionError" in caplog.text
    assert "a secret" not in caplog.text


def test_a_file_that_cannot_be_read_is_counted(file: FileCase, caplog: pytest.LogCaptureFixture) -> None:
    """A folder of that name, say."""
    file.path.mkdir()
    file.source.load()
    assert file.source.step() == 1.0
    assert file.counters.snapshot() == {"config_failed": 1}
    assert "IsADirectoryError" in caplog.text or "PermissionError" in caplog.text


def test_load_reads_the_file_in_the_callers_thread(file: FileCase) -> None:
    """The first call finds its config; the thread does not read it a second time."""
    file.write(b"one")
    file.source.load()
    assert file.taker.taken == [b"one"]
    file.source.step()
    assert file.taker.taken == [b"one"]


def test_a_watching_thread_ends_when_told(file: FileCase) -> None:
    """No thread stays behind."""
    file.write(b"one")
    before = threading.active_count()
    file.source.start()
    assert file.source.thread.run_now(20.0)
    assert file.taker.taken == [b"one"]
    file.source.stop(20.0)
    assert threading.active_count() == before


def test_an_address_is_asked_with_the_etag_it_gave(url: UrlCase) -> None:
    """A document is put in force once, then confirmed."""
    url.address.answers = [ConfigAnswer(b"one", '"1"')]
    assert url.source.step() == 30.0
    url.clock.now += 30.0
    assert url.source.age() == 30.0
    url.source.step()
    assert url.source.age() == 0.0
    assert url.address.etags == [None, '"1"']
    assert url.taker.taken == [b"one"]


def test_the_document_says_how_often_to_ask_and_chance_spreads_it(url: UrlCase) -> None:
    """Its poll seconds, a tenth more or less, and never more often than each second."""
    url.taker.poll = 60.0
    url.address.answers = [ConfigAnswer(b"one", None)]
    url.dice = 0.0
    assert url.source.step() == pytest.approx(54.0)
    url.dice = 1.0
    assert url.source.step() == pytest.approx(66.0)
    url.taker.poll = 0.001
    url.address.answers = [ConfigAnswer(b"two", None)]
    url.dice = 0.5
    assert url.source.step() == 1.0


def test_failures_are_spaced_out_and_leave_the_config_in_force(url: UrlCase, caplog: pytest.LogCaptureFixture) -> None:
    """Doubled up to five minutes, said once; the first answer ends that."""
    url.address.answers = [ConfigAnswer(b"one", None), *(UnavailableError("HTTP 500") for _ in range(6))]
    waits = [url.source.step() for _ in range(8)]
    assert waits == [30.0, 30.0, 60.0, 120.0, 240.0, 300.0, 300.0, 30.0]
    assert len(caplog.records) == 1
    assert url.counters.snapshot() == {"config_failed": 6}
    assert url.taker.taken == [b"one"]


def test_a_servers_wish_to_wait_is_followed(url: UrlCase) -> None:
    """Within five minutes."""
    url.address.answers = [RetryLaterError("HTTP 429", 100.0), RetryLaterError("HTTP 429", 1e6)]
    assert [url.source.step(), url.source.step()] == [100.0, 300.0]


def test_a_key_that_is_not_accepted_asks_rarely(url: UrlCase) -> None:
    """Each five minutes."""
    url.address.answers = [UnauthorizedError("HTTP 401")]
    assert url.source.step() == 300.0


def test_a_bad_document_is_not_confirmed_by_its_own_etag(url: UrlCase) -> None:
    """Not fetched again while it stays; the age counts from the last good one."""
    url.address.answers = [ConfigAnswer(b"one", '"1"'), ConfigAnswer(b"bad", '"2"')]
    url.source.step()
    url.clock.now += 30.0
    url.source.step()
    url.clock.now += 30.0
    url.source.step()
    assert url.address.etags == [None, '"1"', '"2"']
    assert url.source.age() == 60.0
    assert url.taker.taken == [b"one"]
    assert url.counters.snapshot() == {"config_bad": 1}


def test_the_last_good_document_is_there_at_the_next_start(tmp_path: Path, url: UrlCase) -> None:
    """In force before the network answers, but not confirmed until it has."""
    url.address.answers = [ConfigAnswer(b"one", None), ConfigAnswer(b"bad", None)]
    url.source.step()
    url.source.step()
    later = UrlCase(tmp_path / "config-cache" / "0123456789abcdef.json")
    later.address.answers = [UnavailableError("ConnectionError"), ConfigAnswer(b"two", None)]
    later.source.load()
    assert later.taker.taken == [b"one"]
    later.source.step()
    assert later.source.age() is None
    later.source.step()
    assert later.taker.taken == [b"one", b"two"]
    assert later.source.age() == 0.0
    assert [path.name for path in (tmp_path / "config-cache").iterdir()] == ["0123456789abcdef.json"]


def test_a_damaged_cache_is_refused_like_any_other(url: UrlCase, tmp_path: Path) -> None:
    """The first step loads it if nobody has; the network has the good one."""
    (tmp_path / "config-cache").mkdir()
    (tmp_path / "config-cache" / "0123456789abcdef.json").write_bytes(b"bad")
    url.address.answers = [ConfigAnswer(b"one", None)]
    url.source.step()
    assert url.taker.taken == [b"one"]
    assert url.counters.snapshot() == {"config_bad": 1}


def test_a_cache_that_cannot_be_written_is_counted(tmp_path: Path) -> None:
    """The config is in force all the same."""
    (tmp_path / "config-cache").write_text("in the way")
    url = UrlCase(tmp_path / "config-cache" / "x.json")
    url.address.answers = [ConfigAnswer(b"one", None)]
    assert url.source.step() == 30.0
    assert url.taker.taken == [b"one"]
    assert url.counters.snapshot() == {"config_cache_failed": 1}


def test_no_cache_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    """And none is read."""
    url = UrlCase(None)
    url.address.answers = [ConfigAnswer(b"one", None)]
    url.source.step()
    assert url.taker.taken == [b"one"]
    assert list(tmp_path.iterdir()) == []


def test_an_address_alone_is_asked_as_it_stands() -> None:
    """A fixed document has no `/v1/config` added and no key sent along."""
    source = UrlSource("http://127.0.0.1:9/team.json", Taker(), None, Counters())
    assert source._wire._config_url == "http://127.0.0.1:9/team.json"  # type: ignore[attr-defined]
    assert source._wire._key is None  # type: ignore[attr-defined]


def test_a_server_that_holds_its_answer_back_is_asked_again_at_once(tmp_path: Path) -> None:
    """The first question waits for nothing; then a change and a wait that ran out are both followed up soon."""
    url = UrlCase(tmp_path / "kept.json", wait=25.0)
    url.address.holds = 1.0
    url.address.answers = [ConfigAnswer(b"one", '"1"'), ConfigAnswer(b"two", '"2"'), ConfigAnswer(None, '"2"')]
    assert [url.source.step() for _ in range(3)] == [0.5, 0.5, 0.5]
    assert url.address.waits == [0.0, 25.0, 25.0]
    assert url.taker.taken == [b"one", b"two"]


def test_a_server_that_answers_at_once_is_asked_ever_more_rarely(tmp_path: Path) -> None:
    """It may be an older one, or one that is about to end; the period is the most it comes to."""
    url = UrlCase(None, wait=25.0)
    url.address.answers = [ConfigAnswer(b"one", '"1"')]
    assert [url.source.step() for _ in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_an_answer_without_an_etag_is_asked_for_once_a_period() -> None:
    """There is nothing to wait for a change of."""
    url = UrlCase(None, wait=25.0)
    url.address.answers = [ConfigAnswer(b"one", None)]
    assert url.source.step() == 30.0


def test_a_server_that_was_asked_all_the_time_is_asked_soon_after_it_went(tmp_path: Path) -> None:
    """It restarts, most often; then ever more rarely."""
    url = UrlCase(None, wait=25.0)
    url.address.answers = [UnavailableError("ConnectionError"), UnavailableError("ConnectionError")]
    assert [url.source.step() for _ in range(2)] == [1.0, 2.0]
