"""The fence around everything of ours on the caller's path: an error in here is counted, never raised."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from .runtime import Runtime

_T = TypeVar("_T")
log = logging.getLogger("logos_shift_openai")


def guarded(runtime: Runtime, do: Callable[..., _T], *args: object) -> _T | None:
    """Do something of ours; an error in it is counted by name, said once, and gives None."""
    try:
        return do(*args)
    except Exception as error:  # noqa: BLE001 - the caller's call goes on whatever is wrong with us
        runtime.broken(do, error)
        return None
