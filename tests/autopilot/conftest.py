"""A real lab, a store with calls, and the cockpit over them."""

from __future__ import annotations

import pytest
from autopilot_parts import cockpit_of
from shop_fixtures import clock, lab, store  # noqa: F401 - fixtures


@pytest.fixture
def cockpit(store, home, clock):  # noqa: F811
    return cockpit_of(store, home, clock)
