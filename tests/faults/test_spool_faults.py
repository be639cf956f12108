"""The spool, the recorder and the uploader under faults that only real processes have.

Each program below is a process of its own; what it leaves on disk is delivered by the next one to a real HTTP server.
"""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fault_programs import OLD

import logos_shift_openai
from logos_shift_openai.client.counters import Counters
from logos_shift_openai.client.file_lock import folders_in, segments_in
from logos_shift_openai.client.recorder import Recorder
from logos_shift_openai.client.refused_files import REFUSED
from logos_shift_openai.client.segments import lines_of
from logos_shift_openai.client.spool import Spool
from logos_shift_openai.client.uploader import Uploader
from logos_shift_openai.client.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals, forks and mounts")

ROOT = Path(logos_shift_openai.__file__).parents[1]
DESTINATION = "d"
LONG = 90.0

# What every program begins with: the parts as a client puts them together. Arguments: home, url.
PARTS = """
import json, os, sys, threading, time
from pathlib import Path
from logos_shift_openai.client.counters import Counters
from logos_shift_openai.client.recorder import Recorder
from logos_shift_openai.client.spool import Spool
from logos_shift_openai.client.uploader import Uploader
from logos_shift_openai.client.wire import Wire

home, url = Path(sys.argv[1]), sys.argv[2]
counters = Counters()
spool = Spool(home, "d", counters)

def line(name, size=0):
    return json.dumps({"v": 1, "id": str(name), "x": "x" * size}, separators=(",", ":")).encode() + b"\\n"

def say(*what):
    os.write(1, (" ".join(map(str, what)) + "\\n").encode())
"""

DELIVER = """
uploader = Uploader(spool, Wire(url, None), counters)
uploader.start()
say("left nothing" if uploader.flush(time.monotonic() + 30.0) else "left something")
spool.close()
say(json.dumps(counters.snapshot()))
"""


class Collector:
    """A small server: takes each id once, and can misbehave. It counts every line that arrives."""

    def __init__(self) -> None:
        self.url = ""
        self.arrived: Counter[str] = Counter()
        self.posts = 0
        self.statuses: list[int] = []
        self.retry_after: str | None = None
        self.limit = 10**9
        self.lock = threading.Lock()

    def take(self, body: bytes) -> tuple[int, bytes]:
        with self.lock:
            self.posts += 1
            if self.statuses:
                return self.statuses.pop(0), b"{}"
            if len(body) > self.limit:
                return 413, b"{}"
            ids = ids_of(body)
            new = [one for one in ids if one not in self.arrived]
            self.arrived.update(ids)
            return 200, json.dumps({"new": len(new), "seen": len(ids) - len(new), "refused": []}).encode()


