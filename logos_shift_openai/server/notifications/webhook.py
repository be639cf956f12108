"""A webhook after the Standard Webhooks specification 1.0.0 (standardwebhooks.com): what is sent, and its signature.

The signed text is `{id}.{timestamp}.{body}`: the id stays over all tries, so that a receiver takes an event once; the
timestamp is the try's own, so that an old request cannot be played again. Signatures are `v1,` and the base64 of an
HMAC-SHA256, one for each secret.
"""

from __future__ import annotations

import base64
import hmac
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from .posting import post

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .channels import Channel
    from .rules import Event


def send(channel: Channel, event: Event, now: int) -> None:
    """Send an event.

    Args:
        channel: A webhook.
        event: What is told.
        now: The time of the try, in milliseconds since 1970.

    Raises:
        UndeliveredError: it was not taken.
    """
    body = payload(event)
    seconds = now // 1000
    headers = {
        "webhook-id": event.id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": signatures(channel.secrets, event.id, seconds, body),
    }
    post(channel, body, headers)


def payload(event: Event) -> bytes:
    """Write an event as JSON, with the `type`, `timestamp` and `data` of the specification."""
    at = datetime.fromtimestamp(event.at / 1000, timezone.utc).isoformat(timespec="milliseconds")
    about = {"experiment": event.experiment, "dataset": event.dataset, "title": event.title, "why": event.why}
    told = {"type": event.kind, "timestamp": at.replace("+00:00", "Z"), "data": {**about, **event.data}}
    return json.dumps(told, separators=(",", ":")).encode()


def signatures(secrets: Iterable[bytes], event_id: str, seconds: int, body: bytes) -> str:
    """Sign a request with each secret; `seconds` is Unix time."""
    text = b"%b.%d.%b" % (event_id.encode(), seconds, body)
    return " ".join("v1," + base64.b64encode(hmac.digest(secret, text, "sha256")).decode() for secret in secrets)
