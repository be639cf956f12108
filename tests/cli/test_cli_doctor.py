"""`logos-shift doctor`: every mistake is found and its cure said."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.cli import checks
from logos_shift_openai.cli.checks import machine
from logos_shift_openai.cli.session import Place
from logos_shift_openai.server.file_lock import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).parents[2]


def findings(ended: Any) -> dict[str, list[tuple[str, str, str]]]:
    found: dict[str, list[tuple[str, str, str]]] = {}
    for one in ended.json["findings"]:
        found.setdefault(one["check"], []).append((one["level"], one["what"], one["cure"]))
    return found


@pytest.fixture(autouse=True)
def _quiet_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key, an empty project, and no other home of the developer's."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")


class _Server(BaseHTTPRequestHandler):
    status = 200
    document = b'{"version": 1}'
    keys: list[str | None]

    def do_GET(self) -> None:
        self.keys.append(self.headers.get("Authorization"))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.document)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    """A server that answers what the test wants."""
    handler = type("_OneServer", (_Server,), {"keys": []})
    http = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    handler.url = f"http://127.0.0.1:{http.server_port}"  # type: ignore[attr-defined]
    yield handler
    http.shutdown()
    thread.join()
    http.server_close()


def test_all_is_well(cli: Any, home: Any) -> None:
    """Exit code 0 and no cure where there is nothing to cure."""
    home.spool(home.call())
    ended = cli("doctor")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "All is well.")
    found = cli("doctor", "--json").json
    assert found["broken"] == 0
    assert {one["level"] for one in found["findings"]} == {"ok"}


def test_a_home_that_is_not_there_is_no_fault_and_not_made(cli: Any, home: Any) -> None:
    """It comes with the first record."""
    missing = home.path / "new" / "home"
    ended = cli("--home", str(missing), "doctor", "--json")
    assert ended.code == 0
    assert findings(ended)["home"] == [("ok", f"{missing} is not there yet", "it is made with the first record")]
    assert not missing.parent.exists()


def test_a_home_that_is_a_file(cli: Any, home: Any) -> None:
    """It says which path is in the way."""
    (home.path / "file").write_text("x")
    ended = cli("--home", str(home.path / "file" / "home"), "doctor", "--json")
    assert ended.code == 1
    ((level, what, cure),) = findings(ended)["home"]
    assert (level, "is a file" in what, "LOGOS_SHIFT_HOME" in cure) == ("broken", True, True)


def test_a_full_disk(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room is looked at before it runs out."""
    monkeypatch.setattr(machine, "_FREE_BYTES", 2**62)
    ended = cli("doctor", "--json")
    assert ended.code == 1
    assert "nearly full" in findings(ended)["home"][0][1]


def test_a_store_that_is_none(cli: Any, home: Any) -> None:
    """The file is named, and the other checks go on."""
    (home.path / "store.sqlite3").write_bytes(b"no database at all" * 100)
    ended = cli("doctor", "--json")
    assert ended.code == 1
    assert "file is not a database" in findings(ended)["store"][0][1]
    assert "packages" in findings(ended)


def test_refused_lines_and_strange_folders(cli: Any, home: Any) -> None:
    """Their number and parts, where they lie, and what could not be removed."""
    home.spool(b"bad\n", b'{"v":7}\n')
    strange = home.path / "spool" / "local" / "9-strange"
    strange.mkdir()
    (strange / "000001.ndjson").write_bytes(home.call())
    (strange / "other.bin").write_bytes(b"x")
    ended = cli("doctor", "--json")
    found = findings(ended)
    assert found["refused"][0][:2] == ("warning", "2 lines refused so far, by part: not JSON 1, v 1")
    assert str(home.path / "spool" / "local" / "refused") in found["refused"][0][2]
    assert "other.bin" in found["spool"][0][1]


@pytest.mark.parametrize(
    ("variable", "value", "check", "level", "said"),
    [
        ("LOGOS_SHIFT_SAMPLE_RATE", "often", "settings", "broken", "LOGOS_SHIFT_SAMPLE_RATE: 'often' is not"),
        (
            "LOGOS_SHIFT_PROVIDER_LAB_API_KEY",
            "k",
            "settings",
            "broken",
            "LOGOS_SHIFT_PROVIDER_LAB_BASE_URL: missing",
        ),
        ("LOGOS_SHIFT_ENABLED", "off", "settings", "warning", "LOGOS_SHIFT_ENABLED is off"),
        ("LOGOS_SHIFT_ROUTING", "0", "settings", "warning", "every call goes to its baseline"),
        ("LOGOS_SHIFT_LOGGING", "No", "settings", "warning", "nothing is recorded"),
        ("LOGOS_SHIFT_FORCE_VARIANT", "candidate", "settings", "warning", "LOGOS_SHIFT_FORCE_VARIANT is set"),
        ("OPENAI_API_KEY", "", "key", "warning", "OPENAI_API_KEY is not set here"),
        (
            "LOGOS_SHIFT_CONFIG",
            "/nowhere/c.json",
            "config",
            "broken",
            "/nowhere/c.json: there is no such file",
        ),
    ],
)
def test_settings(
    cli: Any, monkeypatch: pytest.MonkeyPatch, *, variable: str, value: str, check: str, level: str, said: str
) -> None:
    """Each is found by its variable; only what does not work is an exit code of 1."""
    monkeypatch.setenv(variable, value)
    ended = cli("doctor", "--json")
    assert ended.code == (1 if level == "broken" else 0)
    assert any(one[0] == level and said in one[1] and one[2] for one in findings(ended)[check])


