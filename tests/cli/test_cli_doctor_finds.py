"""`logos-shift doctor` over real records, sources, servers and providers: each mistake by its name, none without one."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from logos_shift_openai.cli.checks import server as checked
from logos_shift_openai.cli.checks.sources import plain_clients
from logos_shift_openai.core.records import Attempt, CallError, Unit
from logos_shift_openai.lab import Lab
from logos_shift_openai.version import __version__

sys.path.append(str(Path(__file__).parents[1] / "server"))
from served import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = ["experiment", "start", "x", "--model", "gpt-*", "--candidate", "tiny", "--dataset", "sales", "--share", "50"]
DAY = 86_400_000
Findings = dict[str, tuple[str, str, str]]


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty project to stand in, a key, and no other home of the developer's."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return folder


@pytest.fixture
def look(cli: Any) -> Callable[..., Findings]:
    """Run the doctor and give its findings that are not ok, by their check."""

    def run(*arguments: str) -> Findings:
        ended = cli("doctor", "--json", *arguments)
        found = ended.json["findings"]
        assert ended.code == any(one["level"] == "broken" for one in found)
        assert all(one["cure"] for one in found if one["level"] != "ok")
        return {one["check"]: (one["level"], one["what"], one["cure"]) for one in found if one["level"] != "ok"}

    return run


def drawn(home: Any, number: int, *, variant: str = "candidate", kind: str = "user", **parts: Any) -> bytes:
    """A call of the experiment x."""
    given = {"served": variant, "dataset": "sales", "experiment": "x", "assigned": variant, "share": 5000, "bucket": 7}
    return home.call(unit=Unit(kind, f"u{number}"), **{**given, **parts})


@pytest.mark.parametrize(
    ("source", "ours", "lines"),
    [
        ("from openai import OpenAI", False, [1]),
        ("import openai\n\nclient = openai.AsyncOpenAI()", False, [3]),
        ("from openai import APIError\nfrom openai.types import Model", False, []),
        ("from logos_shift_openai import OpenAI", True, []),
        ("def late():\n    from openai import AzureOpenAI as A\n    import logos_shift_openai", True, [2]),
        ("from .openai import OpenAI", False, []),
    ],
)
def test_a_client_of_the_plain_sdk_is_known_by_its_import(source: str, *, ours: bool, lines: list[int]) -> None:
    """Other names of the SDK are no client, and a module of the program's own is not the SDK."""
    assert plain_clients(source) == (ours, lines)


def test_an_import_that_was_not_swapped(look: Any, project: Path) -> None:
    """Named with its line; tests, environments, files of both and files that are no Python are passed over."""
    plain = "from openai import OpenAI\n"
    for name, text in {
        "app/main.py": "import os\n" + plain,
        "both.py": plain + "import logos_shift_openai\n",
        "broken.py": plain + "def (:\n",
        "tests/tools.py": plain,
        "test_app.py": plain,
        ".venv/x.py": plain,
        "env/lib/x.py": plain,
        "env/pyvenv.cfg": "",
    }.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    assert look()["import"] == (
        "warning",
        "the plain OpenAI client in app/main.py:2: its calls are not recorded",
        "from logos_shift_openai import OpenAI, in the place of: from openai import OpenAI",
    )
    assert "tools.py:1" in look("--project", str(project / "tests"))["import"][1]  # asked for by its name
    (project / "app" / "main.py").write_text("from logos_shift_openai import OpenAI\n")
    assert "import" not in look()


