"""The bringing of events to their channels, a turn at a time: what is new is spread, what is due is tried.

A channel that fails is left alone for the rest of the turn and for a while that grows, so that a dead one costs the
others no more than one attempt a turn. After `TRIES` an event is given up on that channel, and the store says why.
"""

from __future__ import annotations

import logging
import time
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final

from . import console, mail, outbox, slack, webhook
from .dialing import UndeliveredError
from .rules import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logos_shift_openai.server.store.database import Store

    from .channels import Channel

TRIES: Final = 12
"""Over about a day."""

TURN_SECONDS: Final = 2.0
_FIRST_SECONDS, _FACTOR, _LAST_SECONDS = 10.0, 3.0, 21_600.0
_LONGEST_TURN: Final = 10.0
"""After so many seconds no further attempt is begun, so that the other steps of the worker have their turn."""

_SENDERS: Final[dict[str, Any]] = {
    "webhook": webhook.send, "slack": slack.send, "mail": mail.send, "console": console.send
}  # fmt: skip
_dice: Final = SystemRandom().random
_logger = logging.getLogger("logos_shift_openai.server")


class Delivery:
    """Brings what is in the outbox to the channels; `step` is the worker's.

    Args:
        channels: Where to.
        random: A number in [0, 1) each time, for the jitter.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        random: Callable[[], float] = _dice,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channels = {one.name: one for one in channels}
        self._random = random
        self._clock = clock

    def step(self, store: Store, now: int) -> float:
        """Spread what is new and try what is due; return the seconds to the next turn.

        Args:
            store: With the outbox.
            now: Milliseconds since 1970.
        """
        began = self._clock()
        with store.reading() as connection:
            if not outbox.waits(connection, list(self._channels), now):
                return TURN_SECONDS
        with store.writing() as connection:
            outbox.prune(connection, now)
            if self._channels:
                outbox.spread(connection, tuple(self._channels.values()), now)
        well = list(self._channels)
        while well and self._clock() - began < _LONGEST_TURN:
            at = now + int((self._clock() - began) * 1000)
            with store.reading() as connection:
                due = outbox.next_due(connection, well, at)
            if due is None:
                break
            with store.writing() as connection:
                if not outbox.claim(connection, due, at):
                    continue
            if not self._try(store, due, at):
                well.remove(due.channel)
        return TURN_SECONDS

    def _try(self, store: Store, due: outbox.Due, at: int) -> bool:
        channel = self._channels[due.channel]
        try:
            send(channel, due.event, at)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is counted, and given up at last
            error = fault if isinstance(fault, UndeliveredError) else UndeliveredError(type(fault).__name__)
            last = error.final or due.tries + 1 >= TRIES
            again = None if last else at + int(1000 * self._wait(due.tries, error.retry_after))
            with store.writing() as connection:
                outbox.settle_failed(connection, due, str(error), again)
                if again is not None:
                    outbox.postpone(connection, due.channel, again)
            if last:
                _logger.warning("%s is given up on the channel %s: %s", due.event.kind, channel.name, error)
            return False
        with store.writing() as connection:
            outbox.settle_sent(connection, due)
        return True

    def _wait(self, tries: int, asked: float | None) -> float:
        """Give the seconds to the next try: growing threefold, the later half of it by chance."""
        wait = min(_LAST_SECONDS, _FIRST_SECONDS * _FACTOR**tries)
        return max(wait * (0.5 + 0.5 * self._random()), asked or 0.0)


def send(channel: Channel, event: Event, now: int) -> None:
    """Tell an event on a channel, once.

    Args:
        channel: Where.
        event: What.
        now: Milliseconds since 1970.

    Raises:
        UndeliveredError: it was not taken.
    """
    _SENDERS[channel.kind](channel, event, now)


def send_test(channel: Channel, now: int) -> str | None:
    """Tell a test on a channel, past the outbox; return why it was not taken, None where it was."""
    event = Event(outbox.new_id(now), "test", now, "This is a test of the notifications of logos-shift.")
    try:
        send(channel, event, now)
    except UndeliveredError as error:
        return str(error)
    return None
