"""Forks of a program that uses our clients: before and after the first call, and while its threads are in the middle of calls."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from fault_programs import deliver, run, spooled, texts

if TYPE_CHECKING:
    from pathlib import Path

    from fault_servers import Collector, Provider

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")
QUIET = "ignore::DeprecationWarning"  # newer interpreters warn of every fork of a process with threads


@pytest.mark.parametrize("first", ["", 'ask(client, "before-0")'], ids=["before first use", "after first use"])
def test_parent_and_child_both_record_each_its_own(
    first: str, home: Path, provider: Provider, collector: Collector
) -> None:
    """One client, made before the fork and used on both sides: nothing is lost, doubled, or under another's id."""
    code = f"""
client = make()
{first}
children = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        for number in range(20):
            ask(client, f"child{{child}}-{{number}}")
        deliver()
        sys.exit(0)
    children.append(pid)
for number in range(20):
    ask(client, f"parent-{{number}}")
deliver()
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
"""
    running = run(code, home, provider, collector, PYTHONWARNINGS=QUIET)
    deliver(home, collector)
    wanted = texts("parent", 20) + texts("child0", 20) + texts("child1", 20) + texts("child2", 20)
    assert collector.texts() == wanted + (texts("before", 1) if first else Counter())
    assert set(collector.arrived.values()) == {1}
    assert {one.id: one.text for one in running.made} == {
        call_id: record["request"]["messages"][0]["content"] for call_id, record in collector.records.items()
    }


def test_no_two_processes_make_the_same_id(home: Path, provider: Provider) -> None:
    """The random part of an id comes from a pool that a fork must not copy: it differs between all of them."""
    code = """
client = make()
ask(client, "before-0")  # the pool is filled by now
for child in range(4):
    if os.fork() == 0:
        for number in range(10):
            ask(client, f"child{child}-{number}")
        os._exit(0)
for number in range(10):
    ask(client, f"parent-{number}")
for child in range(4):
    os.wait()
"""
    running = run(code, home, provider, PYTHONWARNINGS=QUIET)
    tails = Counter(one.id[-16:] for one in running.made)
    assert len(tails) == 51
    assert set(tails.values()) == {1}


def test_a_fork_of_a_fork_records_too(home: Path, provider: Provider, collector: Collector) -> None:
    """A daemon forks twice and lets its parents end at once, closing every file it does not know."""
    code = """
client = make()
ask(client, "parent-0")
if os.fork() == 0:
    ask(client, "child-0")
    age()
    if os.fork() == 0:
        os.setsid()
        os.closerange(3, 256)
        for number in range(20):
            ask(make(), f"daemon-{number}")
        deliver()
        sys.exit(0)
    os._exit(0)
age()
os._exit(0)
"""
    run(code, home, provider, collector, PYTHONWARNINGS=QUIET)
    deliver(home, collector)
    assert collector.texts() == texts("parent", 1) + texts("child", 1) + texts("daemon", 20)
    assert collector.again() <= {"parent-0", "child-0"}  # these may have ended while they were sending


@pytest.mark.parametrize("server", [True, False], ids=["server", "embedded"])
def test_forks_while_threads_call_neither_hang_nor_lose_a_record(
    server: bool, home: Path, provider: Provider, collector: Collector
) -> None:
    """Four threads call while the main thread forks ten times: every child works, and all records arrive.

    Each arrives once, but for those of the children that end without a word, maybe while they are sending.
    """
    code = """
import faulthandler, threading
client = make()
# A fork while another thread loads a part of the SDK, or makes one of its models ready, leaves that locked, with the
# plain SDK too: so there is a call before.
ask(client, "first")

def traffic(name):
    for number in range(100):
        ask(client, f"thread{name}-{number}")

threads = [threading.Thread(target=traffic, args=(name,)) for name in range(4)]
for thread in threads:
    thread.start()
children = []
for child in range(10):
    time.sleep(0.03)
    pid = os.fork()
    if pid == 0:
        faulthandler.dump_traceback_later(80, exit=True)
        mine = make()  # the connections of the parent's client are the parent's, as with the plain SDK
        for number in range(10):
            ask(mine, f"child{child}-{number}")
        deliver() if SERVER and child % 2 else age()
        os._exit(0)
    children.append(pid)
for thread in threads:
    thread.join()
if SERVER:
    deliver()
states = [os.waitpid(pid, 0)[1] for pid in children]
assert states == [0] * 10, states
"""
    code = f"SERVER = {server}\n{code}"
    running = run(code, home, provider, collector if server else None, PYTHONWARNINGS=QUIET)
    wanted = Counter(["first"])
    for name in range(4):
        wanted += texts(f"thread{name}", 100)
    for child in range(10):
        wanted += texts(f"child{child}", 10)
    assert Counter(one.text for one in running.made) == wanted
    if server:
        deliver(home, collector)
        assert collector.texts() == wanted
        assert {text.partition("-")[0] for text in collector.again()} <= {f"child{one}" for one in range(0, 10, 2)}
    else:
        assert spooled(home) == wanted


def test_a_fork_in_the_middle_of_a_stream_leaves_it_to_the_parent(
    home: Path, provider: Provider, collector: Collector
) -> None:
    """The child neither records the parent's open stream nor ends it: the parent's record is whole."""
    code = """
client = make()
messages = [{"role": "user", "content": "stream-0"}]
stream = client.chat.completions.create(model="m", messages=messages, stream=True)
next(stream)
if os.fork() == 0:
    ask(make(), "child-0")
    sys.exit(0)
os.wait()
assert len(list(stream)) == 4
say("made", stream.logos_shift_id, "stream-0", time.monotonic())
"""
    run(code, home, provider, collector, PYTHONWARNINGS=QUIET)
    deliver(home, collector)
    assert collector.texts() == texts("stream", 1) + texts("child", 1)
    [record] = [one for one in collector.records.values() if one["stream"]]
    assert record["complete"]
    assert record["response"]["choices"][0]["message"]["content"] == "Hi there"
