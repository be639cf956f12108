"""Time added on the caller's thread, one 1 KB call end to end, while the recorder writes to a spool on disk."""

from __future__ import annotations

import statistics

from benchmarks.measure import Row, each, interleaved, main, own_home


def rows(quick: bool) -> list[Row]:
    own_home()
    import openai

    import logos_shift_openai as ours
    from benchmarks.provider import MESSAGES, MODEL, client

    calls, rounds = (200, 9) if quick else (1_000, 30)
    means: list[float] = []

    def round_of(kind, keep=None):
        create = client(kind).chat.completions.create

        def one() -> None:
            create(model=MODEL, messages=MESSAGES)

        def take() -> float:
            times = each(one, calls)
            if keep is not None:
                keep.append(statistics.fmean(times) * 1e6)
            return statistics.median(times) * 1e6

        return take

    plain_means: list[float] = []
    got = interleaved(
        round_of(openai.OpenAI, plain_means),
        round_of(ours.OpenAI, means),
        rounds,
        again=round_of(openai.OpenAI),
        settle=ours.flush,
    )
    stats = ours.stats()
    assert stats["recorded"] == calls * (rounds + 1), stats
    shared = statistics.median(means) - statistics.median(plain_means)
    note = f"{rounds} rounds of {calls} calls; medians of calls, median of rounds; all {stats['recorded']} recorded"
    return [
        Row(
            "a 1 KB call, added on the caller's thread",
            got.added,
            "us",
            45,
            plain=got.plain,
            noise=got.noise,
            note=note,
        ),
        Row(
            "the same, mean, with what the recorder's thread takes of the cores",
            shared,
            "us",
            plain=statistics.median(plain_means),
            note=f"least added by a round: {got.lowest:.1f} µs at the median",
        ),
    ]


if __name__ == "__main__":
    main(rows)
