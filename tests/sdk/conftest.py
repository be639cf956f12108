"""The provider in the process, ready for every test here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from provider import Provider


@pytest.fixture
def provider():
    return Provider()
