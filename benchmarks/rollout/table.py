"""The table: which jobs each row takes, and how their ends become its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.rollout.many import CANDIDATES
from benchmarks.rollout.rows import BASE, ERRORS_BASE, LONG, MARGIN, RAISED, SHARES, TIMED, Job, Row
from benchmarks.rollout.rows import extra_failures as extra
from benchmarks.rollout.rows import median_units as units
from benchmarks.rollout.rows import shares_of as part

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.rollout.ours import End

    Take = Callable[..., list[End]]


class Plan:
    """Collects the jobs of all rows first, so that they can be done side by side, and hands their ends back after."""

    def __init__(self, part_of_runs: float) -> None:
        self.scale = part_of_runs
        self.jobs: list[Job] = []
        self.ends: dict[int, list[End]] = {}

    def runs(self, rule: str, truth: float, runs: int, **options: Any) -> Callable[[], list[End]]:
        """Ask for runs; the answer gives their ends once the jobs are done."""
        wanted, pieces = max(8, round(runs * self.scale)), []
        each = max(4, wanted // 8)
        for first in range(0, wanted, each):
            pieces.append(len(self.jobs))
            self.jobs.append(Job(rule, truth, options, first, min(each, wanted - first)))
        return lambda: [end for piece in pieces for end in self.ends[piece]]


def plan_rows(plan: Plan) -> list[Callable[[], Row]]:
    """Plan every row that is simulated."""
    return [
        *(_false_rollback(plan, share) for share in SHARES),
        _false_rollback_together(plan),
        _false_promotion(plan, fixed=True),
        _false_promotion(plan, fixed=False),
        _false_promotion_of_many(plan),
        _found(plan, 0.1, 500, 1_600),
        _found(plan, 0.05, 5_000, 1_000),
        _found_by_default(plan, 0.1, 500, 1_600),
        _found_by_default(plan, 0.05, 5_000, 1_000),
        _total_failure(plan),
        _ramp(plan, 0.02, 8_500),
        _ramp(plan, 0.05, 1_800),
        *(_extra(plan, harm, limit) for harm, limit in ((0.05, 18), (0.1, 10), (0.3, 5))),
        _unproven(plan),
    ]


def _false_rollback(plan: Plan, share: int) -> Callable[[], Row]:
    mine = plan.runs("ours", BASE, 800, share=share, limit=LONG)
    fixed = {"schedule": {0: share}, "limit": LONG}
    z, sequence = plan.runs("z", BASE, 60, **fixed), plan.runs("sequence", BASE, 60, **fixed)
    title = f"false rollback, equal variants, {share / 100:g} % share, {LONG:,} units"

    def row() -> Row:
        told = f"z {part('rolled back', z()):.0f} %, sequence {part('rolled back', sequence()):.0f} %"
        return Row(title, 5, "%", part("rolled back", mine()), told)

    return row


def _false_rollback_together(plan: Plan) -> Callable[[], Row]:
    options = {"schedule": RAISED, "metrics": 5, "drift": True, "limit": LONG}
    mine, z = plan.runs("ours", BASE, 400, **options), plan.runs("z", BASE, 40, **options)
    sequence = plan.runs("sequence", BASE, 40, **options)
    title = "the same through a ramp and drift, five guardrails together"

    def row() -> Row:
        told = f"z {part('rolled back', z()):.0f} %, sequence {part('rolled back', sequence()):.0f} % (uncorrected)"
        return Row(title, 5, "%", part("rolled back", mine()), told)

    return row


def _false_promotion(plan: Plan, *, fixed: bool) -> Callable[[], Row]:
    truth = BASE - MARGIN
    share = {"share": 100} if fixed else {}
    schedule = {0: 100} if fixed else TIMED
    mine = plan.runs("ours", truth, 600, rollback=False, limit=LONG, **share)
    rest = {"schedule": schedule, "margin": MARGIN, "rollback": False, "limit": LONG}
    z, sequence = plan.runs("z", truth, 60, **rest), plan.runs("sequence", truth, 100, **rest)
    title = f"false promotion, exactly 2 points worse, {'1 % share' if fixed else 'whole ramp'}"

    def row() -> Row:
        told = f"z {part('promoted', z()):.0f} %, sequence {part('promoted', sequence()):.0f} %"
        return Row(title, 5, "%", part("promoted", mine()), told)

    return row


def _false_promotion_of_many(plan: Plan) -> Callable[[], Row]:
    shared = plan.runs("many", BASE, 200, spend=True, margin=0.1)
    each = plan.runs("many", BASE, 200, spend=False, margin=0.1)
    title = f"any false promotion of {CANDIDATES} candidates of one dataset, each exactly 10 points worse"

    def row() -> Row:
        return Row(title, 5, "%", part("promoted", shared()), f"one alpha each {part('promoted', each()):.0f} %")

    return row


def _found(plan: Plan, harm: float, share: int, limit: int) -> Callable[[], Row]:
    mine = plan.runs("ours", BASE - harm, 300, share=share)
    sequence = plan.runs("sequence", BASE - harm, 60, schedule={0: share})
    title = f"-{100 * harm:.0f} points at {share / 100:g} %, median units to rollback"
    return lambda: Row(title, limit, "units", units(mine()), f"sequence {units(sequence()):,.0f}")


def _found_by_default(plan: Plan, harm: float, share: int, limit: int) -> Callable[[], Row]:
    """Plan the same under the default policy: the success falls, and the error rate beside it stays as it was."""
    mine = plan.runs("ours", BASE - harm, 1_200, share=share, errors=ERRORS_BASE)
    title = f"-{100 * harm:.0f} points at {share / 100:g} %, two metrics guarded, one harmed"
    return lambda: Row(title, limit, "units", units(mine()))


def _total_failure(plan: Plan) -> Callable[[], Row]:
    mine = plan.runs("ours", 0.0, 200, share=100)
    five = plan.runs("ours", 0.0, 200, share=100, metrics=5)
    sequence = plan.runs("sequence", 0.0, 20, schedule={0: 100}, limit=5_000)

    def row() -> Row:
        worst = max(end.candidates for end in mine() + five())
        told = f"sequence: {part('rolled back', sequence()):.0f} % out after 5,000 units (no variance)"
        return Row("every call fails, 1 % share, candidate calls, the most of any run", 4, "calls", worst, told)

    return row


def _ramp(plan: Plan, margin: float, limit: int) -> Callable[[], Row]:
    mine = plan.runs("ours", BASE, 300, margin=margin, limit=60_000)
    return lambda: Row(
        f"equal variants, ramp to 100 %, m = {100 * margin:.0f}, median units", limit, "units", units(mine()),
        f"timed 20,000; ours ends in a promotion in {part('promoted', mine()):.0f} %",
    )  # fmt: skip


def _extra(plan: Plan, harm: float, limit: int) -> Callable[[], Row]:
    mine = plan.runs("ours", BASE - harm, 300, limit=60_000)
    rest = {"schedule": TIMED, "limit": 60_000}
    sequence, z = plan.runs("sequence", BASE - harm, 100, **rest), plan.runs("z", BASE - harm, 60, **rest)
    return lambda: Row(
        f"extra failed calls before rollback through the ramp, -{100 * harm:.0f} points, mean", limit, "calls",
        extra(mine(), harm), f"sequence {extra(sequence(), harm):.0f}, z {extra(z(), harm):.0f} (timed shares)",
    )  # fmt: skip


def _unproven(plan: Plan) -> Callable[[], Row]:
    mine, timed = plan.runs("ours", 0.85, 300, limit=600), plan.runs("timed", 0.85, 300, limit=600)
    title = "shipped without proof: 600 units, 5 points worse"
    return lambda: Row(title, 0, "%", part("promoted", mine()), f"timed {part('promoted', timed()):.0f} %")
