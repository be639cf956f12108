"""Servers for the tests of this folder, ended with them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")
sys.path[:0] = [str(Path(__file__).parents[1] / "stores"), str(Path(__file__).parents[1] / "sdk")]

from postgres import postgres, postgres_url  # noqa: E402, F401 - fixtures
from s3 import s3, s3_url  # noqa: E402, F401 - fixtures
from served import Lines, Process, Served  # noqa: E402

from logos_shift_openai.server.limits import Limits  # noqa: E402


@pytest.fixture
def serve(tmp_path):
    """Start servers on a store of this test's own; they end with it."""
    running = []

    def start(**options):
        limits = options.pop("limits", {})
        server = Served(tmp_path / "server" / "store.sqlite3", limits=Limits(**limits), **options)
        running.append(server)
        return server

    yield start
    for server in running:
        server.close()


@pytest.fixture
def server(serve):
    """One server with keys."""
    return serve()


@pytest.fixture
def lines():
    return Lines()


@pytest.fixture
def process(tmp_path):
    running = []

    def start(*options, home=None, **more):
        one = Process(home or tmp_path / "process", *options, **more)
        running.append(one)
        return one

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