def test_records_in_two_homes(look: Any, home: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home of programs that do not have the variable, and the one of the variable where another is asked for."""
    other = tmp_path / "data" / "logos_shift"
    other.mkdir(parents=True)
    assert look() == {}
    (other / "spool").mkdir()
    level, what, cure = look()["homes"]
    assert (level, str(other) in what) == ("warning", True)
    assert f"logos-shift --home {other} doctor" in cure
    monkeypatch.delenv("LOGOS_SHIFT_HOME")
    assert "homes" not in look()


def test_a_silence_after_busy_days(look: Any, home: Any) -> None:
    """Not where there were few calls before it, nor within a day."""
    home.spool(*(home.call(at=home.now - 2 * DAY - number) for number in range(20)))
    assert look()["silence"][:2] == ("warning", "no call for 2d, after 20 in the seven days before")
    home.spool(home.call())
    assert look() == {}


def test_a_match_that_never_matched(look: Any, cli: Any, home: Any) -> None:
    """By the dataset or by the model; where an experiment matches there is nothing to say."""
    assert cli(*START).code == 0
    home.spool(*(home.call() for _ in range(20)))
    assert look()["match"] == (
        "warning",
        "experiment x: none of the latest 20 calls is of the dataset sales; they are of default",
        'name the dataset in the program: LogosShift(dataset="sales")',
    )
    home.spool(*(home.call(dataset="sales", requested_model="o9") for _ in range(3)))
    assert "is of a model like gpt-*; they are of o9" in look()["match"][1]
    home.spool(home.call(dataset="sales"))
    assert "match" not in look()


def test_calls_without_a_user(look: Any, cli: Any, home: Any) -> None:
    """An experiment of users whose calls are mostly drawn one by one; one of calls is as it must be."""
    assert cli(*START).code == 0
    home.spool(*(drawn(home, number, kind="call" if number < 15 else "user") for number in range(20)))
    assert look()["units"] == (
        "warning",
        "experiment x: 15 of the latest 20 calls name no user, so that each is drawn by itself",
        'with context(user_id="..."): around the calls',
    )
    assert cli("experiment", "stop", "x").code == 0
    assert "units" not in look()


def test_a_candidate_that_does_not_answer(look: Any, cli: Any, home: Any) -> None:
    """Fallbacks with their last fault, then the breaker that kept calls away."""
    assert cli(*START).code == 0
    fault = CallError("NotFoundError", 404, None, "no model tiny\x1b[2J")
    tries = (Attempt("candidate", "tiny", None, False, 3.0, fault), Attempt("baseline", "gpt-6.1-sol", None, True, 9.0))
    home.spool(*(drawn(home, number) for number in range(10)))
    home.spool(*(drawn(home, number, served="baseline", attempts=tries) for number in range(10, 15)))
    level, what, cure = look()["fallbacks"]
    assert (level, what[:72]) == ("warning", "experiment x: the baseline answered 5 of the candidate's latest 15 calls")
    assert "NotFoundError 404 no model tiny" in what
    assert cure.startswith("logos-shift calls show ")
    why = "user bucket 7 is below the share 5000; the breaker of the candidate is open"
    home.spool(*(drawn(home, number, served="baseline", why=why) for number in range(20, 25)))
    assert "kept 5 of the candidate's latest 20 calls away" in look()["breaker"][1]
    shown = cli("doctor")
    assert (shown.code, "\x1b[2J" in shown.out) == (1, False)


def test_a_program_with_another_version_or_an_older_config(look: Any, cli: Any, home: Any) -> None:
    """Both are read off the latest calls."""
    assert cli(*START).code == 0
    assert cli("experiment", "share", "x", "10").code == 0
    config = home.path / "config.json"
    old = (home.now - 10 * 60_000) / 1000
    os.utime(config, (old, old))
    sdk = "openai/3.0.0 logos_shift_openai/"
    home.spool(drawn(home, 1, sdk=sdk + __version__, config_version=2))
    assert look() == {}
    home.spool(drawn(home, 2, sdk=sdk + "0.0.1", config_version=1))
    found = look()
    assert found["versions"][1] == f"calls were recorded by logos_shift_openai 0.0.1; here is {__version__}"
    assert found["stale"][1] == "the latest call went by version 1 of the config, which is at version 2 by now"


def test_a_rollout_without_feedback(look: Any, cli: Any, home: Any) -> None:
    """It is about success, and nobody says how it went."""
    assert cli("rollout", "start", "x", "--model", "gpt-*", "--candidate", "tiny", "--unit", "call").code == 0
    at = home.now + 60_000
    assert "rollout" not in look()
    units = [Unit("call", f"c{number}") for number in range(60)]
    parts = {"experiment": "x", "assigned": "baseline", "served": "baseline", "share": 100, "bucket": 500}
    home.spool(*(home.call(id=one.id, at=at, unit=one, **parts) for one in units))
    assert cli("rollout", "status", "x").code == 0
    level, what, cure = look()["rollout"]
    assert (level, what) == ("warning", "rollout x: no feedback came for 60 units, and it is about success")
    assert "provide_feedback" in cure


def test_a_key_without_an_address(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records would stay here, which is not what the key is for."""
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", "ls_ingest_0")
    assert "records stay on this machine" in look()["server"][1]


def test_records_that_wait_for_long(look: Any, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where their process lives; a server away has said so itself."""
    monkeypatch.setenv("LOGOS_SHIFT_URL", "http://127.0.0.1:9")
    folder = home.path / "spool" / sha256(b"http://127.0.0.1:9").hexdigest()[:16] / "1-x"
    folder.mkdir(parents=True)
    (folder / "000001.ndjson").write_bytes(home.call())
    os.utime(folder / "000001.ndjson", (home.now / 1000 - 7_300, home.now / 1000 - 7_300))
    found = look()
    assert "the oldest of 2h ago, wait for http://127.0.0.1:9" in found["spool"][1]
    assert found["server"][1].endswith("and there is no config: every call goes to its baseline")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "served")
    yield process
    process.end()


def test_the_scope_of_a_key_and_the_clock(
    look: Any, cli: Any, server: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real server: its admin key is good, a read key writes nothing, another server's is none."""
    monkeypatch.setenv("LOGOS_SHIFT_URL", server.url)
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.key)
    assert look() == {}
    assert cli("rollout", "start", "x", "--model", "a*", "--candidate", "tiny").code == 0
    database = f"sqlite:///{tmp_path / 'served' / 'store.sqlite3'}"
    read = cli("keys", "create", "read", "--json", "--database-url", database).json["key"]
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", read)
    assert look()["server"][:2] == ("broken", f"{server.url} knows the key, but it may not write records (403)")
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", read[:-3] + "000")
    assert look()["server"][:2] == ("broken", f"{server.url} does not accept the key (401)")
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.key)
    monkeypatch.setattr(checked, "now_ms", lambda: 4_000_000_000_000)
    level, what, _cure = look()["clock"]
    assert (level, "ahead of the server's" in what) == ("warning", True)


