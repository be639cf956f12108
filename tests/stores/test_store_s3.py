"""Bodies in an S3-compatible store: written once, read back the same, moved, swept up, and said when it is away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, func, select
from test_store_bodies import asked, request_of

from logos_shift_openai.server.dictionaries import FIRST_AT, train_due
from logos_shift_openai.server.export import export_calls
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.retention import Rule, enforce, retention, set_rule
from logos_shift_openai.server.statistics import totals
from logos_shift_openai.server.store.bodies import Place
from logos_shift_openai.server.store.bucket import bucket_at
from logos_shift_openai.server.store.database import Store, StoreError, open_store
from logos_shift_openai.server.store.moving import move
from logos_shift_openai.server.store.s3 import S3Bodies
from logos_shift_openai.server.store.schema import call_bodies, calls
from logos_shift_openai.server.vacuum import vacuum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from s3 import S3

NOW = 1_764_000_000_000
DAY = 86_400_000

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def opened(s3: S3) -> Iterator[Callable[..., Store]]:
    """Open stores with their bodies in the bucket."""
    there: list[Store] = []

    def open_one(target: Path | str, url: str | None = None) -> Store:
        there.append(open_store(target, bodies_url=url or s3.bodies_url))
        return there[-1]

    yield open_one
    for one in there:
        one.close()


def rows(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(call_bodies).order_by(call_bodies.c.call_id)).mappings())


def test_a_batch_is_an_object_for_each_dataset(target: Any, opened: Any, s3: S3, lines: Any) -> None:
    """Each body is read by its range; a replay writes none, and rows hold the place alone."""
    store = opened(target)
    batch = [lines.call(id=f"a{n:02}", dataset=("x", "y")[n % 2], request=asked(n)) for n in range(20)]
    ingest(store, batch, NOW)
    ingest(store, batch, NOW)
    assert len(s3.names()) == 2
    for number in (0, 11, 19, 3):
        assert request_of(store, f"a{number:02}") == asked(number)
    found = rows(store)
    assert all(row["data"] is None for row in found)
    for parity in (0, 1):  # of one object the bodies stand one behind the other
        places = [Place.read(row["place"]) for row in found[parity::2]]
        assert len({place.name for place in places}) == 1
        assert [place.start for place in places[1:]] == [place.start + place.length for place in places[:-1]]


def test_whoever_reads_much_reads_objects_whole(opened: Any, s3: S3, lines: Any, tmp_path: Path) -> None:
    """One range, one whole object, and then nothing more is asked for, whatever the order."""
    store = opened(tmp_path / "s.sqlite3")
    ingest(store, [lines.call(id=f"a{n:03}", request=asked(n)) for n in range(200)], NOW)
    gets: list[str] = []
    store.bodies.bucket._client.meta.events.register(
        "before-call.s3.GetObject", lambda params, **_: gets.append(params["headers"].get("Range"))
    )
    assert len(list(export_calls(store))) == 200
    assert len(gets) == 2
    assert request_of(store, "a117") == asked(117)
    assert len(gets) == 2
    fresh = opened(tmp_path / "s.sqlite3")
    assert request_of(fresh, "a150") == asked(150)
    assert len(s3.names()) == 1


def test_stores_that_share_a_bucket_leave_each_other_alone(opened: Any, s3: S3, lines: Any, tmp_path: Path) -> None:
    """Each sweeps up what is its own; what has another shape of name is nobody's."""
    one, other = opened(tmp_path / "1.sqlite3"), opened(tmp_path / "2.sqlite3")
    for store in (one, other):
        ingest(store, [lines.call(id="a", request=asked(1))], NOW)
    mine, theirs = (Place.read(rows(store)[0]["place"]).name for store in (one, other))
    foreign = f"{mine.rpartition('/')[0]}/notes.txt"
    s3.client.put_object(Bucket=s3.bucket, Key=foreign, Body=b"x")
    with one.writing() as connection:
        connection.execute(delete(call_bodies))
    assert enforce(one, now_and(2 * DAY)).objects == 1
    assert sorted(s3.names()) == sorted([theirs, foreign])
    assert enforce(other, now_and(2 * DAY)).objects == 0
    assert request_of(other, "a") == asked(1)
    again = opened(tmp_path / "2.sqlite3")
    assert request_of(again, "a") == asked(1)


