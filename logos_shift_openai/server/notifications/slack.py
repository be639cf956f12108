"""An incoming webhook as Slack has it, with a text and blocks; Mattermost and (at `/slack`) Discord take it too.

Everything is a plain text: names and reasons come from elsewhere and neither format a message nor call people to it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from .posting import post

if TYPE_CHECKING:
    from .channels import Channel
    from .rules import Event

_HEADER_LENGTH: Final = 150
_TEXT_LENGTH: Final = 3_000
_ROOM: Final = 5  # the longest escape of one character
_CALLS: Final = re.compile(r"@(?=everyone|here|all|channel)", re.IGNORECASE)


def send(channel: Channel, event: Event, now: int) -> None:  # noqa: ARG001 - as of all kinds
    """Send an event.

    Raises:
        UndeliveredError: it was not taken.
    """
    post(channel, message(event), {})


def message(event: Event) -> bytes:
    """Write an event as a message."""
    about = " · ".join(part for part in (event.kind, event.experiment, event.dataset) if part)
    blocks = [
        {"type": "header", "text": _plain(event.title, _HEADER_LENGTH)},
        {"type": "section", "text": _plain(event.why, _TEXT_LENGTH)},
        {"type": "context", "elements": [_plain(about, _TEXT_LENGTH)]},
    ]
    text = f"{escaped(event.title)}: {escaped(event.why)}"
    return json.dumps({"text": text, "blocks": blocks}).encode()


def escaped(text: str) -> str:
    """Escape what Slack reads as a link, a mention or an entity, and part the `@` from words that call everybody."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _CALLS.sub("@\u200b", text)


def _plain(text: str, longest: int) -> dict[str, Any]:
    text = escaped(text)
    if len(text) > longest:  # cut before an escape, not within
        text = re.sub(r"&\w*$", "", text[: longest - _ROOM]) + "..."
    return {"type": "plain_text", "text": text or "-", "emoji": False}
