"""`logos-shift experiment` against a real server in a process of its own."""

from __future__ import annotations

import json
import socket
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from logos_shift_openai.core.config_reading import parse_config

sys.path.append(str(Path(__file__).parents[1] / "server"))
from served import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

START = ["experiment", "start", "x", "--model", "gpt-*", "--candidate", "tiny", "--share", "5", "--timeout", "2"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "served")
    yield process
    process.end()


@pytest.fixture
def at_server(server: Process, monkeypatch: pytest.MonkeyPatch) -> Process:
    monkeypatch.setenv("LOGOS_SHIFT_URL", server.url)
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.key)
    return server


def live(server: Process) -> Any:
    answer = requests.get(f"{server.url}/v1/config", headers={"Authorization": f"Bearer {server.key}"}, timeout=90)
    return parse_config(answer.content)


def test_an_experiment_of_a_server_goes_its_way(cli: Any, home: Any, at_server: Process) -> None:
    """Each step is in force at once; this machine's own config is not made."""
    options = ["--provider", "lab", "--dataset", "sales", "--unit", "call", "--set", "temperature=0", "--drop", "seed"]
    assert cli("experiment", "list").out == f"No experiment in {at_server.url} yet.\n"
    assert cli("experiment", "list", "--json").json == []
    started = cli(*START, *options)
    assert (started.code, started.err) == (0, "")
    (one,) = live(at_server).experiments
    assert (one.match, one.dataset, one.share, one.unit) == (("gpt-*",), "sales", 500, "call")
    assert (one.candidate.provider, one.candidate.params.set) == ("lab", {"temperature": 0})
    assert one.fallback.timeout_seconds == 2
    assert cli("experiment", "share", "x", "25%", "--json").json["share"] == 2500
    for verb, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        assert cli("experiment", verb, "x", "--json").json["state"] == state
        assert live(at_server).experiments[0].state == state
    assert not (home.path / "config.json").exists()


def test_it_shows_what_the_embedded_one_shows(cli: Any, server: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same commands, with `--url` and without: the same output but for the salt, which is drawn."""
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.key)
    for command in (START, ["experiment", "share", "x", "50bp"], ["experiment", "pause", "x"], ["experiment", "list"]):
        here, there = cli(*command), cli(*command, "--url", server.url)
        assert (here.code, here.out, here.err) == (there.code, there.out, there.err)
    here, there = cli("experiment", "list", "--json"), cli("experiment", "list", "--json", "--url", server.url)
    assert [{**one, "salt": ""} for one in here.json] == [{**one, "salt": ""} for one in there.json]


@pytest.mark.parametrize(
    "command",
    [
        ["experiment", "pause", "nix"],
        ["experiment", "share", "a b", "5"],
        [*START, "--provider", "a b"],
        [*START, "--share", "0.05"],
    ],
)
def test_what_cannot_be_ends_as_it_does_embedded(
    cli: Any, server: Process, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """The same exit code and the same line."""
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.key)
    here, there = cli(*command), cli(*command, "--url", server.url)
    assert here.code in {1, 2}
    assert (here.code, here.out, here.err) == (there.code, there.out, there.err)


def test_a_key_that_may_not_is_told_so(cli: Any, at_server: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """401 and 403 in one line each, and the key in neither."""
    made = requests.post(
        f"{at_server.url}/v1/keys",
        json={"scope": "read"},
        headers={"Authorization": f"Bearer {at_server.key}"},
        timeout=90,
    )
    reader = made.json()["key"]
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", reader)
    assert cli("experiment", "list").code == 0
    forbidden = cli(*START)
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", "ls_admin_000000000000_" + "0" * 64)
    unknown = cli(*START)
    monkeypatch.delenv("LOGOS_SHIFT_API_KEY")
    missing = cli(*START)
    for ended, said in ((forbidden, "changes need an admin key"), (unknown, "does not accept"), (missing, "accept")):
        assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
        assert ended.err.startswith(f"logos-shift: {at_server.url} ")
        assert said in ended.err
        assert reader not in ended.err
    assert live(at_server).experiments == ()


def test_nobody_there_is_one_line(cli: Any) -> None:
    """A port at which nothing listens."""
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        ended = cli("experiment", "list", "--url", url)
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert ended.err.startswith(f"logos-shift: {url} cannot be reached: no connection; is `logos-shift serve` running")


class Stranger(BaseHTTPRequestHandler):
    """Answers what no Logos server answers, by path."""

    seen: list[str | None]

    def do_GET(self) -> None:
        self.server.seen.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
        status, body = {
            "/html/v1/experiments": (200, b"<html>"),
            "/list/v1/experiments": (200, b"[]"),
            "/bad/v1/experiments": (200, json.dumps({"experiments": [{"key": "x", "share": -1}]}).encode()),
            "/moved/v1/experiments": (307, b""),
            "/gone/v1/experiments": (502, b"<html>"),
        }[self.path]
        self.send_response(status)
        if status == 307:
            self.send_header("Location", "/list/v1/experiments")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("path", ["html", "list", "bad", "moved", "gone"])
def test_a_stranger_is_told_from_a_server(cli: Any, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """One line, no traceback, and no redirect takes the key along."""
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", "ls_admin_1_2")
    stranger = HTTPServer(("127.0.0.1", 0), Stranger)
    stranger.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=stranger.serve_forever)
    thread.start()
    try:
        ended = cli("experiment", "list", "--url", f"http://127.0.0.1:{stranger.server_port}/{path}")
    finally:
        stranger.shutdown()
        thread.join()
        stranger.server_close()
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "does not answer as a Logos server does" in ended.err
    assert stranger.seen == ["Bearer ls_admin_1_2"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("url", ["logos.example.com", "ftp://host", "http://", "http://a:b@host", "http://h/?x=1"])
def test_what_is_no_address_is_said(cli: Any, url: str) -> None:
    """Before anything is sent, and without what stands in it."""
    ended = cli("experiment", "list", "--url", url)
    assert (ended.code, ended.out) == (1, "")
    assert "https://logos.example.com" in ended.err
