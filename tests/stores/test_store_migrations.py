"""The schema: made from nothing it is the one that all migrations make, and a filled old store loses nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from postgres import empty_postgres_url  # noqa: F401 - a fixture
from sqlalchemy import Connection, create_engine, select, text

from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.records import ENDPOINTS, CallRecord, call_line
from logos_shift_openai.server import zstd
from logos_shift_openai.server.calls import Filters, find_call, list_calls
from logos_shift_openai.server.feedback import effective_scores
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.statistics import totals, variant_statistics
from logos_shift_openai.server.store.columns import pack_id, unpack_id
from logos_shift_openai.server.store.database import Store, StoreError, open_store
from logos_shift_openai.server.store.evidence import recount, sums_by_key
from logos_shift_openai.server.store.migrate import revision_of, upgrade
from logos_shift_openai.server.store.partitions import DAY_MS, day_start_id, days_of
from logos_shift_openai.server.store.schema import REVISION, calls, shadows, tables
from logos_shift_openai.server.store.sums import Sums

NOW = 1_764_000_000_000
V1 = Path(__file__).with_name("v1_store.sql")


def shape(path: Path) -> dict[str, Any]:
    """All that SQLite knows of a schema, apart from how it was spelt."""
    database = sqlite3.connect(path)
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found: dict[str, Any] = {}
    for table in names:
        columns = {row[1]: row[2:] for row in database.execute(f"PRAGMA table_info({table})")}
        indexes = {
            (row[1] if row[3] == "c" else "key", row[2], row[4]): tuple(
                database.execute(f"PRAGMA index_info({row[1]})")
            )
            for row in database.execute(f"PRAGMA index_list({table})")
        }
        found[table] = (columns, {key: [one[2] for one in value] for key, value in indexes.items()})
    database.close()
    return found


@pytest.fixture
def postgres_url(empty_postgres_url: str) -> str:  # noqa: F811
    """A database in which everything is made from nothing, where other tests are given the tables."""
    return empty_postgres_url


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A filled store of the first version."""
    path = tmp_path / "old.sqlite3"
    database = sqlite3.connect(path)
    database.executescript(V1.read_text())
    database.close()
    return path


def test_from_nothing_is_as_by_all_migrations(tmp_path: Path, old: Path) -> None:
    """A new file has the tables, columns, keys and indexes of one that was upgraded, filled or not."""
    open_store(tmp_path / "new.sqlite3").close()
    open_store(old).close()
    new = shape(tmp_path / "new.sqlite3")
    assert {"calls", "evidence", "leases", "api_keys", "configs"} <= set(new)
    upgraded = shape(old)
    # The order of columns is that of their coming; nothing reads them by place.
    assert {name: (sorted(one[0]), one[1]) for name, one in upgraded.items()} == {
        name: (sorted(one[0]), one[1]) for name, one in new.items()
    }
    for name, (columns, _indexes) in new.items():
        assert {key: value[0] for key, value in upgraded[name][0].items()} == {
            key: value[0] for key, value in columns.items()
        }, name


def test_alembic_finds_nothing_to_do(any_store: Store) -> None:
    """What the migrations made is what the tables say, on each engine."""

    def ours(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        partition = name is not None and ("_day_" in name or name.endswith("_default"))
        return not (kind == "table" and (partition or name == "alembic_version"))

    with any_store.reading() as connection:
        assert revision_of(connection) == REVISION
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, tables) == []


def test_a_filled_store_of_the_first_version_is_upgraded_in_place(old: Path) -> None:
    """Heads, bodies, feedback and counts are what they were, and the evidence is a recount."""
    store = open_store(old)
    with store.reading() as connection:
        everything = totals(connection)
        assert (everything.calls, everything.feedback, everything.refused) == (12, 5, {"not JSON": 1})
        heads = list_calls(connection, Filters())
        assert len(heads) == 12
        first, *_rest, last = sorted(heads, key=lambda head: str(head["at"]))
        found = find_call(connection, last["id"])
        assert found is not None
        assert found["request"]["messages"][0]["content"] == "question 11 \u00e9"
        assert found["response"]["usage"]["prompt_tokens"] == 21
        failed = find_call(connection, "p3")
        assert failed is not None
        assert (failed["response"], failed["error"]["status"], failed["attempts"][0]["ok"]) == (None, 500, False)
        cut = find_call(connection, "p2")
        assert cut is not None
        assert (cut["truncated"], cut["media"]) == (["a"], [{"path": "x", "bytes": 1}])
        table = effective_scores()
        raw = {row.id: row.score for row in connection.execute(select(table.c.id, table.c.score))}
        assert len(raw) == 4  # one of its own, one by the provider's id, a function and the call inside it
        assert {
            row.id: row.score for row in connection.execute(select(calls.c.id, calls.c.score)) if row.score is not None
        } == raw
        assert first["feedback"] == {"score": 1.0, "call_id": first["id"]}
        total: dict[Any, Sums] = {}
        for (key, _start), sums in recount(connection).items():
            total.setdefault(key, Sums()).add(sums)
        assert sums_by_key(connection) == total
        assert sum(one.success.scored for one in variant_statistics(connection)) == 4
    store.close()


