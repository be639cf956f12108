"""What every test starts from: an empty home, none of our variables set, and nothing left running."""

from __future__ import annotations

import os

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
    import sys
    import time

    module = sys.modules.get("logos_shift_openai.client.runtime")
    if module is None:
        return
    for key, runtime in list(module._shared.items()):
        runtime.close(time.monotonic() + 1.0)
        del module._shared[key]
