"""Our own code on the caller's thread: the mixin over a client whose `request` gives a ready answer, and the route."""

from __future__ import annotations

import json
import statistics
import time

from benchmarks.measure import Row, main, own_home

EXPERIMENTS = 8


def config() -> dict:
    """Give a config of several experiments; the calls measured are the last one's, on a pattern."""
    others = [
        {
            "key": f"other-{n}",
            "dataset": "*" if n % 2 else "another",
            "match": {"model": [f"model-{n}", f"family-{n}-*"]},
            "candidate": {"model": "cheap"},
            "share": 500,
            "salt": f"salt{n}",
        }
        for n in range(EXPERIMENTS - 1)
    ]
    ours = {"key": "ours", "match": {"model": ["gpt-6*"]}, "candidate": {"model": "cheap"}, "share": 1, "salt": "s"}
    return {"version": 1, "experiments": [*others, ours]}


def rows(quick: bool) -> list[Row]:
    home = own_home()
    from openai._models import FinalRequestOptions, construct_type
    from openai.types.chat import ChatCompletion

    import logos_shift_openai as ours
    from benchmarks.provider import MESSAGES, MODEL, answer
    from logos_shift_openai.core.config_reading import parse_config
    from logos_shift_openai.core.routing import Units, route

    ready = construct_type(type_=ChatCompletion, value=json.loads(answer()))

    class Fake:
        """The SDK taken out: what is left of a request is its parser."""

        def request(self, _cast_to, options, **_):
            parse = options.post_parser
            return parse(ready) if callable(parse) else ready

    class Mixed(ours.LogosShiftMixin, Fake):
        """Ours over it."""

    options = FinalRequestOptions.construct(
        method="post", url="/chat/completions", json_data={"model": MODEL, "messages": MESSAGES}
    )
    document = json.dumps(config())
    parsed = parse_config(document)
    home.mkdir(exist_ok=True)
    (home / "config.json").write_text(document)
    routed = Mixed(logos_shift=ours.LogosShift(user_id="user-42"))
    (home / "none.json").write_text('{"version": 1}')
    unrouted = Mixed(logos_shift=ours.LogosShift(config=home / "none.json", user_id="user-42"))
    bare = Fake()
    units = Units("0190-call", "user-42")

    def pure_route() -> None:
        route(parsed, dataset="default", model=MODEL, units=units)

    batches = 200 if quick else 4_000
    measured = _interleaved_batches(
        {
            "fake": lambda: bare.request(ChatCompletion, options),
            "routed": lambda: routed.request(ChatCompletion, options),
            "unrouted": lambda: unrouted.request(ChatCompletion, options),
            "route": pure_route,
        },
        batches,
        settle=lambda: (routed._logos_shift.flush(), unrouted._logos_shift.flush()),
    )
    note = f"{batches} batches of 20, interleaved; median; request and answer of 1 KB, both encoded"
    last = f"{EXPERIMENTS} experiments, the last one matches"
    return [
        Row("our own code a call, SDK taken out", measured["unrouted"] - measured["fake"], "us", 10, note=note),
        Row("the same with experiments", measured["routed"] - measured["fake"], "us", 10, note=last),
        Row("the route within it", measured["route"], "us", 2, note=last),
    ]


def _interleaved_batches(todo: dict, batches: int, settle) -> dict[str, float]:
    """Give the median time of each, in µs; batches are short, so that most run without being interrupted."""
    clock, size = time.perf_counter, 20
    taken: dict[str, list[float]] = {name: [] for name in todo}
    for do in todo.values():
        for _ in range(200):
            do()
    for batch in range(batches):
        for name, do in todo.items():
            do()
            since = clock()
            for _ in range(size):
                do()
            taken[name].append((clock() - since) / size * 1e6)
        if batch % 20 == 0:
            settle()
    return {name: statistics.median(times) for name, times in taken.items()}


if __name__ == "__main__":
    main(rows)
