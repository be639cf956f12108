"""`dataset`, `tune`, `candidate`, `gate`, `autopilot` and `import` on this machine, on a server and on its database.

The same words and the same JSON; left out of the comparison is what the clock gives, where files lie, and what a server
does by itself between two commands.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from logos_shift_openai.lab import Lab, data
from logos_shift_openai.server.config_versions import change_config
from logos_shift_openai.server.experiments import Plan, start_in
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.store.database import open_store

sys.path.append(str(Path(__file__).parents[1] / "server"))
from served import NDJSON, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Everywhere = Callable[..., list[Any]]

TAKES = 40
OF_THE_CLOCK = ("at", "place", "created", "updated", "deadline", "first_at", "last_at")
ROWS = ("place", "edition ", "evaluation ", "job ", "tune-", "eval-")  # with an age, a path, or a width that they give
PLAN = {"key": "big", "models": ["gpt-6.1-sol"], "candidate": "oracle-large", "provider": "lab"}
ORACLE = ["--model", "oracle-large", "--provider", "lab", "--edition", "e1"]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(latency=0) as running:
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", running.base_url)
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_API_KEY", "lab-secret-key-1234")
        yield running


@pytest.fixture
def server(lab: Lab, tmp_path: Path) -> Iterator[Process]:
    """A server that knows the lab by its own environment."""
    process = Process(tmp_path / "served")
    yield process
    process.end()


@pytest.fixture
def database(tmp_path: Path) -> str:
    open_store(tmp_path / "database.sqlite3").close()
    return f"sqlite:///{tmp_path / 'database.sqlite3'}"


@pytest.fixture
def everywhere(cli: Any, server: Process, database: str, monkeypatch: pytest.MonkeyPatch) -> Everywhere:
    """Run a command on this machine, on a server, and on a database."""
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.key)

    def run(*arguments: str) -> list[Any]:
        places = ((), ("--url", server.url), ("--database-url", database))
        return [cli(*arguments, *place) for place in places]

    return run


def steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: steady(one) for name, one in value.items() if name not in OF_THE_CLOCK}
    return [steady(one) for one in value] if isinstance(value, list) else value


def words(ended: Any) -> list[str]:
    kept = (line for line in ended.out.splitlines() if not line.startswith(ROWS))
    return [re.sub(r"\b\d+[smh]\b", "age", " ".join(line.split())) for line in kept]


def same(told: list[Any], code: int = 0) -> Any:
    """Make sure that all three said the same, and give what the first one did."""
    here = told[0]
    for one in told:
        assert (one.code, one.err) == (code, here.err), (one, here)
        if here.out.startswith(("{\n", "[")):
            assert steady(one.json) == steady(here.json)
        else:
            assert words(one) == words(here)
    return here


def put_calls(home: Any, server: Process, database: str) -> None:
    asked = [{"model": "gpt-6.1-sol", "messages": [{"role": "user", "content": f"question {n}"}]} for n in range(40)]
    said = {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "yes\x1b[2J"}}]}
    lines = [home.call(dataset="d", request=one, response=said) for one in asked]
    home.spool(*lines)
    headers = {**NDJSON, "Authorization": f"Bearer {server.key}"}
    sent = requests.post(f"{server.url}/v1/records", data=b"".join(lines), headers=headers, timeout=90)
    assert sent.json()["new"] == len(lines)
    store = open_store(database)
    assert ingest(store, lines, home.now).new == len(lines)
    store.close()


def put_edition(*homes: Path) -> None:
    chats = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]}
        for text, answer in [*data.rows("test")[:60], *data.rows("train")[::40]]
    ]
    for home in homes:
        folder = home / "editions" / "e1"
        folder.mkdir(parents=True)
        for name, rows in (("heldout", chats[:60]), ("train", chats[60:])):
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        (folder / "manifest.json").write_text("{}", "utf-8")


def test_editions(everywhere: Everywhere, home: Any, server: Process, database: str) -> None:
    """Made of the same calls it is the same edition wherever it is made; shown, downloaded, rewritten, removed."""
    assert "No calls recorded yet." in same(everywhere("dataset", "list")).out
    put_calls(home, server, database)
    edition = same(everywhere("dataset", "build", "d", "--heldout", "20", "--json")).json["id"]
    same(everywhere("dataset", "build", "d", "--heldout", "20"))
    assert [one["id"] for one in same(everywhere("dataset", "list", "--json")).json["editions"]] == [edition]
    same(everywhere("dataset", "list"))
    same(everywhere("dataset", "show", edition[:8], "--json"))
    for part in ("train", "heldout"):
        exported = same(everywhere("dataset", "export", edition, "--part", part)).out
        assert len(exported.splitlines()) > 1
    same(everywhere("dataset", "export", edition, "--dialect", "trl"))
    for refused in (
        ["build", "none"],
        ["build", "d", "--model", "none"],
        ["show", "abc"],
        ["show", "../../etc/passwd"],
        ["export", "abc"],
        ["export", edition, "--dialect", "openai-preference"],
        ["remove", "abc"],
    ):
        assert same(everywhere("dataset", *refused), 1).err
    assert same(everywhere("dataset", "remove", edition, "--json")).json == {"removed": edition}
    assert same(everywhere("dataset", "list", "--json")).json["editions"] == []


def test_jobs(everywhere: Everywhere, home: Any, server: Process) -> None:
    """Started, followed, listed; the same again is there already; what cannot be is one line."""
    assert "No tuning job yet." in same(everywhere("tune", "list")).out
    put_edition(home.path, server.home)
    start = ["tune", "start", "--edition", "e1", "--tuner", "none", "--model", "small", "--examples", "3"]
    job = same(everywhere(*start, "--watch", "--json")).json
    assert (job["state"], job["candidate"]["examples"]["count"]) == ("succeeded", 3)
    assert "That job is there already." in same(everywhere(*start)).out
    for command in (["status", job["id"]], ["watch", job["id"]], ["cancel", job["id"]], ["list"]):
        same(everywhere("tune", *command, "--json"))
        same(everywhere("tune", *command))
    for refused in (
        ["status", "tune-none"],
        ["cancel", "tune-none"],
        ["start", "--edition", "e2", "--tuner", "none", "--model", "m"],
        ["start", "--edition", "../../etc", "--tuner", "none", "--model", "m"],
        ["start", "--edition", "e1", "--model", "m", "--provider", "nobody"],
    ):
        assert same(everywhere("tune", *refused), 1).err


def test_candidates_and_gates(
    everywhere: Everywhere, cli: Any, home: Any, server: Process, database: str, lab: Lab
) -> None:
    """Asked by whoever has the key, reported and gated; the gate stands in each place's own config."""
    assert "No candidate was evaluated yet." in same(everywhere("candidate", "list")).out
    same(everywhere("candidate", "report"), 1)
    put_edition(home.path, server.home)
    told = same(everywhere("candidate", "evaluate", *ORACLE, "--json")).json
    assert (told["state"], told["report"]["rows"]) == ("passed", 60)
    for command in (["report"], ["report", told["id"]], ["list"]):
        same(everywhere("candidate", *command, "--json"))
        same(everywhere("candidate", *command))

    assert "there is no experiment big" in same(everywhere("gate", "choose", "big"), 1).err
    plan = Plan("big", ("gpt-6.1-sol",), "oracle-large", "lab")
    store = open_store(database)
    change_config(store, lambda document: start_in(document, plan, "salt"), why="", now=1)
    store.close()
    start = ["experiment", "start", "big", "--model", "gpt-6.1-sol", "--candidate", "oracle-large", "--provider", "lab"]
    for place in ((), ("--url", server.url)):
        assert cli(*start, "--share", "0", *place).code == 0
    chosen = same(everywhere("gate", "choose", "big", "--agreement", "0.8", "--set", "--json")).json
    same(everywhere("gate", "choose", "big", "--agreement", "0.8"))
    assert "no gate keeps 99.0%" in same(everywhere("gate", "choose", "big", "--agreement", "0.99"), 1).err
    listed = cli("experiment", "list", "--url", server.url, "--json").json
    assert chosen["gate"] in [one["candidate"].get("gate") for one in listed]
    same(everywhere("gate", "off", "big"))
    same(everywhere("gate", "set", "big", "--least", "0.9", "--json"))
    same(everywhere("gate", "off", "none"), 1)

    failed = same(everywhere("candidate", "evaluate", *ORACLE, "--floor", "0.999"), 1)
    assert failed.err == ""
    for refused in (
        ["--job", "tune-none"],
        ["--model", "m", "--edition", "e2"],
        ["--model", "m", "--edition", "e1", "--provider", "nowhere"],
        ["--model", "m", "--edition", "e1", "--compare", "nix"],
    ):
        assert same(everywhere("candidate", "evaluate", *refused), 1).err


