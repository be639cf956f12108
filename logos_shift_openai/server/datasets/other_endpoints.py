"""The bodies of a call of any endpoint, as those of a chat: `core.as_chat` says how.

Rule: a chat's own bodies are not touched, so nothing of the time that an edition takes goes into this.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from logos_shift_openai.core.as_chat import NoChatError, chat_answer, chat_request
from logos_shift_openai.core.fingerprint import prompt_fingerprint
from logos_shift_openai.server.store.rows import values_of

from .bodies import LeftOutError

CHAT: Final = "chat.completions"
_OTHERS: Final = frozenset({"responses", "completions"})


def as_chat_pack(endpoint: str, packed: bytes | None) -> tuple[bytes | None, str | None]:
    """Give the bodies of a call as those of a chat.

    Args:
        endpoint: The call's.
        packed: Its bodies as they are kept, None where they are not.

    Returns:
        The bodies, and the fingerprint of the prompt, which is that of the request as it was asked; None for a chat's
        own, which is told from its messages.

    Raises:
        LeftOutError: it cannot be said as a chat.
    """
    if endpoint == CHAT or packed is None:
        return packed, None
    if endpoint not in _OTHERS:
        raise LeftOutError("endpoint")
    try:
        found = values_of(packed)
        request = found.get("request")
        if request is None:
            raise LeftOutError("no_body")
        pack = {
            "request": chat_request(endpoint, request),
            "response": chat_answer(endpoint, found.get("response"), request),
            "truncated": found.get("truncated") or [],
            "media": found.get("media") or [],
        }
        return msgspec.json.encode(pack), prompt_fingerprint(request)
    except NoChatError as error:
        raise LeftOutError(str(error)) from None
    except UnicodeEncodeError:
        raise LeftOutError("bad_text") from None
    except (ValueError, RecursionError, AttributeError):
        raise LeftOutError("unreadable") from None


def as_chat_answer(endpoint: str, answer: Any) -> Any:
    """Give an answer, read from JSON, as that of a chat.

    Raises:
        LeftOutError: it cannot be said as one.
    """
    try:
        return answer if endpoint == CHAT else chat_answer(endpoint, answer, {})
    except NoChatError as error:
        raise LeftOutError(str(error)) from None
