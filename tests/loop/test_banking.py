"""The whole loop on real rows, over real HTTP: our client, records, edition, tuning, held-out questions, rollout.

Ten intents and 500 records, as the benchmark `autopilot` does with 77 as well.
"""

from __future__ import annotations

import json
import random

from benchmarks.autopilot import World
from logos_shift_openai.lab import data

TAKES = 40


def rows():
    found = data.rows("train")
    random.Random(7).shuffle(found)
    return found


def test_from_calls_to_a_promoted_candidate_with_no_hand_on_it(tmp_path):
    """At least .94 of the published test rows are right; the calls are the candidate's in the end."""
    known = rows()
    with World(known + data.rows("test"), tmp_path / "world") as world:
        world.ask(known[:500])
        assert world.fly().state.phase == "rolling"
        assert world.accuracy(data.rows("test")) >= 0.94
        world.roll_out(known[500:] * 4)
        world.fly()
        assert world.steps() == ["policy", "began", "edition", "tuning", "tuned", "passed", "rollout", "promoted"]
        (experiment,) = json.loads((tmp_path / "world" / "config.json").read_bytes())["experiments"]
        assert experiment["share"] == 10_000
        assert len(experiment["candidate"]["prompts"]) == 1
        answers = world.ask(data.rows("test")[:20], rate=False)
        assert {answer.model for answer in answers} == {experiment["candidate"]["model"]}


def test_a_shuffled_edition_never_passes_the_gate(tmp_path):
    """Every answer corrected to that of another question: it ends before any user sees it."""
    known = rows()
    wrong = [label for _, label in known[:500]]
    random.Random(5).shuffle(wrong)
    with World(known, tmp_path / "world") as world:
        world.ask(known[:500], corrections=wrong)
        world.fly()
        assert world.steps()[-1] == "under_the_floor"
        assert not (tmp_path / "world" / "config.json").exists()