def test_what_is_broken_off_is_said_by_all(everywhere: Everywhere, home: Any, server: Process, lab: Lab) -> None:
    """And the same command goes on."""
    put_edition(home.path, server.home)
    lab.faults.add("status", status=404, message="no such model")
    told = same(everywhere("candidate", "evaluate", *ORACLE), 1)
    assert "broken off" in told.err
    lab.faults.clear()
    same(everywhere("candidate", "evaluate", *ORACLE))


def test_autopilots(everywhere: Everywhere, home: Any, server: Process) -> None:
    """Switched alike; at a server and its database nobody but the server flies it."""
    assert "No autopilot yet." in same(everywhere("autopilot", "status")).out
    same(everywhere("autopilot", "on", "d"), 1)
    told = everywhere("autopilot", "notify", "d", "--model", "gpt-6.1-sol", "--base", "tiny-base", "--json")
    told += everywhere("autopilot", "off", "d", "--json")
    assert {one.code for one in told} == {0}
    assert [one.json["mode"] for one in told] == ["notify"] * 3 + ["off"] * 3
    assert len({json.dumps(one.json["policy"], sort_keys=True) for one in told[:3]}) == 1
    assert {one.json[0]["step"] for one in everywhere("autopilot", "history", "d", "--json")} == {"policy"}
    same(everywhere("autopilot", "approve", "none"), 1)


