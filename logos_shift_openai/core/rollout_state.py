"""Where a rollout stands, as a value that survives as JSON: its phase, its steps so far, when it was last looked at.

The steps remember which share began when and with which centres, so that late scores find the cell their call was
drawn in. A *run* is a stretch of steps whose evidence counts together; a new one begins where old evidence no longer
speaks to the question: after promotion, and when a person resumes after an alarm.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from .config import SHARE_MAX
from .evidence import GRID, Draw
from .strict import ConfigError, Fields, list_of, map_of, maybe, number_in, one_of, shown, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

Phase = Literal["shadow", "ramping", "paused", "held_back", "done", "rolled_back"]

ENDED: Final = ("done", "rolled_back")
CENTRE_UNKNOWN: Final = 540
"""The centre of a metric of which nothing is known yet: 90 %. Any centre is valid; a good one saves units."""
_CENTRE_EDGE: Final = 3
_TIME: Final = number_in(0, 1e11)


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of time at one share.

    Args:
        share: The candidate's share in basis points.
        since: When it began, in Unix seconds.
        centres: The baseline's mean of each metric as known then, in steps of the grid.
        run: The run that its evidence belongs to.
    """

    share: int
    since: float
    centres: Mapping[str, int] = field(default_factory=dict)
    run: int = 1

    def centre(self, metric: str) -> int:
        """Give the centre under which this step books scores of a metric."""
        return self.centres.get(metric, CENTRE_UNKNOWN)


@dataclass(frozen=True, slots=True)
class State:
    """Where a rollout stands.

    Args:
        phase: What it is doing.
        steps: The steps so far, the present one last.
        started: When it began, moved on by the time that it was paused; Unix seconds.
        seen: The latest time it was looked at; time never goes back behind it.
        run: Whose evidence counts, from 1.
        alarm: Why the split cannot be trusted; None when it can.
        paused_from: The phase to go back to, while it is paused.
        number: The how many-th rollout of its dataset it is.
        proven: How many before it were promoted by proof, as far as they shared one alpha; see `core.spending`.
    """

    phase: Phase
    steps: tuple[Step, ...]
    started: float
    seen: float
    run: int = 1
    alarm: str | None = None
    paused_from: Phase | None = None
    number: int = 1
    proven: int = 0

    @property
    def step(self) -> Step:
        """The present step."""
        return self.steps[-1]

    @property
    def share(self) -> int:
        """The candidate's share now, in basis points; while it is paused, the one it goes back to."""
        return self.step.share

    @property
    def waited(self) -> float:
        """Seconds since the present step began."""
        return self.seen - self.step.since

    def at(self, share: int, centres: Mapping[str, int]) -> State:
        """Give the state with a new step that begins when the rollout was last looked at."""
        return replace(self, steps=(*self.steps, Step(share, self.seen, dict(centres), self.run)))

    def to_json(self) -> dict[str, Any]:
        """Give the state as `state_from` reads it."""
        steps = [
            {"share": one.share, "since": one.since, "centres": dict(one.centres), "run": one.run} for one in self.steps
        ]
        names = ("phase", "started", "seen", "run", "alarm", "paused_from", "number", "proven")
        return {**{name: getattr(self, name) for name in names}, "steps": steps}


def centre_of(mean: float | None) -> int:
    """Give the centre for a baseline's mean: on the grid, and off its ends, where no bet would be left.

    Args:
        mean: In [0, 1], None where nothing is known.
    """
    if mean is None:
        return CENTRE_UNKNOWN
    return min(max(round(mean * GRID), _CENTRE_EDGE), GRID - _CENTRE_EDGE)


def draw_at(share: int, scored_at: int | None) -> Draw | None:
    """Give the draw of a unit at a share.

    Args:
        share: The candidate's share, in basis points.
        scored_at: The highest share at which it was drawn before and stayed on the baseline; None for a new unit.

    Returns:
        None where nothing was drawn: the share has not risen since.
    """
    if scored_at is None:
        return Draw(share)
    return Draw(share, scored_at) if share > scored_at else None


def state_from(data: object, path: str = "") -> State:
    """Read what `State.to_json` gave.

    Raises:
        ConfigError: with the path of the first fault and what stands there.
    """
    at = Fields(path, data)
    state = State(
        phase=at.take("phase", one_of(*get_args(Phase)), required=True),
        steps=at.take("steps", list_of(_step), required=True),
        started=at.take("started", _TIME, required=True),
        seen=at.take("seen", _TIME, required=True),
        run=at.take("run", whole, default=1),
        alarm=at.take("alarm", maybe(text), default=None),
        paused_from=at.take("paused_from", maybe(one_of(*get_args(Phase))), default=None),
        number=at.take("number", whole, default=1),
        proven=at.take("proven", whole, default=0),
    )
    at.done()
    before = f"{path}." if path else ""
    if not state.steps:
        raise ConfigError(f"{before}steps: there is none")
    if state.proven >= state.number:
        raise ConfigError(f"{before}proven: {state.proven} is not below the number {state.number}")
    if (state.phase == "paused") != (state.paused_from is not None):
        raise ConfigError(f"{before}paused_from: {shown(state.paused_from)} does not fit the phase {state.phase}")
    return state


def _on_scale(path: str, value: Any, top: int) -> int:
    number = whole(path, value)
    if number > top:
        raise ConfigError(f"{path}: {number} is not in 0..{top}")
    return number


def _step(path: str, value: Any) -> Step:
    at = Fields(path, value)
    step = Step(
        share=at.take("share", lambda where, share: _on_scale(where, share, SHARE_MAX), required=True),
        since=at.take("since", _TIME, required=True),
        centres=at.take("centres", map_of(lambda where, centre: _on_scale(where, centre, GRID)), default={}),
        run=at.take("run", whole, default=1),
    )
    at.done()
    return step
