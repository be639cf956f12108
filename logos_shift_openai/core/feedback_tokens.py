"""Feedback tokens: a short-lived, signed permission to say something of one call, for front ends without a key.

Pure and the same on both sides: whoever holds a server key can make one without asking the server, and the server
checks it with the hash that it keeps of that key. A token names no more than the key's id; the call's id and the
expiry are signed, so it fits no other call and no later time, and it dies with its key.
Signature: HMAC-SHA256 (RFC 2104) under the SHA-256 of the key's secret.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

LONGEST_SECONDS: Final = 7 * 86_400
"""No token lives longer than this, whatever it says."""

_TOKEN: Final = re.compile(r"lsf_([0-9a-f]{12})_([0-9]{1,12})_([0-9a-f]{64})")
_KEY: Final = re.compile(r"ls_(?:ingest|read|admin)_([0-9a-f]{12})_([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Token:
    """A token taken apart; nothing about it is verified yet.

    Args:
        key_id: Id of the key it was signed with.
        expires: Seconds since 1970.
    """

    key_id: str
    expires: int
    signature: str


def mint(api_key: str, call_id: str, expires: int) -> str:
    """Make a token with a server key.

    Args:
        api_key: A key of the server, `ls_<scope>_<id>_<secret>`, of the scope ingest or admin.
        call_id: The call that may be spoken of: our id, or the provider's own.
        expires: Its end, seconds since 1970; at most `LONGEST_SECONDS` ahead, or the server refuses it.

    Raises:
        ValueError: the key is no key of a Logos server.
    """
    match = _KEY.fullmatch(api_key)
    if match is None:
        raise ValueError("the key is not of the form ls_<scope>_<id>_<secret>")
    return mint_with_hash(match[1], sha256(match[2].encode()).digest(), call_id, expires)


def mint_with_hash(key_id: str, secret_hash: bytes, call_id: str, expires: int) -> str:
    """Make a token of what the server keeps of a key."""
    return f"lsf_{key_id}_{expires}_{_sign(key_id, secret_hash, call_id, expires)}"


def read_token(text: str) -> Token | None:
    """Take a token apart; None if it is none."""
    match = _TOKEN.fullmatch(text)
    return None if match is None else Token(match[1], int(match[2]), match[3])


def is_genuine(token: Token, secret_hash: bytes, call_id: str, now: int) -> bool:
    """Tell whether a token was signed with this key for this call, and is in its time.

    Args:
        token: As `read_token` gave it.
        secret_hash: SHA-256 of the secret of the key it names.
        call_id: The call that is spoken of.
        now: Seconds since 1970.
    """
    signature = _sign(token.key_id, secret_hash, call_id, token.expires)
    return hmac.compare_digest(signature, token.signature) and now < token.expires <= now + LONGEST_SECONDS


def _sign(key_id: str, secret_hash: bytes, call_id: str, expires: int) -> str:
    said = "\0".join(("feedback", key_id, str(expires), call_id)).encode("utf-8", "surrogatepass")
    return hmac.new(secret_hash, said, sha256).hexdigest()