def now_and(more: int) -> int:
    return time.time_ns() // 1_000_000 + more


def test_objects_that_no_row_names_are_swept_up(target: Any, opened: Any, s3: S3, lines: Any) -> None:
    """Those of a batch that failed, and those whose calls are past their time; a young one may yet be named."""
    store = opened(target)

    class CrashError(Exception):
        pass

    def crash(_connection: Any) -> None:
        raise CrashError

    with pytest.raises(CrashError):
        ingest(store.fenced(crash), [lines.call(id="lost")], NOW)
    ingest(store, [lines.call(id="a", at=NOW), lines.call(id="b", at=NOW, dataset="short")], NOW)
    assert len(s3.names()) == 3
    assert enforce(store, now_and(0)).objects == 0
    assert enforce(store, now_and(2 * DAY)).objects == 1
    with store.writing() as connection:
        set_rule(connection, Rule("short", body_days=30))
    removed = enforce(store, now_and(40 * DAY))
    assert (removed.bodies, removed.objects) == (1, 1)
    assert [row["call_id"] for row in rows(store)] == ["a"]
    assert len(s3.names()) == 1
    assert request_of(store, "a") is not None


def test_the_background_sweeps_once_a_day(opened: Any, s3: S3, lines: Any, tmp_path: Path) -> None:
    """Its other work is done at each turn."""
    store = opened(tmp_path / "s.sqlite3")
    ingest(store, [lines.call(id="a")], NOW)
    with store.writing() as connection:
        connection.execute(delete(call_bodies))
    retention(store, now_and(0))
    retention(store, now_and(0) + DAY // 2)
    assert len(s3.names()) == 1
    retention(store, now_and(2 * DAY))
    assert s3.names() == []


def test_a_replay_after_the_bodies_are_gone_brings_them_not_back(target: Any, opened: Any, s3: S3, lines: Any) -> None:
    """Nor does it count again: the call is there, and the first that came stays."""
    store = opened(target)
    batch = [lines.call(id=f"a{n}", at=NOW, request=asked(n)) for n in range(5)]
    ingest(store, batch, NOW)
    with store.writing() as connection:
        set_rule(connection, Rule("*", body_days=7))
    enforce(store, now_and(10 * DAY))
    assert (rows(store), s3.names()) == ([], [])
    replayed = ingest(store, batch, NOW + 10 * DAY)
    assert (replayed.new, replayed.seen, replayed.refused) == (0, 5, ())
    assert (rows(store), s3.names()) == ([], [])
    with store.reading() as connection:
        assert totals(connection).calls == 5


def test_a_store_moves_between_database_and_bucket(sqlite_store: Store, target: Any, opened: Any, s3: S3, lines: Any, tmp_path: Path) -> None:  # fmt: skip
    """Into the bucket and out of it again, packed as they were, and twice is once."""
    ingest(sqlite_store, [lines.call(id=f"a{n}", dataset="d", request=asked(n)) for n in range(2 * FIRST_AT)], NOW)
    train_due(sqlite_store, NOW)
    ingest(sqlite_store, [lines.call(id=f"b{n}", dataset="d", request=asked(n)) for n in range(50)], NOW + 7)
    place = tmp_path / "there.sqlite3" if not isinstance(target, str) else target
    there = opened(place)
    for _ in range(2):
        assert {one.missing for one in move(sqlite_store, there)} == {0}
        assert all(row["data"] is None for row in rows(there))
        moved = len(s3.names())
    assert moved == -(-(2 * FIRST_AT + 50) // 500)
    assert [request_of(there, name) for name in ("a3", "b49")] == [asked(3), asked(49)]
    assert enforce(there, now_and(2 * DAY)).objects == 0
    back = open_store(tmp_path / "back.sqlite3")
    assert {one.missing for one in move(there, back)} == {0}
    assert [dict(row) for row in rows(back)] == [dict(row) for row in rows(sqlite_store)]
    back.close()


def test_vacuum_brings_bodies_into_the_bucket(target: Any, opened: Any, s3: S3, lines: Any) -> None:
    """Those from before it was set; what lies there already stays as it is."""
    before = open_store(target)
    ingest(before, [lines.call(id=f"a{n}", dataset="d", request=asked(n)) for n in range(30)], NOW)
    before.close()
    store = opened(target)
    ingest(store, [lines.call(id="b", dataset="d", request=asked(9))], NOW)
    assert [request_of(store, name) for name in ("a3", "b")] == [asked(3), asked(9)]
    done = vacuum(store, NOW)
    assert (done.moved, done.bodies) == (30, 30)
    assert all(row["data"] is None for row in rows(store))
    assert vacuum(store, NOW).bodies == 0
    assert enforce(store, now_and(2 * DAY)).objects == 0
    assert [request_of(store, name) for name in ("a3", "b")] == [asked(3), asked(9)]


def test_a_bucket_that_is_away_is_said_in_one_line(opened: Any, s3: S3, lines: Any, monkeypatch: Any, tmp_path: Path) -> None:  # fmt: skip
    """Reading and writing: nothing is half written, and what came before is there when it is back."""
    path = tmp_path / "s.sqlite3"
    ingest(opened(path), [lines.call(id="a", request=asked(1))], NOW)
    gone = opened(path, "s3://no-such-bucket/ours")
    for do in (lambda: ingest(gone, [lines.call(id="b")], NOW), gone.bodies.bucket.check):
        with pytest.raises(StoreError, match=r"^s3://no-such-bucket/\S*: NoSuchBucket [^\n]+$"):
            do()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    away = opened(path)
    with pytest.raises(StoreError, match=r"^s3://.*127\.0\.0\.1:9[^\n]+$"):
        request_of(away, "a")
    with gone.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(calls)) == 1
    s3.client.delete_object(Bucket=s3.bucket, Key=s3.names()[0])
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.environ["AWS_ENDPOINT_URL"])
    with pytest.raises(StoreError, match="NoSuchKey"):
        request_of(opened(path), "a")


