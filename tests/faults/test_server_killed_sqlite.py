"""The server killed fifty times on SQLite; a file of its own, for it takes long and runs beside the other engine's."""

from __future__ import annotations

import pytest

pytest.importorskip("uvicorn")
from killing import check_killed

TAKES = 60


def test_what_was_answered_is_there_once_whenever_the_server_is_killed(tmp_path):
    """See `killing`."""
    check_killed(tmp_path / "home")
