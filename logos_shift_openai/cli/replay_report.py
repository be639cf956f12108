"""The report of a replay: how far the answers agree, with what is proven, and those that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.cli.output import clean, console, plain_table
from logos_shift_openai.cli.replaying import UNSENDABLE
from logos_shift_openai.core.agreement import IncomparableError, counts_of, standing
from logos_shift_openai.core.answers import answers_of
from logos_shift_openai.core.left_out import REASONS
from logos_shift_openai.server.replays import read_pairs, shadows_of

if TYPE_CHECKING:
    from logos_shift_openai.cli.replaying import Done, Judged, Plan
    from logos_shift_openai.core.agreement import Comparer
    from logos_shift_openai.server.shadows import Pair
    from logos_shift_openai.server.store.database import Store

_SHOWN: Final = 10
_WIDTH: Final = 200
_MILLION: Final = 1_000_000


def report(
    store: Store,
    plan: Plan,
    how: str,
    compare: Comparer,
    asked: Done,
    judged: Judged | None,
    prices: tuple[float, float] | None,
) -> dict[str, Any]:
    """Put the report together, of all shadows of the sample by this candidate, whoever asked for them.

    Args:
        store: Where they are.
        plan: What was replayed.
        how: Name of the comparer.
        compare: The comparer.
        asked: What this run has asked.
        judged: What the judge has said in this run, None without one.
        prices: Of a million tokens in and out.
    """
    scores: list[float] = []
    verdicts: list[float] = []
    differing: list[dict[str, Any]] = []
    failed = incomparable = 0
    tokens = [0, 0]
    with store.reading() as connection:
        for pair in read_pairs(connection, sorted(shadows_of(connection, plan.calls, plan.candidate).values())):
            row = pair.shadow
            for place, name in enumerate(("tokens_in", "tokens_out")):
                tokens[place] += row[name] or 0
            try:
                score = pair.score(compare)
            except IncomparableError:
                incomparable += 1
                continue
            scores.append(score)
            failed += pair.failed
            if score == 1:
                continue
            verdict = row["judged"] if judged is not None and row["judge"] == judged.called else None
            if verdict is not None:
                verdicts.append(verdict)
            differing.append(_differing(pair, score, verdict))
    found = standing(counts_of(scores))
    return {
        "candidate": {"model": plan.candidate.model, "provider": plan.candidate.provider},
        "experiment": plan.experiment,
        "calls": len(plan.calls),
        "asked": {
            "now": asked.new, "before": asked.before, "left_out": asked.left_out.total(),
            "unanswered": asked.unanswered,
        },
        "left_out": dict(asked.left_out),
        "compare": how,
        "agreement": {
            "pairs": found.pairs, "mean": found.mean, "low": found.low, "high": found.high,
            "differ_at_most": found.differ, "failed": failed, "incomparable": incomparable,
        },
        "judge": None if judged is None else _verdicts(judged, verdicts),
        "tokens": {"in": tokens[0], "out": tokens[1]},
        "cost": None if prices is None else sum(a * b for a, b in zip(tokens, prices, strict=True)) / _MILLION,
        "disagreements": differing,
    }  # fmt: skip


def _verdicts(judged: Judged, verdicts: list[float]) -> dict[str, Any]:
    found = standing(counts_of(verdicts))
    counts = {name: verdicts.count(score) for name, score in (("wins", 1.0), ("ties", 0.5), ("losses", 0.0))}
    return {
        "by": judged.called, "judged": found.pairs, **counts, "score": found.mean, "low": found.low, "high": found.high,
        "not_judged": judged.failed, "tokens": {"in": judged.tokens[0], "out": judged.tokens[1]},
    }  # fmt: skip


def _differing(pair: Pair, score: float, verdict: float | None) -> dict[str, Any]:
    row = pair.shadow
    return {
        "call": row["shadow_of"],
        "score": score,
        "judged": verdict,
        "baseline": _said(pair.baseline),
        "candidate": row["error_message"] or row["error_type"] if pair.failed else _said(pair.candidate),
        "failed": pair.failed,
    }


def _said(answer: Any) -> list[Any]:
    return [
        {"text": one.text, "tools": [{"name": name, "arguments": given} for name, given in one.tools]}
        for one in answers_of(answer)
    ]


def show(found: dict[str, Any]) -> None:
    """Show a report: the figures, then the first disagreements."""
    from rich.text import Text  # noqa: PLC0415

    asked, agreement, judge = found["asked"], found["agreement"], found["judge"]
    notes = (f"{asked[name]} {words}" for name, words in _NOTES.items() if asked[name])
    rows = [
        ("candidate", f"{found['candidate']['model']} at {found['candidate']['provider']}"),
        ("calls", ", ".join((f"{found['calls']} taken", f"{asked['now']} asked now", *notes))),
    ]
    for name, count in sorted(found["left_out"].items(), key=lambda one: -one[1]):
        rows.append(("left out", f"{count}: {_WHY[name]}"))
    if agreement["pairs"]:
        low, high = agreement["low"], agreement["high"]
        rows += [
            (
                "agreement",
                f"{agreement['mean']:.1%} of {agreement['pairs']} by {found['compare']} ({_span(low, high)})",
            ),
            ("so", f"success can fall by at most {agreement['differ_at_most']:.1%} (95 %)"),
        ]
    if agreement["failed"] or agreement["incomparable"]:
        rows.append(
            ("of them", f"{agreement['failed']} failed; {agreement['incomparable']} more could not be compared")
        )
    if judge is not None:
        told = (
            f"{judge['wins']} better, {judge['ties']} ties, {judge['losses']} worse, {judge['not_judged']} not judged"
        )
        if judge["judged"]:
            told += f"; score {judge['score']:.2f} ({_span(judge['low'], judge['high'])})"
        rows.append(("judge", told))
    cost = "" if found["cost"] is None else f", cost {found['cost']:.4f}"
    rows.append(("tokens", f"{found['tokens']['in']} in, {found['tokens']['out']} out{cost}"))
    table = plain_table()
    table.show_header = False
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(label, Text(clean(text)))
    console().print(table)
    for one in found["disagreements"][:_SHOWN]:
        console().print(Text(f"\n{clean(one['call'])}", style="bold"))
        for who in ("baseline", "candidate"):
            console().print(Text(f"  {who:<9}  {_short(one[who])}"))
    more = len(found["disagreements"]) - _SHOWN
    if more > 0:
        console().print(f"\n{more} more with --json")


_WHY: Final = {
    **{name: f"{meaning}; {step}" for name, (meaning, step) in REASONS.items()},
    UNSENDABLE: "its request is not to be sent a second time",
}
_NOTES: Final = {
    "before": "asked before",
    "left_out": "left out",
    "unanswered": "not taken by the provider",
}


def _span(low: float, high: float) -> str:
    return f"95 %: {low:.1%} to {high:.1%}"


def _short(said: Any) -> str:
    if isinstance(said, list):
        parts = [
            part for one in said for part in (one["text"], *(f"{t['name']}({t['arguments']})" for t in one["tools"]))
        ]
        said = " | ".join(part for part in parts if part)
    text = clean(said)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"
