"""Owns the counts that `stats()` shows and the log lines that are said once.

Its rule: every loss has a reason here, and a log line carries names and sizes, never contents or keys.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from logos_shift_openai.client.periodic import reset_in_child

if TYPE_CHECKING:
    import logging

_MAX_REASONS = 256  # a server names reasons too; a hostile one must not grow our memory

REASONS = {
    "sampled_out": "calls that sampling left out",
    "internal_error": "errors of ours that were kept from a call",
    "recorded": "records handed to the spool",
    "sent": "records the server took for the first time",
    "seen": "records the server already had",
    "queue_full": "records dropped because the queue was full",
    "queue_full_bytes": "their approximate size in bytes",
    "closed": "records offered after closing",
    "encode_failed": "records that could not be turned into a line",
    "encode_skipped": "records the caller's own redaction chose not to keep",
    "truncated": "records that were cut to fit, visibly",
    "redaction_failed": "records that could not be cleaned, counted as `encode_failed` too",
    "spool_failed": "lines the spool raised on",
    "spool_full": "lines dropped because the spool reached its bound on disk",
    "spool_unwritable": "times the spool's folder could not be written",
    "memory_full": "lines dropped because the folder could not be written and the memory for that was full",
    "lost_at_exit": "records that could be neither written nor sent before the end of the process",
    "torn_lines": "half lines left by a process that was killed while writing",
    "undeletable": "segments that were sent but could not be deleted",
    "refuse_failed": "lines to set aside in refused/ that could not be written there",
    "adopted": "folders taken over from processes that ended",
    "send_failed": "times the server could not be reached or did not answer well",
    "unauthorized": "times the server did not accept the key",
    "config_bad": "config documents that were refused",
    "config_failed": "times a config could not be read",
    "config_cache_failed": "times the last good config could not be kept on disk",
    "examples_missing": "calls that went to the baseline because their candidate's examples were not here yet",
    "prompt_changed": "calls that went to the baseline because their prompt was none that the candidate was tuned on",
    "examples_failed": "times a file of examples could not be had",
    "thread_not_started": "times the system gave no new thread",
    "log_failed": "log lines a handler raised on",
    "shadow_sent": "calls mirrored to a candidate",
    "shadow_over_budget": "calls not mirrored because the minute's budget was used up",
    "shadow_queue_full": "calls not mirrored because too many waited",
    "shadow_unsendable": "calls not mirrored that could do something twice, or for lack of a synchronous client",
    "shadow_too_late": "calls not mirrored because the config had changed before their turn, or the process ended",
    "shadow_failed": "mirrored calls that the candidate did not answer",
    "other": "reasons beyond the first 256",
}
"""What each reason means; `refused_<why>` and `<thread>_failed` come on top of these."""


class Counters:
    """Counts by reason; safe from any thread, a signal handler or a finaliser; fresh in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # re-entrant: a garbage collection inside may record a dropped stream
        self._counts: dict[str, int] = {}
        self._said: set[str] = set()
        reset_in_child(self)

    def add(self, reason: str, n: int = 1) -> None:
        """Count `n` more of `reason`."""
        with self._lock:
            counts = self._counts
            if reason not in counts and len(counts) >= _MAX_REASONS:
                reason = "other"
            counts[reason] = counts.get(reason, 0) + n

    def snapshot(self) -> dict[str, int]:
        """Return a copy of all counts so far."""
        with self._lock:
            return dict(self._counts)

    def say_once(self, logger: logging.Logger, key: str, message: str, *args: object) -> None:
        """Log `message % args` as a warning, the first time this `key` comes up in this process."""
        if key in self._said or len(self._said) >= _MAX_REASONS:
            return
        self._said.add(key)
        try:
            logger.warning(message, *args)
        except Exception:  # noqa: BLE001  a user's log handler must not break the call that led here
            self.add("log_failed")

    def forget(self, key: str) -> None:
        """Let `key` be said again, once what it told of is over."""
        self._said.discard(key)

    def after_fork(self) -> None:
        """Start the child's own account: what the parent counted stays the parent's."""
        self._lock = threading.RLock()
        self._counts = {}
