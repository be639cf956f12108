"""Processes that are frozen between two requests, as on Lambda: what was flushed is there, and it goes on after the thaw."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fault_programs import OLD, deliver, lines_on_disk, program, texts, wait_for
from fault_servers import away

if TYPE_CHECKING:
    from fault_servers import Collector, Provider

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

HANDLER = """
import logos_shift_openai as ours
client = make()
for invocation in range(3):
    ask(client, f"call-{invocation}")
    since = time.monotonic()
    said = ours.flush(TIMEOUT)
    say("invocation", invocation, said, time.monotonic() - since < TIMEOUT + 2)
    os.read(0, 1)
"""


def handler(timeout: float) -> str:
    return HANDLER.replace("TIMEOUT", str(timeout)).replace("os.read(0, 1)", "os.kill(os.getpid(), 19)")


def frozen(pid: int) -> bool:
    """Tell whether a process is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_each_invocation_is_delivered_before_the_freeze(home: Path, provider: Provider, collector: Collector) -> None:
    """`flush` after each call brings it to the server; at last the process is killed frozen, and nothing is missing."""
    with program(handler(20), home, provider, collector) as running:
        for invocation in range(3):
            running.wait_for(f"invocation {invocation} True True")
            wait_for(lambda: frozen(running.process.pid))
            assert collector.texts() == texts("call", invocation + 1)
            time.sleep(0.1)  # the connections to the server end in the meantime
            if invocation < 2:
                running.process.send_signal(signal.SIGCONT)
        running.kill()
    assert set(collector.arrived.values()) == {1}
    assert lines_on_disk(home) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_flush_that_finds_no_server_ends_in_its_time_and_keeps_the_records(
    home: Path, provider: Provider, collector: Collector
) -> None:
    """It says that not all has arrived; the next process delivers."""
    with away(collector), program(handler(0.5), home, provider, collector) as running:
        running.wait_for("invocation 0 False True")
        wait_for(lambda: frozen(running.process.pid))
        running.kill()
    deliver(home, collector)
    assert collector.texts() == texts("call", 1)


def test_a_process_frozen_anywhere_goes_on_after_the_thaw(home: Path, provider: Provider, collector: Collector) -> None:
    """Frozen five times in the middle of traffic: nothing is lost or doubled."""
    code = """
client = make()
for number in range(200):
    ask(client, f"call-{number}")
    time.sleep(0.005)
"""
    with program(code, home, provider, collector) as running:
        for frozen_after in range(20, 120, 20):
            running.wait_for_calls(frozen_after)
            running.process.send_signal(signal.SIGSTOP)
            time.sleep(OLD)
            running.process.send_signal(signal.SIGCONT)
        assert running.end() == 0, running.errors
    assert collector.texts() == texts("call", 200)
    assert set(collector.arrived.values()) == {1}
