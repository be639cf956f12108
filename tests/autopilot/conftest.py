"""A real lab, a store with calls, and the cockpit over them."""

from __future__ import annotations

import pytest
from autopilot_parts import Clock, cockpit_of

from logos_shift_openai.lab import Lab
from logos_shift_openai.server.store.database import open_store


@pytest.fixture
def lab(monkeypatch):
    with Lab(latency=0) as running:
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", running.base_url)
        yield running


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(home):
    opened = open_store(home / "store.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def cockpit(store, home, clock):
    return cockpit_of(store, home, clock)
