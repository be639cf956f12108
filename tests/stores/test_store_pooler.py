"""Behind a pooler: that there is one, and that it hands one session of the database to many clients."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from postgres import Postgres


def test_clients_share_sessions(postgres: Postgres, postgres_url: str) -> None:
    """Else a run of this suite behind the pooler would say nothing."""
    if not postgres.is_behind_a_pooler:
        pytest.skip("no pooler is asked for")
    with ExitStack() as open_ones:
        address = postgres_url.replace("+psycopg", "")
        clients = [open_ones.enter_context(psycopg.connect(address, autocommit=True)) for _ in range(8)]
        sessions = {client.execute("SELECT pg_backend_pid()").fetchone() for client in clients}
    assert len(sessions) < len(clients)