def test_a_filled_store_of_the_second_version_is_upgraded(target: Path | str) -> None:
    """On each engine: every head reads as it stood in its columns, and what is new goes beside it."""
    at = 1_764_000_000_000
    full = {
        "name": 'say "hi"', "unit_kind": "user", "unit_id": "u\u00e9", "user_id": "u", "conversation_id": "c",
        "metadata": '{"a":[1]}', "requested_model": "m", "served_model": "n", "served_provider": "p", "experiment": "e",
        "assigned": "candidate", "served": "candidate", "share": 0, "bucket": 9, "why": "because", "config_version": 7,
        "first_token_ms": 0.5, "error_type": "E", "error_status": 500, "error_code": "x", "error_message": "y",
        "provider_id": "q", "tokens_in": 1, "tokens_out": 2, "tokens_cached": 3, "sdk": "s", "score": 1.0,
    }  # fmt: skip
    bare = {**dict.fromkeys(full), "metadata": "{}", "why": "", "sdk": ""}
    if isinstance(target, Path):
        target.parent.mkdir(parents=True)
    engine = create_engine(f"sqlite:///{target}" if isinstance(target, Path) else target)
    with engine.begin() as connection:
        upgrade(connection, "0002")
        names = ["id", "at", "received", "endpoint", "dataset", "stream", "complete", "duration_ms", *full]
        insert = f"INSERT INTO calls ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"
        for number in range(1_100):
            parts = full if number % 2 else bare
            head = {"id": f"a{number}", "at": at + number, "received": at, "endpoint": "responses", "dataset": "d"}
            connection.execute(text(insert), {**head, "stream": True, "complete": False, "duration_ms": 1.5, **parts})
        connection.execute(text("INSERT INTO feedback (id, at, call_id, value) SELECT id, at, id, 1.0 FROM calls"))
    engine.dispose()
    store = open_store(target)
    with store.reading() as connection:
        assert revision_of(connection) == REVISION
        heads = list_calls(connection, Filters())
        assert [head["id"] for head in heads] == [f"a{number}" for number in reversed(range(1_100))]
        for head in heads[:2]:
            parts = full if head["error"] else bare
            plain = {name: value for name, value in parts.items() if name in head and name != "metadata"}
            assert {name: head[name] for name in plain} == plain
        errors = [head["error"] for head in heads[:2]]
        assert errors == [{"type": "E", "status": 500, "code": "x", "message": "y"}, None]
        assert [head["unit"] for head in heads[:2]] == [{"kind": "user", "id": "u\u00e9"}, None]
        assert [head["metadata"] for head in heads[:2]] == [{"a": [1]}, {}]
        assert sum(one.success.scored for one in variant_statistics(connection)) == 1_100
    store.close()