def test_imports(everywhere: Everywhere, tmp_path: Path) -> None:
    """The same counts, and again nothing twice."""
    chat = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    (tmp_path / "chat.jsonl").write_text(json.dumps(chat) + "\nno\n", "utf-8")
    for _ in range(2):
        same(everywhere("import", "chat", str(tmp_path / "chat.jsonl"), "--json"))


def test_at_a_database_a_job_without_its_edition_is_left_to_its_servers(
    cli: Any, home: Any, database: str, lab: Lab, tmp_path: Path
) -> None:
    """Nothing of it is failed from a machine that has not got the files; what is asked for there says where they lie."""
    put_edition(home.path)
    job = cli(
        "tune", "start", "--edition", "e1", "--tuner", "none", "--model", "m", "--database-url", database, "--json"
    )
    elsewhere = ("--home", str(tmp_path / "elsewhere"))
    store = open_store(database)
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE tuning_jobs SET state = 'new', handle = NULL, due = 0")
        connection.exec_driver_sql(
            "INSERT INTO editions (id, dataset, at, place, manifest) VALUES ('e1', 'd', 1, '/srv/logos/editions/e1', '{}')"
        )
    store.close()
    shown = cli(*elsewhere, "tune", "status", job.json["id"], "--database-url", database, "--json")
    assert shown.json["state"] == "new"
    for command in (
        ["tune", "start", "--edition", "e1", "--tuner", "none", "--model", "n"],
        ["candidate", "evaluate", "--edition", "e1", "--model", "n"],
    ):
        refused = cli(*elsewhere, *command, "--database-url", database)
        assert (refused.code, "they lie at /srv/logos/editions/e1" in refused.err) == (1, True), refused


@pytest.mark.parametrize(
    "command",
    [
        ["dataset", "list"],
        ["dataset", "show", "a"],
        ["dataset", "build", "d"],
        ["tune", "list"],
        ["tune", "status", "a"],
        ["candidate", "list"],
        ["candidate", "report"],
        ["candidate", "evaluate", "--model", "m", "--edition", "e"],
        ["gate", "choose", "x"],
    ],
    ids=" ".join,
)
def test_nobody_there_is_one_line(cli: Any, command: list[str]) -> None:
    """And nothing is asked of this machine instead."""
    ended = cli(*command, "--url", "http://127.0.0.1:9")
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "cannot be reached: no connection" in ended.err
