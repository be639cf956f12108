"""The log as a channel: a line for each event."""

from __future__ import annotations

import logging
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .channels import Channel
    from .rules import Event

_logger = logging.getLogger("logos_shift_openai.notifications")


def send(channel: Channel, event: Event, now: int) -> None:  # noqa: ARG001 - as of all kinds
    """Write an event to the log."""
    _logger.info("%s: %s: %s [%s]", event.kind, one_line(event.title), one_line(event.why), event.id)


def one_line(text: str) -> str:
    """Make a text one line that steers neither a terminal nor a mail: controls become spaces, runs of them one."""
    # Cc, Cf, Cs, Zl, Zp: controls, marks of direction, halves of characters, separators of lines
    kept = (" " if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else one for one in text)
    return " ".join("".join(kept).split())