def test_ids_and_choices_of_a_filled_store_become_smaller(postgres_url: str) -> None:
    """Ids of every kind, in partitions and out of them, name what they named; a record that was there is not new."""
    day = NOW // DAY_MS
    names = [
        uuid7(NOW, bytes(10)), uuid7(NOW + 1, b"\xff" * 10), uuid7(NOW + 9 * DAY_MS, bytes(10)), "a" * 16, "b" * 17,
        uuid7(NOW, bytes(10)).upper(), "\u00e9" * 8, "req_1", "\\x01", "5 % of 'it'",
    ]  # fmt: skip
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        upgrade(connection, "0012")
        start, end = (f"{day_start_id(one)[:13]}" for one in (day, day + 1))
        for table in ("calls", "call_bodies"):
            bounds = f"FOR VALUES FROM ('{start}') TO ('{end}')"
            connection.exec_driver_sql(f"CREATE TABLE {table}_day_{day} PARTITION OF {table} {bounds}")
        for number, name in enumerate(names):
            variant = "candidate" if number % 2 else "baseline"
            parts = {
                "id": name, "at": NOW + number, "received": NOW, "dataset": "d", "stream": True, "complete": False,
                "endpoint": sorted(ENDPOINTS)[number % len(ENDPOINTS)], "duration_ms": 1.5, "rest": b"{}",
                "assigned": variant, "served": variant, "experiment": "e", "tokens_in": number,
                "parent": names[0] if number == 2 else None, "provider_id": f"p-{number}" if number else "p" * 16,
            }  # fmt: skip
            _insert(connection, "calls", parts)
            pack = b'{"request":%d,"response":null,"attempts":[],"truncated":[],"media":[]}' % number
            _insert(connection, "call_bodies", {"call_id": name, "codec": "zstd", "data": zstd.compress(pack)})
            said = {"id": f"f-{number}", "at": NOW, "call_id": name if number else "p" * 16, "value": number / 10}
            _insert(connection, "feedback", said)
        shadow = {"id": "s", "shadow_of": names[0], "at": NOW, "received": NOW, "dataset": "d", "duration_ms": 1.0}
        _insert(connection, "shadows", shadow)
    engine.dispose()
    store = open_store(postgres_url)
    with store.reading() as connection:
        assert revision_of(connection) == REVISION
        for number, name in enumerate(names):
            found = find_call(connection, name)
            assert found is not None
            assert (found["id"], found["request"], found["tokens_in"]) == (name, number, number)
            assert found["endpoint"] == sorted(ENDPOINTS)[number % len(ENDPOINTS)]
            assert found["assigned"] == found["served"] == ("candidate" if number % 2 else "baseline")
            assert [one["id"] for one in found["said"]] == [f"f-{number}"]
            by_provider = find_call(connection, found["provider_id"])
            assert by_provider is not None
            assert by_provider["id"] == name
        assert connection.scalars(select(calls.c.id).where(calls.c.parent == names[0])).all() == [names[2]]
        assert connection.execute(select(shadows.c.id, shadows.c.shadow_of)).all() == [("s", names[0])]
        assert day in days_of(connection, "calls") & days_of(connection, "call_bodies")
        held = text(f"SELECT count(*) FROM calls_day_{day}")
        assert connection.scalar(held) == 2
        assert connection.scalar(text("SELECT pg_column_size(id) FROM calls WHERE length(id) = 16 LIMIT 1")) == 17
        assert sum(one.calls for one in sums_by_key(connection).values()) == len(names)
    lines = [call_line(CallRecord(id=name, at=NOW, endpoint="responses", request=b"1")) for name in (*names, "new")]
    receipt = ingest(store, lines, NOW)
    assert (receipt.new, receipt.seen) == (1, len(names))
    store.close()


def _insert(connection: Connection, table: str, parts: dict[str, Any]) -> None:
    columns, values = ", ".join(parts), ", ".join(f":{name}" for name in parts)
    connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), parts)


@pytest.mark.parametrize("text", ["a", "", "x" * 16, "x" * 15, "\u00e9" * 8, "0" * 36, "A" * 36, "01" * 16])
def test_an_id_comes_back_as_it_was(text: str) -> None:
    """Whatever it is; and two that differ never take the same bytes."""
    ours = uuid7(NOW, bytes(range(10)))
    assert unpack_id(pack_id(text)) == text
    assert unpack_id(pack_id(ours)) == ours
    assert len(pack_id(ours)) == 16
    assert len(pack_id(text)) != 16


def test_an_upgrade_that_fails_leaves_the_old_store(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is one transaction."""
    before = shape(old)
    monkeypatch.setattr("logos_shift_openai.server.store.migrate.count_anew", lambda _connection: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_store(old)
    assert shape(old) == before
    monkeypatch.undo()
    open_store(old).close()


def test_nothing_is_changed_where_only_looking_is_asked(old: Path, tmp_path: Path) -> None:
    """An old store is refused with the command that upgrades it, a missing one is not made."""
    with pytest.raises(StoreError, match="logos-shift store migrate"):
        open_store(old, create=False)
    with pytest.raises(StoreError, match="there is no store"):
        open_store(tmp_path / "none.sqlite3", create=False)
    assert not (tmp_path / "none.sqlite3").exists()
    for address in ("mysql://host/name", "nonsense://", "postgresql+psycopg://postgres@127.0.0.1:1/none"):
        with pytest.raises(StoreError):
            open_store(address)


def test_migrations_run_one_by_one(tmp_path: Path) -> None:
    """The first alone gives the first version's schema, as the file of that time has it."""
    store = open_store(tmp_path / "s.sqlite3")
    with store.writing() as connection:
        for table in [*reversed(tables.sorted_tables)]:
            table.drop(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
        upgrade(connection, "0001")
    store.close()
    old = tmp_path / "old.sqlite3"
    database = sqlite3.connect(old)
    database.executescript(V1.read_text())
    database.close()
    made, expected = shape(tmp_path / "s.sqlite3"), shape(old)
    made.pop("alembic_version")
    assert made == expected
