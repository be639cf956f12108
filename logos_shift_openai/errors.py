"""The errors of this package.

    LogosShiftError
    ├── SettingsError    (also a ValueError)  an argument or environment variable that cannot be meant
    └── FeedbackError    (also a ValueError)  a feedback that says nothing, or says it out of range
    core.strict.ConfigError    (a ValueError) a config document that is refused, with the path of the fault
    core.records.RecordError   (a ValueError) a line that is no record

None of them is ever raised by a call to a model: that path raises what the SDK raises, unchanged.
"""

from __future__ import annotations

from .core.records import RecordError
from .core.strict import ConfigError

__all__ = ["ConfigError", "FeedbackError", "LogosShiftError", "RecordError", "SettingsError"]


class LogosShiftError(Exception):
    """Root of what this package raises on its own account."""


class SettingsError(LogosShiftError, ValueError):
    """A setting that cannot be meant; the message names the argument or variable and what it takes."""


class FeedbackError(LogosShiftError, ValueError):
    """A feedback that says nothing, or says it out of range."""