@pytest.mark.parametrize(
    "url", ["records", "s3:/records", "s3://", "s3://Records", "https://x/y", "s3://b?versionId=1"]
)
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    """Before the bucket is asked anything; the store is let go."""
    with pytest.raises(StoreError, match="is s3://bucket/prefix, not"):
        open_store(tmp_path / "s.sqlite3", bodies_url=url)


def test_a_prefix_is_one_however_its_slashes_are_written(s3: S3) -> None:
    """And a bucket needs none."""
    assert {str(bucket_at(f"s3://records{end}")) for end in ("/a/b", "/a/b/", "//a/b//")} == {"s3://records/a/b/"}
    assert str(bucket_at("s3://records")) == str(bucket_at("s3://records/")) == "s3://records/"


def test_a_large_object_is_never_read_whole(s3: S3) -> None:
    """Nor is more kept of the others than there is room for."""
    bodies = S3Bodies(bucket_at(s3.bodies_url))
    gets: list[str] = []
    bodies.bucket._client.meta.events.register(
        "before-call.s3.GetObject", lambda params, **_: gets.append(params["headers"].get("Range"))
    )
    s3.client.put_object(Bucket=s3.bucket, Key="large", Body=bytes(4 * 2**20) + b"x")
    for _ in range(3):
        assert bodies.fetch(None, f"large:{4 * 2**20 - 1}:2") == b"\0x"
    assert gets == ["bytes=4194303-4194304"] * 3
    for number in range(9):
        s3.client.put_object(Bucket=s3.bucket, Key=f"o{number}", Body=bytes(4 * 2**20))
        for _ in range(2):
            assert bodies.fetch(None, f"o{number}:7:1") == b"\0"
    assert list(bodies._whole) == [f"o{number}" for number in range(1, 9)]
