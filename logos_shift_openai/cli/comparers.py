"""Comparers by name: those of `core.agreement`, and a user's own function, which only a command may load.

A function of his own gets both answers as read from JSON, the baseline's first, and gives a number in [0, 1] or a bool.
No config and no policy can name one: they may come over the network, and what they named would be run.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from logos_shift_openai.cli.output import CommandError
from logos_shift_openai.core.agreement import COMPARERS, IncomparableError
from logos_shift_openai.core.evidence import ScoreError, on_grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from logos_shift_openai.core.agreement import Comparer


def comparer(name: str) -> Comparer:
    """Give the comparer of this name.

    Raises:
        CommandError: there is none; the message says what there is, or why a function could not be loaded.
    """
    if name in COMPARERS:
        return COMPARERS[name]
    module_name, colon, function_name = name.partition(":")
    if not (colon and module_name and function_name):
        known = ", ".join(COMPARERS)
        raise CommandError(f"--compare: {name!r} is none of {known}, judge, nor a function as package.module:function")
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109 - a path of the interpreter's is a text
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
        for part in function_name.split("."):
            found = getattr(found, part)
    except Exception as error:  # noqa: BLE001 - a module of the user's may raise anything
        raise CommandError(f"--compare: {name} could not be loaded: {type(error).__name__}: {error}") from None
    if not callable(found):
        raise CommandError(f"--compare: {name} is not a function")
    return _fenced(name, found)


def _fenced(name: str, function: Callable[[Any, Any], Any]) -> Comparer:
    def compare(baseline: Any, candidate: Any) -> float:
        if baseline is None:
            raise IncomparableError("the baseline has no answer")
        if candidate is None:
            return 0.0
        try:
            score = function(baseline, candidate)
            score = float(score) if isinstance(score, bool) else score
            on_grid(score)
        except ScoreError as error:
            raise CommandError(f"--compare: {name}: {error}") from None
        except Exception as error:  # noqa: BLE001 - as above
            raise CommandError(f"--compare: {name} raised {type(error).__name__}: {error}") from None
        return float(score)

    return compare
