"""Which calls leave their bodies behind: the head of every call is recorded, so counts stay exact, texts are a sample.

The choice is a hash of an id and nothing else, so a call that is sent twice, and a child and its parent, are of one
mind; and it is independent of `Sampling.rate`, which reads the same id otherwise.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import Sampling

_PURPOSE = b"logos_shift bodies "
_WHOLE = 2**64


def keeps_bodies(sampling: Sampling, dataset: str, call_id: str, parent: str | None) -> bool:
    """Tell whether request and response of a call are recorded.

    Args:
        sampling: Of the config in force.
        dataset: The call's.
        call_id: The call's.
        parent: The id of the call around it, whose lot it shares.
    """
    rate = sampling.bodies.of(dataset)
    if rate >= 1.0:
        return True
    digest = hashlib.sha256(_PURPOSE + (parent or call_id).encode()).digest()
    return int.from_bytes(digest[:8], "big") / _WHOLE < rate


def usage_alone(response: bytes | None) -> bytes | None:
    """Give of an answer only what counts are made of; None where it has no usage."""
    if response is None or b'"usage"' not in response:
        return None
    try:
        answer = json.loads(response)
    except (ValueError, RecursionError):
        return None
    usage = answer.get("usage") if isinstance(answer, dict) else None
    return json.dumps({"usage": usage}).encode() if isinstance(usage, dict) else None
