"""The two servers, ready for every test here, and no proxy between them and us."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "stores")]
from fault_servers import Collector, Provider  # noqa: E402
from postgres import postgres, postgres_url  # noqa: E402, F401 - fixtures


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Keep loopback traffic on loopback."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def provider():
    with Provider() as listening:
        yield listening


@pytest.fixture
def collector():
    with Collector() as listening:
        yield listening