@pytest.fixture
def collector() -> Iterator[Collector]:
    state = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, answer = state.take(gzip.decompress(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            if state.retry_after is not None and status != 200:
                self.send_header("Retry-After", state.retry_after)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # clients that are killed hang up early

    with Quiet(("127.0.0.1", 0), Handler) as httpd:
        state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()


@contextlib.contextmanager
def program(code: str, home: Path, url: str = "") -> Iterator[subprocess.Popen[str]]:
    """Run PARTS and `code` in a process; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARTS + textwrap.dedent(code), str(home), url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore::DeprecationWarning"},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run(code: str, home: Path, url: str = "") -> list[str]:
    """Run a program to its good end; return the lines it said."""
    with program(code, home, url) as process:
        out, err = process.communicate(timeout=LONG)
    assert process.returncode == 0, err
    return out.splitlines()


def deliver(home: Path, url: str) -> dict[str, int]:
    """Let the next process deliver what the last one left; return its counts."""
    said, counts = run(DELIVER, home, url)
    assert said == "left nothing"
    return dict(json.loads(counts))


def line(name: object, size: int = 0) -> bytes:
    return json.dumps({"v": 1, "id": str(name), "x": "x" * size}, separators=(",", ":")).encode() + b"\n"


def ids_of(data: bytes) -> list[str]:
    return [json.loads(one)["id"] for one in lines_of(data)]


def on_disk(home: Path) -> list[bytes]:
    """Return the whole lines that wait, and check that half a line stands only at the end of a segment."""
    found: list[bytes] = []
    for folder in folders_in(home / "spool" / DESTINATION):
        if folder.name != REFUSED:
            for path in segments_in(folder):
                data = path.read_bytes()
                found += lines_of(data[: data.rfind(b"\n") + 1])
    for one in found:
        json.loads(one)
    return found


# Killed


def test_killed_while_writing_delivers_each_whole_line_exactly_once(tmp_path: Path, collector: Collector) -> None:
    """SIGKILL in the middle of appending: all that was acknowledged arrives with the next process, once."""
    endless = """
    number = 0
    while True:
        spool.append([line(number + k, 900) for k in range(50)])
        number += 50
        say(number)
    """
    with program(endless, tmp_path) as process:
        assert process.stdout is not None
        acknowledged = 0
        while acknowledged < 5_000:
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=LONG)
        acknowledged = max([acknowledged, *map(int, rest.split())])
    [folder] = folders_in(tmp_path / "spool" / DESTINATION)
    whole = {one["id"] for one in map(json.loads, on_disk(tmp_path))}
    with segments_in(folder)[-1].open("ab") as last:
        last.write(line("torn")[:-3])
    assert {str(number) for number in range(acknowledged)} <= whole

    counts = deliver(tmp_path, collector.url)
    assert set(collector.arrived) == whole
    assert set(collector.arrived.values()) == {1}
    assert counts["torn_lines"] == 1
    assert counts["sent"] == len(whole)
    assert folders_in(tmp_path / "spool" / DESTINATION) == []


def test_killed_in_traffic_loses_nothing_older_than_a_quarter_of_a_second(tmp_path: Path, collector: Collector) -> None:
    """SIGKILL while records come: what was of age is delivered by the next process."""
    traffic = """
    recorder = Recorder(line, spool, counters)
    for number in range(100_000):
        recorder.put(number, 50)
        say(number, time.monotonic())
        time.sleep(0.002)
    """
    with program(traffic, tmp_path) as process:
        assert process.stdout is not None
        puts: list[tuple[str, float]] = []
        while len(puts) < 400 or puts[-1][1] < puts[0][1] + OLD * 2:
            number, at = process.stdout.readline().split()
            puts.append((number, float(at)))
        killed = time.monotonic()
        process.send_signal(signal.SIGKILL)
    deliver(tmp_path, collector.url)
    old = {number for number, at in puts if at < killed - OLD}
    assert old
    assert old <= set(collector.arrived)
    assert set(collector.arrived.values()) == {1}


def test_killed_between_the_servers_yes_and_the_deletion_counts_each_record_once(
    tmp_path: Path, collector: Collector
) -> None:
    """The next process sends again what the server has, and the ids make one of two."""
    dies = """
    import signal
    spool.append([line(number) for number in range(100)])
    spool.done = lambda segment: os.kill(os.getpid(), signal.SIGKILL)
    Uploader(spool, Wire(url, None), counters).flush(time.monotonic() + 30.0)
    """
    with program(dies, tmp_path, collector.url) as process:
        process.communicate(timeout=LONG)
    assert process.returncode == -signal.SIGKILL
    assert deliver(tmp_path, collector.url) == {"adopted": 1, "sent": 0, "seen": 100}
    assert len(collector.arrived) == 100


def test_many_processes_started_at_once_share_what_was_left(tmp_path: Path, collector: Collector) -> None:
    """Four workers start after a crash: every orphan is delivered, none twice."""
    for number in range(12):
        spool = Spool(tmp_path, DESTINATION, Counters())
        spool.append([line(f"{number}-{k}") for k in range(20)])
        spool.close()
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(program(DELIVER, tmp_path, collector.url)) for _ in range(4)]
        for worker in workers:
            _, err = worker.communicate(timeout=LONG)
            assert worker.returncode == 0, err
    assert len(collector.arrived) == 240
    assert set(collector.arrived.values()) == {1}


# Forked


def test_a_fork_loses_and_doubles_nothing(tmp_path: Path, collector: Collector) -> None:
    """Records before, and after in parent and child, the queue full at the fork: each arrives once."""
    forks = """
    recorder = Recorder(line, spool, counters)
    for number in range(500):
        recorder.put(f"before-{number}", 50)
    child = os.fork()
    side = "parent" if child else "child"
    for number in range(500):
        recorder.put(f"{side}-{number}", 50)
    assert recorder.flush(80.0)
    assert counters.snapshot()["recorded"] == (1000 if child else 500), counters.snapshot()
    spool.close()
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    """
    run(forks, tmp_path)
    assert len(folders_in(tmp_path / "spool" / DESTINATION)) == 2
    deliver(tmp_path, collector.url)
    wanted = {f"{side}-{number}" for side in ("before", "parent", "child") for number in range(500)}
    assert set(collector.arrived) == wanted
    assert set(collector.arrived.values()) == {1}


def test_a_fork_in_the_middle_of_everything_does_not_hang_the_child(tmp_path: Path, collector: Collector) -> None:
    """Threads put and the uploader sends while the parent forks twenty times: every child works, every record arrives."""
    forks = """
    recorder = Recorder(line, spool, counters, period=0.001)
    uploader = Uploader(spool, Wire(url, None), counters, seal_after=0.0)
    done = threading.Event()

    def traffic(name):
        for number in range(400):
            recorder.put(f"{name}-{number}", 50)
            time.sleep(0.001)

    threads = [threading.Thread(target=traffic, args=(f"thread{k}",)) for k in range(2)]
    for thread in threads:
        thread.start()
    children = []
    for number in range(20):
        child = os.fork()
        if child == 0:
            recorder.put(f"child-{number}", 50)
            ok = recorder.flush(20.0) and uploader.flush(time.monotonic() + 20.0)
            spool.close()
            os._exit(0 if ok else 9)
        children.append(child)
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    states = [os.waitpid(child, 0)[1] for child in children]
    assert states == [0] * 20, states
    assert recorder.flush(20.0) and uploader.flush(time.monotonic() + 20.0), counters.snapshot()
    spool.close()
    """
    run(forks, tmp_path, collector.url)
    wanted = {f"thread{k}-{number}" for k in range(2) for number in range(400)}
    assert set(collector.arrived) == wanted | {f"child-{number}" for number in range(20)}
    assert set(collector.arrived.values()) == {1}


def test_a_killed_parent_whose_child_lives_is_an_orphan(tmp_path: Path, collector: Collector) -> None:
    """The child inherits the parent's lock file and must not keep its folder locked."""
    forks = """
    import signal
    spool.append([line("parent")])
    if os.fork():
        os.kill(os.getpid(), signal.SIGKILL)
    say(os.getpid())
    os.close(1)
    time.sleep(60)
    """
    with program(forks, tmp_path) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.wait(LONG)
        try:
            deliver(tmp_path, collector.url)
        finally:
            os.kill(child, signal.SIGKILL)
    assert set(collector.arrived) == {"parent"}


def test_a_fork_waits_for_our_import(tmp_path: Path) -> None:
    """A fork while our thread imports `requests` must not leave the module locked for ever in the child."""
    forks = """
    import faulthandler
    from logos_shift_openai.client.wire import requests_session
    assert "requests" not in sys.modules
    thread = threading.Thread(target=requests_session)
    thread.start()
    time.sleep(0.005)
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(20, exit=True)
        requests_session().close()
        os._exit(0)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    """
    run(forks, tmp_path)


def test_a_program_that_closes_all_its_files_does_not_get_records_in_them(tmp_path: Path, collector: Collector) -> None:
    """Daemons do that: our number may be another file's afterwards."""
    daemon = """
    spool.append([line("before")])
    os.closerange(3, 100)
    other = [os.open(home / f"other{k}", os.O_WRONLY | os.O_CREAT) for k in range(5)]
    spool.append([line("after")])
    spool.close()
    for fd in other:
        os.write(fd, b"mine")
        os.close(fd)
    """
    run(daemon, tmp_path)
    assert {path.read_bytes() for path in tmp_path.glob("other*")} == {b"mine"}
    deliver(tmp_path, collector.url)
    assert set(collector.arrived) == {"before", "after"}


# Disks


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount a small file system on `folder`; skips where that is not allowed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("no right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_keeps_whole_lines_and_loses_none(tmp_path: Path, collector: Collector) -> None:
    """What no longer fits waits in memory; both are delivered, and sending makes room again."""
    if shutil.which("mount") is None:
        pytest.skip("no mount command")
    home = tmp_path / "small"
    with mounted(home, "-o", "size=256k"):
        counters = Counters()
        now = [0.0]
        spool = Spool(home, DESTINATION, counters, segment_bytes=64 * 2**10, clock=lambda: now[0])
        for number in range(0, 400, 20):
            spool.append([line(number + k, 1_000) for k in range(20)])
        waiting = on_disk(home)
        assert 150 < len(waiting) < 260
        counts = counters.snapshot()
        assert counts == {"spool_unwritable": 1}
        assert sum(path.stat().st_size for f in folders_in(spool.root) for path in segments_in(f)) == sum(
            map(len, waiting)
        )
        uploader = Uploader(spool, Wire(collector.url, None), counters)
        assert uploader.flush(time.monotonic() + LONG)
        now[0] += 31.0
        spool.append([line("after")])
        assert len(on_disk(home)) == 1
        assert uploader.flush(time.monotonic() + LONG)
        uploader.thread.stop(LONG)
        spool.close()
    assert set(collector.arrived) == {*map(str, range(400)), "after"}
    assert set(collector.arrived.values()) == {1}


def test_a_read_only_disk_sends_from_memory(tmp_path: Path, collector: Collector) -> None:
    """Nothing is raised or said twice, and the records arrive."""
    if shutil.which("mount") is None:
        pytest.skip("no mount command")
    home = tmp_path / "frozen"
    with mounted(home, "-o", "ro"):
        counters = Counters()
        spool = Spool(home, DESTINATION, counters)
        recorder = Recorder(line, spool, counters)
        uploader = Uploader(spool, Wire(collector.url, None), counters)
        for number in range(100):
            recorder.put(number, 50)
        assert recorder.flush(LONG)
        assert uploader.flush(time.monotonic() + LONG)
        recorder.close(time.monotonic() + LONG)
        uploader.close(time.monotonic() + LONG)
        recorder.thread.stop(LONG)
        uploader.thread.stop(LONG)
        spool.close()
        assert list(home.iterdir()) == []
    assert set(collector.arrived) == set(map(str, range(100)))
    assert counters.snapshot() == {"recorded": 100, "spool_unwritable": 1, "sent": 100, "seen": 0}


def test_a_file_in_the_place_of_home_sends_from_memory(tmp_path: Path, collector: Collector) -> None:
    """The same, for a home that can be no folder."""
    home = tmp_path / "home"
    home.write_text("a file")
    counters = Counters()
    spool = Spool(home, DESTINATION, counters)
    uploader = Uploader(spool, Wire(collector.url, None), counters)
    spool.append([line(1), line(2)])
    assert uploader.flush(time.monotonic() + LONG)
    uploader.thread.stop(LONG)
    spool.close()
    assert set(collector.arrived) == {"1", "2"}
    assert home.read_text() == "a file"


def test_a_limit_on_the_size_of_files_cuts_no_line(tmp_path: Path, collector: Collector) -> None:
    """The kernel takes a part of a write and refuses the rest: a partial write as a full disk makes it."""
    limited = """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    spool.append([line(number, 900) for number in range(30)])
    assert counters.snapshot() == {"spool_unwritable": 1}, counters.snapshot()
    assert spool.pending()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    say(*[path.stat().st_size for path in (home / "spool" / "d").glob("*/*.ndjson")])
    spool.close()
    assert counters.snapshot() == {"spool_unwritable": 1}, counters.snapshot()
    """
    [size] = run(limited, tmp_path)
    assert int(size) == sum(len(line(number, 900)) for number in range(10))
    deliver(tmp_path, collector.url)
    assert set(collector.arrived) == set(map(str, range(30)))


def test_a_corrupted_segment_costs_its_damaged_lines_only(tmp_path: Path, collector: Collector) -> None:
    """A block of zeros, as a disk leaves it after a power cut: around it all arrives, and it is kept for a person."""
    spool = Spool(tmp_path, DESTINATION, Counters())
    spool.append([line(number, 100) for number in range(100)])
    spool.close()
    [folder] = folders_in(spool.root)
    [segment] = segments_in(folder)
    size = len(line(50, 100))
    data = bytearray(segment.read_bytes())
    start = data.index(line(50, 100))
    data[start : start + size * 2 + 10] = b"\0" * (size * 2 + 10)
    segment.write_bytes(data)
    counts = deliver(tmp_path, collector.url)
    assert set(collector.arrived) == set(map(str, range(100))) - {"50", "51", "52"}
    assert counts["refused_unreadable"] == 1
    [kept] = (spool.root / REFUSED).iterdir()
    assert kept.read_bytes().count(b"\0") == size * 2 + 10


# Servers


def test_a_server_with_every_fault_gets_every_record_once(tmp_path: Path, collector: Collector) -> None:
    """429, 500, 401 and 413 in turn, over real HTTP: the clock is moved, nothing is lost or doubled."""
    now = [1_000.0]
    counters = Counters()
    spool = Spool(tmp_path, DESTINATION, counters, clock=lambda: now[0])
    uploader = Uploader(spool, Wire(collector.url, "key"), counters, clock=lambda: now[0], random=lambda: 1.0)
    uploader.thread.stop(0.0)
    spool.append([line(number, 1_000) for number in range(100)])
    now[0] += 1.0
    collector.statuses = [429, 500, 401, 503]
    collector.retry_after = "20"
    waits = []
    while (wait := uploader.step()) != 0.0:
        assert wait is not None
        waits.append(wait)
        now[0] += wait
    assert waits == pytest.approx([22.0, 22.0, 300.0, 22.0])
    spool.append([line(f"late-{number}", 1_000) for number in range(100)])
    collector.limit = 30_000
    now[0] += 1.0
    while uploader.step() is not None:
        pass
    assert set(collector.arrived) == {*map(str, range(100)), *(f"late-{number}" for number in range(100))}
    assert set(collector.arrived.values()) == {1}
    assert counters.snapshot() == {"send_failed": 3, "unauthorized": 1, "sent": 200, "seen": 0}
    spool.close()
    assert folders_in(spool.root) == []


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """Take connections and never answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


EXIT = """
import atexit
recorder = Recorder(line, spool, counters)
uploader = Uploader(spool, Wire(url, None), counters)

def close():
    deadline = time.monotonic() + 2.0
    recorder.close(deadline)
    uploader.close(deadline)
    spool.close()
    say("closed", time.monotonic() - deadline < 0.2)

atexit.register(close)
for number in range(20):
    recorder.put(number, 50)
"""


@pytest.mark.parametrize("before", ["", "time.sleep(1.5)"], ids=["at once", "in a hanging request"])
def test_an_exit_with_a_hanging_server_is_in_time_and_leaves_the_records(
    tmp_path: Path, collector: Collector, before: str
) -> None:
    """The exit code is kept, and the next process delivers all of them."""
    with silent_server() as url, program(f"{EXIT}\n{before}\nsys.exit(7)", tmp_path, url) as process:
        out, err = process.communicate(timeout=LONG)
    assert process.returncode == 7, err
    assert out.splitlines() == ["closed True"]
    deliver(tmp_path, collector.url)
    assert set(collector.arrived) == set(map(str, range(20)))


@pytest.mark.parametrize("end", ["", "raise ValueError", "sys.exit(3)"])
def test_an_exit_right_after_the_last_record_delivers_it(tmp_path: Path, collector: Collector, end: str) -> None:
    """A script shorter than every period: the exit writes and sends, with or without threads to be had."""
    with program(f"{EXIT}\n{end}", tmp_path, collector.url) as process:
        out, _ = process.communicate(timeout=LONG)
    assert process.returncode == {"": 0, "raise ValueError": 1, "sys.exit(3)": 3}[end]
    assert out.splitlines() == ["closed True"]
    assert set(collector.arrived) == set(map(str, range(20)))
    assert folders_in(tmp_path / "spool" / DESTINATION) == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("kind", ["down", "hanging", "hanging and no disk"])
def test_fifty_thousand_calls_with_no_server_stay_within_32_megabytes(tmp_path: Path, kind: str) -> None:
    """4 KB each as fast as they come: memory is bounded, and recorded, waiting and dropped add up."""
    flood = """
    import openai, requests  # what a client of ours has loaded anyway

    def peak():
        [kilobytes] = [row.split()[1] for row in open("/proc/self/status") if row.startswith("VmHWM")]
        return int(kilobytes) / 1024

    recorder = Recorder(lambda item: item, spool, counters)
    uploader = Uploader(spool, Wire(url, None), counters)
    before = peak()
    for number in range(50_000):
        recorder.put(line(number, 4_000), 4_050)
    time.sleep(1.2)
    recorder.flush(80.0)
    counts = counters.snapshot()
    assert counts["recorded"] + counts.get("queue_full", 0) == 50_000, counts
    say(peak() - before)
    os._exit(0)
    """
    home = tmp_path / "home"
    if kind.endswith("no disk"):
        home.write_text("a file")
    with silent_server() as url:
        [grown] = run(flood, home, "http://127.0.0.1:9" if kind == "down" else url)
    assert float(grown) <= 32.0


def test_recorders_that_are_dropped_leave_no_thread(tmp_path: Path) -> None:
    """A client for each request, none of them closed: threads and folders' locks go with them."""
    drops = """
    import gc
    def request(number):
        counters = Counters()
        spool = Spool(home, "d", counters)
        recorder = Recorder(line, spool, counters)
        recorder.put(number, 50)
        assert recorder.flush(10.0)
        spool.close()

    for number in range(300):
        request(number)
    gc.collect()
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(10.0)
    assert threading.active_count() == 1, threading.enumerate()
    assert len(os.listdir("/proc/self/fd")) < 20 if os.path.exists("/proc/self/fd") else True
    """
    run(drops, tmp_path)
    assert len(on_disk(tmp_path)) == 300
