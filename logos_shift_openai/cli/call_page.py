"""One call as a page: what it was, why it went where it went, what was said, and what was said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.cli.conversation import conversation, parameters
from logos_shift_openai.cli.output import (
    age,
    clean,
    clean_block,
    compact,
    console,
    milliseconds,
    moment,
    percent,
    plain_table,
)
from logos_shift_openai.core.usage import tokens_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

_LABEL_MAX: Final = 18
_CHECKED: Final = {
    "valid": ("JSON as asked for", "JSON not as asked for"),
    "refused": ("refused", "not refused"),
    "cut": ("cut at its length", "not cut"),
}


def show_call(call: dict[str, Any], now: int) -> None:
    """Print the page of a call.

    Args:
        call: As `server.calls.find_call` gives it.
        now: Milliseconds since 1970.
    """
    out = console()
    out.print(_pairs(_facts(call, now), block=False))
    out.print()
    if not call.get("bodies", True):
        told = "not kept (sampled): the call is counted, its client left its text behind"
        out.print(_pairs([("bodies", told)], block=True))
    elif call["request"] is None and call["response"] is None:
        out.print(_pairs([("bodies", "not kept any more")], block=True))
    else:
        out.print(_pairs(conversation(call), block=True))
    out.print()
    out.print(_pairs(_feedback(call, now), block=True))


def _pairs(pairs: Iterator[tuple[str, str]] | list[tuple[str, str]], *, block: bool) -> Table:
    from rich.text import Text  # noqa: PLC0415

    table = plain_table()
    table.show_header = False
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=_LABEL_MAX)
    table.add_column(overflow="fold")
    for label, text in pairs:
        shown = clean_block(text) if block else clean(text)
        table.add_row(Text(clean(label), style="dim"), Text(shown))
    return table


def _facts(call: dict[str, Any], now: int) -> Iterator[tuple[str, str]]:
    yield "call", call["id"]
    if call["provider_id"]:
        yield "answer's id", call["provider_id"]
    yield "at", f"{moment(call['at'])} ({age(call['at'], now)} ago)"
    yield "endpoint", call["endpoint"] + (", streamed" if call["stream"] else "")
    if call["name"]:
        yield "function", call["name"]
    yield "dataset", call["dataset"]
    for label, name in (("user", "user_id"), ("conversation", "conversation_id")):
        if call[name]:
            yield label, call[name]
    if call["metadata"]:
        yield "metadata", compact(call["metadata"])
    if call["requested_model"]:
        yield "model", call["requested_model"]
    if call["served_model"] and (call["served_model"], None) != (
        call["requested_model"],
        call["served_provider"],
    ):
        at = f" at {call['served_provider']}" if call["served_provider"] else ""
        yield "answered by", call["served_model"] + at
    yield "route", _route(call)
    if call.get("gate"):
        yield "gate", _gate(call["gate"])
    yield from _ending(call)


def _route(call: dict[str, Any]) -> str:
    why = call["why"] or "not routed"
    if call["experiment"] is None:
        return str(why)
    parts = [f"experiment {call['experiment']}"]
    if call["assigned"]:
        parts.append(f"assigned {call['assigned']}")
    if call["served"] and call["served"] != call["assigned"]:
        parts.append(f"served {call['served']}")
    if call["share"] is not None:
        parts.append(f"share {percent(call['share'])}")
    return f"{', '.join(parts)}: {why}"


def _gate(said: dict[str, Any]) -> str:
    sure = ", ".join(f"{by} {said[by]:.3g}" for by in ("mean", "least", "sequence") if by in said)
    return ("passed" if said["passed"] else "held back") + (f": {sure}" if sure else "")


def _ending(call: dict[str, Any]) -> Iterator[tuple[str, str]]:
    first = f", first token after {milliseconds(call['first_token_ms'])}" if call["first_token_ms"] else ""
    yield "took", milliseconds(call["duration_ms"]) + first
    yield from _usage(call)
    if call["checks"]:
        yield "checks", ", ".join(_CHECKED[name][not value] for name, value in call["checks"].items())
    yield from _attempts(call)
    if not call["complete"] and not call["error"]:
        yield "end", "cut: the stream was not read to its end"
    if call["truncated"]:
        yield "truncated", ", ".join(map(str, call["truncated"]))
    if call["media"]:
        yield "media", f"{len(call['media'])} left out, kept as hash and size"
    if call["parent"]:
        yield "parent", call["parent"]
    for child in call["children"]:
        yield "child", child
    if said := parameters(call):
        yield "parameters", compact(said)


def _usage(call: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if call["tokens_in"] is None:
        return
    cached = f" ({call['tokens_cached']} cached)" if call["tokens_cached"] else ""
    yield "tokens", f"{call['tokens_in']} in{cached}, {call['tokens_out'] or 0} out"
    unknown = f"the price of {call['served_model'] or call['requested_model']} is not known"
    yield "cost", unknown if call["cost"] is None else f"${call['cost']:.6f}"


def _attempts(call: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for attempt in call["attempts"]:
        at = f" at {attempt['provider']}" if attempt["provider"] else ""
        end = "ok" if attempt["ok"] else f"failed: {_error(attempt['error'])}"
        took = milliseconds(attempt["duration_ms"])
        read, written, _ = tokens_in(attempt.get("usage") or {})
        used = "" if read is None else f", used {read} tokens in, {written or 0} out"
        yield "attempt", f"{attempt['variant']} {attempt['model'] or ''}{at}, {took}, {end}{used}"
    if call["error"]:
        yield "error", _error(call["error"])


def _error(error: dict[str, Any] | None) -> str:
    if error is None:
        return "unknown"
    parts = (error["type"], error["status"], error["code"], error["message"])
    return " ".join(str(part) for part in parts if part not in {None, ""})


def _feedback(call: dict[str, Any], now: int) -> Iterator[tuple[str, str]]:
    for said in call["said"]:
        words = []
        if said["label"]:
            words.append(said["label"])
        if said["value"] is not None:
            words.append(f"{said['value']:g}")
        if said["comment"]:
            words.append(f"\u201c{said['comment']}\u201d")
        if said["correction"] is not None:
            right = said["correction"]
            words.append(f"right answer: {right if isinstance(right, str) else compact(right)}")
        by = f" by {said['by']}" if said["by"] else ""
        yield "feedback", f"{', '.join(words)} ({age(said['at'], now)} ago{by})"
    counted = call["feedback"]
    if counted is not None and counted["call_id"] != call["id"]:
        yield "feedback", f"{counted['score']:g}, given to the parent {counted['call_id']}"
    if counted is None and not call["said"]:
        yield "feedback", "none"
