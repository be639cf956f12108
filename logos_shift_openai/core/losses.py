"""Which of a client's counts tell of lost records, and what of its counts it tells others.

Its rule: every record that was offered is in exactly one sum: `kept` (it reached the spool) or a reason of `LOST`. What
is told is a fixed list of names: a server's own words (`refused_<why>`) become one of them, so tables are bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LOST: Final[Mapping[str, str]] = {
    "queue_full": "dropped because the queue in memory was full",
    "closed": "offered after the client was closed",
    "encode_failed": "could not be cleaned or written as a line",
    "spool_failed": "the spool raised on them",
    "spool_full": "dropped because the spool had reached its bound on disk",
    "memory_full": "the spool's folder could not be written, and the memory for that was full",
    "lost_at_exit": "neither written nor sent before the end of the process",
    "refused": "refused by the server, and kept in refused/",
    "unreadable": "lines of the spool that could not be read, and are kept in refused/",
}
"""The reasons for which a record does not arrive, in the words of a sentence about records."""

_IN_SPOOL: Final = ("spool_full", "memory_full")  # handed to the spool, so counted as recorded, and dropped by it
_AS_THEY_ARE: Final = (
    "recorded", "sent", "seen", "sampled_out", "encode_skipped", "truncated", "redaction_failed", "internal_error",
    *(reason for reason in LOST if reason not in {"refused", "unreadable"}),
)  # fmt: skip
_REFUSED: Final = "refused_"
_UNREADABLE: Final = frozenset({"refused_unreadable", "refused_file"})

TOLD: Final = frozenset({*_AS_THEY_ARE, *LOST})
"""The names of the counts that are told; no other is."""


def told(counts: Mapping[str, int]) -> dict[str, int]:
    """Choose what is told of a client's counts; what is 0 is left out."""
    found = {name: counts[name] for name in _AS_THEY_ARE if counts.get(name)}
    refused = unreadable = 0
    for name, count in counts.items():
        if name.startswith(_REFUSED):
            if name in _UNREADABLE:
                unreadable += count
            else:
                refused += count
    if refused:
        found["refused"] = refused
    if unreadable:
        found["unreadable"] = unreadable
    return found


def lost(counts: Mapping[str, int]) -> dict[str, int]:
    """Give the lost records by reason, those without any left out.

    Args:
        counts: As `told` gives them.
    """
    return {reason: counts[reason] for reason in LOST if counts.get(reason)}


def kept(counts: Mapping[str, int]) -> int:
    """Count the records that the spool took and kept, those that the server refused later included.

    With what was lost before (all of `LOST` but "refused" and "unreadable") these are all that were offered.
    """
    return max(0, counts.get("recorded", 0) - sum(counts.get(reason, 0) for reason in _IN_SPOOL))
