"""`logos-shift rollout` on this machine, on a server and on its database: the same words and the same JSON."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.core.config_reading import parse_config
from logos_shift_openai.server.store.database import open_store

sys.path.append(str(Path(__file__).parents[1] / "server"))
from served import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TAKES = 30
START = ["rollout", "start", "x", "--model", "big", "--candidate", "tiny", "--unit", "call"]
DRAWN = ("revision", "started", "updated", "seen", "since", "at", "id", "config_version", "centres")
LOOKED = ("look", "trail", "sides")  # of a look: a server takes one by itself, whenever it comes to it
ROWS = ("success", "errors", "harm", "next step")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "served")
    yield process
    process.end()


@pytest.fixture
def everywhere(cli: Any, server: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Run a command on this machine, on a server, and on a database of its own."""
    database = f"sqlite:///{tmp_path / 'database.sqlite3'}"
    open_store(tmp_path / "database.sqlite3").close()

    def run(*arguments: str) -> list[Any]:
        monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.key)
        here, there = cli(*arguments), cli(*arguments, "--url", server.url)
        return [here, there, cli(*arguments, "--database-url", database)]

    return run


def steady(value: Any) -> Any:
    """Leave out what the clock and the dice give, and what a look between two commands gives."""
    if isinstance(value, dict):
        return {name: steady(one) for name, one in value.items() if name not in (*DRAWN, *LOOKED)}
    return [steady(one) for one in value] if isinstance(value, list) else value


def words(ended: Any) -> list[str]:
    """Give the lines of an output without those of a look, and without the width that they give the table."""
    return [" ".join(line.split()) for line in ended.out.splitlines() if not line.startswith(ROWS)]


def asked_for(told: list[Any]) -> list[Any]:
    """Leave out what was decided by a look that came in between."""
    return [steady(one) for one in told if one["event"] in {"begin", "by hand"}]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_all_three_say_the_same(everywhere: Callable[..., list[Any]], tmp_path: Path, options: tuple[str, ...]) -> None:
    """Commands that work and commands that cannot, in words and in JSON."""
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"margin": 0.1, "ladder": [500, 10_000]}))
    commands = [
        ["status"],
        ["status", "x"],
        [*START[1:], "--policy", str(policy)],
        START[1:],
        ["start", "y"],
        ["pause", "x"],
        ["resume", "x"],
        ["promote", "x"],
        ["rollback", "x"],
        ["status"],  # where no look changes anything any more
        ["promote", "x"],
        ["history", "nix"],
    ]
    for command in commands:
        here, there, database = everywhere("rollout", *command, *options)
        assert (here.code, here.err) == (there.code, there.err) == (database.code, database.err), command
        if here.code == 0 and options:
            assert steady(here.json) == steady(there.json) == steady(database.json), command
        else:
            assert words(here) == words(there) == words(database), command
    told = [asked_for(one.json) for one in everywhere("rollout", "history", "x", "--json")]
    assert told[0] == told[1] == told[2]
    assert [one["why"] for one in told[0]][:2] == ["roll back by hand", "promote by hand"]
    pages = everywhere("rollout", "history", "x", "--json", "--limit", "2")
    assert [len(one.json) for one in pages] == [2, 2, 2]


def test_a_key_that_may_only_read_is_told_so(cli: Any, server: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, without the key."""
    monkeypatch.setenv("LOGOS_SHIFT_URL", server.url)
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.key)
    assert cli(*START).code == 0
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", "ls_admin_000000000000_" + "0" * 64)
    ended = cli("rollout", "status", "x")
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "does not accept the key" in ended.err


class Stranger(BaseHTTPRequestHandler):
    """Answers JSON that is no rollout."""

    def do_GET(self) -> None:
        body = {"/list": b"[]", "/none": b"null", "/rollouts": b'{"rollouts": [1]}'}["/" + self.path.split("/")[1]]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("command", [["status"], ["status", "x"], ["history", "x"]])
def test_a_stranger_is_told_from_a_server(cli: Any, command: list[str]) -> None:
    """One line, no traceback, whatever JSON it sends."""
    stranger = HTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=stranger.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{stranger.server_port}"
        ended = [cli("rollout", *command, "--url", f"{url}/{path}") for path in ("list", "none", "rollouts")]
    finally:
        stranger.shutdown()
        thread.join()
        stranger.server_close()
    for one in ended:
        assert (one.code, one.out, one.err.count("\n")) == (1, "", 1)
        assert "does not answer as a Logos server does" in one.err


def test_an_experiment_whose_rollout_is_under_way_is_left_to_it(cli: Any, home: Any) -> None:
    """Share and stop are refused with what to do first; paused, the share is anybody's."""
    assert cli(*START).code == 0
    refused = cli("experiment", "share", "x", "50")
    assert (refused.code, refused.out) == (1, "")
    said = " ".join(refused.err.split())
    assert "`logos-shift rollout pause x` first, or end it with `logos-shift rollout rollback x`" in said
    assert cli("experiment", "stop", "x").code == 1
    assert cli("rollout", "pause", "x").code == 0
    assert cli("experiment", "share", "x", "50").code == 0
    assert cli("experiment", "stop", "x").code == 1
    assert cli("rollout", "rollback", "x").code == 0
    assert cli("experiment", "stop", "x").code == 0
    assert parse_config((home.path / "config.json").read_bytes()).experiments[0].share == 0


def by_hand(home: Any, change: Callable[[list[dict[str, Any]]], None]) -> None:
    path = home.path / "config.json"
    document = json.loads(path.read_bytes())
    change(document["experiments"])
    path.write_text(json.dumps(document))


def test_what_is_edited_into_the_file_is_mended_by_the_next_look(cli: Any, home: Any, caplog: Any) -> None:
    """Share, salt, unit and place come back, with a why in the log and in the history; once."""
    assert cli(*START).code == 0
    before = json.loads((home.path / "config.json").read_bytes())["experiments"]
    rival = {"key": "rival", "candidate": {"model": "c"}, "share": 10, "salt": "s"}

    def edit(experiments: list[dict[str, Any]]) -> None:
        experiments[0].update(share=9_000, salt="mine", unit="user")
        experiments.insert(0, rival)

    by_hand(home, edit)
    shown = cli("rollout", "status", "x", "--json").json
    assert shown["why"].startswith("share, unit, salt, place of the experiment had been changed in the config by hand")
    assert shown["why"] in caplog.text
    assert json.loads((home.path / "config.json").read_bytes())["experiments"] == [*before, rival]
    assert [one["event"] for one in cli("rollout", "history", "x", "--json").json].count("mended") == 1
    assert cli("rollout", "status", "x", "--json").json["why"] != shown["why"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [(lambda found: found.clear(), "is gone from"), (lambda found: found[0].update(state="stopped"), "was stopped in")],
)
def test_an_experiment_that_is_taken_out_of_the_file_ends_its_rollout(
    cli: Any, home: Any, edit: Callable[[list[dict[str, Any]]], None], said: str
) -> None:
    """Rolled back, with the why; it is not brought back to life."""
    assert cli(*START).code == 0
    by_hand(home, edit)
    shown = cli("rollout", "status", "x", "--json").json
    assert (shown["phase"], said in shown["why"]) == ("rolled_back", True)
    experiments = parse_config((home.path / "config.json").read_bytes()).experiments
    assert [one.state for one in experiments] == ([] if "gone" in said else ["stopped"])
