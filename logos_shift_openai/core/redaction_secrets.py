"""The rule `secrets`: keys and tokens by their make, private keys, passwords in addresses and in assignments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .redaction_finders import START, Finder, Raw, Span, finder

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGIT_AHEAD = r"(?=[A-Za-z_-]{0,64}[0-9])"

_DASH_TOKEN = (
    START + rf"(?:sk-{_DIGIT_AHEAD}[A-Za-z0-9_-]{{20,}}|glpat-[A-Za-z0-9_-]{{20,}}|xox[abeoprs]-[A-Za-z0-9-]{{10,}}"
    r"|xapp-[0-9A-Za-z-]{20,}|(?:xai|pplx)-[A-Za-z0-9]{20,}|GOCSPX-[A-Za-z0-9_-]{20,}|pypi-[A-Za-z0-9_-]{50,})"
)
_DASH_SIEVE = re.compile(
    rb"-(?:(?<=sk-)[A-Za-z0-9_-]{20}|(?<=glpat-)|(?<=xox[abeoprs]-)|(?<=xapp-)|(?<=xai-)[A-Za-z0-9]{20}|(?<=pplx-)"
    rb"|(?<=GOCSPX-)|(?<=pypi-)[A-Za-z0-9_-]{50})"
)

_BAR_TOKEN = (
    START
    + rf"(?:[srp]k_(?:live|test)_[A-Za-z0-9]{{10,}}|whsec_[A-Za-z0-9]{{20,}}|ls_{_DIGIT_AHEAD}[A-Za-z0-9_-]{{20,}}"
    r"|lsv2_[ps][tk]_[A-Za-z0-9_]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
    r"|(?:hf|npm|r8)_[A-Za-z0-9]{30,}|(?:gsk|fw)_[A-Za-z0-9]{20,}|dop_v1_[a-f0-9]{40,})"
)
_BAR_SIEVE = re.compile(
    rb"_(?:(?<=[srp]k_)(?:live|test)_|(?<=whsec_)|(?<=ls_)[A-Za-z0-9_-]{20}|(?<=lsv2_)|(?<=gh[pousr]_)[A-Za-z0-9]{36}"
    rb"|(?<=github_)pat_|(?:(?<=hf_)|(?<=npm_)|(?<=r8_))[A-Za-z0-9]{30}|(?:(?<=gsk_)|(?<=fw_))[A-Za-z0-9]{20}"
    rb"|(?<=dop_)v1_)"
)

_CAPITAL_TOKEN = START + r"A(?:(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}|Iza[A-Za-z0-9_-]{35})"
_CAPITAL_SIEVE = re.compile(rb"A(?:(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}|Iza[A-Za-z0-9_-]{35})")

# The first part of a JWT may be as long as it likes, so it is not tried again from within: no `-` or `_` before it.
_DOT_TOKEN = (
    r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf]))eyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?"
    rf"|{START}(?:SG\.[A-Za-z0-9_-]{{16,64}}\.[A-Za-z0-9_-]{{16,}}|ya29\.[A-Za-z0-9_-]{{20,}})"
)
_DOT_SIEVE = re.compile(rb"\.(?:eyJ[A-Za-z0-9_-]{5}|(?:(?<=SG\.)|(?<=ya29\.))[A-Za-z0-9_-]{16})")

_KEY_BLOCK = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----)[\s\S])*"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"
)

_BEARER = START + r"bearer[ \t]{1,4}(?P<x>(?=[A-Za-z._~+/-]{0,64}[0-9=])[A-Za-z0-9._~+/-]{16,}={0,2})"

_IN_URL = r""":(?:\\?/){2}[^\s:/?#@"'<>\\]{0,128}:(?P<x>[^\s/?#@"'<>\\\[\]]{1,256})@"""
_URL_SIEVE = re.compile(rb""":(?:\\*/){2}[^\s/@"]{0,2400}@""")

_NAMED = (
    r"(?:pass(?:word|wd)|pwd|(?:client|app|api)?[_-]?secret(?:[_-]?access)?(?:[_-]?key)?|api[_-]?key"
    r"|(?:access|auth|refresh|bearer|session|id)[_-]?token|private[_-]?key)"
)
_UNSAID = r"(?!\[redacted:)"
_ASSIGNMENT = (
    _NAMED + r"""(?:\\*["'])?[ \t]{0,3}(?:=>|[:=]=?)[ \t]{0,3}(?:"""
    rf"""["']{_UNSAID}(?P<plain>(?:[^\s"'\\]|\\[^\s]){{6,256}})["']"""
    rf"""|\\+["']{_UNSAID}(?P<escaped>[^\s"'\\]{{6,256}})\\+["']"""
    r"""|(?=[^\s"'\\,;&<>(){}\[\]]{0,64}[0-9])(?P<bare>[^\s"'\\,;&<>(){}\[\]]{6,256}))"""
)
_ASSIGNED = re.compile(_ASSIGNMENT, re.IGNORECASE | re.ASCII)
_W_WORD = re.compile(rb"w(?:(?<=passw)|d(?<=pwd))")
_K_WORD = re.compile(
    rb"ke(?:y(?:(?<=api.key)|(?<=apikey)|(?<=private.key)|(?<=privatekey))|n(?:(?<=[shrnd][_-]token)|(?<=[shrnd]token))(?!s))"
)
_ASSIGNED_SIEVE = re.compile(
    rb"""(?:passw(?:or)?d|pwd|secret[a-z_-]{0,12}|key|token)(?:\\*["'])?(?:\s|\\+[ntr])*[:=]"""
)
_SECRET_KEY = re.compile(r"(?:[A-Za-z0-9]{1,32}[_-]){0,4}[A-Za-z0-9]{0,24}" + _NAMED, re.IGNORECASE | re.ASCII)
_SECRET_VALUE = re.compile(_UNSAID + r"\S{6,}")
_LONGEST_KEY = 128


def names_secret(key: str, value: str) -> bool:
    """Say whether a member such as `"password": "hunter22"` holds a secret, a word or number of six letters or more."""
    if len(key) > _LONGEST_KEY or _SECRET_KEY.fullmatch(key) is None:
        return False
    return _SECRET_VALUE.fullmatch(value) is not None


def _assigned(text: str) -> Iterator[Span]:
    for match in _ASSIGNED.finditer(text):
        yield match.span(match.lastgroup or 0)


def _holds_dash_token(raw: Raw) -> object:
    return b"-" in raw.bytes and _DASH_SIEVE.search(raw.bytes)


def _holds_bar_token(raw: Raw) -> object:
    return b"_" in raw.bytes and _BAR_SIEVE.search(raw.bytes)


def _holds_capital_token(raw: Raw) -> object:
    return _CAPITAL_SIEVE.search(raw.bytes)


def _holds_dot_token(raw: Raw) -> object:
    return _DOT_SIEVE.search(raw.bytes)


def _holds_key_block(raw: Raw) -> bool:
    return b"-" in raw.bytes and b"-----BEGIN" in raw.bytes


def _holds_bearer(raw: Raw) -> bool:
    lower = raw.lower
    return b"bearer" in lower and (b"bearer " in lower or b"bearer\\" in lower)


def _holds_url_password(raw: Raw) -> bool:
    return b"@" in raw.bytes and _URL_SIEVE.search(raw.bytes) is not None


def _holds_assignment(raw: Raw) -> bool:
    if not (b":" in raw.bytes or b"=" in raw.bytes):
        return False
    lower = raw.lower
    if not (_W_WORD.search(lower) or b"secret" in lower or _K_WORD.search(lower)):
        return False
    return _ASSIGNED_SIEVE.search(lower) is not None


SECRETS = (
    finder("secrets", _KEY_BLOCK, _holds_key_block),
    finder("secrets", _DASH_TOKEN, _holds_dash_token),
    finder("secrets", _BAR_TOKEN, _holds_bar_token),
    finder("secrets", _CAPITAL_TOKEN, _holds_capital_token),
    finder("secrets", _DOT_TOKEN, _holds_dot_token),
    finder("secrets", _BEARER, _holds_bearer, flags=re.IGNORECASE | re.ASCII),
    finder("secrets", _IN_URL, _holds_url_password),
    Finder("secrets", _assigned, _holds_assignment, keys=True),
)
