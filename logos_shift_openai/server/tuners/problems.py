"""What can go wrong with a tuner, by what is to be done about it.

The texts are kept and shown, so every error takes the values of the environment's keys out of its own.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRET_NAME: Final = re.compile(r"(?i)(key|token|secret|password|credential)s?$")
_SECRET_SHAPE: Final = re.compile(r"\b(sk|tgp|fw|hf)[-_][A-Za-z0-9_*-]{8,}")
_SHORTEST: Final = 6
_LONGEST: Final = 600


def without_keys(text: str, environ: Mapping[str, str] | None = None) -> str:
    """Take out what the environment has under names of keys, and what looks like one; cut what is too long."""
    for name, value in (os.environ if environ is None else environ).items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST:
            text = text.replace(value, "[key]")
    text = _SECRET_SHAPE.sub("[key]", text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


class TunerError(Exception):
    """A tuner cannot do what it was asked.

    Args:
        message: What happened.
        next_step: What to do about it.
    """

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(without_keys(message))
        self.message = without_keys(message)
        self.next_step = without_keys(next_step)


class RefusedError(TunerError):
    """The provider said no, and would tomorrow."""


class AwayError(TunerError):
    """The provider cannot be reached or is busy: the same may be tried again.

    Args:
        seconds: After which to try again; None where nobody says.
        waiting: It works on what it has been given already: no failure, however long it takes.
    """

    def __init__(
        self, message: str, next_step: str = "", *, seconds: float | None = None, waiting: bool = False
    ) -> None:
        super().__init__(message, next_step)
        self.seconds = seconds
        self.waiting = waiting


class UnsureError(TunerError):
    """Nobody can tell whether the job was started: a person must look before a second one is."""


class NotServedError(TunerError):
    """There is a model, and nobody serves it."""
