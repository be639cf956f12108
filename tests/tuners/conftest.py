"""Editions of the shipped rows, a real lab, a store, and the machine over them."""

from __future__ import annotations

import random

import pytest
from shop_fixtures import clock, lab, store  # noqa: F401 - fixtures
from tuning_parts import KEY, chat, write_edition

from logos_shift_openai.lab import data
from logos_shift_openai.server.tuners.machine import Workshop
from logos_shift_openai.server.tuners.protocol import Settings, Task
from logos_shift_openai.server.tuners.step import workshop


@pytest.fixture
def edition(home):
    """500 shipped rows to train on, 40 of the other split held out."""
    rows = data.rows("train")
    random.Random(7).shuffle(rows)
    return write_edition(home, [chat(*row) for row in rows[:500]], [chat(*row) for row in data.rows("test")[:40]])


@pytest.fixture
def small(home):
    """An edition of sixty rows, for what needs no good model."""
    rows = data.rows("train")
    random.Random(3).shuffle(rows)
    return write_edition(home, [chat(*row) for row in rows[:60]], [chat(*row) for row in rows[60:70]], "small")


@pytest.fixture
def task(small):
    return Task(KEY, small, Settings("base"))


@pytest.fixture
def shop(store, home, clock):  # noqa: F811
    """The workshop as a server makes it, with the tuners of the environment."""
    return workshop(store, home, "holder", clock)


@pytest.fixture
def shop_with(store, home, clock):  # noqa: F811
    """A workshop around one tuner of the test's own."""

    def make(tuner):
        return Workshop(store, home, lambda _name, _provider: tuner, "holder", clock)

    return make
