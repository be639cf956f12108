"""CPU of the whole process for a call, all threads, the upload to a collector on loopback included."""

from __future__ import annotations

import time

from benchmarks.collector import Collector
from benchmarks.measure import Row, interleaved, main, own_home


def rows(quick: bool) -> list[Row]:
    own_home()
    import openai

    import logos_shift_openai as ours
    from benchmarks.provider import MESSAGES, MODEL, client

    calls, rounds = (500, 6) if quick else (2_000, 20)
    with Collector() as collector:
        shift = ours.LogosShift(url=collector.url, api_key="k")

        def round_of(kind, upload=None, **more):
            create = client(kind, **more).chat.completions.create

            def take() -> float:
                since = time.process_time()
                for _ in range(calls):
                    create(model=MODEL, messages=MESSAGES)
                if upload is not None:
                    assert upload()
                return (time.process_time() - since) / calls * 1e6

            return take

        def upload() -> bool:
            return shift.flush(30.0)

        got = interleaved(
            round_of(openai.OpenAI), round_of(ours.OpenAI, upload, logos_shift=shift), rounds,
            again=round_of(openai.OpenAI),
        )  # fmt: skip
        ids = collector.ids()
        sent = shift.stats()["sent"]
    assert len(ids) == sent == calls * (rounds + 1), (len(ids), sent)
    note = (
        f"{rounds} rounds of {calls} calls, 1 KB there and back; each uploaded whole within its round; {sent} arrived"
    )
    return [
        Row(
            "CPU of the whole process a call, upload included",
            got.added,
            "us",
            120,
            plain=got.plain,
            noise=got.noise,
            note=note,
        )
    ]


if __name__ == "__main__":
    main(rows)
