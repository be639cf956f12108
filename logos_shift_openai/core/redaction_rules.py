"""The built-in redaction rules by name, in the order a text goes through them: the surest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .redaction_money import CARD, IBAN
from .redaction_people import EMAIL, IP, PHONE, SSN
from .redaction_secrets import SECRETS

if TYPE_CHECKING:
    from .redaction_finders import Finder

RULES: dict[str, tuple[Finder, ...]] = {
    "secrets": SECRETS,
    "email": EMAIL,
    "iban": IBAN,
    "card": CARD,
    "ssn": SSN,
    "ip": IP,
    "phone": PHONE,
}
