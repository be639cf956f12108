"""`logos-shift stats`: what was recorded, per dataset, experiment and variant, and what still waits."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from logos_shift_openai.cli.calls import since_ms
from logos_shift_openai.cli.output import (
    clean,
    console,
    emit,
    milliseconds,
    moment,
    now_ms,
    plain_table,
    warn,
)
from logos_shift_openai.cli.session import opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from logos_shift_openai.server.clients import Clients, Sums
    from logos_shift_openai.server.spool_folders import Waiting
    from logos_shift_openai.server.statistics import Success, Totals, VariantStatistics

EXAMPLE: Final = "Example:\n\n\b\n  logos-shift stats --experiment sales-tiny\n  logos-shift stats --json"


def stats(
    ctx: typer.Context,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Only this dataset.")] = None,
    experiment: Annotated[str | None, typer.Option(metavar="KEY", help="Only this experiment.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="As 90s, 30m, 2h, 7d, or a date like 2026-11-24.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")] = False,
) -> None:
    """Count calls, errors, fallbacks, success and latency per variant."""
    from logos_shift_openai.server.clients import read_clients  # noqa: PLC0415
    from logos_shift_openai.server.embedded import positions  # noqa: PLC0415
    from logos_shift_openai.server.spool_folders import waiting  # noqa: PLC0415
    from logos_shift_openai.server.statistics import totals, variant_statistics  # noqa: PLC0415

    after = None if since is None else since_ms(since, now_ms())
    with opened(ctx.obj) as store, store.reading() as connection:
        everything = totals(connection)
        variants = variant_statistics(connection, dataset, experiment, after)
        spool = list(waiting(ctx.obj.home, positions(connection)))
        clients = read_clients(connection, now_ms())
    if as_json:
        emit({**_as_json(everything, variants, spool), "clients": asdict(clients)})
        return
    out = console()
    _print_totals(out, everything, spool, str(ctx.obj.home), clients)
    for (of_dataset, of_experiment, functions), group in groupby(
        variants, key=lambda one: (one.dataset, one.experiment, one.functions)
    ):
        out.print()
        title = f"dataset {of_dataset}" + (f", experiment {of_experiment}" if of_experiment else "")
        out.print(variants_table(list(group), title + (", functions" if functions else "")))
    if not variants and (dataset or experiment or since):
        warn("no call fits")


def variants_table(variants: Sequence[VariantStatistics], title: str) -> Table:
    """Give the table of some variants, one a column."""
    from rich.text import Text  # noqa: PLC0415

    table = plain_table(title)
    table.add_column("", style="dim", no_wrap=True)
    for one in variants:
        table.add_column(
            Text(one.variant or ("not assigned" if one.experiment else "calls")),
            justify="right",
            min_width=12,
        )
    for label, cells in _lines(variants):
        if any(cells):
            table.add_row(label, *cells)
    return table


def success_words(success: Success) -> str:
    """Write a success with its interval, both in percent."""
    if success.mean is None or success.low is None or success.high is None:
        return ""
    return f"{success.mean * 100:.1f} % ({success.low * 100:.1f}\u2013{success.high * 100:.1f})"


def _lines(variants: Sequence[VariantStatistics]) -> list[tuple[str, list[str]]]:
    def line(label: str, cell: Any) -> tuple[str, list[str]]:
        return label, [cell(one) for one in variants]

    def part(count: int, of: int) -> str:
        return f"{count:,} ({count / of * 100:.1f} %)" if count else "0"

    lines = [
        line("calls", lambda one: f"{one.calls:,}"),
        line("errors", lambda one: part(one.errors, one.calls)),
        line("fallbacks", lambda one: part(one.fallbacks, one.calls) if one.variant == "candidate" else ""),
        line("streams cut", lambda one: part(one.incomplete, one.calls) if one.incomplete else ""),
        line("scored", lambda one: f"{one.success.scored:,}"),
        line("success, 95 % interval", lambda one: success_words(one.success)),
        line("latency, median", lambda one: milliseconds(one.latency_ms.median)),
        line("latency, 95 %", lambda one: milliseconds(one.latency_ms.p95)),
        line("first token, median", lambda one: milliseconds(one.first_token_ms.median)),
        line("first token, 95 %", lambda one: milliseconds(one.first_token_ms.p95)),
    ]
    for label, name in (("tokens in", "input"), ("  of them cached", "cached"), ("tokens out", "output")):
        lines.append(line(label, lambda one, name=name: _tokens(one, name)))
    return lines


def _tokens(one: VariantStatistics, name: str) -> str:
    count = getattr(one.tokens, name)
    return f"{count:,}" if one.tokens.calls and count else ""


def _print_totals(out: Console, everything: Totals, spool: list[Waiting], home: str, clients: Clients) -> None:
    from rich.text import Text  # noqa: PLC0415

    table = plain_table()
    table.show_header = False
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("home", Text(clean(home)))
    span = ""
    if everything.first_at is not None and everything.last_at is not None:
        span = f", {moment(everything.first_at)} to {moment(everything.last_at)}"
    table.add_row("calls", Text(f"{everything.calls:,}{span}"))
    table.add_row("feedback", f"{everything.feedback:,}")
    for one in spool:
        if one.records or one.destination == "local":
            table.add_row("spool", Text(clean(_spool_words(one))))
    if clients.ever.counts:
        table.add_row("losses", Text(clean(_loss_words(clients.ever))))
    if everything.refused:
        counts = ", ".join(f"{clean(reason)} {count:,}" for reason, count in everything.refused.items())
        table.add_row("refused", Text(f"{sum(everything.refused.values()):,} lines, by the part at fault: {counts}"))
    out.print(table)


def _loss_words(sums: Sums) -> str:
    """Say what the clients lost, of all that was offered to them."""
    lost = sum(sums.lost.values())
    offered = sums.kept + sum(count for reason, count in sums.lost.items() if reason not in {"refused", "unreadable"})
    if not lost:
        return f"none of {offered:,} records, as the clients say"
    parts = ", ".join(f"{reason} {count:,}" for reason, count in sums.lost.items())
    return f"{lost:,} of {offered:,} records, as the clients say: {parts}"


def _spool_words(one: Waiting) -> str:
    waits = f"{one.records:,} records ({one.size:,} bytes) wait" if one.records else "nothing waits"
    if one.destination == "local":
        return f"{waits} on this machine"
    return f"{waits} for the server {one.destination}"


def _as_json(everything: Totals, variants: list[VariantStatistics], spool: list[Waiting]) -> dict[str, Any]:
    waits = [{**asdict(one), "orphans": [str(path) for path in one.orphans]} for one in spool]
    return {"totals": asdict(everything), "variants": [asdict(one) for one in variants], "spool": waits}
