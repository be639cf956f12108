"""What the tests of tuners and of the autopilot stand on: a real lab, a store, a clock put on by hand."""

from __future__ import annotations

import pytest

from logos_shift_openai.lab import Lab
from logos_shift_openai.server.store.database import open_store


class Clock:
    """A clock that is put on by hand, milliseconds since 1970."""

    def __init__(self):
        self.at = 1_764_000_000_000

    def __call__(self):
        return self.at


@pytest.fixture
def lab(monkeypatch):
    with Lab(latency=0) as running:
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", running.base_url)
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_API_KEY", "lab-secret-key-1234")
        yield running


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(home):
    opened = open_store(home / "store.sqlite3")
    yield opened
    opened.close()
