"""Which requests are calls to a model, and what a request says of itself."""

from __future__ import annotations

import copy as copying
import os
import time
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from logos_shift_openai.core.ids import ENTROPY_BYTES, uuid7

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINT_OF_URL: Final[Mapping[str, str]] = {
    "/chat/completions": "chat.completions",
    "/responses": "responses",
    "/embeddings": "embeddings",
    "/completions": "completions",
}
_POOL: Final = 256
ROUTED: Final = frozenset({"chat.completions", "responses"})


_entropy: list[bytes] = []  # asking the system gives up the interpreter lock each time, so it is asked for many at once


def new_id() -> str:
    """Make the id of a call or a feedback that begins now."""
    try:
        entropy = _entropy.pop()
    except IndexError:
        fresh = os.urandom(ENTROPY_BYTES * _POOL)
        _entropy.extend(fresh[at : at + ENTROPY_BYTES] for at in range(ENTROPY_BYTES, len(fresh), ENTROPY_BYTES))
        entropy = fresh[:ENTROPY_BYTES]
    return uuid7(time.time_ns() // 1_000_000, entropy)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_entropy.clear)


def body_of(options: Any) -> dict[str, Any] | None:
    """Give the body as it will be sent, `extra_body` merged in; None when it is not a JSON object.

    A new object on top, its values shared with the caller.
    """
    body = options.json_data
    if not isinstance(body, dict):
        return None
    extra = options.extra_json
    return {**body, **extra} if extra else body


def user_of(body: Mapping[str, Any]) -> str | None:
    """Give the end user that the request itself names, by the SDK's `safety_identifier` or `user`."""
    user = body.get("safety_identifier") or body.get("user")
    return user if isinstance(user, str) else None


def copied(options: Any) -> Any:
    """Copy the SDK's request options, as `copy.copy` does at twice the price: a pydantic model with plain fields."""
    try:
        new = _new(type(options))
        new.__dict__.update(options.__dict__)
        _fields_set(new, options.__pydantic_fields_set__)
        _extra(new, None)
        _private(new, None)
    except Exception:  # noqa: BLE001 - a pydantic that keeps its parts elsewhere
        return copying.copy(options)
    return new


_new = object.__new__
_slots: Mapping[str, Any] = BaseModel.__dict__
_fields_set: Any = getattr(_slots.get("__pydantic_fields_set__"), "__set__", None)
_extra: Any = getattr(_slots.get("__pydantic_extra__"), "__set__", None)
_private: Any = getattr(_slots.get("__pydantic_private__"), "__set__", None)


def conversation_of(body: Mapping[str, Any]) -> str | None:
    """Give the conversation that a request to `responses` names."""
    conversation = body.get("conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    return conversation if isinstance(conversation, str) else None
