"""Tuning jobs in the store, on each engine: one job for one wish, one writer at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from logos_shift_openai.server.tuners.example_files import find_index, keep_index
from logos_shift_openai.server.tuners.jobs import (
    NoJobError,
    ask_to_cancel,
    due_jobs,
    find_job,
    list_jobs,
    open_job,
    save,
)
from logos_shift_openai.server.tuners.protocol import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from logos_shift_openai.server.store.database import Store

NOW = 1_764_000_000_000
ASKED = ("openai", "e1", Settings("m", "lab", epochs=3, learning_rate=0.5))


def test_the_same_wish_is_the_same_job(any_store: Store) -> None:
    """While it is open, stuck or has succeeded; a failed one is done again, and `again` begins another."""
    first, new = open_job(any_store, *ASKED, NOW, NOW + 1)
    assert new
    assert open_job(any_store, *ASKED, NOW + 5, NOW + 9) == (first, False)
    assert open_job(any_store, "openai", "e2", ASKED[2], NOW, NOW)[1]
    assert open_job(any_store, "openai", "e1", Settings("other"), NOW, NOW)[1]
    keys = {first.key}
    for state, again in (("failed", False), ("succeeded", True), ("cancelled", True)):
        with any_store.writing() as connection:
            latest = next(one for one in list_jobs(connection) if one.key in keys and one.state == "new")
            assert save(connection, latest, replace(latest, state=state, updated=NOW))
        if state == "succeeded":
            assert not open_job(any_store, *ASKED, NOW, NOW)[1]
        job, new = open_job(any_store, *ASKED, NOW, NOW, again=again)
        assert new
        assert job.key not in keys
        keys.add(job.key)


def test_a_change_is_written_only_over_what_was_read(any_store: Store) -> None:
    """The second writer writes nothing; a cancel in between is kept by both."""
    job, _ = open_job(any_store, *ASKED, NOW, NOW + 1)
    change = replace(job, state="running", handle={"job": "j"}, points=({"step": 1.0},), fraction=0.5, updated=NOW + 1)
    with any_store.writing() as connection:
        ask_to_cancel(connection, job.id, NOW + 1)
        assert save(connection, job, change) == replace(change, turn=1)
        assert save(connection, job, change) is None
        found = find_job(connection, job.id)
    assert found == replace(change, turn=1, cancel=True, due=job.due)
    with any_store.writing() as connection:
        save(connection, found, replace(found, state="cancelled"))
        assert not find_job(connection, job.id).cancel
        assert not ask_to_cancel(connection, job.id, NOW).cancel
        with pytest.raises(NoJobError):
            ask_to_cancel(connection, "none", NOW)


def test_what_is_due(any_store: Store) -> None:
    """Open ones at their time, and resting ones whose end was asked for."""
    job, _ = open_job(any_store, *ASKED, NOW, NOW + 1)
    with any_store.writing() as connection:
        assert due_jobs(connection, NOW - 1) == []
        assert due_jobs(connection, NOW) == [job.id]
        save(connection, job, replace(job, state="unsure"))
        assert due_jobs(connection, NOW) == []
        ask_to_cancel(connection, job.id, NOW + 3)
        assert due_jobs(connection, NOW + 3) == [job.id]


def test_points_stay_few(any_store: Store) -> None:
    """However many steps there are: the first and the last stay."""
    job, _ = open_job(any_store, *ASKED, NOW, NOW + 1)
    for first in range(0, 5_000, 100):
        points = tuple({"step": float(step), "train_loss": 1.0} for step in range(first, first + 100))
        job = replace(job, points=job.with_points(points))
    assert len(job.points) <= 400
    assert (job.points[0]["step"], job.points[-1]["step"]) == (0.0, 4_999.0)


def test_a_file_of_examples_is_kept_once(any_store: Store, tmp_path: Path) -> None:
    """Under its name, whole, in the store and in the home folder."""
    name = "ab" * 32
    for _ in range(2):
        keep_index(any_store, tmp_path, name, b"content\n" * 1_000, NOW)
    with any_store.reading() as connection:
        assert find_index(connection, name) == b"content\n" * 1_000
        assert find_index(connection, "cd" * 32) is None
        assert find_index(connection, "../x") is None
    assert (tmp_path / "examples" / f"{name}.jsonl").read_bytes() == b"content\n" * 1_000
