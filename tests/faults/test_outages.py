"""Calls go on while the collector, the config or the disk does not: none raises, none waits, every loss is counted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from fault_programs import LONG, deliver, lines_on_disk, program, run, spooled, texts, wait_for
from fault_servers import away

import logos_shift_openai as ours
from logos_shift_openai import LogosShift

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from fault_servers import Collector, Provider

# Calls for longer than a segment takes to be sealed and sent; says the slowest, and at its end all counts.
CALLS = """
import json
import logos_shift_openai as ours
client = make()
slowest = 0.0
for number in range(200):
    since = time.monotonic()
    ask(client, f"call-{number}")
    slowest = max(slowest, time.monotonic() - since)
    time.sleep(0.006)
say("slowest", slowest)
ours.flush(0.2)
say(json.dumps(ours.stats()))
os._exit(0)
"""

# A call that waited for the collector would wait its five or ten seconds.
NO_WAIT = 4.0


def calls(home: Path, provider: Provider, url: str, **variables: str) -> Mapping[str, Any]:
    """Make two hundred calls of which none waits; give the counts."""
    running = run(CALLS, home, provider, url, **variables)
    assert len(running.made) == 200
    slowest, stats = running.said
    assert float(slowest.split()[1]) < NO_WAIT
    counts: Mapping[str, Any] = json.loads(stats)
    return counts


@pytest.mark.parametrize("fault", ["hang", "down"])
def test_calls_go_on_without_the_collector_and_all_arrive_when_it_is_back(
    fault: str, home: Path, provider: Provider, collector: Collector
) -> None:
    """Hanging or gone, no call waits or raises; the spool keeps all of them for a better day."""
    collector.fault = "hang"
    with away(collector) if fault == "down" else nullcontext():
        counts = calls(home, provider, collector.url)
    assert counts["recorded"] == 200
    assert counts.get("sent", 0) == 0
    assert fault == "hang" or counts["send_failed"] > 0
    collector.fault = None
    deliver(home, collector)
    assert collector.texts() == texts("call", 200)


@pytest.mark.parametrize("fault", ["garbage", 500, 503, 429, 401, 403, 413, 400])
def test_a_collector_that_says_no_costs_no_record_and_no_call(
    fault: str | int, home: Path, provider: Provider, collector: Collector
) -> None:
    """What it will take another day waits, what it will never take is kept for a person; both are counted."""
    shift = LogosShift(url=collector.url)
    with ours.OpenAI(api_key="k", base_url=provider.url + "/v1", logos_shift=shift) as client:
        collector.fault = fault
        for _ in range(20):
            served(client)
        assert shift.flush(LONG) == (fault in (400, 413))
        stats = shift.stats()
        reasons = {401: "unauthorized", 403: "unauthorized", 413: "refused_too_large", 400: "refused_bad_request"}
        assert stats[reasons.get(fault, "send_failed")] == (20 if fault in (400, 413) else 1)  # type: ignore[call-overload]
        assert len(list_of_refused(home)) == (20 if fault in (400, 413) else 0)
        collector.fault = None
        served(client)
        assert shift.flush(LONG)
        assert len(collector.arrived) == (1 if fault in (400, 413) else 21)


def served(client: Any) -> str:
    """Make a call; give the model that answered."""
    answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "call-0"}])
    return str(answer.model)


def list_of_refused(home: Path) -> list[bytes]:
    """Give the lines that are kept for a person."""
    return [line for path in home.glob("spool/*/refused/*") for line in path.read_bytes().splitlines()]


def test_what_the_spool_has_no_room_for_is_counted(home: Path, provider: Provider, collector: Collector) -> None:
    """With 64 kB of spool: what lies on disk and what was dropped are all the calls there were."""
    collector.fault = "hang"
    counts = calls(home, provider, collector.url, LOGOS_SHIFT_SPOOL_BYTES="64k")
    kept = lines_on_disk(home)
    assert 20 < len(kept) < 150
    assert len(kept) + counts["spool_full"] == 200
    assert sum(path.stat().st_size for path in home.glob("spool/*/*/*.ndjson")) <= 64 * 1024


# Disks


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount a small file system on `folder`; skips where that is not allowed."""
    if shutil.which("mount") is None:
        pytest.skip("no mount command")
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("no right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def file_in_its_place(home: Path) -> Iterator[None]:
    """Let the home be a file."""
    home.write_text("a file")
    yield
    assert home.read_text() == "a file"


@contextmanager
def file_for_spool(home: Path) -> Iterator[None]:
    """Let the spool's folder be a file in an honest home."""
    home.mkdir()
    (home / "spool").write_text("a file")
    yield
    assert (home / "spool").read_text() == "a file"


@contextmanager
def read_only(home: Path) -> Iterator[None]:
    """Let the home be a file system that nobody may write."""
    with mounted(home, "-o", "ro"):
        yield


@contextmanager
def full(home: Path) -> Iterator[None]:
    """Let the home be a disk with no room at all."""
    with mounted(home, "-o", "size=16k"):
        (home / "something else").write_bytes(b"x" * 12 * 1024)
        yield


UNWRITABLE = [file_in_its_place, file_for_spool, read_only, full]


@pytest.mark.parametrize("disk", UNWRITABLE)
def test_a_home_that_cannot_be_written_sends_from_memory(
    disk: Callable[[Path], Any], home: Path, provider: Provider, collector: Collector
) -> None:
    """Calls are answered, their records arrive all the same, and the fault is said once."""
    with disk(home):
        code = """
import json, logging
logging.basicConfig(format="%(message)s")
import logos_shift_openai as ours
client = make()
for number in range(40):
    ask(client, f"call-{number}")
    time.sleep(0.01)
ours.flush(20)
say(json.dumps(ours.stats()))
"""
        running = run(code, home, provider, collector)
    assert collector.texts() == texts("call", 40)
    assert json.loads(running.said[0])["spool_unwritable"] >= 1
    assert running.errors.count("cannot be written") == 1


@pytest.mark.parametrize("disk", UNWRITABLE)
def test_a_home_that_cannot_be_written_without_a_server_counts_what_is_lost(
    disk: Callable[[Path], Any], home: Path, provider: Provider
) -> None:
    """With neither disk nor server the records end with the process: it ends well, and says how many it lost."""
    code = """
import atexit, json
atexit.register(lambda: say(json.dumps(ours.stats())))  # before ours, so after ours at the exit
import logos_shift_openai as ours
client = make()
for number in range(40):
    ask(client, f"call-{number}")
sys.exit(3)
"""
    with disk(home), program(code, home, provider) as running:
        assert running.end() == 3
        kept = len(lines_on_disk(home))  # a full disk had room for a few
    assert kept < 20
    assert json.loads(running.said[0])["lost_at_exit"] == 40 - kept
    assert "Traceback" not in running.errors


def test_a_disk_that_fills_up_in_the_middle_loses_nothing(
    home: Path, tmp_path: Path, provider: Provider, collector: Collector
) -> None:
    """With the server away: what is on the small disk and what waits in memory are all the calls there were."""
    code = """
import json
import logos_shift_openai as ours
client = make()
for number in range(300):
    ask(client, f"call-{number}")
ours.flush(0.5)
say("full")
while not os.path.exists(os.environ["GO_ON"]):
    time.sleep(0.01)
ours.flush(20)
say(json.dumps(ours.stats()))
"""
    collector.fault = 500
    go_on = tmp_path / "go on"
    with (
        mounted(home, "-o", "size=128k"),
        program(code, home, provider, collector, GO_ON=str(go_on)) as running,
    ):
        running.wait_for("full")
        assert 20 < len(lines_on_disk(home)) < 250
        collector.fault = None
        go_on.touch()
        assert running.end() == 0, running.errors
        deliver(home, collector)
        assert collector.texts() == texts("call", 300)


@pytest.mark.parametrize("kind", ["missing folder", "no HOME"])
def test_a_home_that_is_missing_is_made(kind: str, home: Path, provider: Provider, tmp_path: Path) -> None:
    """A home that does not exist yet is made with its parents; without a name for it, the platform's own is taken."""
    code = "client = make()\nfor number in range(5):\n    ask(client, f'call-{number}')\n"
    if kind == "missing folder":
        deep = home / "not" / "there" / "yet"
        run(code, deep, provider)
        assert spooled(deep) == texts("call", 5)
        return
    data = tmp_path / "data"
    run(code, home, provider, LOGOS_SHIFT_HOME="", HOME=str(tmp_path / "nobody"), XDG_DATA_HOME=str(data))
    assert spooled(data / "logos_shift") == texts("call", 5)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize("server", [True, False], ids=["server", "embedded"])
def test_a_user_whom_the_system_does_not_know_works_without_a_home(
    server: bool, provider: Provider, collector: Collector, home: Path
) -> None:
    """As in containers that run under any number: no HOME, no entry in the list of users, no folder to write in."""
    code = """
import atexit, json
atexit.register(lambda: say(json.dumps(ours.stats())))  # before ours, so after ours at the exit
import logos_shift_openai as ours
import openai
from logos_shift_openai.client.wire import requests_session
with make(openai.OpenAI) as plain:  # loads what the other user may not be able to read
    plain.chat.completions.create(model="m", messages=[])
make().close()
requests_session().request("GET", os.environ["PROVIDER"])
del os.environ["HOME"], os.environ["XDG_DATA_HOME"]
os.setgroups([])
os.setgid(54321)
os.setuid(54321)
client = make()
for number in range(5):
    ask(client, f"call-{number}")
"""
    running = run(code, home, provider, collector if server else None, LOGOS_SHIFT_HOME="", XDG_DATA_HOME=str(home))
    assert json.loads(running.said[0]).get("lost_at_exit", 0) == (0 if server else 5)
    assert collector.texts() == texts("call", 5 if server else 0)


# Configs


CONFIG = """{"version": %d, "experiments": [{"key": "exp", "match": {"model": ["m"]}, "candidate": {"model": "cheap"},
             "share": 10000, "salt": "salt"}]}"""


def test_a_config_file_that_breaks_while_running_leaves_the_last_good_one(home: Path, provider: Provider) -> None:
    """Broken, a folder, gone, and good again: calls follow the last good document throughout."""
    home.mkdir()
    file = home / "config.json"
    file.write_text(CONFIG % 1)
    shift = LogosShift()
    shift.runtime.source._poll = 0.02  # type: ignore[union-attr]
    with ours.OpenAI(api_key="k", base_url=provider.url + "/v1", logos_shift=shift) as client:
        assert served(client) == "cheap"
        for broken in (
            b'{"version": 2, "experiments": [{"key"',
            b"",
            b"\xff\xfe\x00",
            b"[" * 100_000,
            b'{"version": "x"}',
        ):
            bad = shift.stats().get("config_bad", 0)
            file.write_bytes(broken)
            wait_for(lambda bad=bad: shift.stats().get("config_bad", 0) > bad)
            assert served(client) == "cheap"
        file.unlink()
        wait_for(lambda: shift.stats().get("config_failed", 0) > 0)
        assert served(client) == "cheap"
        failed = shift.stats()["config_failed"]
        file.mkdir()
        wait_for(lambda: shift.stats()["config_failed"] > failed)
        assert served(client) == "cheap"
        file.rmdir()
        file.write_text('{"version": 3}')
        wait_for(lambda: shift.stats()["config_version"] == 3)
        assert served(client) == "m"


@pytest.mark.parametrize("fault", ["down", "hang", "garbage"])
def test_a_config_address_that_is_down_leaves_calls_to_the_baseline(
    fault: str, home: Path, provider: Provider, collector: Collector
) -> None:
    """No call waits for it and none raises; the failure is counted, the records are kept."""
    code = """
import json
import logos_shift_openai as ours
client = make()
answers = {ask(client, f"call-{number}").model for number in range(20)}
end = time.monotonic() + 90
while not ({"config_failed", "config_bad"} & ours.stats().keys()) and os.environ["FAULT"] != "hang":
    assert time.monotonic() < end
    time.sleep(0.01)
say(*answers)
"""
    collector.fault = None if fault == "garbage" else fault
    collector.config = b"<html>" if fault == "garbage" else None
    url = "http://127.0.0.1:9/config.json" if fault == "down" else f"{collector.url}/config.json"
    running = run(code, home, provider, LOGOS_SHIFT_CONFIG=url, FAULT=fault)
    assert running.said == ["m"]
    assert spooled(home) == texts("call", 20)


def test_a_config_server_that_went_down_is_remembered_by_the_next_process(
    home: Path, provider: Provider, collector: Collector
) -> None:
    """The last good document is kept on disk and in force from the first call on."""
    code = """
import logos_shift_openai as ours
client = make()
ask(client, "call-0")
end = time.monotonic() + 90
while ours.stats()["config_version"] is None:
    assert time.monotonic() < end
    time.sleep(0.01)
say(ask(client, "call-1").model)
"""
    collector.config = (CONFIG % 4).encode()
    assert run(code, home, provider, collector).said == ["cheap"]
    with away(collector):
        running = run("say(ask(make(), 'call-2').model)", home, provider, collector)
    assert running.said == ["cheap"]


def test_bad_settings_are_said_where_the_client_is_made(home: Path, provider: Provider) -> None:
    """The error names the variable and what it takes, before any call."""
    code = """
from logos_shift_openai import SettingsError
for name, value in {"URL": "collector", "SAMPLE_RATE": "2", "ENABLED": "perhaps", "SPOOL_BYTES": "much",
                    "FORCE_VARIANT": "both", "REDACT": "nothing-known", "PROVIDER_LAB_API_KEY": "key"}.items():
    os.environ["LOGOS_SHIFT_" + name] = value
    try:
        make()
    except SettingsError as error:
        assert "LOGOS_SHIFT_" + name.replace("API_KEY", "") in str(error), error
        say(name)
    del os.environ["LOGOS_SHIFT_" + name]
make()
"""
    running = run(code, home, provider)
    assert len(running.said) == 7


if sys.platform == "win32":
    pytestmark = pytest.mark.skip(reason="POSIX mounts and signals")
