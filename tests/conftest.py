"""What every test starts from: an empty home, none of our variables set, and nothing left running.

Also how the files of tests are dealt out to workers (`-n auto --dist loadfile`). Many tests wait for processes, so there
are more workers than cores. A file that takes long says so with `TAKES = 20`, the seconds it takes alone, and those are
begun first, the longest first of all; otherwise one worker is left with one of them when the others have ended.
"""

from __future__ import annotations

import os
import sys
import time

import pytest

WORKERS_MORE = 2
"""Workers beyond one for each core."""


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Let `-n auto` stand for some workers more than cores, unless their number is set."""
    cores = yield
    return cores if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else cores + WORKERS_MORE


def pytest_configure(config):
    """Let xdist deal the files out as they are collected, not those with the most tests first."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Put the files that take long before the others, which stay in the order that the dice gave them."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: -getattr(item.module, "TAKES", 0))


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
