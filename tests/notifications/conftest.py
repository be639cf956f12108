"""Receivers that end with their test, and a store on each engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / "stores"), str(Path(__file__).parents[1] / "server")]

from postgres import postgres, postgres_url  # noqa: E402, F401 - fixtures
from receivers import Hook, MailServer, make_certificate  # noqa: E402

from logos_shift_openai.server.notifications.channels import channels_from  # noqa: E402
from logos_shift_openai.server.store.database import open_store  # noqa: E402

SECRET = "whsec_" + "a" * 43 + "="


@pytest.fixture
def receiver():
    """Start receivers; they end with the test."""
    running = []

    def start(kind, *arguments, **options):
        running.append({"hook": Hook, "mail": MailServer}[kind](*arguments, **options))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A certificate of the loopback that this process trusts."""
    made = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made[0]))
    return made


@pytest.fixture
def channel():
    """Make a channel of the parts of its variables."""

    def make(name="ops", **parts):
        values = {"URL": "console:", "PRIVATE": "on", **parts}
        if values["URL"].startswith("http"):
            values.setdefault("SECRET", SECRET)
        return channels_from({f"LOGOS_SHIFT_NOTIFY_{name.upper()}_{end}": text for end, text in values.items()})[0]

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where a store may be made, on each engine."""
    return request.getfixturevalue("postgres_url") if request.param == "postgresql" else tmp_path / "store.sqlite3"


@pytest.fixture
def store(place):
    opened = open_store(place)
    yield opened
    opened.close()
