"""Programs run with every warning an error, in the interpreter's and asyncio's debug mode: nothing is left open or behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fault_programs import program, texts

if TYPE_CHECKING:
    from pathlib import Path

    from fault_servers import Collector, Provider

SYNC = """
import logos_shift_openai as ours
messages = lambda text: [{"role": "user", "content": text}]
with make() as client:
    create = client.chat.completions.create
    ask(client, "call-0")
    with create(model="m", messages=messages("call-1"), stream=True) as stream:
        next(stream)
    assert len(list(create(model="m", messages=messages("call-2"), stream=True))) == 5
    with client.chat.completions.with_streaming_response.create(model="m", messages=messages("call-3")) as answer:
        assert answer.parse().model == "m"
    completions = client.chat.completions
    helper = getattr(completions, "stream", None) or client.beta.chat.completions.stream  # its older place
    with helper(model="m", messages=messages("call-4")) as stream:
        for event in stream:
            pass
    assert client.chat.completions.with_raw_response.create(model="m", messages=messages("call-5")).parse()
    try:
        create(model="status-429", messages=messages("call-6"))
    except Exception as error:
        ours.provide_feedback(error.logos_shift_id, "failure")
"""

ASYNC = """
import asyncio
import logos_shift_openai as ours
messages = lambda text: [{"role": "user", "content": text}]

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # a loaded machine is no fault of the program
    async with make(ours.AsyncOpenAI) as client:
        create = client.chat.completions.create
        await aask(client, "call-0")
        async with await create(model="m", messages=messages("call-1"), stream=True) as stream:
            await stream.__anext__()
        assert len([chunk async for chunk in await create(model="m", messages=messages("call-2"), stream=True)]) == 5
        later = client.chat.completions.with_streaming_response
        async with later.create(model="m", messages=messages("call-3")) as answer:
            assert (await answer.parse()).model == "m"
        completions = client.chat.completions
        helper = getattr(completions, "stream", None) or client.beta.chat.completions.stream  # its older place
        async with helper(model="m", messages=messages("call-4")) as stream:
            async for event in stream:
                pass
        assert (await client.chat.completions.with_raw_response.create(model="m", messages=messages("call-5"))).parse()
        try:
            await create(model="status-429", messages=messages("call-6"))
        except Exception as error:
            await ours.aprovide_feedback(error.logos_shift_id, "failure")

asyncio.run(main())
"""

END = """
import threading
from logos_shift_openai.client.runtime import close_all
import logos_shift_openai as ours
for thread in threading.enumerate():
    assert thread is threading.main_thread() or (thread.daemon and thread.name.startswith("logos-shift-")), thread
import gc
gc.collect()
close_all()
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(90)
assert threading.active_count() == 1, threading.enumerate()
assert ours.stats()["open"] == 0
"""


@pytest.mark.parametrize("code", [SYNC, ASYNC], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("server", "end"), [(True, ""), (False, END)], ids=["left to the exit", "closed and looked at"]
)
def test_nothing_is_warned_of(
    code: str, end: str, server: bool, home: Path, provider: Provider, collector: Collector
) -> None:
    """No open socket or file, no coroutine left waiting, no thread of ours that outlives its end, not a word on stderr."""
    collector.config = b'{"version": 1}'
    options = ("-X", "dev", "-W", "error")
    with program(
        code + end, home, provider, collector if server else None, options=options, PYTHONASYNCIODEBUG="1"
    ) as running:
        assert running.end() == 0, running.errors
    assert running.errors == ""
    if server:
        kinds = [record["kind"] for record in collector.records.values()]
        assert kinds.count("feedback") == 1
        collector.records = {key: one for key, one in collector.records.items() if one["kind"] == "call"}
        assert collector.texts() == texts("call", 7)
