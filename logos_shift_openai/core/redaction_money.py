"""The rules `card` and `iban`: numbers money is drawn with, told from other numbers by their checksums."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .redaction_finders import START, Finder, Raw, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

_CARD_START = r"(?<![0-9])(?<![0-9]\.)"
_CARD = re.compile(
    _CARD_START + r"[2-6](?:[0-9]{12,18}(?![0-9])"
    r"|[0-9]{3}(?P<gap>[ -])(?:[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{1,4}(?:(?P=gap)[0-9]{1,3})?"
    r"|[0-9]{6}(?P=gap)[0-9]{4,5})(?![0-9]))"
)
# After the escape of a letter its own digits stand before the number: only there may a digit come first.
_CARD_SIEVE = re.compile(
    rb"(?:(?<![0-9])(?<![0-9]\.)|(?<=\\u[0-9a-fA-F]{4})|(?<=\\u[0-9a-fA-F]{4}\.))"
    rb"[2-6](?:[0-9]{12}|[0-9]{3}[ -][0-9]{4,6}[ -][0-9]{4})"
)
_CARD_LENGTHS = (
    (re.compile("4"), (13, 16, 19)),
    (re.compile("5[1-5]|2[2-7]"), (16,)),
    (re.compile("3[47]"), (15,)),
    (re.compile("3[0689]"), tuple(range(14, 20))),
    (re.compile("35|6"), tuple(range(16, 20))),
)


def _cards(text: str) -> Iterator[Span]:
    for match in _CARD.finditer(text):
        written = match.group()
        if _is_card(written):
            yield match.span()
        elif match.group("gap"):  # a check number may stand behind it
            shorter = written.rpartition(match.group("gap"))[0]
            if _is_card(shorter):
                yield match.start(), match.start() + len(shorter)


def _is_card(written: str) -> bool:
    """Check length, issuer and the Luhn sum (ISO/IEC 7812-1)."""
    digits = written.replace(" ", "").replace("-", "")
    if not any(len(digits) in lengths and begin.match(digits) for begin, lengths in _CARD_LENGTHS):
        return False
    return sum(map(int, digits[-1::-2])) % 10 == -sum(sum(divmod(2 * int(d), 10)) for d in digits[-2::-2]) % 10


def _holds_card(raw: Raw) -> bool:
    shape = raw.shape
    grouped = raw.grouped and (b"0000-0000-0000" in shape or b"0000-000000-0000" in shape)
    if grouped or b"0" * 13 in shape:
        return _CARD_SIEVE.search(raw.bytes) is not None or raw.fine
    return raw.fine


# Lengths of the IBAN registry (SWIFT, ISO 13616), country by country.
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FO FI GL NL SD FK",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK MN",
        21: "HR LV LI CH",
        22: "BG CR GE DE IE ME RS GB VA BH",
        23: "AE IL TL IQ GI SO",
        24: "AD CZ MD PK RO SA SK ES SE TN VG DZ",
        25: "PT ST LY",
        26: "IS TR",
        27: "FR GR IT MC MR SM BI DJ",
        28: "AL AZ CY DO GT HU LB PL SV BY NI",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
_IBAN = re.compile(
    START
    + r"(?:[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}|[a-z]{2}[0-9]{2}(?: [A-Za-z0-9]{4}){2,7}(?: [A-Za-z0-9]{1,3})?)"
)
_IBAN_GROUPS = re.compile(" [0-9]{4} [0-9]{4}")
_IBAN_SHAPE = re.compile(rb"A(?=A00)")
_IBAN_SIEVE = re.compile(rb"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11}|[a-z]{2}[0-9]{2} [A-Za-z0-9]{4} [A-Za-z0-9]{4}")


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        end = _iban_end(match.group())
        if end and not text[match.start() + end : match.start() + end + 1].isalnum():
            yield match.start(), match.start() + end


def _iban_end(written: str) -> int:
    """Give the number of letters an IBAN takes of a text that begins with one, or 0: length and checksum (ISO 7064)."""
    length = _IBAN_LENGTHS.get(written[:2].upper())
    if written[0].islower() and not _IBAN_GROUPS.search(written):
        return 0
    places = [place for place, letter in enumerate(written) if letter.isalnum()]
    if length is None or len(places) < length:
        return 0
    letters = "".join(written[place] for place in places[:length]).upper()
    number = int("".join(str(int(letter, 36)) for letter in letters[4:] + letters[:4]))
    return places[length - 1] + 1 if number % 97 == 1 else 0


def _holds_iban(raw: Raw) -> bool:
    shape = raw.shape
    if _IBAN_SHAPE.search(shape) or (raw.grouped and b"-0000-0000" in shape):
        return _IBAN_SIEVE.search(raw.bytes) is not None or raw.fine
    return raw.fine


CARD = (Finder("card", _cards, _holds_card, separators=True),)
IBAN = (Finder("iban", _ibans, _holds_iban, separators=True),)
