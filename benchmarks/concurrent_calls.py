"""CPU of the caller's thread for 64 asynchronous calls at once."""

from __future__ import annotations

import asyncio
import time

from benchmarks.measure import Row, interleaved, main, own_home

TASKS = 64


def rows(quick: bool) -> list[Row]:
    own_home()
    import openai

    import logos_shift_openai as ours
    from benchmarks.provider import MESSAGES, MODEL, client

    each_makes, rounds = (4, 9) if quick else (12, 40)
    loop = asyncio.new_event_loop()

    def round_of(kind):
        create = client(kind).chat.completions.create

        async def task() -> None:
            for _ in range(each_makes):
                await create(model=MODEL, messages=MESSAGES)
                await asyncio.sleep(0)

        async def all_at_once() -> None:
            await asyncio.gather(*(task() for _ in range(TASKS)))

        def take() -> float:
            since = time.thread_time()
            loop.run_until_complete(all_at_once())
            return (time.thread_time() - since) / (TASKS * each_makes) * 1e6

        return take

    got = interleaved(
        round_of(openai.AsyncOpenAI), round_of(ours.AsyncOpenAI), rounds,
        again=round_of(openai.AsyncOpenAI), settle=ours.flush,
    )  # fmt: skip
    loop.close()
    note = f"{rounds} rounds of {TASKS} tasks with {each_makes} calls each; CPU of the loop's thread"
    what = "64 concurrent async calls, CPU of the caller's thread a call"
    return [Row(what, got.added, "us", 60, plain=got.plain, noise=got.noise, note=note)]


if __name__ == "__main__":
    main(rows)
