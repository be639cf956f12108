"""The rules `email`, `phone`, `ssn` and `ip`: what leads to a person."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .redaction_finders import NUMBER_START, Finder, Raw, Span, finder

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAIL_DOMAIN = re.compile(r"@(?=[^\W_])[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_MAIL_NAME = re.compile(r"[\w.%+'&-]+")
_MAIL_SIEVE = re.compile(rb"@[\w\\\x80-\xff-]{1,2000}\.")
_LONGEST_MAIL_NAME = 64


def _emails(text: str) -> Iterator[Span]:
    """Look for the part behind the `@` first and read the name before it backwards, which takes linear time."""
    free = 0
    for match in _MAIL_DOMAIN.finditer(text):
        at = match.start()
        name = _MAIL_NAME.match(text[max(free, at - _LONGEST_MAIL_NAME) : at][::-1])
        if name is None or not any(letter.isalpha() for letter in match.group().rpartition(".")[2]):
            continue
        start = at - name.end()
        if start and text[start - 1] == "\\" and text[start] in "nrtbf":
            start += 1
        if start < at:
            yield start, match.end()
            free = match.end()


def _holds_email(raw: Raw) -> bool:
    return b"@" in raw.bytes and _MAIL_SIEVE.search(raw.bytes) is not None


_PHONE_END = r"(?![0-9A-Za-z_]|[.-][0-9])"
_PHONE = (
    rf"(?:(?<![\w+])|(?<=\\[nrtbf]))\+[1-9](?:[ .\-/()]{{0,3}}[0-9]){{6,14}}(?![0-9])"
    rf"|{NUMBER_START}00[1-9][0-9]{{0,2}}[ \-/.(](?:[ .\-/()]{{0,3}}[0-9]){{6,12}}(?![0-9])"
    rf"|{NUMBER_START}(?:1[ .-])?(?:\([2-9][0-9]{{2}}\)[ .-]?|[2-9][0-9]{{2}}[ .-])"
    rf"[2-9][0-9]{{2}}[ .-][0-9]{{4}}{_PHONE_END}"
    rf"|{NUMBER_START}0[1-9][0-9]{{0,4}}(?: (?: ?[0-9]){{6,9}}|/[0-9]{{5,9}}|-[0-9]{{6,9}}){_PHONE_END}"
)
_PLUS_SIEVE = re.compile(rb"\+[1-9](?:[ .\-/()\\]{0,30}[0-9]){6}")
_ZERO_SIEVE = re.compile(
    rb"0(?:[1-9][0-9]{0,4}(?: (?: ?[0-9]){6}|\\*/[0-9]{5}|-[0-9]{6})"
    rb"|0[1-9][0-9]{0,2}[ \-/.(\\](?:[ .\-/()\\]{0,30}[0-9]){6})"
)


def _holds_phone(raw: Raw) -> object:
    return (
        (raw.grouped and b"-000-0000" in raw.shape)
        or (b"+" in raw.bytes and _PLUS_SIEVE.search(raw.bytes))
        or _ZERO_SIEVE.search(raw.bytes)
        or raw.fine
    )


_SSN = r"(?:(?<![\w-])|(?<=\\[nrtbf]))(?!000|666|9)[0-9]{3}(?P<gap>[ -])(?!00)[0-9]{2}(?P=gap)(?!0000)[0-9]{4}(?![\w-])"


def _holds_ssn(raw: Raw) -> bool:
    return (raw.grouped and b"000-00-0000" in raw.shape) or raw.fine


_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IP = re.compile(
    rf"{NUMBER_START}(?P<four>{_OCTET}(?:\.{_OCTET}){{3}})(?![\w-]|\.[0-9])"
    r"|(?:(?<![\w:.])|(?<=\\[nrtbf]))(?P<six>(?:[0-9A-Fa-f]{0,4}:){2,8}[0-9A-Fa-f]{0,4})(?![\w:])"
)
_IP_SIEVE = re.compile(rb"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_IP6_SIEVE = re.compile(rb":(?::|[0-9a-fA-F]{1,4}:[0-9a-fA-F]{1,4}:)")
_IP6_GROUPS = 8
_IP6_LEAST = 3


def _ips(text: str) -> Iterator[Span]:
    for match in _IP.finditer(text):
        if match.lastgroup == "four" or _is_ip6(match.group()):
            yield match.span()


def _is_ip6(text: str) -> bool:
    """Tell an address from a time or a name in code: eight groups, or fewer with one `::` and a digit."""
    groups = text.split(":")
    if "::" not in text:
        return len(groups) == _IP6_GROUPS and all(groups)
    filled = sum(map(bool, groups))
    if text.count("::") != 1 or filled >= _IP6_GROUPS:
        return False
    return filled >= _IP6_LEAST or (any(map(str.isdigit, text)) and (filled > 1 or text == "::1"))


def _holds_ip(raw: Raw) -> object:
    return _IP_SIEVE.search(raw.bytes) or (b":" in raw.bytes and _IP6_SIEVE.search(raw.bytes))


EMAIL = (Finder("email", _emails, _holds_email),)
PHONE = (finder("phone", _PHONE, _holds_phone, separators=True),)
SSN = (finder("ssn", _SSN, _holds_ssn, separators=True),)
IP = (Finder("ip", _ips, _holds_ip),)
