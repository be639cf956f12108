"""What every test starts from: an empty home, none of our variables set, and nothing left running."""

from __future__ import annotations

import os
import sys
import time

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give the test a home of its own and an environment that says nothing else."""
    for name in list(os.environ):
        if name.startswith("LOGOS_SHIFT_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    monkeypatch.setenv("LOGOS_SHIFT_HOME", str(folder))
    yield folder
    _end_runtimes(folder)


def _end_runtimes(folder):
    """End the runtimes that the test made, so that no thread and no lock outlives it."""
    runtime = sys.modules.get("logos_shift_openai.client.runtime")
    if runtime is not None:
        for home in {one.home for one in runtime._shared.values()}:
            runtime.close_home(home, time.monotonic() + 1.0)
