"""The demo's autopilot: the engine as it is, with a policy that has no waiting times, and nobody's hand on it.

With `--bad` the floor of the held-out questions is taken away, so that the rollout itself has to find out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.cli.demo_round import DATASET, LARGE, PROVIDER, SMALL
from logos_shift_openai.cli.output import CommandError, now_ms, percent
from logos_shift_openai.cli.session import take_in_and_say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress

    from logos_shift_openai.cli.demo_round import Round, Row
    from logos_shift_openai.cli.session import Place
    from logos_shift_openai.lab import Lab
    from logos_shift_openai.server.autopilot.keeping import Autopilot
    from logos_shift_openai.server.store.database import Store

POLICY: Final = {
    "margin": 0.05,
    "ladder": [500, 1_000, 2_500, 5_000, 10_000],
    "step_seconds": 0,
    "last_step_seconds": 0,
    "hold_back": 0,
    "unit": "call",
}
"""No waiting times and nobody held back: the demo is to end within a minute."""
_PART: Final = 50
_REST: Final = 0.2
_LONGEST: Final = 120.0

Step = dict[str, Any]
"""What was decided: `calls` so far, `action`, `share` after it, `why`."""


@dataclass(frozen=True)
class Tuned:
    """What came of the tuning job.

    Args:
        rows: Examples in the training file.
        accuracy: On the held-out part of the edition, in [0, 1].
        seconds: From the first look to the verdict on the held-out part.
    """

    job: str
    model: str
    rows: int
    accuracy: float | None
    seconds: float


class Flight:
    """One round of the autopilot.

    Args:
        lab: The provider of all models.
        place: The demo's home folder.
        store: Of that folder.
        bar: Shows how far it is.
        bad: Whether there is nothing to learn.
    """

    def __init__(self, lab: Lab, place: Place, store: Store, bar: Progress, *, bad: bool) -> None:
        from logos_shift_openai.core.autopilot_policy import autopilot_from  # noqa: PLC0415
        from logos_shift_openai.server.autopilot.acts import Cockpit  # noqa: PLC0415
        from logos_shift_openai.server.autopilot.keeping import set_policy  # noqa: PLC0415
        from logos_shift_openai.server.evaluation.running import Bench  # noqa: PLC0415
        from logos_shift_openai.server.tuners.step import workshop  # noqa: PLC0415
        from logos_shift_openai.server.worker import holder_name  # noqa: PLC0415

        environ, holder = {f"LOGOS_SHIFT_PROVIDER_{PROVIDER.upper()}_BASE_URL": lab.base_url}, holder_name()
        shop = workshop(store, place.home, holder, now_ms, environ)
        self._cockpit = Cockpit(shop, Bench(store, place.home, environ, holder, now_ms), place.home)
        self._store, self._place, self._bar = store, place, bar
        policy = autopilot_from(
            {
                "mode": "on", "models": [LARGE], "base": SMALL, "provider": PROVIDER, "settings": {"seed": 1},
                "new_examples": 50, "rows": 50, "days": 1, "unit": "call", "rollout": POLICY, "gate_agreement": 0,
                "gate": {"rows": 5, "answer_floor": 0.0, **({"floor": 0.0} if bad else {})},
            }
        )  # fmt: skip
        with store.writing() as connection:
            set_policy(connection, DATASET, policy, now_ms())

    def train(self) -> Tuned:
        """Fly until the candidate is rolled out: edition, tuning job, held-out questions.

        Raises:
            CommandError: it came to no candidate.
        """
        from logos_shift_openai.server.evaluation.keeping import find_evaluation  # noqa: PLC0415
        from logos_shift_openai.server.tuners.jobs import find_job  # noqa: PLC0415
        from logos_shift_openai.server.tuners.machine import advance  # noqa: PLC0415

        began, task = time.monotonic(), self._bar.add_task("the autopilot looks at the records", total=100)
        take_in_and_say(self._store, self._place)
        while (one := self._turn()).state.phase != "rolling":
            if one.state.round and one.state.phase == "waiting":
                raise CommandError(one.said)
            if one.state.job is not None and one.state.phase == "tuning":
                job = advance(self._cockpit.shop, one.state.job)
                self._bar.update(task, description=f"{SMALL} is tuned", completed=90 * (job.fraction or 0.0))
            if time.monotonic() - began > _LONGEST:
                raise CommandError(f"the autopilot has come to no candidate: {one.said}")
            time.sleep(_REST)
        with self._store.reading() as connection:
            job = find_job(connection, one.state.job or "")
            report = find_evaluation(connection, one.state.evaluation or "").report or {}
            rows = _rows(self._cockpit.shop.home, one.state.edition or "")
        self._bar.update(task, completed=100, description=f"{SMALL} is tuned on {rows} records")
        model = str((one.state.candidate or {})["model"])
        return Tuned(job.id, model, rows, report.get("agreement"), round(time.monotonic() - began, 1))

    def roll_out(self, round_: Round, rows: Sequence[Row]) -> tuple[list[Step], str | None]:
        """Ask in parts and look after each, until the rollout has ended.

        Returns:
            What was decided, and "promoted" or "rolled_back"; None where there were too few calls for a verdict.
        """
        from logos_shift_openai.server.rollout_reading import get_rollout, history  # noqa: PLC0415
        from logos_shift_openai.server.rollouts import tick  # noqa: PLC0415

        key, task = self.experiment, self._bar.add_task("the rollout begins", total=len(rows))
        kept: list[Step] = []
        told = 0
        for start in range(0, len(rows), _PART):
            part = rows[start : start + _PART]
            share = get_rollout(self._store, key).state.share
            self._bar.update(task, description=f"{SMALL} tuned has {percent(share)} of the calls")
            round_.ask(part, task)
            take_in_and_say(self._store, self._place)
            tick(self._store, now_ms(), self._place.home)
            with self._store.reading() as connection:
                fresh = [one for one in history(connection, key, _PART) if one["id"] > told]
            told = max([told, *(one["id"] for one in fresh)])
            kept += [
                {"calls": start + len(part), **{name: one[name] for name in ("action", "share", "why")}}
                for one in reversed(fresh)
                if one["event"] != "begin"
            ]
            if self._turn().state.phase == "waiting":
                self._bar.update(task, total=start + len(part), description="the rollout has ended")
                return _told(kept), str(self.steps()[-1]["step"])
        return _told(kept), None

    @property
    def experiment(self) -> str:
        """What is rolled out."""
        return self._now().state.experiment or ""

    def steps(self) -> list[dict[str, Any]]:
        """Give the autopilot's steps in their order."""
        from logos_shift_openai.server.autopilot.keeping import history  # noqa: PLC0415

        with self._store.reading() as connection:
            found = reversed(history(connection, DATASET))
        return [{name: one[name] for name in ("step", "why")} for one in found if one["step"] != "policy"]

    def _turn(self) -> Autopilot:
        from logos_shift_openai.server.autopilot.running import turn  # noqa: PLC0415

        turn(self._cockpit, DATASET)
        return self._now()

    def _now(self) -> Autopilot:
        from logos_shift_openai.server.autopilot.keeping import find_autopilot  # noqa: PLC0415

        with self._store.reading() as connection:
            return find_autopilot(connection, DATASET)


def _rows(home: Any, edition: str) -> int:
    from logos_shift_openai.server.tuners.edition import read_edition  # noqa: PLC0415

    return int(read_edition(home, edition).manifest["counts"]["train"])


def _told(steps: list[Step]) -> list[Step]:
    """Leave out the holds, of which there is one a look, but for the last word."""
    return [one for one in steps if one["action"] != "hold" or one is steps[-1]]
