"""Who asked the same again: a call is regenerated if its unit asks the same question within a minute of it.

Rule: it counts against the earlier call, whose answer did not do; and it is known of every call at the same age, so
that bad news comes no sooner than good news. Until then the call has no score in it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .booking import ScoredCall

REGENERATED: Final = "regenerated"
WINDOW_SECONDS: Final = 60.0


def with_regenerated(calls: Iterable[ScoredCall], good: float, bad: float, now: float) -> Iterator[ScoredCall]:
    """Add the score of `regenerated` to calls as far as it is known.

    Args:
        calls: In the order of (at, id); held back for a minute of their own time, and given in the same order.
        good: The score of a call that nobody asked again, in [0, 1].
        bad: The score of one that was asked again.
        now: Unix seconds; what is younger than a minute has no score yet.
    """
    held: deque[ScoredCall] = deque()
    last: dict[tuple[object, str], ScoredCall] = {}  # the latest of those held that asked it
    again: set[str] = set()

    def release() -> ScoredCall:
        call = held.popleft()
        if call.question is None:
            return call
        asked = (call.unit, call.question)
        if last.get(asked) is call:
            del last[asked]
        score = bad if call.id in again else good
        again.discard(call.id)
        return call if call.at + WINDOW_SECONDS > now else call._replace(scores={**call.scores, REGENERATED: score})

    for call in calls:
        while held and held[0].at + WINDOW_SECONDS < call.at:
            yield release()
        if call.question is not None:
            earlier = last.get((call.unit, call.question))
            if earlier is not None:
                again.add(earlier.id)
            last[call.unit, call.question] = call
        held.append(call)
    while held:
        yield release()
