"""Time added to streams: for a chunk, and for the slowest call in a hundred."""

from __future__ import annotations

import statistics

from benchmarks.measure import Row, each, interleaved, main, own_home, percentile

CHUNKS, BLOCKS = 200, 6


def rows(quick: bool) -> list[Row]:
    own_home()
    import openai

    import logos_shift_openai as ours
    from benchmarks.provider import MESSAGES, MODEL, client, events

    calls, rounds = (12, 6) if quick else (40, 36)
    pieces = events(CHUNKS)
    whole: dict[str, list[float]] = {"plain": [], "ours": [], "again": []}

    def round_of(kind, keep):
        create = client(kind, pieces=pieces).chat.completions.create

        def one() -> None:
            for _ in create(model=MODEL, messages=MESSAGES, stream=True):
                pass

        def take() -> float:
            times = each(one, calls)
            keep.extend(times)
            return statistics.median(times) * 1e6 / CHUNKS

        return take

    got = interleaved(
        round_of(openai.OpenAI, whole["plain"]),
        round_of(ours.OpenAI, whole["ours"]),
        rounds,
        again=round_of(openai.OpenAI, whole["again"]),
        settle=ours.flush,
    )
    slow = {name: _slow(times, calls * (rounds // BLOCKS)) for name, times in whole.items()}
    added = [b - (a + c) / 2 for a, b, c in zip(slow["plain"], slow["ours"], slow["again"], strict=True)]
    noise = [c - a for a, c in zip(slow["plain"], slow["again"], strict=True)]
    note = f"{rounds} rounds of {calls} streams of {CHUNKS} chunks; the call's own part is within"
    return [
        Row("a chunk of a stream, added", got.added, "us", 2, plain=got.plain, noise=got.noise, note=note),
        Row(
            "p99 of a whole streamed call, added",
            statistics.median(added),
            "ms",
            1,
            plain=statistics.median(slow["plain"]),
            noise=statistics.median(noise),
            note=f"median of {BLOCKS} blocks of {calls * (rounds // BLOCKS)} streams each; noise in each: "
            + ", ".join(f"{one:+.1f}" for one in noise),
        ),
    ]


def _slow(times: list[float], block: int) -> list[float]:
    """Give the p99 of each block, in ms; the first round only warmed up."""
    measured = times[-block * BLOCKS :]
    return [percentile(measured[at : at + block], 0.99) * 1e3 for at in range(0, len(measured), block)]


if __name__ == "__main__":
    main(rows)
