"""`python -m benchmarks.rollout`: print the table; exit with the number of rows that are not reached."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.rollout import independent
from benchmarks.rollout.orders import differing_verdicts
from benchmarks.rollout.rows import Row, flips, work
from benchmarks.rollout.table import Plan, plan_rows
from logos_shift_openai.core.evidence import Evidence
from logos_shift_openai.core.wealth import Claim, log_wealth

VECTORS = Path(__file__).parents[2] / "tests" / "contract" / "rollout.json"


def main() -> int:
    """Run all rows and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs, at most half a minute")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    asked = parser.parse_args()
    began = time.monotonic()
    rows = all_rows(0.1 if asked.quick else 1.0, asked.processes)
    if asked.json:
        for row in rows:
            print(json.dumps({**row._asdict(), "ok": row.ok}))
    else:
        print(table(rows))
        print(f"\n{time.monotonic() - began:.0f} s, {asked.processes} processes, {'quick' if asked.quick else 'full'}.")
    return sum(not row.ok for row in rows)


def all_rows(part_of_runs: float, processes: int) -> list[Row]:
    """Do all the work and give the rows in their order."""
    plan = Plan(part_of_runs)
    rows = plan_rows(plan)
    users, streams = round(1_000_000 * part_of_runs), max(3, round(20 * part_of_runs))
    with ProcessPoolExecutor(processes) as pool:
        flipped = pool.submit(flips, users)
        verdicts = pool.submit(differing_verdicts, streams)
        # The long jobs first, so that no process is left alone with one at the end; the ends do not depend on it.
        order = sorted(range(len(plan.jobs)), key=lambda place: -plan.jobs[place].options.get("metrics", 1))
        for place, ends in zip(order, pool.map(work, [plan.jobs[place] for place in order]), strict=True):
            plan.ends[place] = ends
        return [
            *(row() for row in rows),
            Row(f"users who flip over a ramp, of {users:,}", 0, "users", flipped.result()),
            Row(f"verdicts that an order of records or a crash changes, of {streams}", 0, "", verdicts.result()),
            Row("vectors where an exact, independent computing disagrees", 0, "", vectors_off()),
        ]


def vectors_off() -> int:
    """Count the vectors on which the core, the written figure and the independent computing do not agree."""
    off = 0
    for vector in json.loads(VECTORS.read_text(encoding="utf-8"))["wealth"]:
        fields = vector["claim"]
        claim = Claim(**{**fields, "effects": tuple(fields["effects"]), "weights": tuple(fields["weights"])})
        core = log_wealth(claim, dict(Evidence.from_rows(vector["cells"]).items()))
        exact = independent.log_wealth(fields, vector["cells"])
        off += abs(core - exact) > 1e-6 or abs(core - vector["log_wealth"]) > 1e-6
    return off


def table(rows: list[Row]) -> str:
    """Give the rows as Markdown."""
    lines = ["| | to reach | ours | | other rules |", "|---|--:|--:|---|---|"]
    for row in rows:
        figure = f"{row.ours:,.1f}" if isinstance(row.ours, float) and row.ours % 1 else f"{row.ours:,.0f}"
        limit = f"{row.limit:,.0f} {row.unit}".strip()
        lines.append(f"| {row.title} | ≤ {limit} | {figure} | {'yes' if row.ok else '**no**'} | {row.others} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
