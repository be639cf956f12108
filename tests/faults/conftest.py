"""The two servers, ready for every test here, and no proxy between them and us."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fault_servers import Collector, Provider


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
