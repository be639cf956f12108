"""An autopilot's processes killed six times on PostgreSQL; it is the same program as on SQLite, killed there more often."""

from __future__ import annotations

import sys

import pytest
from flights import check_flights

TAKES = 50
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and fork")


def test_killed_at_random_points_a_round_is_gone_through_once(tmp_path, postgres):
    """See `flights`."""
    check_flights(tmp_path, postgres.new_store, 6)
