"""Mistakes that everybody makes once: each is one line with what, where and the cure, and the right exit code."""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def one_line(ended: Any, *parts: str) -> None:
    """See that a fault is told in one line of stderr with these parts, and in an exit code of 1."""
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1), ended
    assert ended.err.startswith("logos-shift: ")
    for part in parts:
        assert part in ended.err


def test_a_home_that_is_a_file(cli: Any, tmp_path: Path) -> None:
    """Or beneath one."""
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        one_line(
            cli("--home", str(home), "experiment", "start", "a", "--model", "m", "--candidate", "t"),
            str(home),
            "--home",
        )


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no folder of anybody, root's neither")
def test_a_disk_that_takes_nothing(cli: Any) -> None:
    """It is named, and how to name another."""
    started = cli("--home", "/proc/home", "experiment", "start", "a", "--model", "m", "--candidate", "t")
    one_line(started, "/proc/home", "--home")


def test_a_store_that_is_none(cli: Any, home: Any) -> None:
    """Its file is named."""
    (home.path / "store.sqlite3").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    one_line(cli("stats"), str(home.path / "store.sqlite3"), "not a database")


def test_a_store_that_another_holds(cli: Any, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what is waited for; what is there is shown all the same."""
    assert cli("experiment", "start", "a", "--model", "m", "--candidate", "t").code == 0
    home.spool(home.call())
    assert cli("stats").code == 0
    home.spool(home.call())
    monkeypatch.setattr("logos_shift_openai.server.store.database.BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(home.path / "store.sqlite3")) as other:
        other.execute("BEGIN EXCLUSIVE")
        ended = cli("stats")
    assert "locked" in ended.err
    assert "store.sqlite3" in ended.err


def test_a_port_that_is_taken(cli: Any, home: Any) -> None:
    """Nothing is made then: the first key would be gone before anybody saw it."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        one_line(cli("serve", "--port", str(port)), f"port {port} of 127.0.0.1 is taken", "--port takes another")
    assert list(home.path.iterdir()) == []


def test_a_host_that_is_not_of_this_machine(cli: Any) -> None:
    """A documentation address, which nobody has."""
    one_line(cli("serve", "--host", "192.0.2.1"), "192.0.2.1 port 8787", "--host")


@pytest.mark.parametrize("url", ["127.0.0.1:8787", "logos.example.com", "ftp://logos.example.com"])
def test_an_address_without_its_scheme(cli: Any, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The variable is named, and how an address looks."""
    monkeypatch.setenv("LOGOS_SHIFT_URL", url)
    one_line(cli("experiment", "list"), "LOGOS_SHIFT_URL", "http:// or https://")


def test_a_config_that_is_wrong(cli: Any, home: Any) -> None:
    """The file and the place in it."""
    path = home.path / "config.json"
    path.write_text('{"version": 1,}')
    one_line(cli("experiment", "list"), str(path), "not JSON", "line 1 column")
    assert cli("experiment", "list", "--home", str(home.path)).code == 2
    path.write_text(json.dumps({"version": 1, "experiments": [{"key": 5}]}))
    one_line(cli("experiment", "list"), str(path), "experiments[0].key")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("statz",), "'stats'"),
        (("calls", "lsit"), "'list'"),
        (("calls", "list", "--datset", "x"), "--dataset"),
        (("experiment", "start", "a", "--model", "m", "--candidate", "t", "--share", "500"), "from 0 to 100 percent"),
        (("import", "chat", "nowhere.jsonl"), "does not exist"),
    ],
)
def test_what_is_typed_wrong(cli: Any, words: tuple[str, ...], said: str) -> None:
    """A usage fault, and what was meant."""
    ended = cli(*words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("experiment", "show", "a"),
        ("rollout", "status", "a"),
        ("experiment", "share", "a", "5"),
        ("tune", "status", "a"),
    ],
)
def test_a_name_that_nothing_has(cli: Any, words: tuple[str, ...]) -> None:
    """It is said of what there is none."""
    one_line(cli(*words), "there is no ")
