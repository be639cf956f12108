"""The rollout's benchmark: its rules are the ones it names, and its simulation decides as the core does."""

from __future__ import annotations

import math
from random import Random

import pytest

from benchmarks.rollout import others, ours
from benchmarks.rollout.__main__ import table, vectors_off
from benchmarks.rollout.orders import differing_verdicts
from benchmarks.rollout.rows import LADDER, Job, Row, flips, policy, work
from benchmarks.rollout.table import Plan, plan_rows
from logos_shift_openai.core.evidence import GRID, Cell, Evidence
from logos_shift_openai.core.findings import look_at


def test_the_simulation_decides_as_the_core_does():
    """The unit by unit sums of a run end at the very unit at which the core, given the counts, first sees the proof."""
    asked = policy(0.05, ("success", "valid"))
    end = ours.run(Random(4), asked, lambda unit: [(0.9, 0.7), (0.9, 0.9)], 20_000, share=500)
    dice, evidence, looks = Random(4), Evidence(), []
    for _ in range(end.units):
        variant = "candidate" if dice.random() < 0.05 else "baseline"
        for metric, rates in (("success", (0.9, 0.7)), ("valid", (0.9, 0.9))):
            good = dice.random() < rates[variant == "candidate"]
            evidence.add(Cell(metric, 500, 0, 540, variant, GRID * good))
        looks.append(look_at(asked, evidence, 10_000).harmful)
    assert end.how == "rolled back"
    assert looks == [False] * (end.units - 1) + [True]
    assert end.candidates == evidence.units("success", "candidate")


def test_a_run_is_its_seed():
    """The same job gives the same ends, cut into pieces or not."""
    whole = work(Job("ours", 0.8, {"share": 500}, 0, 4))
    assert whole == work(Job("ours", 0.8, {"share": 500}, 0, 1)) + work(Job("ours", 0.8, {"share": 500}, 1, 3))


def test_the_other_rules():
    """The intervals are the ones of their sources; a timed ramp ends in a promotion unless it saw harm."""
    assert others.half_z(100, 0.01) == pytest.approx(0.196, abs=1e-4)
    rho2 = (-2 * math.log(0.05) + math.log(1 - 2 * math.log(0.05))) / 5_000
    width = math.sqrt(2 * (1_000 * rho2 + 1) / (1_000 * rho2) * 0.001 * math.log(math.sqrt(1_000 * rho2 + 1) / 0.05))
    assert others.half_sequence(1_000, 0.001) == pytest.approx(width)
    assert others.timed(Random(1), (0.9, 0.9), 600, LADDER).how == "promoted"
    assert others.timed(Random(1), (0.9, 0.2), 60_000, LADDER).how == "rolled back"


def test_orders_flips_and_vectors():
    assert differing_verdicts(2) == 0
    assert flips(2_000) == 0
    assert vectors_off() == 0


def test_the_table_says_what_is_not_reached():
    """Every planned row has its jobs; a figure above its limit is marked."""
    plan = Plan(0.01)
    assert len(plan_rows(plan)) == 20
    assert sum(job.runs for job in plan.jobs) >= 8 * 20
    told = table([Row("a", 5, "%", 4.96), Row("b", 0, "", 1)])
    assert "| a | ≤ 5 % | 5.0 | yes |" in told
    assert "| b | ≤ 0 | 1 | **no** |" in told
