"""How editions are shown to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logos_shift_openai.cli.output import age, clean, console, plain_table
from logos_shift_openai.core.left_out import REASONS

if TYPE_CHECKING:
    from rich.table import Table

    from logos_shift_openai.server.datasets.register import Edition


def editions_table(editions: list[Edition], now: int) -> Table:
    """Lay editions out, a row each."""
    table = plain_table()
    for name in ("edition", "age", "dataset", "kind", "train", "held out"):
        table.add_column(name, justify="right" if name in {"age", "train", "held out"} else "left")
    for one in editions:
        counts = one.manifest["counts"]
        rows = (f"{counts['train']:,}", f"{counts['heldout']:,}")
        table.add_row(one.id, age(one.at, now), clean(one.dataset), clean(one.manifest["kind"]), *rows)
    return table


def show_edition(edition: Edition) -> None:
    """Print an edition: its sizes, what was left out with the next step, and what to think of."""
    said, counts = edition.manifest, edition.manifest["counts"]
    estimate = said["estimate"]
    cost = "" if estimate["cost"] is None else f", about ${estimate['cost']:,.2f} for {estimate['epochs']} epochs"
    table = plain_table()
    table.show_header = False
    table.add_row("edition", edition.id)
    table.add_row("dataset", f"{clean(edition.dataset)}, {said['kind']}")
    table.add_row("train", f"{counts['train']:,} rows")
    table.add_row("held out", f"{counts['heldout']:,} rows")
    table.add_row("corrected", f"{counts['corrected']:,}")
    table.add_row("answers", f"{said['answers']['distinct']:,} different")
    table.add_row("tokens", f"about {estimate['tokens']:,}{cost} (an estimate)")
    table.add_row("redacted", ", ".join(f"{name} {count:,}" for name, count in counts["redacted"].items()) or "nothing")
    table.add_row("pruned", f"{len(said['prune'])} system texts" if said["prune"] else "nothing")
    table.add_row("place", clean(edition.place))
    console().print(table)
    if counts["left_out"]:
        left = plain_table(f"left out, of {counts['read']:,} calls")
        left.add_column("calls", justify="right")
        left.add_column("why")
        left.add_column("what helps")
        for name, count in sorted(counts["left_out"].items(), key=lambda one: -one[1]):
            why = REASONS.get(name)  # a newer server may know others
            left.add_row(f"{count:,}", *((clean(name), "") if why is None else (why.meaning, why.step)))
        console().print(left)
    for warning in said["warnings"]:
        console().print(f"Note: {clean(warning)}")