def _experiment(key: str, **parts: Any) -> dict[str, Any]:
    return {
        "key": key,
        "dataset": "sales",
        "match": {"model": ["gpt-*"]},
        "candidate": {"model": "tiny", "provider": "lab"},
        "share": 500,
        "salt": "s",
        **parts,
    }


def test_config_and_experiments(cli: Any, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider nobody here names, a share of nothing, an experiment in the shadow of another, and a broken file."""
    path = home.path / "config.json"
    shadow = _experiment("late", share=0, candidate={"model": "t"})
    path.write_text(json.dumps({"version": 4, "experiments": [_experiment("x"), shadow]}))
    said = findings(cli("doctor", "--json"))["experiment"]
    assert [one[0] for one in said] == ["broken", "warning", "broken"]
    assert "set LOGOS_SHIFT_PROVIDER_LAB_BASE_URL" in said[0][2]
    assert "logos-shift experiment share late 5" in said[1][2]
    assert "late never gets a call: x (running) stands before it" in said[2][1]
    monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", "http://127.0.0.1:1/v1")
    path.write_text(json.dumps({"version": 4, "experiments": [_experiment("x")]}))
    assert cli("doctor").code == 0
    path.write_text(json.dumps({"version": 4, "experiments": [_experiment("x", share=12_000)]}))
    ended = cli("doctor", "--json")
    assert ended.code == 1
    assert f"{path}: experiments[0].share: 12000" in findings(ended)["config"][0][1]


def test_a_server_that_answers(cli: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is sent, its config is judged, and the embedded one is not looked at."""
    monkeypatch.setenv("LOGOS_SHIFT_URL", server.url)
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", "ls_key")
    ended = cli("doctor", "--json")
    assert ended.code == 0
    assert set(server.keys) == {"Bearer ls_key"}
    assert findings(ended)["server"] == [("ok", f"{server.url} answers", "")]
    server.document = b'{"version": -1}'
    assert "version: -1" in findings(cli("doctor", "--json"))["config"][0][1]


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "does not accept the key"), (403, "may not write records"), (404, "answers 404"), (302, "answers 302")],
)
def test_a_server_that_does_not(cli: Any, server: Any, monkeypatch: pytest.MonkeyPatch, status: int, said: str) -> None:
    """A wrong key, a wrong address."""
    server.status = status
    monkeypatch.setenv("LOGOS_SHIFT_URL", server.url)
    ended = cli("doctor", "--json")
    assert ended.code == 1
    assert said in findings(ended)["server"][0][1]
    assert "LOGOS_SHIFT_API_KEY is not set here" in findings(ended)["key"][0][1]


def test_records_that_wait_for_a_server_nobody_reaches(cli: Any, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many, for whom, and which folders were left by processes that ended."""
    url = "http://127.0.0.1:9"
    monkeypatch.setenv("LOGOS_SHIFT_URL", url)
    mine = home.path / "spool" / hashlib.sha256(url.encode()).hexdigest()[:16]
    for destination, owners in ((mine, 2), (home.path / "spool" / ("0" * 16), 1)):
        for owner in range(owners):
            (destination / f"{owner}-x").mkdir(parents=True)
            (destination / f"{owner}-x" / "000001.ndjson").write_bytes(home.call() * 3)
    with try_lock(mine / "0-x" / "lock"):
        ended = cli("doctor", "--json")
    found = findings(ended)
    assert ended.code == 1
    assert "does not answer" in found["server"][0][1]
    other, own = found["spool"]
    assert (other[0], "3 records" in other[1], "not set here" in other[1]) == ("warning", True, True)
    assert own[1].startswith("6 records (")
    assert own[1].endswith(f"wait for {url}; 1 of 2 folders have no process")


def test_a_check_that_stumbles_is_a_finding(home: Any) -> None:
    """The others go on."""

    def stumbling(_on: checks.Machine) -> Any:
        raise RuntimeError("oh")

    on = checks.Machine(Place(home.path), {}, home.now)
    found = checks.run_checks(on, (stumbling, machine.home))
    assert [(one.check, one.level) for one in found] == [("stumbling", "broken"), ("home", "ok")]
    assert found[0].what == "cannot be checked: RuntimeError: oh"


@pytest.mark.parametrize(
    ("version", "level"), [("1.65.9", "broken"), ("1.66.0", "ok"), ("3.54.0", "ok"), ("4.0.0", "broken")]
)
def test_the_version_of_the_sdk(cli: Any, monkeypatch: pytest.MonkeyPatch, version: str, level: str) -> None:
    """Floor and ceiling are those of the distribution."""
    monkeypatch.setattr(machine.metadata, "version", lambda _name: version)
    assert findings(cli("doctor", "--json"))["packages"][0][0] == level


def test_the_page_tells_of_every_check() -> None:
    """The names in its table are those of the findings."""
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    sources = (ROOT / "logos_shift_openai" / "cli" / "checks").glob("*.py")
    named = {name for path in sources for name in re.findall(r'Finding\(\s*"(\w+)"', path.read_text(encoding="utf-8"))}
    assert set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE)) == named
