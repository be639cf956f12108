"""Short hashes by which requests are told apart: the prompt as the program wrote it, the conversation, the question.

Rule: a hash is a function of the request's meaning alone, so the order of keys and where white space is broken change
nothing; what has no prompt, conversation or question has no hash. Chat completions, completions and responses are read.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FINGERPRINT_LENGTH: Final = 12
CONVERSATION_LENGTH: Final = 16
QUESTION_BYTES: Final = 3
"""Enough to see the same question again within a minute of one user; one in 16 million others looks the same."""

_PROGRAM: Final = frozenset({"system", "developer"})
_TEXTS: Final = frozenset({"text", "input_text", "output_text"})
_ROLE_AND_CONTENT: Final = 2
_TWO_BLANKS: Final = re.compile(" (?= )")
_ODD_ASCII: Final = "\n\t\r\x0b\x0c\x1c\x1d\x1e\x1f"
_ODD_SPACES: Final = (
    _ODD_ASCII + "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Whatever is white space and no blank."""
_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def prompt_fingerprint(request: object) -> str | None:
    """Hash what a program says in each of its calls: system and developer texts, tools, the asked-for format.

    Args:
        request: The body of a call, read from JSON.

    Returns:
        12 hexadecimal digits of a SHA-256; None where the request has none of these.
    """
    return _guarded(_program_said, request, lambda said: hashlib.sha256(said).hexdigest()[:FINGERPRINT_LENGTH])


def conversation_hash(request: object) -> str | None:
    """Hash what a conversation begins with: the first turn of its user, white space made even.

    The system text is left out: with a date in it, the same conversation would be another one each day.

    Args:
        request: The body of a call, read from JSON.

    Returns:
        16 hexadecimal digits of a SHA-256; None where nobody said anything.
    """
    return _guarded(_first_said, request, lambda said: hashlib.sha256(said).hexdigest()[:CONVERSATION_LENGTH])


def text_hash(text: str) -> str | None:
    """Hash a conversation that begins with this text of its user: `conversation_hash`, where the text is at hand."""
    said = single_spaced(text)
    if not said:
        return None
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:CONVERSATION_LENGTH]


def single_spaced(text: str) -> str:
    """Make every white space one blank and take it off both ends, as `" ".join(text.split())` does.

    Most texts are so already, and to see that takes a tenth of the time that doing it takes.
    """
    if text[:1] == " " or text[-1:] == " " or _TWO_BLANKS.search(text) is not None:
        return " ".join(text.split())
    for odd in _ODD_ASCII if text.isascii() else _ODD_SPACES:
        if odd in text:
            return " ".join(text.split())
    return text


def question_hash(request: object, key: bytes = b"") -> str | None:
    """Hash all that a call asks, to see that the same was asked again.

    Args:
        request: The body of a call, read from JSON.
        key: A secret that the hash is made with (keyed BLAKE2b), so that nobody without it can try guesses; of more
            than 64 bytes the first count.

    Returns:
        6 hexadecimal digits; None where nothing is asked.
    """
    return _guarded(
        _all_said,
        request,
        lambda said: hashlib.blake2b(said, digest_size=QUESTION_BYTES, key=key[:64]).hexdigest(),
    )


def _guarded(
    read: Callable[[dict[str, Any]], list[str]], request: object, hashed: Callable[[bytes], str]
) -> str | None:
    """Hash what is read of a request; a request that nobody can read has no hash."""
    if not isinstance(request, dict):
        return None
    try:
        said = read(request)
        return hashed("\x1e".join(said).encode("utf-8", "surrogatepass")) if said else None
    except (TypeError, ValueError, RecursionError):
        return None


def _program_said(request: dict[str, Any]) -> list[str]:
    said = [_spoken(one) for one in _messages(request) if one.get("role") in _PROGRAM]
    for name in ("instructions", "tools", "functions", "response_format", "text"):
        value = request.get(name)
        if value:
            said.append(f"{name}={_encode(value)}")
    return said


def _first_said(request: dict[str, Any]) -> list[str]:
    messages = list(_messages(request))
    first = next((one for one in messages if one.get("role") == "user"), None)
    said = [single_spaced(_spoken(one)) for one in ([first] if first is not None else messages)]
    return said if any(said) else []


def _all_said(request: dict[str, Any]) -> list[str]:
    said = [f"{_role(one)}\x00{_whole(one)}" for one in _messages(request)]
    if said and request.get("previous_response_id"):
        said.append(_encode(request["previous_response_id"]))
    return said


def _messages(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the messages of a request; a bare text is one of the user."""
    for name in ("messages", "input", "prompt"):
        said = request.get(name)
        if isinstance(said, str):
            yield {"role": "user", "content": said}
        elif isinstance(said, list):
            for one in said:
                yield one if isinstance(one, dict) else {"role": "user", "content": one}


def _role(message: dict[str, Any]) -> str:
    role = message.get("role")
    return role if isinstance(role, str) else _encode(role)


def _spoken(message: dict[str, Any]) -> str:
    """Give what a message says: its text, with anything else than text as JSON."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return "\n".join(_text(part) or _encode(part) for part in parts)


def _whole(message: dict[str, Any]) -> str:
    """Give what a message says with all that belongs to it: the calls of tools, the id of the call that it answers."""
    if len(message) == _ROLE_AND_CONTENT and "content" in message:
        return _spoken(message)
    return _encode(message)


def _text(part: object) -> str:
    found = part.get("text") if isinstance(part, dict) and part.get("type") in _TEXTS else None
    return found if isinstance(found, str) else ""
