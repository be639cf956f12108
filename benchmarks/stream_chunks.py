"""Time added to streams: for a chunk, and for the slowest call in a hundred."""

from __future__ import annotations

import statistics

from benchmarks.measure import Row, each, interleaved, main, own_home, percentile

CHUNKS = 200


def rows(quick: bool) -> list[Row]:
    own_home()
    import openai

    import logos_shift_openai as ours
    from benchmarks.provider import MESSAGES, MODEL, client, events

    calls, rounds = (12, 12) if quick else (40, 36)
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
    slow = {name: percentile(times, 0.99) * 1e3 for name, times in whole.items()}
    note = f"{rounds} rounds of {calls} streams of {CHUNKS} chunks; the call's own part is within"
    return [
        Row("a chunk of a stream, added", got.added, "us", 2, plain=got.plain, noise=got.noise, note=note),
        Row(
            "p99 of a whole streamed call, added",
            slow["ours"] - (slow["plain"] + slow["again"]) / 2,
            "ms",
            1,
            plain=slow["plain"],
            noise=slow["again"] - slow["plain"],
            note=f"of {len(whole['ours'])} streams each",
        ),
    ]


if __name__ == "__main__":
    main(rows)