def test_models_are_asked_for_only_online(look: Any, cli: Any, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real provider: a model it does not have, one that ends soon, one that has ended, and a provider that is away."""
    today = datetime.fromtimestamp(home.now / 1000, tz=timezone.utc).date()
    start = ["experiment", "start", "x", "--model", "oracle-large", "--candidate", "tiny-base", "--provider", "lab"]
    with Lab() as lab:
        monkeypatch.setenv("OPENAI_BASE_URL", lab.base_url)
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", lab.base_url)
        assert cli(*start, "--share", "5").code == 0
        assert look("--online") == {}
        lab.set_shutdown_date("oracle-large", today + timedelta(days=30))
        assert look() == {}
        assert look("--online")["models"][:2] == (
            "warning",
            f"the model oracle-large is switched off on {today + timedelta(days=30)} by {lab.base_url}",
        )
        lab.set_shutdown_date("oracle-large", today - timedelta(days=2))
        assert look("--online")["models"][0] == "broken"
        lab.set_shutdown_date("oracle-large", None)
        assert cli("experiment", "stop", "x").code == 0
        assert cli(*start[:6], "gone", *start[7:], "--share", "5").code == 0
        assert "does not list the model gone" in look("--online")["models"][1]
    assert "does not list its models" in look("--online")["models"][1]


def test_losses_and_a_config_that_is_not_confirmed_are_found(home: Any, look: Callable[..., Findings]) -> None:
    """From what the processes said of themselves in the home folder."""
    folder = home.path / "clients"
    folder.mkdir(parents=True)
    report = {"process": "a" * 32, "sequence": 1, "version": "0.1.0", "counts": {"recorded": 7, "queue_full": 3}}
    (folder / "a.json").write_text(json.dumps(report))
    late = {"process": "b" * 32, "counts": {"recorded": 1}, "config": {"version": 2, "age": 500, "poll": 30}}
    (folder / "b.json").write_text(json.dumps({**report, **late}))
    found = look()
    assert found["losses"][:2] == (
        "warning",
        "clients lost 3 records in seven days: queue_full 3 (dropped because the queue in memory was full)",
    )
    assert "process bbbbbbbb" in found["clients"][1]
    assert "500 s" in found["clients"][1]


def test_losses_at_a_server_are_found_where_the_key_may_read(
    server: Process, monkeypatch: pytest.MonkeyPatch, look: Callable[..., Findings]
) -> None:
    """An ingest key may not, and nothing is said."""
    monkeypatch.setenv("LOGOS_SHIFT_URL", server.url)
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.key)
    report = {"process": "a" * 32, "sequence": 1, "counts": {"recorded": 7, "memory_full": 2}}
    bearer = {"Authorization": f"Bearer {server.key}"}
    assert requests.post(f"{server.url}/v1/clients", json=report, headers=bearer, timeout=90).json() == {"taken": True}
    assert "memory_full 2" in look()["losses"][1]
    asked = {"scope": "ingest"}
    made = requests.post(f"{server.url}/v1/keys", json=asked, headers=bearer, timeout=90).json()
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", made["key"])
    assert "losses" not in look()
