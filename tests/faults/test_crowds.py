"""Many at once: threads, asynchronous calls, event loops, and a client made anew for each request."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from fault_programs import program, run, texts

if TYPE_CHECKING:
    from pathlib import Path

    from fault_servers import Collector, Provider


def test_fifty_threads_lose_nothing(home: Path, provider: Provider, collector: Collector) -> None:
    """Fifty threads of a pool with one client: five hundred calls arrive once, each under the id its caller got."""
    code = """
from concurrent.futures import ThreadPoolExecutor
client = make()
with ThreadPoolExecutor(50) as pool:
    list(pool.map(lambda number: ask(client, f"call-{number}"), range(500)))
"""
    running = run(code, home, provider, collector)
    assert collector.texts() == texts("call", 500)
    assert set(collector.arrived.values()) == {1}
    for one in running.made:
        assert collector.records[one.id]["request"]["messages"][0]["content"] == one.text


def test_two_hundred_concurrent_asynchronous_calls_lose_nothing(
    home: Path, provider: Provider, collector: Collector
) -> None:
    """All are under way at once, half of them streams, each with a context of its own."""
    code = """
import asyncio
import logos_shift_openai as ours

async def one(client, number):
    with ours.context(user_id=f"user-{number}"):
        if number % 2:
            return await aask(client, f"call-{number}")
        messages = [{"role": "user", "content": f"call-{number}"}]
        stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
        assert len([chunk async for chunk in stream]) == 5
        say("made", stream.logos_shift_id, f"call-{number}", time.monotonic())

async def main():
    async with make(ours.AsyncOpenAI) as client:
        await asyncio.gather(*(one(client, number) for number in range(200)))

asyncio.run(main())
"""
    provider.delay = 0.2  # so that all of them wait at the same time
    running = run(code, home, provider, collector)
    assert collector.texts() == texts("call", 200)
    assert set(collector.arrived.values()) == {1}
    for one in running.made:
        record = collector.records[one.id]
        assert record["request"]["messages"][0]["content"] == one.text
        assert record["user_id"] == one.text.replace("call", "user")
        assert record["complete"]


def test_cancelled_asynchronous_calls_are_recorded_and_cancelled(
    home: Path, provider: Provider, collector: Collector
) -> None:
    """A cancelled call is cancelled as with the plain SDK, and has its record, with no answer."""
    code = """
import asyncio
import logos_shift_openai as ours

async def main():
    async with make(ours.AsyncOpenAI) as client:
        tasks = [asyncio.ensure_future(aask(client, f"call-{number}")) for number in range(20)]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(end) for end in ends} == {asyncio.CancelledError}, ends

asyncio.run(main())
"""
    provider.delay = 20.0  # longer than it takes to cancel them
    run(code, home, provider, collector)
    assert collector.texts() == texts("call", 20)
    assert {record["error"]["type"] for record in collector.records.values()} == {"CancelledError"}
    assert not any(record["complete"] for record in collector.records.values())


COUNTS = """
import gc, threading

def count():
    gc.collect()
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    return threading.active_count(), files
"""


def test_a_client_for_each_of_a_thousand_requests_leaks_neither_threads_nor_files(
    home: Path, provider: Provider, collector: Collector
) -> None:
    """None of them is closed; what runs after the thousandth is what ran after the tenth, and all calls arrive."""
    code = f"""
{COUNTS}
import openai
http_client = openai.DefaultHttpxClient()  # making a thousand TLS contexts would take most of the time
for number in range(1000):
    ask(make(http_client=http_client), f"call-{{number}}")
    if number == 10:
        before = count()
after = count()
assert after[0] <= before[0], (before, after)
assert after[1] <= before[1] + 2, (before, after)
"""
    run(code, home, provider, collector)
    assert collector.texts() == texts("call", 1000)
    assert set(collector.arrived.values()) == {1}


def test_a_client_and_a_loop_for_each_request_leak_neither_threads_nor_files(
    home: Path, provider: Provider, collector: Collector
) -> None:
    """`asyncio.run` for each call, sync clients with their own connections between them, settings of their own too."""
    code = f"""
{COUNTS}
import asyncio
import logos_shift_openai as ours

async def one(number):
    async with make(ours.AsyncOpenAI, logos_shift=ours.LogosShift(dataset="sales", user_id=str(number))) as client:
        await aask(client, f"async-{{number}}")

for number in range(40):
    asyncio.run(one(number))
    with make() as client:
        ask(client, f"sync-{{number}}")
    if number == 5:
        before = count()
after = count()
assert after[0] <= before[0], (before, after)
assert after[1] <= before[1] + 2, (before, after)
"""
    run(code, home, provider, collector)
    assert collector.texts() == texts("async", 40) + texts("sync", 40)


@pytest.mark.skipif(sys.platform != "linux", reason="limits its own threads as Linux does")
def test_no_thread_to_be_had_raises_nothing_and_the_exit_delivers(
    home: Path, provider: Provider, collector: Collector
) -> None:
    """A system that gives no thread, at the first call or for ever: calls are answered, their records sent at the exit."""
    code = """
import _thread, threading
def refuse(*_, **__):
    raise RuntimeError("can't start new thread")
threading._start_new_thread = refuse
if hasattr(threading, "_start_joinable_thread"):
    threading._start_joinable_thread = refuse
client = make()
for number in range(20):
    ask(client, f"call-{number}")
import logos_shift_openai as ours
assert ours.stats()["thread_not_started"] > 0
"""
    with program(code, home, provider, collector) as running:
        assert running.end() == 0, running.errors
    assert collector.texts() == texts("call", 20)
