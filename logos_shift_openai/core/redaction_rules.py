"""The built-in redaction rules by name, in the order a text goes through them: the surest first.

The finders of a rule are loaded when somebody asks for it: to make all patterns ready takes longer than to import the
rest of the client, and most programs use the first rule alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .redaction_finders import Finder

_PLACES: Final = {
    "secrets": ("redaction_secrets", "SECRETS"),
    "email": ("redaction_people", "EMAIL"),
    "iban": ("redaction_money", "IBAN"),
    "card": ("redaction_money", "CARD"),
    "ssn": ("redaction_people", "SSN"),
    "ip": ("redaction_people", "IP"),
    "phone": ("redaction_people", "PHONE"),
}
RULES: Final = tuple(_PLACES)


def finders_of(rule: str) -> tuple[Finder, ...]:
    """Give the finders of one of `RULES`."""
    module, name = _PLACES[rule]
    found: tuple[Finder, ...] = getattr(import_module(f".{module}", __package__), name)
    return found
