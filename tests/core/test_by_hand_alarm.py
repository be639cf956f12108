"""Resuming a paused rollout after an alarm leaves what was counted under the broken split behind."""

from __future__ import annotations

from dataclasses import replace

from logos_shift_openai.core.evidence import Evidence
from logos_shift_openai.core.policy import Policy
from logos_shift_openai.core.rollout import begin
from logos_shift_openai.core.rollout_by_hand import by_hand


def test_the_new_run_has_a_step_of_its_own_from_the_moment_of_resuming() -> None:
    """Else nothing could be booked in it, or calls from before the alarm would be."""
    alarmed = replace(begin(Policy(), 1_000.0), alarm="the split is broken")
    paused = by_hand("pause", Policy(), alarmed, Evidence(), 2_000.0).state
    resumed = by_hand("resume", Policy(), paused, Evidence(), 3_000.0).state
    assert (resumed.run, resumed.alarm, resumed.phase) == (2, None, "ramping")
    assert (resumed.step.run, resumed.step.since, resumed.step.share) == (2, 3_000.0, 100)
