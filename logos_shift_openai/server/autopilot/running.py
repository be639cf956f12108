"""An autopilot's turn: read, decide, do, write; again until it waits for somebody or something.

Theory of operation. One process at a time is at a dataset's autopilot, under a lease of its own. A step is done first
and then written together with its line and its event, if the row is still as it was read; whoever is killed in between
leaves a step that is done again, which `acts` makes the same as once. The held-out questions are asked in the turn
itself, for as long as they take; a tuning job and a rollout are others' work, and only looked at.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from logos_shift_openai.core.autopilot import Step, next_step
from logos_shift_openai.server.evaluation.keeping import find_evaluation
from logos_shift_openai.server.evaluation.running import evaluate
from logos_shift_openai.server.holding import BusyError, held
from logos_shift_openai.server.store.database import StoreError

from .acts import BlockedError, booked, do
from .facts import facts_of
from .keeping import Autopilot, NoAutopilotError, find_autopilot, keep, list_autopilots, tell

if TYPE_CHECKING:
    from logos_shift_openai.core.autopilot import Facts
    from logos_shift_openai.server.store.database import Store

    from .acts import Cockpit

_MOST_STEPS: Final = 32
_SECONDS: Final = 5.0
_REST_MS: Final = 30_000
_AT_ONCE: Final = 4
_logger = logging.getLogger("logos_shift_openai.server")


def turn(cockpit: Cockpit, dataset: str) -> Step:
    """Take an autopilot as far as it goes now.

    Args:
        cockpit: What it needs.
        dataset: Whose.

    Returns:
        What it waits for.

    Raises:
        BusyError: another process is at it.
        NoAutopilotError: there is none.
    """
    shop = cockpit.shop
    name = f"autopilot-{hashlib.sha256(dataset.encode()).hexdigest()[:24]}"
    with held(shop.store, name, shop.holder, shop.now):
        for _ in range(_MOST_STEPS):
            step = _one(cockpit, dataset)
            if step.do in {"wait", "ask"}:
                break
        return step


def _one(cockpit: Cockpit, dataset: str) -> Step:
    shop, now = cockpit.shop, cockpit.shop.now()
    with shop.store.reading() as connection:
        one = find_autopilot(connection, dataset)
    facts = facts_of(shop.store, shop.home, cockpit.config_home, one, now)
    step = next_step(one.policy, one.state, facts, now)
    if step.do == "judge":
        return _judged(cockpit, one, now)
    if step.do in {"wait", "ask"}:
        _rests(shop.store, one, step, now)
        return step
    return _does(cockpit, one, step, facts, now)


def _does(cockpit: Cockpit, one: Autopilot, step: Step, facts: Facts, now: int) -> Step:
    try:
        done = do(cockpit, one, step, facts, now)
    except BlockedError as error:
        blocked = Step("wait", str(error), f"blocked {step.do}")
        _rests(cockpit.shop.store, one, blocked, now)
        return blocked
    with cockpit.shop.store.writing() as connection:
        keep(connection, one, done.state, done.said, now, booked(one, done, now))
        if done.kind is not None:
            about = (
                done.state if done.state.phase != "waiting" else replace(done.state, experiment=one.state.experiment)
            )
            tell(connection, one, about, done.kind, done.said, done.data or {}, now)
    return step


def _judged(cockpit: Cockpit, one: Autopilot, now: int) -> Step:
    """Go on with the held-out questions, if it is time."""
    name = one.state.evaluation or ""
    with cockpit.shop.store.reading() as connection:
        found = find_evaluation(connection, name)
    if found.due <= now:
        found = evaluate(cockpit.bench, name)
    if found.state != "open":
        return Step("judge", found.said)
    rests = Step("wait", f"the held-out questions: {found.said}", "questions" if found.attempts else None)
    _rests(cockpit.shop.store, one, rests, now)
    return rests


def _rests(store: Store, one: Autopilot, step: Step, now: int) -> None:
    """Write why nothing happens, where that has changed; tell whoever is needed, once."""
    asked = step.of if step.do == "ask" else None
    state = replace(one.state, asked=asked, told=step.needs)
    if state == one.state and step.why == one.said:
        return
    with store.writing() as connection:
        keep(connection, one, state, step.why, now)
        if step.needs is not None and step.needs != one.state.told:
            kind = "asks" if asked is not None else "needs"
            tell(connection, one, state, kind, step.why, {"step": asked, "needs": step.needs}, now)


class AutopilotStep:
    """The autopilots as a step of the background work: each in a thread of its own, for a turn may take minutes.

    Args:
        cockpit: What they need; its store is not the worker's fenced one, for a thread outlives a step.
    """

    def __init__(self, cockpit: Cockpit) -> None:
        self._cockpit = cockpit
        self._working: dict[str, threading.Thread] = {}
        self._rests: dict[str, tuple[int, int]] = {}  # at which turn, and until when

    def __call__(self, store: Store, now: int) -> float:
        """Take on every autopilot; gives the seconds to the next look."""
        self._working = {dataset: thread for dataset, thread in self._working.items() if thread.is_alive()}
        with store.reading() as connection:
            found = [one for one in list_autopilots(connection) if one.policy.mode != "off" or one.state.round]
        for one in found:
            at, until = self._rests.get(one.dataset, (-1, 0))
            if one.turn == at and now < until:
                continue
            if one.dataset not in self._working and len(self._working) < _AT_ONCE:
                name = f"autopilot-{one.dataset}"
                thread = threading.Thread(target=self._work, args=(one.dataset,), name=name, daemon=True)
                self._working[one.dataset] = thread
                thread.start()
        return _SECONDS

    def join(self, seconds: float) -> None:
        """Wait for what is under way."""
        for thread in self._working.values():
            thread.join(seconds)

    def _work(self, dataset: str) -> None:
        with suppress(BusyError, NoAutopilotError):
            try:
                step = turn(self._cockpit, dataset)
                with self._cockpit.shop.store.reading() as connection:
                    one = find_autopilot(connection, dataset)
                if step.do == "ask" or one.state.phase == "waiting":  # what others do to it changes its turn
                    self._rests[dataset] = (one.turn, self._cockpit.shop.now() + _REST_MS)
            except StoreError as error:
                _logger.warning("the autopilot of %s did not look: %s", dataset, type(error).__name__)
            except Exception:
                _logger.exception("the autopilot of %s did not look", dataset)
                raise
