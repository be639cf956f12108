"""For information: a feedback, a decorated function, a context, on the caller's thread."""

from __future__ import annotations

import statistics

from benchmarks.measure import Row, each, interleaved, main, own_home


def rows(quick: bool) -> list[Row]:
    own_home()
    import logos_shift_openai as ours
    from benchmarks.provider import MESSAGES
    from logos_shift_openai import logos_shift, provide_feedback

    calls, rounds = (100, 3) if quick else (500, 30)

    def plain(messages, *, tone="calm"):
        return f"{tone}: {len(messages)}"

    decorated = logos_shift(dataset="benchmark")(plain)
    inside = logos_shift.context
    call_id = decorated.call(MESSAGES)[1]

    def round_of(do):
        return lambda: statistics.median(each(do, calls)) * 1e6

    def compare(base, do):
        return interleaved(round_of(base), round_of(do), rounds, settle=ours.flush)

    def in_context() -> None:
        with inside(dataset="sales", user_id="42"):
            pass

    feedback = compare(lambda: None, lambda: provide_feedback(call_id, "success"))
    corrected = compare(lambda: None, lambda: provide_feedback(call_id, correction="the right answer " * 20))
    function = compare(lambda: plain(MESSAGES), lambda: decorated(MESSAGES))
    context = compare(lambda: None, in_context)
    note = f"{rounds} rounds of {calls}; median"
    return [
        Row("provide_feedback", feedback.added, "us", note=note),
        Row("provide_feedback with a correction", corrected.added, "us", note=note),
        Row("a decorated function with 1 KB of arguments, added", function.added, "us", note=note),
        Row("`with context(...)`", context.added, "us", note=note),
    ]


if __name__ == "__main__":
    main(rows)
