"""An autopilot's processes killed twenty times on SQLite."""

from __future__ import annotations

import sys

import pytest
from flights import check_flights

TAKES = 100
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and fork")


def test_killed_at_random_points_a_round_is_gone_through_once(tmp_path):
    """See `flights`."""
    check_flights(tmp_path, lambda: None, 20)
