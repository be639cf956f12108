"""The guards as a step of the background work: models that are about to end, and prompts that have changed.

Providers are asked in a thread of its own, for one that does not answer must not keep the other steps waiting.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from logos_shift_openai.core.strict import ConfigError

from .prompt_drift import tell_drifts
from .retirement import act, read_dates
from .store.database import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .store.database import Store

_SECONDS: Final = 600.0
_logger = logging.getLogger("logos_shift_openai.server")


def guard(store: Store, environ: Mapping[str, str], now: int, config_home: Path | None) -> None:
    """Look once, asking providers too where a day has passed.

    Args:
        store: With everything.
        environ: Where the providers stand.
        now: Milliseconds since 1970.
        config_home: The home of the embedded config; None where the config is in the store.
    """
    read_dates(store, environ, now, config_home)
    act(store, now, config_home)
    tell_drifts(store, now, config_home)


class GuardStep:
    """See the module.

    Args:
        store: Not the worker's fenced one, for a thread outlives a step.
        environ: Where the providers stand.
    """

    def __init__(self, store: Store, environ: Mapping[str, str]) -> None:
        self._store = store
        self._environ = environ
        self._thread: threading.Thread | None = None

    def __call__(self, store: Store, now: int) -> float:  # noqa: ARG002 - the worker's protocol
        """Look, unless it is looking still; gives the seconds to the next look."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._look, args=(now,), name="logos-shift-guards", daemon=True)
            self._thread.start()
        return _SECONDS

    def join(self, seconds: float) -> None:
        """Wait for what is under way."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _look(self, now: int) -> None:
        try:
            guard(self._store, self._environ, now, None)
        except (StoreError, ConfigError) as error:
            _logger.warning("models and prompts were not looked at: %s", type(error).__name__)
        except Exception:
            _logger.exception("models and prompts were not looked at")
            raise
