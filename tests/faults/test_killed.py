"""SIGKILL in the middle of a user's traffic: what was older than a quarter of a second reaches its store, once."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest
from fault_programs import LONG, OLD, deliver, lines_on_disk, program

if TYPE_CHECKING:
    from pathlib import Path

    from fault_servers import Collector, Provider

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

TRAFFIC = """
client = make()
for number in range(100_000):
    ask(client, f"call-{number}")
    time.sleep(0.002)
"""

STREAMS = """
client = make()
for number in range(100_000):
    with client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": f"call-{number}"}], stream=True
    ) as stream:
        for chunk in stream:
            pass
    say("made", stream.logos_shift_id, f"call-{number}", time.monotonic())
    time.sleep(0.002)
"""

THREADS = """
import threading
client = make()

def traffic(name):
    for number in range(100_000):
        ask(client, f"{name}-{number}")
        time.sleep(0.01)

for name in range(8):
    threading.Thread(target=traffic, args=(name,)).start()
"""

# The moments: with the first records just on disk, in the middle, and while segments are sealed and sent.
MOMENTS = [(TRAFFIC, 5), (TRAFFIC, 150), (STREAMS, 150), (THREADS, 600)]


@pytest.mark.parametrize(("traffic", "number"), MOMENTS, ids=["early", "later", "streams", "threads"])
def test_killed_in_traffic_the_next_process_delivers_everything_of_age(
    traffic: str, number: int, home: Path, provider: Provider, collector: Collector
) -> None:
    """The server misses no call that was older, and has none twice; replays are known by their ids."""
    with program(traffic, home, provider, collector) as running:
        running.wait_for_calls(number, of_age=True)
        killed = running.kill()
    before = set(collector.arrived)
    waited = {line["id"] for line in lines_on_disk(home)}
    counts = deliver(home, collector)
    old = {one.id for one in running.made if one.at < killed - OLD}
    assert old
    assert old <= set(collector.arrived)
    assert set(collector.arrived) == before | waited
    replayed = {one for one, times in collector.arrived.items() if times > 1}
    assert replayed == before & waited  # those of the batch whose yes the killed process did not live to hear
    assert counts.get("sent", 0) == len(collector.arrived) - len(before)
    assert counts.get("seen", 0) == len(replayed)
    assert all(times <= 2 for times in collector.arrived.values())


def test_killed_before_the_servers_yes_was_heard_the_batch_is_sent_again_and_counts_once(
    home: Path, provider: Provider, collector: Collector
) -> None:
    """The server has the records, the process dies before it knows: the replay is idempotent by id."""
    collector.fault = "swallow"
    with program(TRAFFIC, home, provider, collector) as running:
        running.wait_for_calls(20, of_age=True)
        collector.wait_for(5)
        running.kill()
    collector.fault = None
    known = set(collector.arrived)
    counts = deliver(home, collector)
    assert counts["seen"] == len(known) > 0
    assert set(collector.arrived.values()) <= {1, 2}
    assert {one for one, times in collector.arrived.items() if times == 2} == known
    assert {one.id for one in running.made[:5]} <= set(collector.arrived)


@pytest.mark.parametrize(("traffic", "number"), [MOMENTS[0], MOMENTS[3]], ids=["early", "threads"])
def test_killed_without_a_server_the_embedded_store_has_everything_of_age_once(
    traffic: str, number: int, home: Path, provider: Provider
) -> None:
    """The next `logos-shift` command takes the dead process's spool in, and a second one finds nothing new."""
    pytest.importorskip("sqlalchemy")
    from sqlalchemy import select

    from logos_shift_openai.server.embedded import take_in
    from logos_shift_openai.server.store.database import open_store
    from logos_shift_openai.server.store.schema import calls

    with program(traffic, home, provider) as running:
        running.wait_for_calls(number, of_age=True)
        killed = running.kill()
    waited = [line["id"] for line in lines_on_disk(home)]
    store = open_store(home / "store.sqlite3")
    try:
        taken = take_in(store, home, lambda: int(time.time() * 1000))
        again = take_in(store, home, lambda: int(time.time() * 1000))
        with store.reading() as connection:
            stored = list(connection.scalars(select(calls.c.id)))
    finally:
        store.close()
    old = {one.id for one in running.made if one.at < killed - OLD}
    assert old
    assert old <= set(stored)
    assert sorted(stored) == sorted(waited) == sorted(set(waited))
    assert (taken.new, taken.seen, taken.faults) == (len(waited), 0, [])
    assert taken.refused <= 1  # half a line, where the kill came in the middle of a write
    assert (again.new, again.seen, again.refused) == (0, 0, 0)


def test_killed_ten_times_over_no_record_gets_lost_between_the_processes(
    home: Path, provider: Provider, collector: Collector
) -> None:
    """A process that crashes again and again, with the server away: the last one delivers for all of them."""
    made: set[str] = set()
    collector.fault = 503
    for _ in range(4):
        with program(TRAFFIC, home, provider, collector) as running:
            running.wait_for_calls(10, of_age=True)
            killed = running.kill()
        made |= {one.id for one in running.made if one.at < killed - OLD}
    collector.fault = None
    deliver(home, collector)
    assert len(made) >= 4
    assert made <= set(collector.arrived)
    assert set(collector.arrived.values()) == {1}


def test_killed_the_living_neighbour_delivers_within_its_turn(
    home: Path, provider: Provider, collector: Collector
) -> None:
    """Two processes of one program, one is killed: a process that begins later takes its folder, not the living one's."""
    with (
        program(TRAFFIC, home, provider, collector) as living,
        program(TRAFFIC, home, provider, collector) as dying,
    ):
        living.wait_for_calls(10)
        dying.wait_for_calls(10, of_age=True)
        killed = dying.kill()
        deliver(home, collector)
        old = {one.id for one in dying.made if one.at < killed - OLD}
        assert old
        assert old <= set(collector.arrived)
        assert {one for one, times in collector.arrived.items() if times > 1} <= dying.ids
        living.process.send_signal(signal.SIGINT)
        assert living.process.wait(LONG) in (-signal.SIGINT, 1)
    living.end()
    deliver(home, collector)
    assert living.ids <= set(collector.arrived)
