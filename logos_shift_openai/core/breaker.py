"""The circuit breaker of one candidate: after some failures in a row it keeps calls away for a while.

It works with the server away. Closed: calls pass. Open: none pass until the pause is over. Half-open: one call is let
through as a trial; its success closes the breaker, its failure opens it for twice as long. The clock is passed in.
Pattern: Nygard, *Release It!*, 2nd edition 2018, chapter 5.
"""

from __future__ import annotations

from typing import Final

FAILURES: Final = 5
PAUSE_SECONDS: Final = 30.0
LONGEST_PAUSE_SECONDS: Final = 300.0


class Breaker:
    """Counts one candidate's failures in a row. Its few assignments are each atomic; a lost race costs one trial."""

    __slots__ = ("failures", "pause", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.pause = PAUSE_SECONDS
        self.until: float | None = None

    def allows(self, now: float) -> bool:
        """Tell whether a call may go to the candidate; in half-open state this hands out the one trial.

        Args:
            now: Seconds on a monotonic clock.
        """
        if self.until is None:
            return True
        if now < self.until:
            return False
        self.until = now + self.pause
        return True

    def succeeded(self) -> None:
        """Note a success: the breaker is closed again."""
        if self.failures:
            self.failures = 0
            self.pause = PAUSE_SECONDS
            self.until = None

    def failed(self, now: float) -> None:
        """Note a failure at this time, in seconds on the same clock."""
        self.failures += 1
        if self.failures < FAILURES:
            return
        if self.failures > FAILURES:
            self.pause = min(self.pause * 2, LONGEST_PAUSE_SECONDS)
        self.until = now + self.pause
