"""The same records in another order, with crashes between: are the verdicts the same?

A stream is decided on twice. Once plainly; once with the records between two looks shuffled, counted in two halves that
are merged, and policy, state and evidence written as JSON and read back before every look, as after a crash.
"""

from __future__ import annotations

import json
from random import Random

from logos_shift_openai.core.evidence import GRID, Cell, Evidence
from logos_shift_openai.core.policy import policy_from
from logos_shift_openai.core.rollout import begin, decide
from logos_shift_openai.core.rollout_state import State, state_from

_BETWEEN, _LIMIT = 50, 9_000
_TRUTH = {"success": (0.9, (0.9, 0.8)), "errors": (0.99, (0.99, 0.97))}


def differing_verdicts(streams: int) -> int:
    """Count the streams on which the two ways do not decide the same, word by word."""
    return sum(not _same(number) for number in range(streams))


def _same(number: int) -> bool:
    policy = policy_from({"margin": 0.05, "step_seconds": 0, "last_step_seconds": 0})
    dice, shuffled = Random(f"orders {number}"), Random(f"shuffled {number}")
    state = again = begin(policy, 0)
    evidence, other = Evidence(), Evidence()
    for unit in range(0, _LIMIT, _BETWEEN):
        if state.phase != "ramping":
            return True
        cells = [cell for _ in range(_BETWEEN) for cell in _cells(dice, state, number % 2)]
        for cell in cells:
            evidence.add(cell)
        shuffled.shuffle(cells)
        half = Evidence()
        for place, cell in enumerate(cells):
            (half if place % 2 else other).add(cell)
        other.merge(half)
        other, (again_policy, again) = _crashed(other), (policy_from(policy.to_json()), _read(again))
        first, second = decide(policy, state, evidence, unit), decide(again_policy, again, other, unit)
        if first != second:
            return False
        state, again = first.state, second.state
    return True


def _cells(dice: Random, state: State, bad: int) -> list[Cell]:
    variant = "candidate" if dice.random() < state.share / 10_000 else "baseline"
    cells = []
    for metric, (base, ours) in _TRUTH.items():
        good = dice.random() < (ours[bad] if variant == "candidate" else base)
        cells.append(Cell(metric, state.share, 0, state.step.centre(metric), variant, GRID * good))
    return cells


def _crashed(evidence: Evidence) -> Evidence:
    return Evidence.from_rows(json.loads(json.dumps(evidence.rows())))


def _read(state: State) -> State:
    return state_from(json.loads(json.dumps(state.to_json())))
