"""Records as a client would write them, and a store on each of the two engines."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from edition_bench import bench  # noqa: F401 - a fixture
from postgres import postgres, postgres_url  # noqa: F401 - fixtures
from s3 import s3, s3_url  # noqa: F401 - fixtures

from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.records import CallRecord, FeedbackRecord, call_line, feedback_line
from logos_shift_openai.server.ingest import Receipt, ingest
from logos_shift_openai.server.store.database import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = 1_764_000_000_000


class Lines:
    """Makes lines with ids that are new each time, from a fixed seed."""

    def __init__(self) -> None:
        self._dice = Random(7)
        self._count = 0

    def new_id(self) -> str:
        self._count += 1
        return uuid7(NOW + self._count, self._dice.randbytes(10))

    def call(self, **parts: Any) -> bytes:
        """One call's line; `request` and `response` may be given as values."""
        for name in ("request", "response"):
            if name in parts and not isinstance(parts[name], (bytes, type(None))):
                parts[name] = json.dumps(parts[name]).encode()
        parts.setdefault("id", self.new_id())
        parts.setdefault("at", NOW + self._count)
        parts.setdefault("endpoint", "chat.completions")
        parts.setdefault("request", b'{"model":"m","messages":[]}')
        return call_line(CallRecord(**parts))

    def feedback(self, call_id: str, **parts: Any) -> bytes:
        parts.setdefault("id", self.new_id())
        parts.setdefault("at", NOW + self._count)
        return feedback_line(FeedbackRecord(call_id=call_id, **parts))


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store may be made, on each engine."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return tmp_path / "home" / "store.sqlite3"


@pytest.fixture
def any_store(target: Path | str) -> Iterator[Store]:
    """A store on each engine."""
    opened = open_store(target)
    yield opened
    opened.close()


@pytest.fixture
def store(any_store: Store) -> Store:
    """The same, for what says nothing of engines."""
    return any_store


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """A store in a file, for what only that engine has."""
    opened = open_store(tmp_path / "home" / "store.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def take(store: Store) -> Callable[..., Receipt]:
    """Take lines in, in one transaction."""

    def take_lines(*lines: bytes, now: int = NOW) -> Receipt:
        return ingest(store, lines, now)

    return take_lines
